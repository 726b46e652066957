package bench

import (
	"context"
	"sync"
	"time"
)

// handshakes is what one worker of a handshake run counted.
type handshakes struct {
	count, failed   int64
	dial, firstByte *histogram
}

func newHandshakes() handshakes {
	return handshakes{dial: newHistogram(), firstByte: newHistogram()}
}

// failurePause keeps a server that refuses at once from being asked thousands of times.
const failurePause = 100 * time.Millisecond

// runHandshakes opens sessions one after the other, several at once, until the time is over. It fails
// when not one session came about.
func (c *Client) runHandshakes(ctx context.Context, o Options) (*HandshakeResult, error) {
	var mu sync.Mutex
	total := newHandshakes()
	begin := time.Now()
	err := inParallel(ctx, o.Sessions, func(ctx context.Context) error {
		one := newHandshakes()
		err := c.handshakeLoop(ctx, begin.Add(o.Duration), &one)
		mu.Lock()
		defer mu.Unlock()
		total.add(one)
		if one.count > 0 {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &HandshakeResult{
		Count: total.count, Failed: total.failed, PerSecond: float64(total.count) / time.Since(begin).Seconds(),
		Dial: total.dial.latency(), FirstByte: total.firstByte.latency(),
	}, nil
}

// handshakeLoop opens sessions until end and returns the last failure, or that ctx ended.
func (c *Client) handshakeLoop(ctx context.Context, end time.Time, h *handshakes) (last error) {
	for ctx.Err() == nil && time.Now().Before(end) {
		if err := c.handshake(ctx, h); err != nil {
			h.failed++
			last = err
			_ = sleep(ctx, failurePause)
		}
	}
	if last == nil {
		last = ctx.Err()
	}
	return last
}

func (h *handshakes) add(other handshakes) {
	h.count += other.count
	h.failed += other.failed
	h.dial.merge(other.dial)
	h.firstByte.merge(other.firstByte)
}

// handshake opens one session, waits for the server's first byte, and closes the session.
func (c *Client) handshake(ctx context.Context, h *handshakes) error {
	begin := time.Now()
	session, end, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer end()
	dialled := time.Since(begin)
	if _, err = ask(ctx, session, request{Workload: Handshake}); err != nil {
		return err
	}
	h.count++
	h.dial.add(dialled)
	h.firstByte.add(time.Since(begin))
	return nil
}
