//go:build unix

package tunnel

import (
	"net"
	"syscall"
)

// maxFlowReads is how many datagrams of one flow are read before they leave: as many as one system call of the
// session's socket sends.
const maxFlowReads = 64

// flowReader reads the datagrams that come to a flow's socket. A flow that waits holds no buffer: there may be
// thousands.
type flowReader struct {
	conn   udpConn
	raw    syscall.RawConn // nil: not a socket of the system
	header []byte          // the flow's number

	// try is readNow, made once; package net calls it with the descriptor.
	try  func(fd uintptr) bool
	give func(packet []byte, size int)
	err  error
}

func newFlowReader(c udpConn, id uint64) *flowReader {
	r := &flowReader{conn: c, header: appendVarint(nil, id)}
	if u, ok := c.(*net.UDPConn); ok {
		r.raw, _ = u.SyscallConn()
	}
	r.try = r.readNow
	return r
}

// read waits for datagrams and gives those that are there, each with the flow's number in front. They are valid
// during the call.
func (r *flowReader) read(give func(packet []byte, size int)) error {
	if r.raw == nil {
		return r.readOne(give)
	}
	r.give, r.err = give, nil
	if err := r.raw.Read(r.try); err != nil {
		return err
	}
	return r.err
}

// readNow reads what is there. It reports false when nothing is, so that package net waits.
func (r *flowReader) readNow(fd uintptr) bool {
	b := packets.Get().(*packetBuffer)
	defer packets.Put(b)
	n := copy(b[:], r.header)
	for count := 0; count < maxFlowReads; {
		k, err := syscall.Read(int(fd), b[n:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return count > 0
		case err != nil:
			r.err = err
			return true
		default:
			count++
			r.give(b[:n+k], k)
		}
	}
	return true
}
