package tunnel

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flowsOf is an association in the test's hands, with what was sent to each target.
type flowsOf struct {
	*association
	sent   map[string][]string // by target
	ended  []string            // flows that were closed
	flows_ map[string]*testFlow
	client *net.UDPConn
}

type testFlow struct {
	of      *flowsOf
	target  string
	over    chan struct{}
	receive func([]byte)
}

func (f *testFlow) send(b []byte) error {
	f.of.sent[f.target] = append(f.of.sent[f.target], string(b))
	return nil
}
func (f *testFlow) close()                { f.of.ended = append(f.of.ended, f.target) }
func (f *testFlow) done() <-chan struct{} { return f.over }

func associate(t *testing.T, port uint16) *flowsOf {
	loopback := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	relay, err := net.ListenUDP("udp", loopback)
	require.NoError(t, err)
	client, err := net.ListenUDP("udp", loopback)
	require.NoError(t, err)
	require.NoError(t, client.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { relay.Close(); client.Close() })
	host := netip.MustParseAddr("127.0.0.1")
	f := &flowsOf{sent: make(map[string][]string), flows_: make(map[string]*testFlow), client: client}
	f.association = &association{relay: relay, host: host, client: netip.AddrPortFrom(host, port), flows: make(map[Target]*associationFlow)}
	f.open = func(t Target, receive func([]byte)) datagramFlow {
		f.flows_[t.String()] = &testFlow{of: f, target: t.String(), over: make(chan struct{}), receive: receive}
		return f.flows_[t.String()]
	}
	return f
}

// clientAddr is where the client's datagrams come from.
func (f *flowsOf) clientAddr() netip.AddrPort { return f.client.LocalAddr().(*net.UDPAddr).AddrPort() }

func datagram(t *testing.T, to, data string) []byte {
	return append(appendSocksAddress([]byte{0, 0, 0}, target(t, to)), data...)
}

var start = time.Unix(1e9, 0)

func TestDatagramsOfASOCKSClientGoToTheirTargetsAndBack(t *testing.T) {
	a := associate(t, 0)
	a.take(datagram(t, "udp://10.0.0.1:53", "a"), a.clientAddr(), start)
	a.take(datagram(t, "udp://example.com:53", "b"), a.clientAddr(), start)
	a.take(datagram(t, "udp://10.0.0.1:53", "c"), a.clientAddr(), start)
	require.Equal(t, map[string][]string{"udp://10.0.0.1:53": {"a", "c"}, "udp://example.com:53": {"b"}}, a.sent)
	for _, to := range []string{"udp://10.0.0.1:53", "udp://example.com:53"} {
		a.flows_[to].receive([]byte("answer"))
		buf := make([]byte, 100)
		n, err := a.client.Read(buf)
		require.NoError(t, err)
		require.Equal(t, datagram(t, to, "answer"), buf[:n], "it names the target as the client did")
	}
}

func TestDatagramsOfOthersAndFragmentsAreDropped(t *testing.T) {
	a := associate(t, 0)
	good, from := datagram(t, "udp://10.0.0.1:53", "x"), a.clientAddr()
	a.take(good, netip.MustParseAddrPort("127.0.0.2:53"), start)
	require.Empty(t, a.sent, "another host, before the client said anything")
	a.take(good, from, start)
	a.take(good, netip.AddrPortFrom(from.Addr(), from.Port()^1), start)
	for i, b := range [][]byte{nil, good[:3], good[:9], bytes.Replace(good, []byte{0, 0, 0}, []byte{0, 0, 1}, 1),
		bytes.Replace(good, []byte{0, 0, 0}, []byte{0, 1, 0}, 1), bytes.Replace(good, []byte{0, 53}, []byte{0, 0}, 1),
		append([]byte{0, 0, 0, 9}, good[4:]...)} {
		a.take(b, from, start)
		require.Equal(t, map[string][]string{"udp://10.0.0.1:53": {"x"}}, a.sent, "case %d", i)
	}
	b := associate(t, 7)
	b.take(good, b.clientAddr(), start)
	require.Empty(t, b.sent, "the client had said that it sends from port 7")
}

func TestAnAssociationHasSoManyFlowsAndNoMore(t *testing.T) {
	a := associate(t, 0)
	for i := range maxAssociationFlows + 2 {
		at := Target{Network: NetworkUDP, Addr: netip.MustParseAddr("10.0.0.1"), Port: uint16(1000 + i)}
		a.take(append(appendSocksAddress([]byte{0, 0, 0}, at), 'x'), a.clientAddr(), start.Add(time.Duration(i)*time.Millisecond))
		if i == 100 { // the first target is used again, and stays
			a.take(datagram(t, "udp://10.0.0.1:1000", "y"), a.clientAddr(), start.Add(time.Duration(i)*time.Millisecond))
		}
	}
	require.Len(t, a.flows, maxAssociationFlows)
	require.Equal(t, []string{"udp://10.0.0.1:1001", "udp://10.0.0.1:1002"}, a.ended, "those that were silent for longest make room")
	a.take(datagram(t, "udp://10.0.0.2:53", "x"), a.clientAddr(), start.Add(udpIdle+time.Hour))
	require.Len(t, a.flows, 1, "and those that were silent for long")
}

func TestARefusedTargetIsAskedForAgainAfterAPause(t *testing.T) {
	a := associate(t, 0)
	to := datagram(t, "udp://10.0.0.1:53", "x")
	a.take(to, a.clientAddr(), start)
	close(a.flows_["udp://10.0.0.1:53"].over)
	a.take(to, a.clientAddr(), start.Add(refusedPause-1))
	require.Len(t, a.sent["udp://10.0.0.1:53"], 1)
	a.take(to, a.clientAddr(), start.Add(refusedPause))
	require.Len(t, a.sent["udp://10.0.0.1:53"], 2)
}

func TestAnAssociationEndsWithItsConnection(t *testing.T) {
	a := associate(t, 0)
	a.take(datagram(t, "udp://10.0.0.1:53", "x"), a.clientAddr(), start)
	a.end()
	require.Equal(t, []string{"udp://10.0.0.1:53"}, a.ended)
	a.take(datagram(t, "udp://10.0.0.2:53", "x"), a.clientAddr(), start)
	require.Len(t, a.sent, 1, "what was on its way opens nothing")
	_, _, err := a.association.relay.ReadFromUDPAddrPort(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}
