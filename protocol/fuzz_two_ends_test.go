package protocol

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// twoEnds drives both ends of a session by a string of bytes, and compares what is read with what was
// written.
type twoEnds struct {
	*pair
	in     []byte
	fates  []byte // of the next datagrams
	model  map[*Session]map[uint64]*written
	harmed bool // somebody closed: not everything must arrive
	shut   map[*Session]bool
}

// written is what one end has written to a stream, and what the other end has read of it.
type written struct {
	sent, got int
	fin, eof  bool
	reset     bool
}

func (f *twoEnds) next() byte {
	if len(f.in) == 0 {
		return 0
	}
	b := f.in[0]
	f.in = f.in[1:]
	return b
}

// fate decides what becomes of a datagram: lost, doubled, late, or delivered.
func (f *twoEnds) fate(bool, int, []byte) int {
	f.delay = 10 * time.Millisecond
	if len(f.fates) == 0 {
		return 1
	}
	b := f.fates[0]
	f.fates = f.fates[1:]
	switch b & 7 {
	case 0, 1:
		return 0
	case 2:
		return 2
	case 3:
		f.delay += time.Duration(b) * time.Millisecond
	}
	return 1
}

func (f *twoEnds) books(s *Session, id uint64) *written {
	if f.model[s] == nil {
		f.model[s] = make(map[uint64]*written)
	}
	w := f.model[s][id]
	if w == nil {
		w = &written{}
		f.model[s][id] = w
	}
	return w
}

func (f *twoEnds) other(s *Session) *Session {
	if s == f.cs {
		return f.ss
	}
	return f.cs
}

// streams returns what s has open, in order.
func (f *twoEnds) streams(s *Session) []*Stream {
	all := []*Stream{s.Stream0()}
	for _, id := range slices.Sorted(maps.Keys(s.streams.table)) {
		all = append(all, s.streams.table[id])
	}
	return all
}

func (f *twoEnds) write(s *Session, st *Stream, n int) {
	w := f.books(s, st.id)
	sent, err := st.Write(pattern(w.sent, n))
	if err == nil {
		w.sent += sent
	}
}

// read takes what there is, at most 4,000 bytes, and compares it with what was written. It returns how much that was.
func (f *twoEnds) read(s *Session, st *Stream) int {
	w := f.books(f.other(s), st.id)
	buf := make([]byte, 4000)
	n, err := st.Read(buf)
	require.Equal(f.t, pattern(w.got, n), buf[:n])
	w.got += n
	require.LessOrEqual(f.t, w.got, w.sent, "no more than was written")
	var reset *StreamError
	switch {
	case err == io.EOF && s.Err() == nil:
		require.True(f.t, w.fin || f.shut[f.other(s)], "an end that the other end said")
		require.Equal(f.t, w.sent, w.got)
		w.eof = true
	case errors.As(err, &reset):
		require.True(f.t, w.reset)
	}
	return n
}

func (f *twoEnds) op(c byte) {
	s := f.cs
	if c&16 != 0 {
		s = f.ss
	}
	arg := int(c >> 5)
	all := f.streams(s)
	st := all[arg%len(all)]
	switch c & 15 {
	case 0, 1, 2:
		f.write(s, st, 1+int(f.next())*40)
	case 3, 4:
		f.read(s, st)
	case 5:
		if st, err := s.OpenStream(arg&1 != 0); err == nil {
			f.write(s, st, 100)
		}
	case 6:
		if st.canSend() && st.writeError() == nil {
			f.books(s, st.id).fin = true
			st.CloseWrite()
		}
	case 7:
		if st.canSend() && !st.send.over() {
			f.books(s, st.id).reset = true
			st.Reset(5)
		}
	case 8:
		f.fates = append(f.fates, f.next(), f.next(), f.next(), f.next())
	case 9, 10, 11:
		f.idle(time.Duration(1+arg*arg) * 4 * time.Millisecond)
	case 12:
		s.ForceKeyUpdate(f.now)
	case 13:
		_ = f.cs.Migrate(f.now, AddrPair{Local: f.alsoClient[0], Remote: f.serverAddr})
	case 14:
		f.idle(time.Duration(arg) * time.Second)
	case 15:
		f.end(s, arg)
	}
}

func (f *twoEnds) end(s *Session, arg int) {
	switch arg {
	case 0:
		f.harmed = true
		s.CloseWithError(f.now, 9, "nine")
	case 1, 2:
		f.harmed, f.shut[s] = true, true
		s.Shutdown(f.now)
	default:
		s.streams.zero.SetPriority(uint8(arg * 40))
	}
}

// heal ends all faults: what was written must arrive, unless somebody closed.
func (f *twoEnds) heal() {
	f.fates = nil
	f.run(60*time.Second, func() bool {
		for _, s := range []*Session{f.cs, f.ss} {
			for _, st := range f.streams(s) {
				for st.canRecv() && st.Readable() && f.read(s, st) > 0 {
				}
			}
		}
		return f.harmed || f.missing() == ""
	})
	if f.harmed {
		return
	}
	require.NoError(f.t, f.cs.Err())
	require.NoError(f.t, f.ss.Err())
	require.Empty(f.t, f.missing())
}

// missing names a stream of which not all has arrived that was written.
func (f *twoEnds) missing() string {
	for _, books := range f.model {
		for id, w := range books {
			if w.got < w.sent && !w.reset {
				return fmt.Sprintf("stream %d: %d of %d bytes arrived", id, w.got, w.sent)
			}
		}
	}
	return ""
}

// FuzzTwoEnds lets both ends of a session write, read, reset, move, change keys and close on a network
// that loses, doubles and delays what the input says. What is read is what was written, in order, and
// when the network heals all of it arrives.
func FuzzTwoEnds(f *testing.F) {
	f.Add([]byte{0, 200, 16, 100, 9, 3, 19, 0x49, 3, 19})
	f.Add([]byte{8, 0, 2, 8 + 3, 0, 0, 255, 12, 0, 255, 0x4b, 28, 16, 200, 0x4b, 19, 19, 3, 3})
	f.Add([]byte{0x29, 13, 0, 255, 8, 1, 2, 0x7b, 4, 0xe9, 12, 16, 100, 13, 0x69, 28, 13, 0, 9, 3})
	f.Add([]byte{5, 0x25, 21, 0x35, 0x49, 6, 0x26, 22, 0x36, 0x49, 7, 23, 0x27, 0x37, 0x49, 3, 19, 0x23})
	f.Add([]byte{0, 255, 0, 255, 8, 0, 0, 0, 0, 0x2f, 8, 1, 1, 1, 1, 0x3f, 0x4e, 19, 19, 19})
	f.Add([]byte{0, 50, 16, 50, 8, 0, 3, 2, 0, 15, 31, 0x2e})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := givenKeys(t, 1500)
		f := &twoEnds{pair: p, in: in, model: make(map[*Session]map[uint64]*written), shut: make(map[*Session]bool)}
		f.filter = f.fate
		for _, s := range []*Session{f.cs, f.ss} {
			s.idle.keepAlive = 10 * time.Second // silence is no reason to end
			s.idle.armPing(f.now)
		}
		f.alsoClient = append(f.alsoClient, elsewhere)
		for n := 0; len(f.in) > 0 && n < 300; n++ {
			f.op(f.next())
			checkSession(t, f.cs)
			checkSession(t, f.ss)
		}
		f.heal()
		f.filter = func(bool, int, []byte) int { return 0 }
		f.run(200*time.Second, func() bool { return f.cs.Dead() && f.ss.Dead() })
		f.nothingLeft()
	})
}
