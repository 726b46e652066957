package udp

import "net/netip"

// oobSize holds the control data of one datagram: an address (20 bytes), a traffic class (4) and their
// headers, with room for what a system adds unasked.
const oobSize = 128

// ReadBatch is the memory that one reader reads into, again and again.
type ReadBatch struct {
	buf  []byte
	oob  []byte
	fast *fastRead
	msgs []Message
}

// NewReadBatch returns the memory for one goroutine that reads s, for up to buffers of 64 KiB at once where
// the system can give several. It is meant to be kept and reused.
func (s *Socket) NewReadBatch(buffers int) *ReadBatch {
	if s.fast == nil || !fastReads {
		return &ReadBatch{buf: make([]byte, MaxDatagram+1), oob: make([]byte, oobSize), msgs: make([]Message, 0, 1)}
	}
	if !s.fast.many {
		buffers = 1
	}
	return &ReadBatch{fast: newFastRead(max(buffers, 1))}
}

// ReadBatch waits for at least one datagram and returns those that came. They are valid until the next
// call with the same b. What ICMP says about earlier datagrams of ours is passed over, since anyone on the
// path can say it. Errors other than net.ErrClosed concern one datagram or one moment: the caller
// counts them and reads on.
func (s *Socket) ReadBatch(b *ReadBatch) (msgs []Message, err error) {
	for {
		if msgs, err = s.read(b); err == nil || !isHint(err) {
			return msgs, err
		}
	}
}

// CanPoll reports whether PollBatch ever returns anything: on Linux, unless all Features but ECN are off.
func (s *Socket) CanPoll() bool { return s.fast != nil && fastReads }

// PollBatch is ReadBatch without the wait: it returns what has come, which may be nothing. Any goroutine may call it
// with a batch of its own, while another one waits in ReadBatch.
func (s *Socket) PollBatch(b *ReadBatch) (msgs []Message, err error) {
	if !s.CanPoll() {
		return nil, nil
	}
	b.msgs, err = s.fast.poll(s, b.fast, b.msgs[:0])
	if err != nil && isHint(err) {
		err = nil
	}
	return b.msgs, err
}

func (s *Socket) read(b *ReadBatch) (_ []Message, err error) {
	b.msgs = b.msgs[:0]
	if b.fast != nil {
		b.msgs, err = s.fast.read(s, b.fast, b.msgs)
		return b.msgs, err
	}
	var m Message
	n, err := s.readOne(b, &m)
	if err != nil {
		return nil, err
	}
	m.Data = b.buf[:n:n]
	m.Remote = unmap(m.Remote)
	b.msgs = append(b.msgs, m)
	return b.msgs, nil
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

// readControl fills the local address and the ECN bits of m, and returns the size of the datagrams that the
// system put together; 0: it did not.
func (s *Socket) readControl(oob []byte, m *Message) (segment int) {
	c := parseControl(oob)
	m.ECN = c.ecn
	if c.local.IsValid() {
		m.Local = netip.AddrPortFrom(c.local.Unmap(), s.addr.Port())
	}
	return c.segment
}

// control is what control data says about a buffer that came.
type control struct {
	local   netip.Addr
	ecn     uint8
	segment int // bytes
}
