package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/netpath"
	"github.com/godwit-net/godwit/bench/rivals/transport"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Loopback is the link that is none: both ends are on this machine with nothing between them.
const Loopback = "loopback"

// run is one measurement of one rival.
type run struct {
	*settings
	about  transport.About
	path   *netpath.Path // nil on loopback
	server transport.Server
	client transport.Client
}

// settings are what a run is given.
type settings struct {
	link      string
	duration  time.Duration
	sessions  int
	datagram  int
	keepAlive time.Duration
	logf      func(string, ...any)
}

// open sets up both ends of a rival, in this process.
func open(t transport.Transport, s *settings) (_ *run, err error) {
	r := &run{settings: s, about: t.About()}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	near, far, err := r.ends()
	if err != nil {
		return nil, err
	}
	if r.server, err = t.Listen(far); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if r.client, err = t.Client(near); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return r, nil
}

// ends are the places of the two ends, with the link between them.
func (r *run) ends() (near, far transport.Options, err error) {
	near = transport.Options{Host: "127.0.0.1", Datagram: r.datagram, KeepAlive: r.keepAlive, Logf: r.logf}
	far = near
	if r.link == Loopback {
		return near, far, nil
	}
	if r.path, err = netpath.New(r.link); err != nil {
		return near, far, err
	}
	near.Host, near.Do = r.path.Near.Host, r.path.Near.Do
	far.Host, far.Do = r.path.Far.Host, r.path.Far.Do
	return near, far, nil
}

func (r *run) close() {
	if r.client != nil {
		_ = r.client.Close()
	}
	if r.server != nil {
		_ = r.server.Close()
	}
	if r.path != nil {
		_ = r.path.Close()
	}
}

// connect opens one session and returns its two ends.
func (r *run) connect(ctx context.Context) (near, far transport.Session, err error) {
	type accepted struct {
		session transport.Session
		err     error
	}
	came := make(chan accepted, 1)
	go func() {
		session, err := r.server.Accept(ctx)
		came <- accepted{session, err}
	}()
	near, err = r.client.Dial(ctx, r.server.Target())
	if err != nil {
		return nil, nil, fmt.Errorf("dial: %w", err)
	}
	a := <-came
	if a.err != nil {
		return nil, nil, errors.Join(fmt.Errorf("accept: %w", a.err), near.Close())
	}
	return near, a.session, nil
}

// dialers is how many sessions are opened at a time.
const dialers = 16

// sessionsOf are the near and the far ends of several sessions; which belong together is not known.
type sessionsOf struct{ near, far []transport.Session }

// connectAll opens n sessions.
func (r *run) connectAll(ctx context.Context, n int) (s sessionsOf, err error) {
	var mu sync.Mutex
	accepted := make(chan error, 1)
	go func() {
		for range n {
			session, err := r.server.Accept(ctx)
			if err != nil {
				accepted <- fmt.Errorf("accept: %w", err)
				return
			}
			mu.Lock()
			s.far = append(s.far, session)
			mu.Unlock()
		}
		accepted <- nil
	}()
	s.near, err = dialAll(ctx, r.client, r.server.Target(), n)
	if err == nil {
		err = <-accepted
	}
	if err != nil {
		s.close()
	}
	return s, err
}

// dialAll opens n sessions, some at a time.
func dialAll(ctx context.Context, client transport.Client, target string, n int) ([]transport.Session, error) {
	sessions := make([]transport.Session, n)
	var next atomic.Int64
	err := inParallel(ctx, min(n, dialers), func(ctx context.Context, _ int) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			session, err := client.Dial(ctx, target)
			if err != nil {
				return fmt.Errorf("dial: %w", err)
			}
			sessions[i] = session
		}
	})
	return sessions, err
}

func (s *sessionsOf) close() {
	closeAll(s.near)
	closeAll(s.far)
}

func closeAll(sessions []transport.Session) {
	var wg sync.WaitGroup
	for _, one := range sessions {
		if one != nil {
			wg.Go(func() { _ = one.Close() })
		}
	}
	wg.Wait()
}

// cost is the processor time of both ends, and of the programs that they run, until now.
func (r *run) cost() time.Duration {
	total := ownCPU()
	for _, end := range []any{r.server, r.client} {
		if o, ok := end.(transport.Outside); ok {
			for _, p := range o.Processes() {
				total += cpuOf(p.Pid)
			}
		}
	}
	return total
}

// costly reports whether the processor time of the process is that of the two ends: an emulated link works in it too.
func (r *run) costly() bool { return r.path == nil }

// wire is what entered the link, in bytes of IP packets.
type wire struct{ up, down float64 }

func (r *run) wire() wire {
	if r.path == nil {
		return wire{math.NaN(), math.NaN()}
	}
	const headers = sim.DefaultOverhead // which the model leaves out
	s := r.path.Bridge.Stats()
	return wire{
		float64(s.Up.SentBytes + headers*s.Up.Sent),
		float64(s.Down.SentBytes + headers*s.Down.Sent),
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inParallel calls f n times at once and returns the first failure, which ends the others.
func inParallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}
