package bench

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// idleKeepAlive is the silence after which an idle session sends a packet. NATs want 15 to 30 s; runs are shorter
// than that, and what it costs is in proportion.
const idleKeepAlive = 2 * time.Second

// runIdle opens sessions, lets them be for the duration, and looks what they cost.
func (c *Client) runIdle(ctx context.Context, o Options) (*IdleResult, error) {
	quiet := *c
	quiet.conn.KeepAlive = idleKeepAlive
	heap := steadyHeap(ctx)
	var mu sync.Mutex
	var sessions []*conn.Session
	defer func() {
		for _, s := range sessions {
			_ = s.Close()
		}
	}()
	next := make(chan struct{}, o.Sessions)
	for range o.Sessions {
		next <- struct{}{}
	}
	close(next)
	err := inParallel(ctx, min(dialers, o.Sessions), func(ctx context.Context) error {
		for range next {
			session, err := quiet.idleSession(ctx, o)
			if err != nil {
				return err
			}
			mu.Lock()
			sessions = append(sessions, session)
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sent := datagramsSent(sessions)
	cpu := ProcessorTime()
	if err := sleep(ctx, o.Duration); err != nil {
		return nil, err
	}
	each := 1 / float64(o.Sessions)
	perSecond := each / o.Duration.Seconds()
	result := &IdleResult{
		CPUMS:   millis(ProcessorTime()-cpu) * perSecond,
		Packets: float64(datagramsSent(sessions)-sent) * perSecond,
	}
	result.HeapBytes = max(float64(liveHeap())-float64(heap), 0) * each
	for _, s := range sessions {
		if s.Err() != nil {
			result.Ended++
		}
	}
	return result, nil
}

// idleSession opens a session and ends the stream on which it was asked for.
func (c *Client) idleSession(ctx context.Context, o Options) (*conn.Session, error) {
	session, err := conn.Dial(ctx, c.server, &c.conn)
	if err != nil {
		return nil, err
	}
	control, _, err := askOn(ctx, session, request{Workload: Idle, DurationNS: int64(o.Duration)})
	if err != nil {
		_ = session.Close()
		return nil, err
	}
	return session, control.Close()
}

func datagramsSent(sessions []*conn.Session) (n uint64) {
	for _, s := range sessions {
		n += s.Stats().DatagramsSent
	}
	return n
}

// steadyHeap is liveHeap when it does not shrink any more: sessions of earlier runs may still be closing.
func steadyHeap(ctx context.Context) uint64 {
	const pause, patience, noise = 200 * time.Millisecond, 25, 0.01
	heap := liveHeap()
	for range patience {
		if sleep(ctx, pause) != nil {
			break
		}
		now := liveHeap()
		if float64(now) > float64(heap)*(1-noise) {
			return now
		}
		heap = now
	}
	return heap
}

// liveHeap is what lives on the heap, in bytes.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep lives through one
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
