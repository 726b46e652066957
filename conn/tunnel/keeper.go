package tunnel

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Pauses between attempts to reach the server. spec: TUN-19
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// stableAfter is how long a session must live to be taken for a success. Below it pauses keep
	// growing, and after quietAfter such sessions in a row a new one is reported only once it is
	// stable: a server that accepts and closes at once must not fill the log.
	stableAfter = 10 * time.Second
	quietAfter  = 2
)

// held is a session with a context that ends with it, so that what depends on the session ends too.
type held struct {
	session
	ctx   context.Context
	began time.Time
}

// keeper keeps one session to the server up for as long as it runs.
type keeper struct {
	dial   func(ctx context.Context) (session, error)
	log    *slog.Logger
	server func() string // its address, for the log
	// begin takes a session up before anybody is told of it. What it returns runs beside the session until ctx ends.
	// Nil: nothing does.
	begin func(ctx context.Context, s session) (serve func())

	mu       sync.Mutex
	current  *held         // nil while there is none
	sessions uint64        // so far
	wanted   int           // counts calls of redial: sessions that were dialled before one are not kept
	changed  chan struct{} // closed and replaced when current changes

	reported string // the last trouble that was reported; empty while all is well
	short    int    // sessions in a row that did not become stable
}

func newKeeper(server func() string, dial func(ctx context.Context) (session, error), log *slog.Logger) *keeper {
	return &keeper{dial: dial, log: log, server: server, changed: make(chan struct{})}
}

// run dials, holds the session until it ends, and begins again, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	pause := time.Duration(0)
	for sleep(ctx, pause) {
		pause = nextPause(pause)
		wanted := k.generation()
		s, err := k.dial(ctx)
		if err != nil {
			k.reportTrouble(ctx, "cannot reach the server, trying again", err)
			continue
		}
		if k.hold(ctx, s, wanted) {
			pause = firstPause
		}
	}
}

// hold offers s to connections until it ends and tells whether it was stable.
func (k *keeper) hold(ctx context.Context, s session, wanted int) (stable bool) {
	stop := context.AfterFunc(ctx, func() { _ = s.CloseWithError(closeDone, "client stopped") })
	defer stop()
	sessionCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !k.set(&held{session: s, ctx: sessionCtx, began: time.Now()}, wanted) {
		_ = s.CloseWithError(closeDone, "client configured anew")
		return true
	}
	defer k.drop()
	if k.begin != nil {
		serve, serving := k.begin(sessionCtx, s), make(chan struct{})
		go func() {
			defer close(serving)
			serve()
		}()
		defer func() { <-serving }()
		defer cancel()
	}

	timer := time.NewTimer(stableAfter)
	defer timer.Stop()
	quiet := k.short >= quietAfter
	k.short++
	if !quiet {
		k.reportUp()
	}
	select {
	case <-s.Done():
	case <-timer.C:
		k.short, stable = 0, true
		if quiet {
			k.reportUp()
		}
		<-s.Done()
	}
	if k.generation() != wanted {
		return true
	}
	k.reportTrouble(ctx, "session lost, connecting again", s.Err())
	return stable
}

// get returns the session, and waits for one until ctx ends. A session that has ended is never
// returned, so that a caller whose session failed can ask again at once.
func (k *keeper) get(ctx context.Context) (*held, error) { // spec: TUN-20
	for {
		k.mu.Lock()
		s, changed := k.current, k.changed
		k.mu.Unlock()
		if s != nil && s.Err() == nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// set offers a session, unless redial was called after it was dialled.
func (k *keeper) set(s *held, wanted int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wanted != wanted {
		return false
	}
	k.sessions++
	k.replace(s)
	return true
}

func (k *keeper) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replace(nil)
}

// replace tells everyone who waits. k.mu is held.
func (k *keeper) replace(s *held) {
	k.current = s
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *keeper) generation() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wanted
}

// redial ends the session, since the server or the keys are others now, and has a new one made.
func (k *keeper) redial() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wanted++
	if k.current != nil {
		_ = k.current.CloseWithError(closeDone, "client configured anew") // unless it has ended already
	}
}

// reportUp logs that the session stands. Troubles count as new from here on, unless sessions keep
// failing at once.
func (k *keeper) reportUp() {
	if k.short < quietAfter {
		k.reported = ""
	}
	k.log.Info("connected", "server", k.server())
}

// reportTrouble logs a trouble unless it was the last one reported already.
func (k *keeper) reportTrouble(ctx context.Context, what string, err error) {
	if ctx.Err() != nil || err == nil || k.reported == err.Error() {
		return
	}
	k.reported = err.Error()
	k.log.Warn(what, "server", k.server(), "reason", err)
}

// nextPause doubles the pause up to lastPause.
func nextPause(d time.Duration) time.Duration {
	return min(max(2*d, firstPause), lastPause)
}

// sleep waits between half of d and d: clients that lost a server together come back apart.
// It returns false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		d = d/2 + rand.N(d/2)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
