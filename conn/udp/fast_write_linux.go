package udp

import (
	"encoding/binary"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fastOOB is the control data of one buffer: address (36 bytes), traffic class (20), segment size (18), rounded up.
const fastOOB = 96

// call is one buffer on its way out: a datagram, or a run of them that the system cuts.
type call struct {
	count int // datagrams
	name  name
	oob   [fastOOB]byte
}

// writeBatch is the memory of one WriteBatch.
type writeBatch struct {
	hdrs  [maxCalls]mmsghdr
	calls [maxCalls]call
	iovs  [2 * MaxRun]unix.Iovec

	// send is sendmmsg with its argument and result: package net calls it with the descriptor.
	send     func(fd uintptr) bool
	from, to int
	sent     int
}

var writePool = sync.Pool{New: func() any {
	w := new(writeBatch)
	w.send = w.sendmmsg
	return w
}}

// sendmmsg writes the buffers from..to. It reports false when the socket is full, so that package net waits.
func (w *writeBatch) sendmmsg(fd uintptr) bool {
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.hdrs[w.from])), uintptr(w.to-w.from),
		unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		w.sent = int(n)
	case unix.EINTR:
		return w.sendmmsg(fd)
	case unix.EAGAIN:
		return false
	default:
		w.sent = 0 // the first one was refused
	}
	return true
}

// write sends messages in runs and several at once. It returns how many the system took, in order; the next
// refused ones, if any, are to be sent one by one, which shows what is wrong with them.
func (f *fast) write(s *Socket, msgs []Message) (taken, refused int, err error) {
	w := writePool.Get().(*writeBatch)
	defer w.free()
	for taken < len(msgs) {
		n, stop := w.prepare(s, msgs[taken:])
		for w.from = 0; w.from < n; {
			w.to = n
			if !f.many {
				w.to = w.from + 1
			}
			if err := f.raw.Write(w.send); err != nil {
				return taken, 0, err // closed
			}
			for _, c := range w.calls[w.from : w.from+w.sent] {
				taken += c.count
			}
			w.from += w.sent
			if w.sent == 0 {
				return taken, w.calls[w.from].count, nil
			}
		}
		if stop {
			return taken, 1, nil
		}
	}
	return taken, 0, nil
}

// prepare lays out as many messages as fit. stop says that the next one needs package net.
func (w *writeBatch) prepare(s *Socket, msgs []Message) (n int, stop bool) {
	segment := s.fast.segment.Load()
	iovs := 0
	for len(msgs) > 0 && n < maxCalls {
		count := 1
		if segment {
			count = run(msgs)
		}
		if iovs+count > len(w.iovs) {
			break
		}
		c, h := &w.calls[n], &w.hdrs[n]
		m := &msgs[0]
		length := c.name.encode(m.Remote, s.fast.v6)
		if length == 0 {
			return n, true
		}
		oob, _ := s.appendControl(c.oob[:0], m)
		if count > 1 {
			oob = appendSegment(oob, len(m.Data))
		}
		c.count = count
		pieces := gather(w.iovs[iovs:iovs], msgs[:count])
		h.hdr = unix.Msghdr{Name: &c.name[0], Namelen: length, Iov: &w.iovs[iovs]}
		h.hdr.SetIovlen(pieces)
		if len(oob) > 0 {
			h.hdr.Control = &oob[0]
			h.hdr.SetControllen(len(oob))
		}
		iovs += pieces
		msgs = msgs[count:]
		n++
	}
	return n, false
}

// gather appends where the data of messages lies to iovs, which has room for one piece each, and returns the
// number of pieces. Datagrams that lie back to back are one piece: the system looks at each.
func gather(iovs []unix.Iovec, msgs []Message) (pieces int) {
	var end uintptr
	size := 0
	for i := range msgs {
		data := msgs[i].Data
		at := unsafe.SliceData(data)
		if n := len(iovs); n > 0 && uintptr(unsafe.Pointer(at)) == end {
			size += len(data)
			iovs[n-1].SetLen(size)
		} else {
			size = len(data)
			iovs = append(iovs, unix.Iovec{Base: at})
			iovs[n].SetLen(size)
		}
		end = uintptr(unsafe.Pointer(at)) + uintptr(len(data))
	}
	return len(iovs)
}

// appendSegment adds the control message that has the system cut a buffer into datagrams of size bytes.
func appendSegment(oob []byte, size int) []byte {
	oob, data := appendHeader(oob, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return oob
}

// segmentRefused switches segmentation off: the system refused a run, and took its datagrams one by one.
func (f *fast) segmentRefused() { f.segment.Store(false) }

// free gives the memory back, without what it pointed to.
func (w *writeBatch) free() {
	clear(w.iovs[:])
	writePool.Put(w)
}
