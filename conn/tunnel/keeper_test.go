package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// keeping is a keeper under test in virtual time.
type keeping struct {
	*keeper
	log   logBuffer
	start time.Time
	stop  context.CancelFunc

	mu      sync.Mutex
	dials   []time.Duration // when each attempt began
	answers []answer        // in order; the last one stays
}

// answer is what one attempt to dial gives.
type answer func() (session, error)

func fails(text string) answer {
	return func() (session, error) { return nil, errors.New(text) }
}

func gives(s session) answer {
	return func() (session, error) { return s, nil }
}

func keep(t *testing.T, answers ...answer) *keeping {
	k := &keeping{start: time.Now(), answers: answers}
	k.keeper = newKeeper(func() string { return "gw.example:4433" }, k.answer, slog.New(slog.NewTextHandler(&k.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	k.stop = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		k.run(ctx)
	}()
	return k
}

func (k *keeping) answer(context.Context) (session, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dials = append(k.dials, time.Since(k.start))
	next := k.answers[0]
	if len(k.answers) > 1 {
		k.answers = k.answers[1:]
	}
	return next()
}

func (k *keeping) dialTimes() []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.dials)
}

func client() *fakeSession {
	c, _ := newFakeSessions()
	return c
}

func (k *keeping) count(text string) int { return strings.Count(k.log.String(), text) }

func TestPausesGrowAndAreRandomised(t *testing.T) {
	// spec: TUN-19
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, fails("silence"))
		time.Sleep(time.Minute)
		k.stop()
		dials := k.dialTimes()
		require.Zero(t, dials[0], "the first attempt is at once")
		want := firstPause
		distinct := map[time.Duration]bool{}
		for i := 1; i < len(dials); i++ {
			pause := dials[i] - dials[i-1]
			require.GreaterOrEqual(t, pause, want/2)
			require.LessOrEqual(t, pause, want)
			if want == lastPause {
				distinct[pause] = true
			}
			want = min(2*want, lastPause)
		}
		require.Greater(t, len(dials), 10, "it never gives up")
		require.Greater(t, len(distinct), 5, "clients that lost a server together come back apart")
		require.LessOrEqual(t, lastPause, 5*time.Second, "the promise of the spec")
		require.LessOrEqual(t, firstPause, 100*time.Millisecond, "the promise of the spec")
	})
}

func TestEachTroubleIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := client()
		k := keep(t, fails("silence"), fails("silence"), fails("refused"), gives(s), fails("silence"))
		time.Sleep(time.Minute)
		s.kill()
		time.Sleep(time.Minute)
		k.stop()
		require.Equal(t, 2, k.count("reason=silence"), k.log.String())
		require.Equal(t, 1, k.count("reason=refused"))
		require.Equal(t, 1, k.count("msg=connected"))
		require.Equal(t, 1, k.count("session lost"))
	})
}

func TestALostSessionIsReplaced(t *testing.T) {
	// spec: TUN-19
	synctest.Test(t, func(t *testing.T) {
		first, second := client(), client()
		k := keep(t, gives(first), fails("server down"), fails("server down"), gives(second))
		time.Sleep(time.Hour)
		require.Len(t, k.dialTimes(), 1, "a session that lives is kept")
		got, err := k.get(t.Context())
		require.NoError(t, err)
		require.Same(t, first, got.session)

		first.kill()
		next, err := k.get(t.Context())
		require.NoError(t, err)
		require.Same(t, second, next.session)
		require.ErrorIs(t, got.ctx.Err(), context.Canceled, "what hung on the first session was told")
		require.NoError(t, next.ctx.Err())
		require.Less(t, time.Since(k.start), time.Hour+time.Second)
		require.Equal(t, 2, k.count("msg=connected"))
		k.stop()
		require.Error(t, second.Err(), "the last session is closed at the end")
	})
}

func TestASessionIsTakenUpBeforeItIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := client()
		k := &keeping{start: time.Now(), answers: []answer{gives(s), fails("silence")}}
		k.keeper = newKeeper(func() string { return "" }, k.answer, slog.New(slog.NewTextHandler(&k.log, nil)))
		var served atomic.Bool
		k.begin = func(ctx context.Context, got session) func() {
			require.Same(t, s, got)
			require.Zero(t, k.count("msg=connected"), "whoever reads it may send a datagram")
			return func() { <-ctx.Done(); served.Store(true) }
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); k.run(ctx) }()
		time.Sleep(time.Minute)
		require.Equal(t, 1, k.count("msg=connected"))
		s.kill()
		time.Sleep(time.Second)
		require.True(t, served.Load(), "it ends with the session")
		cancel()
		<-ended
	})
}

func TestAServerThatAcceptsAndClosesDoesNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, func() (session, error) {
			s := client()
			time.AfterFunc(time.Millisecond, s.kill)
			return s, nil
		})
		time.Sleep(10 * time.Minute)
		require.LessOrEqual(t, k.count("\n"), 5, k.log.String())
		require.Less(t, len(k.dialTimes()), 250, "pauses grow")

		before, stable := k.count("msg=connected"), client()
		k.mu.Lock()
		k.answers = []answer{gives(stable)}
		k.mu.Unlock()
		time.Sleep(time.Minute)
		require.Equal(t, before+1, k.count("msg=connected"), "a session that stays is reported")
		k.stop()
	})
}

func TestWaitingForASessionIsBounded(t *testing.T) {
	// spec: TUN-20
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, fails("silence"))
		ctx, cancel := context.WithTimeout(t.Context(), DefaultWait)
		defer cancel()
		_, err := k.get(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, DefaultWait, time.Since(k.start))
		require.Equal(t, 10*time.Second, DefaultWait, "the promise of the spec")
		k.stop()
	})
}
