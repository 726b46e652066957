package emulator

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/sim"
)

// ipv4 is a packet of size bytes with ECN bits, a number in its payload and a right header checksum.
func ipv4(size int, ecn, number uint8) []byte {
	p := make([]byte, size)
	p[0], p[1], p[8] = 4<<4|5, 0xb8|ecn, 64
	binary.BigEndian.PutUint16(p[2:], uint16(size))
	binary.BigEndian.PutUint16(p[10:], ^checksum(p[:ipv4Header]))
	p[size-1] = number
	return p
}

// ipv6 is the same for IPv6, which has no checksum.
func ipv6(size int, ecn, number uint8) []byte {
	p := make([]byte, size)
	p[0], p[1] = 6<<4|0xb, 0x80|ecn<<4
	p[size-1] = number
	return p
}

// checksum adds in one's complement (RFC 1071). A header with a right checksum gives 0xffff.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum>>16 > 0 {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// bridge returns the outer ends of two devices with a bridge between them.
func bridge(t *testing.T, link string) (near, far net.Conn, b *Bridge) {
	t.Helper()
	c, err := sim.ParseLink(link)
	require.NoError(t, err)
	near, innerNear := net.Pipe()
	far, innerFar := net.Pipe()
	for _, p := range []net.Conn{near, far} {
		require.NoError(t, p.SetDeadline(time.Now().Add(patience)))
	}
	b, err = NewBridge(innerNear, innerFar, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return near, far, b
}

func put(t *testing.T, device net.Conn, packet []byte) {
	t.Helper()
	_, err := device.Write(packet)
	require.NoError(t, err)
}

func get(t *testing.T, device net.Conn) []byte {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, err := device.Read(buf)
	require.NoError(t, err)
	return buf[:n]
}

func TestBridgeCarriesPacketsBothWaysWithTheDelayOfEach(t *testing.T) {
	near, far, b := bridge(t, "delay=10ms")
	begin := time.Now()
	for _, packet := range [][]byte{ipv4(1500, 0, 1), ipv6(60, 1, 2), ipv4(ipv4Header, 0, 0)} {
		put(t, near, packet)
		require.Equal(t, packet, get(t, far))
		put(t, far, packet)
		require.Equal(t, packet, get(t, near))
	}
	require.GreaterOrEqual(t, time.Since(begin), 60*time.Millisecond)
	stats := b.Stats()
	require.EqualValues(t, 3, stats.Up.Delivered)
	require.EqualValues(t, 3, stats.Down.Delivered)
}

func TestBridgeCountsTheSizeOfIPPackets(t *testing.T) {
	near, far, b := bridge(t, "rate=1mbit,queue=1MB,mtu=1400")
	put(t, near, ipv4(1401, 0, 1)) // too large
	put(t, near, ipv4(1250, 0, 2)) // 10 ms each at this rate
	put(t, near, ipv4(1250, 0, 3))
	require.Equal(t, uint8(2), get(t, far)[1249])
	require.Equal(t, uint8(3), get(t, far)[1249])
	stats := b.Stats()
	require.EqualValues(t, 1, stats.Up.Drops[sim.TooBig])
	require.GreaterOrEqual(t, stats.Up.Wait.Quantile(0), 10*time.Millisecond)
	require.LessOrEqual(t, stats.Up.Wait.Quantile(1), 20*time.Millisecond)
}

func TestBridgeTellsItsBacklog(t *testing.T) {
	near, _, b := bridge(t, "rate=1kbit,queue=1MB")
	require.Zero(t, b.Backlog())
	put(t, near, ipv4(1250, 0, 1)) // 10 s
	require.Eventually(t, func() bool { return b.Backlog() > 0 }, patience, time.Millisecond)
	require.LessOrEqual(t, b.Backlog(), 10*time.Second)
}

func TestBridgeMarksInTheQueueAndMendsTheChecksum(t *testing.T) {
	const notECT, ect0, ce = 0, 2, 3
	near, far, _ := bridge(t, "rate=100kbit,ecn=1ms,queue=1MB")
	put(t, near, ipv4(1250, ect0, 0))
	put(t, near, ipv4(100, ect0, 0)) // waits for the first, as do those behind it
	put(t, near, ipv6(100, ect0, 0))
	put(t, near, ipv4(100, notECT, 0))
	for _, want := range []uint8{ect0, ce, ce, notECT} {
		packet := get(t, far)
		require.Equal(t, want, packetECN(packet))
		if packet[0]>>4 == 4 {
			require.Equal(t, uint8(0xb8), packet[1]&^ecnMask, "the other bits of the class stay")
			require.EqualValues(t, 0xffff, checksum(packet[:ipv4Header]))
		} else {
			require.Equal(t, []byte{0x6b, 0x80}, []byte{packet[0], packet[1] &^ (ecnMask << 4)})
		}
	}
}

func TestBridgeDropsWhatIsNoPacket(t *testing.T) {
	near, far, b := bridge(t, "")
	for _, junk := range [][]byte{{1}, make([]byte, 60), ipv6(60, 0, 0)[:39], ipv4(60, 0, 0)[:19]} {
		put(t, near, junk)
	}
	put(t, near, ipv4(60, 0, 9))
	require.Equal(t, uint8(9), get(t, far)[59])
	require.EqualValues(t, 4, b.Stats().Refused)
}

func TestBridgeRefusesLinksThatChangeContents(t *testing.T) {
	for want, link := range map[string]sim.Config{
		"neither corrupts": {Corrupt: 0.1},
		"nor rebinds":      {Rebind: time.Second},
		"loss":             {Loss: 2},
	} {
		_, err := NewBridge(nil, nil, link)
		require.ErrorContains(t, err, want)
	}
}

// broken is a device that fails at once.
type broken struct{ io.ReadWriteCloser }

var errBroken = errors.New("the device is gone")

func (broken) Read([]byte) (int, error) { return 0, errBroken }
func (broken) Close() error             { return nil }

func TestBridgeSaysThatADeviceFailed(t *testing.T) {
	_, far := net.Pipe()
	b, err := NewBridge(broken{}, far, sim.Config{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.failed != nil
	}, patience, time.Millisecond)
	require.ErrorIs(t, b.Close(), errBroken)
	require.NoError(t, b.Close())
}
