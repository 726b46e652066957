package protocol

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// patternBits is how many datagrams from the moment of interest have their fate decided in every
// possible way: 4,096 patterns.
const patternBits = 12

// fates decides the fate of the next datagrams, both directions in the order of sending: bit n of the
// pattern is that of datagram n.
type fates struct {
	pattern int
	seen    int // datagrams so far
}

func (f *fates) hit() bool {
	n := f.seen
	f.seen++
	return n < patternBits && f.pattern>>n&1 == 1
}

// drop is a filter of a pair that loses the datagrams of the pattern.
func (f *fates) drop(bool, int, []byte) int {
	if f.hit() {
		return 0
	}
	return 1
}

// everyPattern plays all patterns. A run in which fewer datagrams were sent than the pattern has bits
// stands for all patterns that agree on those, so only one of them is played. A failure is replayed by
// `go test -run 'TestX/pattern=0x123$'`.
func everyPattern(t *testing.T, play func(t testing.TB, f *fates)) {
	runs := 0
	for pattern, more := 0, true; more && !t.Failed(); {
		f, used := &fates{pattern: pattern}, patternBits
		t.Run(fmt.Sprintf("pattern=0x%03x", pattern), func(t *testing.T) {
			play(t, f)
			used = min(f.seen, patternBits)
			runs++
		})
		pattern, more = nextPattern(pattern, used)
	}
	t.Logf("%d runs stand for %d patterns", runs, 1<<patternBits)
}

// nextPattern returns the pattern that first differs from this one at the last possible of the datagrams
// that were sent, or false after the last.
func nextPattern(pattern, used int) (int, bool) {
	for ; used > 0; used-- {
		bit := 1 << (used - 1)
		if pattern&bit == 0 {
			return pattern | bit, true
		}
		pattern &^= bit
	}
	return 0, false
}

// small keeps datagrams at the size of the handshake, so that probes of the path take no part.
func small(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = MinDatagram, MinDatagram }

// talk is a question from the client and an answer from the server, each said once.
type talk struct {
	*pair
	asked, answered  bool
	question, answer []byte
}

func (k *talk) done() bool {
	buf := make([]byte, 100)
	if s := k.cs; !k.asked && s.Established() {
		_, _ = s.Stream0().Write([]byte("question"))
		k.asked = true
	}
	if s := k.ss; s != nil {
		n, _ := s.Stream0().Read(buf)
		k.question = append(k.question, buf[:n]...)
		if !k.answered && len(k.question) == len("question") {
			_, _ = s.Stream0().Write([]byte("answer"))
			k.answered = true
		}
	}
	if k.asked {
		n, _ := k.cs.Stream0().Read(buf)
		k.answer = append(k.answer, buf[:n]...)
	}
	return string(k.answer) == "answer" || k.cs.Err() != nil
}

// mustWork is how many lost datagrams every handshake survives. The first five INITs leave within the
// five seconds that a Dial lasts, so four may be lost.
const mustWork = 4

func TestHandshakeSurvivesAllLossPatterns(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]RetryMode{"without proof of address": RetryNever, "with proof of address": RetryAlways} {
		t.Run(name, func(t *testing.T) {
			everyPattern(t, func(t testing.TB, f *fates) {
				p := newPair(t, small, func(_, _ *Config, e *EndpointConfig) { e.Retry = mode })
				p.filter = f.drop
				k := &talk{pair: p}
				require.True(t, p.run(15*time.Second, k.done), "it is stuck")
				if err := p.cs.Err(); err != nil {
					require.Greater(t, bits.OnesCount(uint(f.pattern)), mustWork, "ended by %v", err)
					gaveUp := errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrStatelessReset) && p.ss == nil
					require.True(t, gaveUp, "ended by %v", err)
				} else {
					require.Equal(t, "question", string(k.question))
					require.NoError(t, p.ss.Err())
					require.True(t, p.cs.Confirmed())
				}
				if f.pattern%64 == 0 { // the way to the end is long and always the same
					p.idle(100 * time.Second)
					p.nothingLeft()
				}
			})
		})
	}
}

func TestHandshakeSurvivesAllPatternsOfCopiesAndDelays(t *testing.T) {
	t.Parallel()
	fate := map[string]func(p *pair, f *fates) int{
		"doubled": func(_ *pair, f *fates) int {
			if f.hit() {
				return 2
			}
			return 1
		},
		"late": func(p *pair, f *fates) int {
			p.delay = 10 * time.Millisecond
			if f.hit() {
				p.delay += 30 * time.Millisecond
			}
			return 1
		},
	}
	for name, fate := range fate {
		t.Run(name, func(t *testing.T) {
			everyPattern(t, func(t testing.TB, f *fates) {
				p := newPair(t, small)
				p.filter = func(bool, int, []byte) int { return fate(p, f) }
				k := &talk{pair: p}
				require.True(t, p.run(2*time.Second, k.done), "it is stuck")
				require.NoError(t, p.cs.Err())
				require.NoError(t, p.ss.Err())
				require.Equal(t, "question", string(k.question))
				require.Equal(t, uint64(1), p.server.Stats().Accepted)
			})
		})
	}
}

// atRest returns a pair that has no more to say about its handshake.
func atRest(t testing.TB) *pair {
	p := givenKeys(t, MinDatagram)
	p.idle(300 * time.Millisecond)
	return p
}

// slurp reads what there is and returns the end.
func slurp(s *Session, got *int) error {
	buf := make([]byte, 4096)
	for {
		n, err := s.Stream0().Read(buf)
		*got += n
		if n == 0 || err != nil {
			return err
		}
	}
}

func TestCloseSurvivesAllLossPatterns(t *testing.T) {
	t.Parallel()
	const size = 3000
	type ends struct{ client, server, abrupt bool }
	for name, who := range map[string]ends{
		"by the client": {client: true}, "by the server": {server: true}, "by both": {client: true, server: true},
		"by the client at once": {client: true, abrupt: true}, "by the server at once": {server: true, abrupt: true},
	} {
		t.Run(name, func(t *testing.T) {
			everyPattern(t, func(t testing.TB, f *fates) {
				p := atRest(t)
				p.filter = f.drop
				closes := map[*Session]bool{p.cs: who.client, p.ss: who.server}
				for _, s := range []*Session{p.cs, p.ss} {
					if !closes[s] {
						continue
					}
					_, err := s.Stream0().Write(make([]byte, size))
					require.NoError(t, err)
					if who.abrupt {
						s.CloseWithError(p.now, 7, "now")
					} else {
						s.Shutdown(p.now)
					}
				}
				got, end := map[*Session]*int{p.cs: new(int), p.ss: new(int)}, map[*Session]error{}
				over := p.run(100*time.Second, func() bool {
					for s, n := range got {
						if err := slurp(s, n); end[s] == nil {
							end[s] = err
						}
					}
					return p.cs.Dead() && p.ss.Dead()
				})
				require.True(t, over, "client dead: %v, server dead: %v", p.cs.Dead(), p.ss.Dead())
				p.nothingLeft()
				for s, other := range map[*Session]*Session{p.cs: p.ss, p.ss: p.cs} {
					checkClosed(t, s, closes[s], who.abrupt, bits.OnesCount(uint(f.pattern)))
					// An end that closes takes what comes until its own words are delivered, and no longer.
					if closes[other] && !closes[s] && !who.abrupt {
						require.Equal(t, size, *got[s], "all that was written arrives")
						require.Equal(t, io.EOF, end[s])
					}
				}
			})
		})
	}
}

// checkClosed looks at how a session ended that closed itself, or was closed by its peer.
func checkClosed(t testing.TB, s *Session, closed, abrupt bool, lost int) {
	code, reason := uint64(0), ""
	if abrupt {
		code, reason = 7, "now"
	}
	var app *ApplicationError
	if errors.As(s.Err(), &app) {
		require.Equal(t, code, app.Code)
		require.Equal(t, reason, app.Reason)
		require.True(t, closed || app.Remote)
		return
	}
	require.False(t, closed && abrupt)
	require.Greater(t, lost, closeRepeats, "CLOSE is heard when no more than its repetitions are lost")
	var gaveUp *TransportError
	if closed && errors.As(s.Err(), &gaveUp) {
		require.Equal(t, wire.Internal, gaveUp.Code) // its peer closed as well, and left before it knew
		return
	}
	require.ErrorIs(t, s.Err(), ErrIdleTimeout)
}

func TestKeyUpdateSurvivesAllLossPatterns(t *testing.T) {
	t.Parallel()
	const size = 6000
	for name, who := range map[string][2]bool{"by the client": {true, false}, "by the server": {false, true}, "by both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			everyPattern(t, func(t testing.TB, f *fates) {
				p := atRest(t)
				_, err := p.cs.Stream0().Write(make([]byte, size/2))
				require.NoError(t, err)
				p.drain() // in flight under the old key
				p.filter = f.drop
				for i, s := range []*Session{p.cs, p.ss} {
					if who[i] {
						s.ForceKeyUpdate(p.now)
					}
					_, err = s.Stream0().Write(make([]byte, size/2))
					require.NoError(t, err)
				}
				up, down := 0, 0
				done := p.run(10*time.Second, func() bool {
					require.NoError(t, slurp(p.cs, &down))
					require.NoError(t, slurp(p.ss, &up))
					return up == size && down == size/2
				})
				require.True(t, done, "%d and %d bytes arrived", up, down)
				p.idle(time.Second)
				for _, s := range []*Session{p.cs, p.ss} {
					require.NoError(t, s.Err())
					require.Equal(t, uint64(1), s.keys.sendGen)
					require.Equal(t, uint64(1), s.keys.recvGen)
				}
			})
		})
	}
}
