package udp

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// features is what the sockets of the tests may use.
var features = AllFeatures

// socket is a Socket, with what was read from it and not looked at yet.
type socket struct {
	*Socket
	in    *ReadBatch
	queue []Message
}

func listen(t testing.TB, address string) *socket {
	t.Helper()
	s, err := Listen(context.Background(), address, features)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &socket{Socket: s, in: s.NewReadBatch(4)}
}

// target is where to send to reach s from this machine.
func target(s *socket, host string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), s.AddrPort().Port())
}

func readOne(t testing.TB, s *socket) Message {
	t.Helper()
	if len(s.queue) == 0 {
		got, err := s.ReadBatch(s.in)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		s.queue = got
	}
	m := s.queue[0]
	s.queue = s.queue[1:]
	return m
}

func TestDatagramsArriveWithTheirSource(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	n, err := a.WriteBatch([]Message{
		{Data: []byte("one"), Remote: b.AddrPort()},
		{Data: []byte{}, Remote: b.AddrPort()},
		{Data: bytes.Repeat([]byte{7}, 9000), Remote: b.AddrPort()},
	})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, want := range []int{3, 0, 9000} {
		m := readOne(t, b)
		require.Len(t, m.Data, want)
		require.Equal(t, a.AddrPort(), m.Remote)
	}
}

func TestDualStackSocketReportsIPv4AsIPv4(t *testing.T) {
	wild := listen(t, ":0")
	v4 := listen(t, "127.0.0.1:0")
	_, err := v4.WriteBatch([]Message{{Data: []byte("x"), Remote: target(wild, "127.0.0.1")}})
	require.NoError(t, err)
	m := readOne(t, wild)
	require.Equal(t, v4.AddrPort(), m.Remote, "a mapped address would be a second name for one peer")

	_, err = wild.WriteBatch([]Message{{Data: []byte("y"), Remote: m.Remote, Local: m.Local}})
	require.NoError(t, err)
	require.Equal(t, "y", string(readOne(t, v4).Data))
}

func TestECNBitsArriveAsTheyWereSent(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			a, b := listen(t, net.JoinHostPort(host, "0")), listen(t, net.JoinHostPort(host, "0"))
			if !a.Info().ECN {
				require.False(t, runtime.GOOS == "linux" && features&ECN != 0, "Linux reads and writes ECN")
				return
			}
			for _, ecn := range []uint8{NotECT, ECT0, ECT1, CE} {
				_, err := a.WriteBatch([]Message{{Data: []byte("x"), Remote: b.AddrPort(), ECN: ecn}})
				require.NoError(t, err)
				require.Equal(t, ecn, readOne(t, b).ECN)
			}
		})
	}
}

func TestReplyLeavesFromTheAddressThatWasAsked(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only there all of 127.0.0.0/8 is local
	}
	wild, peer := listen(t, ":0"), listen(t, "127.0.0.1:0")
	require.True(t, wild.Info().LocalAddress)
	_, err := peer.WriteBatch([]Message{{Data: []byte("x"), Remote: target(wild, "127.0.0.9")}})
	require.NoError(t, err)
	m := readOne(t, wild)
	require.Equal(t, target(wild, "127.0.0.9"), m.Local)

	_, err = wild.WriteBatch([]Message{{Data: []byte("y"), Remote: m.Remote, Local: m.Local, ECN: ECT0}})
	require.NoError(t, err)
	got := readOne(t, peer)
	require.Equal(t, target(wild, "127.0.0.9"), got.Remote)
	if peer.Info().ECN {
		require.Equal(t, ECT0, got.ECN)
	}
}

func TestAddressThatLeftThisMachineIsReplacedByTheSystemsChoice(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // the error for such an address differs elsewhere
	}
	wild, peer := listen(t, ":0"), listen(t, "127.0.0.1:0")
	gone := netip.MustParseAddrPort("192.0.2.77:1")
	_, err := wild.WriteBatch([]Message{{Data: []byte("x"), Remote: peer.AddrPort(), Local: gone, ECN: ECT0}})
	require.NoError(t, err)
	require.Equal(t, "x", string(readOne(t, peer).Data))
}

func TestOneRefusedDatagramDoesNotStopTheBatch(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	msgs := []Message{
		{Data: make([]byte, MaxDatagram+100), Remote: b.AddrPort()}, // longer than IP can carry
		{Data: []byte("x"), Remote: b.AddrPort()},
	}
	n, err := a.WriteBatch(msgs)
	require.Error(t, err)
	require.Equal(t, 1, n)
	require.True(t, msgs[0].TooBig)
	require.False(t, msgs[1].TooBig)
	require.Equal(t, "x", string(readOne(t, b).Data))
}

func TestClosedSocketSaysSo(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	failed := make(chan error)
	go func() {
		_, err := a.ReadBatch(a.in)
		failed <- err
	}()
	require.NoError(t, a.Close())
	require.ErrorIs(t, <-failed, net.ErrClosed)
	_, err := a.WriteBatch([]Message{{Data: []byte("x"), Remote: netip.MustParseAddrPort("127.0.0.1:9")}})
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestSharedPortGivesSeveralSocketsOrOne(t *testing.T) {
	socks, err := ListenShared(context.Background(), "127.0.0.1:0", 3, features)
	require.NoError(t, err)
	defer closeAll(socks)
	if !canShare {
		require.Len(t, socks, 1)
		return
	}
	require.Len(t, socks, 3)
	require.Equal(t, socks[0].AddrPort(), socks[2].AddrPort())
}

func TestPortThatIsSharedIsRefusedToASecondServer(t *testing.T) {
	first, err := ListenShared(context.Background(), "127.0.0.1:0", 2, features)
	require.NoError(t, err)
	defer closeAll(first)
	for _, n := range []int{1, 2} {
		_, err = ListenShared(context.Background(), first[0].AddrPort().String(), n, features)
		require.Error(t, err, "it would take half of the first one's clients")
	}
}

func TestSocketsThatShareAPortAllGetTheirPart(t *testing.T) {
	socks, err := ListenShared(context.Background(), "127.0.0.1:0", 2, features&^Steer) // which knows better
	require.NoError(t, err)
	defer closeAll(socks)
	if len(socks) == 1 {
		require.False(t, canShare)
		return
	}
	got := make(chan int, 2)
	for i, s := range socks {
		go func() {
			if _, err := s.ReadBatch(s.NewReadBatch(1)); err == nil {
				got <- i
			}
		}()
	}
	for range 64 { // the system hashes the source; all at one socket would be as likely as 2^-63
		_, err := listen(t, "127.0.0.1:0").WriteBatch([]Message{{Data: []byte("x"), Remote: socks[0].AddrPort()}})
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []int{0, 1}, []int{<-got, <-got})
}

func TestConnectedSocketIsRefused(t *testing.T) {
	peer := listen(t, "127.0.0.1:0")
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(peer.AddrPort()))
	require.NoError(t, err)
	defer c.Close()
	_, err = New(c, features)
	require.ErrorContains(t, err, "connected")
}

func TestInfoReportsWhatWasGranted(t *testing.T) {
	info := listen(t, "127.0.0.1:0").Info()
	if runtime.GOOS == "linux" {
		require.Positive(t, info.ReceiveBuffer)
		require.Positive(t, info.SendBuffer)
		require.True(t, info.DontFragment)
		require.False(t, info.LocalAddress, "a socket bound to one address has nothing to choose")
	}
}

// hidden is a net.PacketConn and nothing else.
type hidden struct{ net.PacketConn }

// wrapped embeds a UDP socket and keeps all its methods.
type wrapped struct{ *net.UDPConn }

func TestAnyPacketConnWorks(t *testing.T) {
	for name, wrap := range map[string]func(*net.UDPConn) net.PacketConn{
		"plain":   func(c *net.UDPConn) net.PacketConn { return c },
		"wrapped": func(c *net.UDPConn) net.PacketConn { return wrapped{c} },
		"hidden":  func(c *net.UDPConn) net.PacketConn { return hidden{c} },
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			sock, err := New(wrap(raw), features)
			require.NoError(t, err)
			defer sock.Close()
			s := &socket{Socket: sock, in: sock.NewReadBatch(1)}
			peer := listen(t, "127.0.0.1:0")
			if name == "hidden" {
				require.Equal(t, Info{}, s.Info(), "a wrapper that hides the socket loses everything, and says so")
			}
			_, err = s.WriteBatch([]Message{{Data: []byte("x"), Remote: peer.AddrPort(), ECN: ECT0}})
			require.NoError(t, err)
			m := readOne(t, peer)
			require.Equal(t, s.AddrPort(), m.Remote)
			_, err = peer.WriteBatch([]Message{{Data: []byte("y"), Remote: m.Remote}})
			require.NoError(t, err)
			require.Equal(t, peer.AddrPort(), readOne(t, s).Remote)
		})
	}
	_, err := New(nil, features)
	require.Error(t, err)
}

func TestControlDataOfOthersIsSkipped(t *testing.T) {
	for _, oob := range [][]byte{nil, {1}, make([]byte, 16), bytes.Repeat([]byte{0xff}, 64)} {
		require.Zero(t, parseControl(oob))
	}
}

func BenchmarkLoopback1200(b *testing.B) {
	s, r := listen(b, "127.0.0.1:0"), listen(b, "127.0.0.1:0")
	msgs := []Message{{Data: make([]byte, 1200), Remote: r.AddrPort(), ECN: ECT0}}
	b.SetBytes(1200)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.WriteBatch(msgs)
		_, _ = r.ReadBatch(r.in)
	}
}

func TestAPollReturnsWhatHasComeAndDoesNotWait(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	poll := func() []Message {
		got, err := b.PollBatch(b.in)
		require.NoError(t, err)
		return got
	}
	require.Empty(t, poll())
	n, err := a.WriteBatch([]Message{{Data: []byte("one"), Remote: b.AddrPort()}, {Data: []byte("two"), Remote: b.AddrPort()}})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	if !b.CanPoll() {
		require.Empty(t, poll())
		return
	}
	var got []Message
	for range 2 {
		for _, m := range poll() {
			m.Data = bytes.Clone(m.Data)
			got = append(got, m)
		}
	}
	require.Len(t, got, 2)
	require.Equal(t, "one", string(got[0].Data))
	require.Equal(t, "two", string(got[1].Data))
	require.Equal(t, a.AddrPort(), got[0].Remote)
	require.Empty(t, poll())
	require.NoError(t, b.Close())
	_, err = b.PollBatch(b.in)
	require.ErrorIs(t, err, net.ErrClosed)
}
