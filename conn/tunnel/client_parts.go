package tunnel

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
)

// part is one thing that a client does with its session: a port that it listens on, say.
type part interface {
	addr() net.Addr                // that it listens on; nil: on none
	run(ctx context.Context) error // until ctx ends; when it returns, all that it carried has ended
	close() error                  // gives back what it has open; run may not have been called
	stats() ForwardStats
}

// plan is a part that the configuration asks for.
type plan struct {
	key    string // two plans of one key are the same part
	listen string // network and address that the part needs for itself; empty: none
	what   string // comes in there, for the log
	open   func() (part, error)
}

// runner is a part that is open, and runs once the client does.
type runner struct {
	plan
	part part
	stop context.CancelFunc // nil: it does not run
	done chan struct{}      // closed when it has ended
}

// running is what Run gives to the parts.
type running struct {
	ctx  context.Context
	fail context.CancelCauseFunc
	wait sync.WaitGroup
}

// start runs a part until it is ended. c.mu is held.
func (r *running) start(p *runner) {
	ctx, stop := context.WithCancel(r.ctx)
	p.stop, p.done = stop, make(chan struct{})
	r.wait.Go(func() {
		defer close(p.done)
		defer stop()
		if err := p.part.run(ctx); err != nil && ctx.Err() == nil {
			r.fail(err)
		}
	})
}

// end ends a part with all that it carries, and gives back what it has open.
func (p *runner) end() {
	if p.stop != nil {
		p.stop()
	}
	_ = p.part.close() // nothing is lost that could be saved
	if p.done != nil {
		<-p.done
	}
}

// startAll runs all parts, and from now on those of later calls of change.
func (c *Client) startAll(r *running) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = r
	for _, p := range c.parts {
		r.start(p)
	}
}

func (c *Client) list() []*runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts
}

// change makes the parts those of plans: what is in both goes on, what is not in plans is ended, what is new is
// opened. On an error everything is as before, except that parts whose address was wanted for something else have
// lost their connections.
func (c *Client) change(plans []plan) error {
	parts, gone := c.compare(plans)
	var moved []*runner // they have to leave before their successors come
	for _, p := range gone {
		if slices.ContainsFunc(plans, func(w plan) bool { return p.listen != "" && w.listen == p.listen }) {
			p.end()
			moved = append(moved, p)
		}
	}
	var opened []*runner
	for i, w := range plans {
		if parts[i] != nil {
			continue
		}
		p, err := w.open()
		if err != nil {
			for _, o := range opened {
				o.end()
			}
			return errors.Join(err, c.reopen(moved))
		}
		parts[i] = &runner{plan: w, part: p}
		opened = append(opened, parts[i])
	}
	if err := c.install(parts, opened); err != nil {
		return err
	}
	for _, p := range gone {
		p.end()
		c.log.Info("no longer listening", "for", p.what)
	}
	return nil
}

// compare returns the parts that the plans keep, each at the place of its plan, and those that they do not.
func (c *Client) compare(plans []plan) (kept, gone []*runner) {
	gone = slices.Clone(c.list())
	kept = make([]*runner, len(plans))
	for i, w := range plans {
		at := slices.IndexFunc(gone, func(p *runner) bool { return p.key == w.key })
		if at >= 0 {
			kept[i] = gone[at]
			gone = slices.Delete(gone, at, at+1)
		}
	}
	return kept, gone
}

// install replaces the parts and runs the new ones.
func (c *Client) install(parts, opened []*runner) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		for _, p := range opened {
			p.end()
		}
		return net.ErrClosed
	}
	c.parts = parts
	for _, p := range opened {
		if a := p.part.addr(); a != nil {
			c.log.Info("listening", "on", a, "for", p.what)
		}
		if c.running != nil {
			c.running.start(p)
		}
	}
	return nil
}

// reopen opens parts again that have been ended.
func (c *Client) reopen(ended []*runner) error {
	var errs []error
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range ended {
		again, err := p.open()
		if err != nil {
			errs = append(errs, err)
			c.parts = slices.DeleteFunc(slices.Clone(c.parts), func(o *runner) bool { return o == p })
			continue
		}
		p.part, p.stop, p.done = again, nil, nil
		if c.running != nil && !c.ended {
			c.running.start(p)
		}
	}
	return errors.Join(errs...)
}
