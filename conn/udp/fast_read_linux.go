package udp

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fastReads: several buffers are read at once, each with datagrams that the system put together.
const fastReads = true

// slot is what one buffer of a recvmmsg is read into.
type slot struct {
	name name
	oob  [oobSize]byte
	buf  []byte
}

// fastRead is the memory of a reader that goes past package net.
type fastRead struct {
	slots []slot
	hdrs  []mmsghdr
	iovs  []unix.Iovec

	// receive is recvmmsg with its result, and try the same once: package net calls them with the descriptor.
	receive func(fd uintptr) bool
	try     func(fd uintptr)
	n       int
	errno   syscall.Errno
}

func newFastRead(slots int) *fastRead {
	r := &fastRead{slots: make([]slot, slots), hdrs: make([]mmsghdr, slots), iovs: make([]unix.Iovec, slots)}
	for i := range r.slots {
		r.slots[i].buf = make([]byte, MaxDatagram+1)
		r.iovs[i].Base = &r.slots[i].buf[0]
		r.iovs[i].SetLen(len(r.slots[i].buf))
	}
	r.receive = r.recvmmsg
	r.try = func(fd uintptr) {
		if !r.recvmmsg(fd) {
			r.n, r.errno = 0, 0
		}
	}
	return r
}

// recvmmsg reads what has come, at most a buffer for each slot. It reports false when nothing has, so that
// package net waits.
func (r *fastRead) recvmmsg(fd uintptr) bool {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(len(r.hdrs)),
		unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case unix.EINTR:
		return r.recvmmsg(fd)
	case unix.EAGAIN:
		return false
	}
	r.n, r.errno = int(n), errno
	return true
}

// arm points the headers at the slots, as the system expects them before each call.
func (r *fastRead) arm() {
	for i := range r.slots {
		s := &r.slots[i]
		h := &r.hdrs[i].hdr
		*h = unix.Msghdr{Name: &s.name[0], Namelen: uint32(len(s.name)), Iov: &r.iovs[i], Control: &s.oob[0]}
		h.SetIovlen(1)
		h.SetControllen(len(s.oob))
	}
}

// read waits for datagrams and appends those that came to msgs.
func (f *fast) read(s *Socket, r *fastRead, msgs []Message) ([]Message, error) {
	r.arm()
	if err := f.raw.Read(r.receive); err != nil {
		return msgs, err
	}
	return f.received(s, r, msgs)
}

// poll appends the datagrams that have come to msgs.
func (f *fast) poll(s *Socket, r *fastRead, msgs []Message) ([]Message, error) {
	r.arm()
	if err := f.raw.Control(r.try); err != nil {
		return msgs, err
	}
	return f.received(s, r, msgs)
}

// received appends what was read to msgs.
func (f *fast) received(s *Socket, r *fastRead, msgs []Message) ([]Message, error) {
	if r.errno != 0 {
		return msgs, r.errno
	}
	for i := range r.n {
		h := &r.hdrs[i]
		slot := &r.slots[i]
		m := Message{Remote: f.decode(&slot.name)}
		segment := s.readControl(slot.oob[:h.hdr.Controllen], &m)
		msgs = appendSegments(msgs, m, slot.buf[:h.n], segment)
	}
	return msgs, nil
}

// appendSegments cuts a buffer that the system put together.
func appendSegments(msgs []Message, m Message, data []byte, segment int) []Message {
	for segment > 0 && len(data) > segment {
		m.Data = data[:segment:segment]
		msgs = append(msgs, m)
		data = data[segment:]
	}
	m.Data = data[:len(data):len(data)]
	return append(msgs, m)
}
