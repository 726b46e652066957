package tunnel

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/godwit-net/godwit/conn/udp"
)

// packetBuffer holds a flow's number and a datagram.
type packetBuffer [maxUDPMessage]byte

var packets = sync.Pool{New: func() any { return new(packetBuffer) }}

// readOne waits for one datagram with a buffer in hand.
func (r *flowReader) readOne(give func(packet []byte, size int)) error {
	b := packets.Get().(*packetBuffer)
	defer packets.Put(b)
	n := copy(b[:], r.header)
	k, err := r.conn.Read(b[n:])
	if err != nil {
		return err
	}
	give(b[:n+k], k)
	return nil
}

// dialUDP opens a socket to one target, from a port; 0: any. spec: TUN-44
func dialUDP(a netip.AddrPort, from uint16) (udpConn, error) {
	c, err := net.DialUDP("udp", &net.UDPAddr{Port: int(from)}, net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	// What the system does not grant shows in lost bursts only.
	_ = c.SetReadBuffer(farBuffer)
	_ = c.SetWriteBuffer(farBuffer)
	return c, nil
}

// bindUDP takes a port of the family of an address, at all addresses; 0: any.
func bindUDP(like netip.Addr, port uint16) (io.Closer, uint16, error) {
	network := "udp6"
	if like.Unmap().Is4() {
		network = "udp4"
	}
	c, err := net.ListenUDP(network, &net.UDPAddr{Port: int(port)})
	if err != nil {
		return nil, 0, err
	}
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// udpSocket is the socket of a listening port.
type udpSocket = udp.Socket

// udpFeatures: datagrams may be larger than the path to a local program carries, so the system may divide them.
const udpFeatures = udp.AllFeatures&^udp.Steer | udp.Fragment

// listenUDP opens a port.
func listenUDP(address string) (*udpSocket, error) {
	return udp.Listen(context.Background(), address, udpFeatures)
}

// writeQueue collects datagrams for one port, so that they are written together. They are valid until flush.
type writeQueue struct {
	port *udpPort
	msgs []udp.Message
}

// maxWrites is how many datagrams are written together.
const maxWrites = 64

// add queues a datagram that stays where it is until flush.
func (q *writeQueue) add(p *udpPort, m udp.Message) {
	if q.port != p || len(q.msgs) == maxWrites {
		q.flush()
	}
	q.port = p
	q.msgs = append(q.msgs, m)
}

// flush writes what was collected.
func (q *writeQueue) flush() {
	if len(q.msgs) > 0 {
		q.port.write(q.msgs)
		q.msgs = q.msgs[:0]
	}
}
