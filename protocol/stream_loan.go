package protocol

import "sync"

// loan is the memory of a Read that waits. It is filled up to its length; its capacity is all of it.
type loan struct{ buf []byte }

// loanPool holds loans: only streams with a Read that waits need one.
var loanPool = sync.Pool{New: func() any { return new(loan) }}

// Lend gives the stream the memory of a Read that has found nothing and waits: what comes next in order is copied
// straight there, as if it were read at that moment, instead of into the stream's buffer and from there to the reader.
// EventStreamReadable tells as ever when there is something. The memory is the stream's until Reclaim, with which
// whoever lent it must go on before it reads; there is one loan of a stream at a time.
func (s *Stream) Lend(p []byte) {
	r := &s.recv
	if r.loan != nil {
		panic("BUG: a second loan to a stream")
	}
	if !s.canRecv() || r.canceled || len(p) == 0 {
		return
	}
	r.seen = true
	r.loan = loanPool.Get().(*loan)
	r.loan.buf = p[:0:len(p)]
}

// Reclaim ends the loan, if there is one, and returns how many bytes are in the memory that was lent. They come before
// all that Read gives.
func (s *Stream) Reclaim() int {
	r := &s.recv
	if r.loan == nil {
		return 0
	}
	n := len(r.loan.buf)
	r.loan.buf = nil
	loanPool.Put(r.loan)
	r.loan = nil
	if n > 0 {
		r.told = r.ready > r.pipe.start
	}
	return n
}

// lent reports whether bytes wait in a loan.
func (r *recvStream) lent() bool { return r.loan != nil && len(r.loan.buf) > 0 }

// fill copies the next bytes of the stream into its loan as far as that goes, and returns the rest. Nothing that is
// stored may wait to be read, and nothing lie beyond a gap.
func (s *Stream) fill(data []byte) []byte {
	r := &s.recv
	if r.loan == nil || r.pipe.start < r.ready {
		return data
	}
	buf := r.loan.buf
	n := put(buf[len(buf):cap(buf)], data)
	if n == 0 {
		return data
	}
	r.loan.buf = buf[:len(buf)+n]
	r.ready += uint64(n)
	r.pipe.pass(r.ready)
	s.consumed(uint64(n))
	return data[n:]
}
