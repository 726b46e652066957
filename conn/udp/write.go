package udp

import (
	"errors"
	"net"
	"sync"
)

const (
	// MaxRun is how many datagrams one segmented write may hold (UDP_MAX_SEGMENTS before Linux 6.9; later
	// ones take 128).
	MaxRun = 64
	// maxRunBytes bounds their sum: the length field of an IP packet, less the headers of IPv6 and UDP.
	maxRunBytes = 65535 - 40 - 8
)

// RunLength returns how many datagrams of size bytes one segmented write holds, at least one.
func RunLength(size int) int {
	return max(1, min(MaxRun, maxRunBytes/max(size, 1)))
}

// oobPool holds the space for control data of a batch: on the stack it would escape through the socket's
// interface, an allocation for each batch.
var oobPool = sync.Pool{New: func() any { return new([oobSize]byte) }}

// WriteBatch sends the datagrams in their order and returns how many the system took. A datagram that the
// system refuses is lost like any other on the way, the rest is still sent, and the first refusal is
// returned; only net.ErrClosed ends the batch.
func (s *Socket) WriteBatch(msgs []Message) (sent int, err error) {
	for s.fast != nil && len(msgs) > 0 {
		taken, refused, e := s.fast.write(s, msgs)
		sent += taken
		if e != nil {
			return sent, e
		}
		msgs = msgs[taken:]
		n, e := s.writeSingly(msgs[:refused])
		sent += n
		if refused > 1 && n == refused {
			s.fast.segmentRefused()
		}
		if err == nil {
			err = e
		}
		if errors.Is(e, net.ErrClosed) {
			return sent, e
		}
		msgs = msgs[refused:]
	}
	n, e := s.writeSingly(msgs)
	return sent + n, errors.Join(err, e)
}

// writeSingly sends the datagrams with a system call each.
func (s *Socket) writeSingly(msgs []Message) (sent int, err error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	oob := oobPool.Get().(*[oobSize]byte)
	defer oobPool.Put(oob)
	for i := range msgs {
		e := s.writeOne(&msgs[i], oob[:0])
		if e == nil {
			sent++
			continue
		}
		msgs[i].TooBig = isTooBig(e)
		if err == nil {
			err = e
		}
		if errors.Is(e, net.ErrClosed) {
			return sent, e
		}
	}
	return sent, err
}

func (s *Socket) writeOne(m *Message, oob []byte) error {
	switch {
	case s.oob != nil:
		return s.writeControl(m, oob)
	case s.port != nil:
		_, err := s.port.WriteToUDPAddrPort(m.Data, m.Remote)
		return err
	}
	_, err := s.pc.WriteTo(m.Data, net.UDPAddrFromAddrPort(m.Remote))
	return err
}

// writeControl sends one datagram with the control data that it asks for.
func (s *Socket) writeControl(m *Message, oob []byte) error {
	oob, picked := s.appendControl(oob, m)
	_, _, err := s.oob.WriteMsgUDPAddrPort(m.Data, oob, m.Remote)
	if err == nil || len(oob) == 0 {
		return err
	}
	return s.writeLess(m, oob, picked, err)
}

// appendControl adds the control data that a datagram asks for; the first picked bytes of it choose the
// local address.
func (s *Socket) appendControl(oob []byte, m *Message) (_ []byte, picked int) {
	v4 := m.Remote.Addr().Unmap().Is4()
	if s.info.LocalAddress && m.Local.IsValid() && m.Local.Addr().Is4() == v4 {
		oob = appendLocal(oob, m.Local.Addr())
	}
	picked = len(oob)
	if m.ECN != NotECT && s.info.ECN && !s.noECN.Load() {
		oob = appendECN(oob, v4, m.ECN)
	}
	return oob, picked
}

// writeLess tries again without what the system may have refused: first the ECN bits, which some systems
// do not take, then the local address, which may just have left this machine.
func (s *Socket) writeLess(m *Message, oob []byte, picked int, err error) error {
	if refusesOption(err) && len(oob) > picked {
		if _, _, err = s.oob.WriteMsgUDPAddrPort(m.Data, oob[:picked], m.Remote); err == nil {
			s.noECN.Store(true)
			return nil
		}
	}
	if picked == 0 || !refusesOption(err) && !refusesAddress(err) {
		return err
	}
	_, _, err = s.oob.WriteMsgUDPAddrPort(m.Data, nil, m.Remote)
	return err
}
