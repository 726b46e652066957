package tunnel

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// apply changes the configuration of the running server.
func (e *ends) apply(change func(c *ServerConfig)) {
	e.t.Helper()
	c := e.applied
	change(&c)
	require.NoError(e.t, e.running.Apply(c))
	e.applied = c
}

func (e *ends) authorize(lines ...string) *Authorized {
	e.t.Helper()
	a, err := ParseAuthorized("clients", strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(e.t, err)
	return a
}

func TestAClientsOwnRulesTakeThePlaceOfTheServers(t *testing.T) {
	// spec: TUN-61
	e := &ends{t: t}
	everybody := Rights{Allow: rules(t, "tcp://10.0.0.1:22"), Listen: rules(t, "tcp://127.0.0.1:80")}
	plain, own, none, listens := testKey(1), testKey(2), testKey(3), testKey(4)
	a := e.authorize(
		plain.String()+" plain",
		`allow="tcp://10.0.0.2:22",allow="tcp://10.0.0.3:1-99" `+own.String()+" own # with a comment",
		"restrict "+none.String(),
		`restrict,allow-listen="tcp://:8080" `+listens.String()+" listens",
	)
	require.Equal(t, everybody, a.rights(plain, everybody))
	require.Equal(t, everybody, a.rights(crypto.PublicKey{}, everybody))
	require.Equal(t, Rights{rules(t, "tcp://10.0.0.2:22", "tcp://10.0.0.3:1-99"), everybody.Listen}, a.rights(own, everybody))
	require.Equal(t, Rights{Rules{}, Rules{}}, a.rights(none, everybody))
	got := a.rights(listens, everybody)
	require.Empty(t, got.Allow)
	require.True(t, got.Listen.allowsListen(target(t, "tcp://[::]:8080")))
	require.True(t, got.Listen.allowsListen(target(t, "tcp://0.0.0.0:8080")))
	require.False(t, got.Listen.allowsListen(target(t, "tcp://0.0.0.0:8081")))
	name, _ := a.Name(own)
	require.Equal(t, "own", name)
}

func TestBadOptionsOfAClientAreRefusedWithTheFix(t *testing.T) {
	key := testKey(1).String()
	for line, want := range map[string]string{
		"permitopen=\"x\" " + key:                   `"permitopen" is no key and no option; write one gwpub1`,
		"allow " + key:                              `"allow" is no key and no option`,
		`restrict="x" ` + key:                       `"restrict" is no key and no option`,
		"allow=tcp://10.0.0.1:22 " + key:            "lacks the quotation marks",
		`allow="tcp://10.0.0.1:22 ` + key:           "lacks the closing quotation mark",
		`allow="10.0.0.1:22" ` + key:                "allow: ",
		`allow-listen="tcp://web:80" ` + key:        "allow-listen: ",
		`allow="tcp://10.0.0.1:22",`:                `"" is no key and no option`,
		`allow="tcp://10.0.0.1:22"`:                 "no key behind the options",
		`allow="tcp://10.0.0.1:22",restrict,` + key: "is no key and no option",
	} {
		_, err := ParseAuthorized("clients", strings.NewReader("\n"+line))
		require.ErrorContains(t, err, "clients line 2: ", line)
		require.ErrorContains(t, err, want, line)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestAServerMayHaveRulesOfItsClientsOnly(t *testing.T) {
	e := &ends{t: t}
	config := ServerConfig{Identity: crypto.GeneratePrivateKey(), Authorized: e.authorize("restrict " + testKey(1).String())}
	require.ErrorIs(t, config.Validate(), ErrNoRules)
	config.Authorized = e.authorize(`allow="tcp://10.0.0.1:22" ` + testKey(1).String())
	require.NoError(t, config.Validate())
}

func TestNewRulesEndWhatTheyDoNotCoverAndNothingElse(t *testing.T) {
	// spec: TUN-60
	kept, lost := echoServer(t), echoServer(t)
	e := startWithKeys(t, kept, lost)
	goesOn, ends := e.connect(0), e.connect(1)
	for _, c := range []io.Writer{goesOn, ends} {
		_, err := c.Write([]byte("first "))
		require.NoError(t, err)
	}
	e.wantServed(2)
	e.apply(func(c *ServerConfig) { c.Allow = rules(t, kept.String()) })
	_, err := ends.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "what is no longer allowed is reset")
	echoRest(t, goesOn, "first ", "second")
	(&fakeTunnel{t: t, client: e.client}).wantReset(1)
	echo(t, e.connect(0), "new connections to the other one work")

	e.apply(func(c *ServerConfig) { c.Allow = rules(t, kept.String(), lost.String()) })
	echo(t, e.connect(1), "and to both, once both are allowed")
	require.Equal(t, 1, strings.Count(e.clientLog.String(), "msg=connected"), "all in one session")
}

func TestAClientThatIsTakenOffTheListIsClosed(t *testing.T) {
	// spec: TUN-60
	e := startWithKeys(t, echoServer(t))
	other := crypto.GeneratePrivateKey()
	both := e.authorize(e.clientKey.Public().String()+" laptop", other.Public().String()+" other")
	e.apply(func(c *ServerConfig) { c.Authorized = both })
	echo(t, e.connect(0), "it stays while it is in the list")
	e.apply(func(c *ServerConfig) { c.Authorized = e.authorize(other.Public().String()) })
	e.wantLog(e.clientLog, "this key is no longer authorized")
	e.wantLog(e.clientLog, "this key is not authorized")
	e.apply(func(c *ServerConfig) { c.Authorized = both })
	echo(t, e.connect(0), "and comes back when it is again")
}

func TestAConfigurationThatCannotWorkChangesNothing(t *testing.T) {
	e := startWithKeys(t, echoServer(t))
	c := e.applied
	c.Allow = nil
	require.ErrorIs(t, e.running.Apply(c), ErrNoRules)
	c = e.applied
	c.Listen = "192.0.2.1:1"
	require.ErrorContains(t, e.running.Apply(c), "192.0.2.1")
	echo(t, e.connect(0), "served as before")
	require.Equal(t, 1, strings.Count(e.clientLog.String(), "msg=connected"), "in the same session")
}

func TestAServerMovesToANewAddressAndKey(t *testing.T) {
	e := startWithKeys(t, echoServer(t))
	echo(t, e.connect(0), "before")
	old := e.running.Addr().String()
	e.apply(func(c *ServerConfig) { c.Listen = "localhost:0" })
	require.NotEqual(t, old, e.running.Addr().String())
	echo(t, e.connect(0), "sessions go on where they began")

	e.apply(func(c *ServerConfig) { c.Listen = e.running.Addr().String() })
	identity := crypto.GeneratePrivateKey()
	e.apply(func(c *ServerConfig) { c.Identity = identity })
	require.Equal(t, identity.Public(), e.running.PublicKey())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := conn.Dial(ctx, e.running.Addr().String(), &conn.Config{
		PeerKey: identity.Public(), Identity: e.clientKey, AppProtocols: []string{AppProtocol},
	})
	require.NoError(t, err)
	require.NoError(t, s.CloseWithError(closeDone, ""))
	e.wantLog(e.clientLog, "session lost")
}
