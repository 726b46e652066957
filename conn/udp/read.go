package udp

import "net/netip"

// oobSize holds the control data of one datagram: an address (20 bytes), a traffic class (4) and their
// headers, with room for what a system adds unasked.
const oobSize = 128

// ReadBatch is the memory that one reader reads into, again and again.
type ReadBatch struct {
	buf  []byte
	oob  []byte
	msgs [1]Message
}

// NewReadBatch returns the memory for one reading goroutine. It is meant to be kept and reused.
func NewReadBatch() *ReadBatch {
	return &ReadBatch{buf: make([]byte, MaxDatagram+1), oob: make([]byte, oobSize)}
}

// ReadBatch waits for at least one datagram and returns those that came. They are valid until the next
// call with the same b. What ICMP says about earlier datagrams of ours is passed over, since anyone on the
// path can say it. Errors other than net.ErrClosed concern one datagram or one moment: the caller
// counts them and reads on.
func (s *Socket) ReadBatch(b *ReadBatch) ([]Message, error) {
	m := &b.msgs[0]
	*m = Message{}
	n, err := s.readOne(b, m)
	for err != nil && isHint(err) {
		n, err = s.readOne(b, m)
	}
	if err != nil {
		return nil, err
	}
	m.Data = b.buf[:n:n]
	m.Remote = unmap(m.Remote)
	return b.msgs[:1], nil
}

func (s *Socket) readOne(b *ReadBatch, m *Message) (n int, err error) {
	switch {
	case s.oob != nil:
		var oobn int
		n, oobn, _, m.Remote, err = s.oob.ReadMsgUDPAddrPort(b.buf, b.oob)
		if err == nil {
			s.readControl(b.oob[:oobn], m)
		}
	case s.port != nil:
		n, m.Remote, err = s.port.ReadFromUDPAddrPort(b.buf)
	default:
		n, m.Remote, err = s.readPlain(b.buf)
	}
	return n, err
}

func (s *Socket) readPlain(buf []byte) (int, netip.AddrPort, error) {
	n, addr, err := s.pc.ReadFrom(buf)
	return n, addrPortOf(addr), err
}

// readControl fills the local address and the ECN bits of m.
func (s *Socket) readControl(oob []byte, m *Message) {
	local, ecn := parseControl(oob)
	m.ECN = ecn
	if local.IsValid() {
		m.Local = netip.AddrPortFrom(local.Unmap(), s.addr.Port())
	}
}
