package conn

import (
	"context"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// gated is a gate with its lock and what is waited for.
type gated struct {
	mu    sync.Mutex
	g     gate
	ready bool
}

// await waits until ready, as Read and Write do.
func (g *gated) await(s *stop) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.g.enter(&g.mu, s); err != nil {
		return err
	}
	defer g.g.leave()
	for !g.ready {
		if err := g.g.wait(&g.mu, s); err != nil {
			return err
		}
	}
	return nil
}

func (g *gated) makeReady() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = true
	g.g.open()
}

func TestGateLetsEveryWaiterThroughOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gated
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() { errs <- g.await(&stop{}) }()
		}
		synctest.Wait()
		require.Empty(t, errs)
		g.makeReady()
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
	})
}

func TestGateEndsAWaitByContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gated
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() { errs <- g.await(&stop{ctx: ctx}) }()
		}
		synctest.Wait()
		cancel()
		for range cap(errs) {
			require.ErrorIs(t, <-errs, context.Canceled)
		}
		g.makeReady()
		require.NoError(t, g.await(&stop{}), "callers who gave up leave nothing behind")
	})
}

func TestDeadlineReachesTheCallerInsideAndThoseInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gated
		var d deadline
		start := time.Now()
		g.mu.Lock()
		d.to(start.Add(time.Second), &g.mu)
		g.mu.Unlock()
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() { errs <- g.await(&stop{deadline: &d}) }()
		}
		for range cap(errs) {
			require.ErrorIs(t, <-errs, os.ErrDeadlineExceeded)
		}
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestMovedDeadlineCountsForThoseWhoAlreadyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gated
		var d deadline
		move := func(to time.Time) {
			g.mu.Lock()
			defer g.mu.Unlock()
			d.to(to, &g.mu)
		}
		start := time.Now()
		move(start.Add(time.Second))
		errs := make(chan error)
		go func() { errs <- g.await(&stop{deadline: &d}) }()
		synctest.Wait()
		move(start.Add(time.Minute))
		require.ErrorIs(t, <-errs, os.ErrDeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))

		move(time.Time{})
		go func() { errs <- g.await(&stop{deadline: &d}) }()
		time.Sleep(time.Hour)
		move(time.Now().Add(-time.Second))
		require.ErrorIs(t, <-errs, os.ErrDeadlineExceeded, "a deadline in the past ends the wait at once")
		require.Equal(t, time.Hour+time.Minute, time.Since(start))
	})
}

func TestTurnThatComesTogetherWithADeadlineIsNotLost(t *testing.T) {
	for range 200 {
		var g gated
		g.ready = true
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				var d deadline
				g.mu.Lock()
				d.to(time.Now().Add(time.Duration(i)*10*time.Microsecond), &g.mu)
				g.mu.Unlock()
				_ = g.await(&stop{deadline: &d}) // either outcome is right
			})
		}
		wg.Wait()
		require.NoError(t, g.await(&stop{}))
	}
}
