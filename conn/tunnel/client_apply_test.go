package tunnel

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// freeAddr is an address that nobody listens on. The port is none of those that the system gives to whoever does not
// ask for a certain one, so that no other program gets it before it is used.
func freeAddr(t *testing.T) string {
	t.Helper()
	for {
		const low, high = 20_000, 32_768
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(low+rand.IntN(high-low)))
		if l, err := net.Listen("tcp", at); err == nil {
			require.NoError(t, l.Close())
			return at
		}
	}
}

// reconfigure changes the configuration of the running client.
func (e *ends) reconfigure(change func(c *ClientConfig)) error {
	c := *e.client.config.Load()
	c.Forwards = append([]Forward(nil), c.Forwards...)
	change(&c)
	return e.client.Apply(c)
}

// started connects to a forward and waits until the server carries n connections.
func (e *ends) started(i int, n int64) *net.TCPConn {
	e.t.Helper()
	c := e.connect(i)
	_, err := c.Write([]byte("first "))
	require.NoError(e.t, err)
	e.wantServed(n)
	return c
}

func TestForwardsComeAndGoWhileOthersKeepTheirConnections(t *testing.T) {
	a, b, c := echoServer(t), echoServer(t), echoServer(t)
	e := startWithKeys(t, a, b)
	goesOn, ends := e.started(0, 1), e.started(1, 2)
	require.NoError(t, e.reconfigure(func(config *ClientConfig) {
		config.Forwards = []Forward{{Listen: "127.0.0.1:0", Target: c}, config.Forwards[0]}
	}))
	_, err := ends.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "a forward that is gone takes its connections along")
	_, err = net.Dial("tcp", ends.RemoteAddr().String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "and its port")
	require.Equal(t, goesOn.RemoteAddr().String(), e.client.Addrs()[1].String(), "the other one has its port still")
	echoRest(t, goesOn, "first ", "second")
	echo(t, e.connect(0), "the new one works")
	require.Equal(t, 1, strings.Count(e.clientLog.String(), "msg=connected"), "all in one session")
}

func TestAForwardThatChangesItsTargetKeepsItsPort(t *testing.T) {
	a, b := echoServer(t), echoServer(t)
	e := startWithKeys(t, a)
	at := freeAddr(t)
	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.Forwards = []Forward{{Listen: at, Target: a}} }))
	before := e.started(0, 1)
	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.Forwards = []Forward{{Listen: at, Target: b}} }))
	_, err := before.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, at, e.client.Addrs()[0].String())
	echo(t, e.connect(0), "to the new target")
}

func TestAPortThatCannotBeOpenedLeavesTheOldForwards(t *testing.T) {
	e := startWithKeys(t, echoServer(t))
	at := freeAddr(t)
	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.Forwards[0].Listen = at }))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := echoServer(t)
	require.ErrorContains(t, e.reconfigure(func(c *ClientConfig) {
		c.Forwards = []Forward{{Listen: at, Target: other}, {Listen: taken.Addr().String(), Target: other}}
	}), taken.Addr().String())
	require.Len(t, e.client.Addrs(), 1)
	require.Equal(t, e.client.config.Load().Forwards[0].String(), e.client.list()[0].part.stats().Forward, "the target of before")
	echo(t, e.connect(0), "as before")
	require.ErrorIs(t, e.reconfigure(func(c *ClientConfig) { c.Forwards = nil }), ErrNoForward)
	echo(t, e.connect(0), "as before")
}

func TestAClientThatIsGivenAnotherServerGoesThere(t *testing.T) {
	e := startWithKeys(t, echoServer(t))
	echo(t, e.connect(0), "before")
	other := crypto.GeneratePrivateKey()
	e.server.Identity, e.server.Listen = other, "127.0.0.1:0"
	first := e.serverLog
	address := e.startServer().String()
	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.Server, c.PeerKey = address, other.Public() }))
	e.wantLog(first, "client gone")
	echo(t, e.connect(0), "after")
	e.wantLog(e.serverLog, "client connected")
	require.NotContains(t, e.clientLog.String(), "session lost", "it was no trouble")
}

func TestASessionThatWasDialledForAnOldConfigurationIsNotKept(t *testing.T) {
	k := newKeeper(func() string { return "" }, nil, logger(nil))
	old, _ := newFakeSessions()
	wanted := k.generation()
	k.redial()
	require.True(t, k.hold(t.Context(), old, wanted))
	require.ErrorIs(t, old.Err(), net.ErrClosed)
}

func TestAClientThatHasEndedTakesNoConfiguration(t *testing.T) {
	c, err := NewClient(ClientConfig{Server: "127.0.0.1:1", PeerKey: testKey(1), Forwards: forwardTo(target(t, "tcp://a:1"))})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Apply(ClientConfig{Server: "127.0.0.1:1", PeerKey: testKey(1), Forwards: forwardTo(target(t, "tcp://b:1"))}), net.ErrClosed)
}
