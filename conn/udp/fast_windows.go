package udp

import (
	"net"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fastReads: nothing is put together on its way in: there are systems that do so and do not say the size of the
// datagrams (decision 21).
const fastReads = false

// fast sends runs of datagrams in one system call, which Windows cuts (UDP_SEND_MSG_SIZE, since Windows 10 version 2004).
type fast struct {
	segment atomic.Bool
	many    bool // never: there is no call for several buffers
}

type fastRead struct{}

func steer(*Socket, int) bool   { return false }
func newFastRead(int) *fastRead { return nil }

// newFast asks whether the system knows the option. Only a *net.UDPConn itself is used so: a wrapper may do something in its
// methods.
func newFast(pc net.PacketConn, want Features) *fast {
	c, ok := pc.(*net.UDPConn)
	if !ok || want&Segment == 0 {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	f := &fast{}
	_ = raw.Control(func(fd uintptr) {
		_, err := windows.GetsockoptInt(windows.Handle(fd), wsaUDP, wsaSendSize)
		f.segment.Store(err == nil)
	})
	if !f.segment.Load() {
		return nil
	}
	return f
}

// features returns what is in use.
func (f *fast) features() Features {
	if f == nil || !f.segment.Load() {
		return 0
	}
	return Segment
}

// segmentRefused switches segmentation off: the system refused a run, and took its datagrams one by one.
func (f *fast) segmentRefused() { f.segment.Store(false) }

// runPool has memory for runs that do not lie back to back: package net takes one buffer.
var runPool = sync.Pool{New: func() any { return new([maxRunBytes]byte) }}

// write sends messages in runs. It returns how many the system took, in order; the next refused ones, if any, are to be
// sent one by one, which shows what is wrong with them.
func (f *fast) write(s *Socket, msgs []Message) (taken, refused int, err error) {
	for taken < len(msgs) {
		rest := msgs[taken:]
		count := 1
		if f.segment.Load() {
			count = run(rest)
		}
		if count == 1 || f.writeRun(s, rest[:count]) != nil {
			return taken, count, nil
		}
		taken += count
	}
	return taken, 0, nil
}

// writeRun sends a run.
func (f *fast) writeRun(s *Socket, msgs []Message) error {
	data, ok := backToBack(msgs)
	if !ok {
		memory := runPool.Get().(*[maxRunBytes]byte)
		defer runPool.Put(memory)
		data = memory[:0]
		for i := range msgs {
			data = append(data, msgs[i].Data...)
		}
	}
	oob := oobPool.Get().(*[oobSize]byte)
	defer oobPool.Put(oob)
	control, _ := s.appendControl(oob[:0], &msgs[0])
	control = appendWSASegment(control, len(msgs[0].Data))
	_, _, err := s.oob.WriteMsgUDPAddrPort(data, control, msgs[0].Remote)
	return err
}

// backToBack returns the data of messages as one piece, if it lies so, as sessions build it.
func backToBack(msgs []Message) ([]byte, bool) {
	start := unsafe.SliceData(msgs[0].Data)
	size := 0
	for i := range msgs {
		if uintptr(unsafe.Pointer(unsafe.SliceData(msgs[i].Data))) != uintptr(unsafe.Pointer(start))+uintptr(size) {
			return nil, false
		}
		size += len(msgs[i].Data)
	}
	return unsafe.Slice(start, size), true
}

func (*fast) read(_ *Socket, _ *fastRead, msgs []Message) ([]Message, error) { return msgs, nil }

func (*fast) poll(_ *Socket, _ *fastRead, msgs []Message) ([]Message, error) { return msgs, nil }
