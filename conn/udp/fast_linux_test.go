package udp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSegmentationIsSwitchedOffAtItsFirstError(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	require.NotZero(t, a.Info().Features&Segment)
	// The kernel cuts no buffers for a socket without checksums.
	require.NoError(t, a.fast.raw.Control(func(fd uintptr) {
		require.NoError(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1))
	}))
	msgs := make([]Message, 20)
	for i := range msgs {
		msgs[i] = Message{Data: []byte{byte(i)}, Remote: b.AddrPort()}
	}
	for range 2 {
		n, err := a.WriteBatch(msgs)
		require.NoError(t, err)
		require.Equal(t, len(msgs), n, "nothing is lost for it")
		for i := range msgs {
			require.Equal(t, msgs[i].Data, readOne(t, b).Data)
		}
		require.Equal(t, Coalesce|Many|ECN, a.Info().Features)
	}
}

func TestARunThatTheInterfaceDoesNotCarrySaysSoForEachDatagram(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	msgs := []Message{
		{Data: []byte("x"), Remote: b.AddrPort()},
		{Data: make([]byte, MaxDatagram), Remote: b.AddrPort()},
		{Data: make([]byte, MaxDatagram), Remote: b.AddrPort()},
		{Data: []byte("y"), Remote: b.AddrPort()},
	}
	n, err := a.WriteBatch(msgs)
	require.Error(t, err)
	require.Equal(t, 2, n)
	require.True(t, msgs[1].TooBig && msgs[2].TooBig)
	require.NotZero(t, a.Info().Features&Segment, "it was their size")
	require.Equal(t, "x", string(readOne(t, b).Data))
	require.Equal(t, "y", string(readOne(t, b).Data))
}

func TestAddressesSurviveTheirSystemForm(t *testing.T) {
	f := &fast{}
	for _, s := range []string{"192.0.2.1:53", "[2001:db8::1]:65535", "[::1]:1"} {
		addr := netip.MustParseAddrPort(s)
		var n name
		require.Equal(t, uint32(unix.SizeofSockaddrInet6), n.encode(addr, true))
		require.Equal(t, addr, f.decode(&n))
	}
	var n name
	require.Equal(t, uint32(unix.SizeofSockaddrInet4), n.encode(netip.MustParseAddrPort("192.0.2.1:53"), false))
	require.Equal(t, netip.MustParseAddrPort("192.0.2.1:53"), f.decode(&n))
	require.Zero(t, n.encode(netip.MustParseAddrPort("[2001:db8::1]:1"), false), "an IPv4 socket cannot")
	require.Zero(t, n.encode(netip.MustParseAddrPort("[fe80::1%lo]:1"), true), "package net knows zones")

	n.encode(netip.MustParseAddrPort("[fe80::1]:7"), true)
	n[24] = 1
	require.Equal(t, netip.MustParseAddrPort("[fe80::1%lo]:7"), f.decode(&n), "interface 1 is the loopback one")
	n[24], n[25] = 0xff, 0xff
	require.Equal(t, "65535", f.decode(&n).Addr().Zone(), "an interface that is gone")
}

func TestAKernelThatDoesNotKnowTheCallsIsNotedAtOnce(t *testing.T) {
	require.NoError(t, listen(t, "127.0.0.1:0").fast.raw.Control(func(fd uintptr) {
		require.True(t, callsAreKnown(fd))
	}))
	require.False(t, callsAreKnown(^uintptr(0)))
}

// strict is a socket whose system takes no control data.
type strict struct {
	*net.UDPConn
	refused int
}

func (c *strict) WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	if len(oob) > 0 {
		c.refused++
		return 0, 0, unix.EINVAL
	}
	return c.UDPConn.WriteMsgUDPAddrPort(b, oob, to)
}

func TestECNIsSwitchedOffAtItsFirstError(t *testing.T) {
	raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	c := &strict{UDPConn: raw}
	s, err := New(c, AllFeatures)
	require.NoError(t, err)
	defer s.Close()
	require.True(t, s.Info().ECN)
	peer := listen(t, "127.0.0.1:0")
	for range 3 {
		n, err := s.WriteBatch([]Message{{Data: []byte("x"), Remote: peer.AddrPort(), ECN: ECT0}})
		require.NoError(t, err)
		require.Equal(t, 1, n, "nothing is lost for it")
		require.Equal(t, NotECT, readOne(t, peer).ECN)
		require.False(t, s.Info().ECN)
	}
	require.Equal(t, 1, c.refused)
}
