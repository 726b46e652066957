package simnet

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/sim"
)

func pair(t *testing.T, config sim.Config) (n *Network, a, b *Socket) {
	t.Helper()
	n, err := New(config)
	require.NoError(t, err)
	a, err = n.Listen(netip.MustParseAddrPort("10.0.0.1:1000"))
	require.NoError(t, err)
	b, err = n.Listen(netip.MustParseAddrPort("[fd00::2]:0"))
	require.NoError(t, err)
	return n, a, b
}

func send(t *testing.T, from, to *Socket, text string) {
	t.Helper()
	_, err := from.WriteTo([]byte(text), to.LocalAddr())
	require.NoError(t, err)
}

func wantRead(t *testing.T, s *Socket, text string, from *Socket) {
	t.Helper()
	buf := make([]byte, 2000)
	k, addr, err := s.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, text, string(buf[:k]))
	require.Equal(t, from.LocalAddr(), addr)
}

func wantSilence(t *testing.T, s *Socket) {
	t.Helper()
	require.NoError(t, s.SetReadDeadline(time.Now().Add(time.Minute)))
	_, _, err := s.ReadFrom(make([]byte, 10))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, s.SetReadDeadline(time.Time{}))
}

func TestDatagramTakesTheLinksDelayAndKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, sim.Config{Delay: 25 * time.Millisecond})
		start := time.Now()
		for _, text := range []string{"one", "two", "three"} {
			send(t, a, b, text)
		}
		for _, text := range []string{"one", "two", "three"} {
			wantRead(t, b, text, a)
			require.Equal(t, 25*time.Millisecond, time.Since(start))
		}
		send(t, b, a, "back")
		wantRead(t, a, "back", b)
		require.Equal(t, 50*time.Millisecond, time.Since(start))
	})
}

func TestLinkLosesWhatItsConfigSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, sim.Config{Drop: "01"})
		for _, text := range []string{"one", "two", "three"} {
			send(t, a, b, text)
		}
		wantRead(t, b, "one", a)
		wantRead(t, b, "three", a)
	})
}

func TestCutNetworkIsSilentUntilItHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{})
		n.SetDown(true)
		send(t, a, b, "lost")
		wantSilence(t, b)
		n.SetDown(false)
		require.NoError(t, n.SetLink(sim.Config{Delay: time.Second}))
		send(t, a, b, "found")
		wantRead(t, b, "found", a)
	})
}

func TestReboundSocketHasANewAddressForItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, sim.Config{})
		old := a.LocalAddr()
		require.NoError(t, a.Rebind(netip.MustParseAddrPort("10.0.0.77:0")))
		require.NotEqual(t, old, a.LocalAddr())
		send(t, a, b, "x")
		wantRead(t, b, "x", a)
		_, err := b.WriteTo([]byte("y"), old)
		require.NoError(t, err)
		wantSilence(t, a)
	})
}

func TestTapSeesAndDropsDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{})
		n.Tap(func(_, _ netip.AddrPort, data []byte) bool {
			keep := string(data) != "drop"
			data[0] = 'X'
			return keep
		})
		send(t, a, b, "drop")
		send(t, a, b, "keep")
		wantRead(t, b, "Xeep", a)
	})
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, sim.Config{})
		failed := make(chan error)
		go func() {
			_, _, err := b.ReadFrom(make([]byte, 10))
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, b.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		require.ErrorIs(t, b.Close(), net.ErrClosed)
		_, err := b.WriteTo([]byte("x"), a.LocalAddr())
		require.ErrorIs(t, err, net.ErrClosed)
		send(t, a, b, "to nobody")
	})
}

func TestAddressInUseIsRefusedAndPortZeroFindsAFreeOne(t *testing.T) {
	n, a, _ := pair(t, sim.Config{})
	_, err := n.Listen(a.addrPort())
	require.ErrorContains(t, err, "in use")
	_, err = n.Listen(netip.AddrPort{})
	require.Error(t, err)
	c, err := n.Listen(netip.MustParseAddrPort("10.0.0.1:0"))
	require.NoError(t, err)
	d, err := n.Listen(netip.MustParseAddrPort("10.0.0.1:0"))
	require.NoError(t, err)
	require.NotEqual(t, c.LocalAddr(), d.LocalAddr())
}
