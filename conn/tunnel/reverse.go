package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// networkListenTCP is the network of a request that asks the server to listen on a TCP port: that of TCP with the
// highest bit set. spec: TUN-62
const networkListenTCP = 0x80 | NetworkTCP

// Pauses before a client asks again for a port that it was refused, or that was taken back. The rules of a server
// may change, and a port may become free, at any time; neither needs an answer at once. spec: TUN-65
const (
	firstListenPause = time.Second
	lastListenPause  = 30 * time.Second
)

// reverse is a part of a client: a port that the server listens on, whose connections go to a target here.
type reverse struct {
	client *Client
	name   string // of what the configuration says, for statistics
	on     Target // where the server listens
	target Target
	count  counters

	reported string // the last trouble that was reported; empty while all is well

	mu    sync.Mutex
	ctx   context.Context // of run; nil: it does not run
	conns sync.WaitGroup
}

// listenTarget is where the server listens for a reverse forward: an address of the server, or :: for all of them.
func listenTarget(f Forward) (Target, error) {
	host, port, err := net.SplitHostPort(f.Listen)
	if err != nil {
		return Target{}, err
	}
	t := Target{Network: f.Target.Network, Addr: netip.IPv6Unspecified()}
	if t.Port, err = parsePort(port); err != nil {
		return Target{}, err
	}
	if host == "" {
		return t, nil
	}
	if t.Addr, err = parseAddr(host); err != nil {
		return Target{}, errReverseName(host)
	}
	return t, nil
}

// checkReverse refuses what no server can listen on, and two on one address.
func checkReverse(list []Forward) error {
	seen := make(map[Target]bool, len(list))
	for _, f := range list {
		for i := range f.More + 1 {
			one := f.port(i)
			on, err := listenTarget(one)
			if err != nil {
				return err
			}
			if seen[on] {
				return errReverseTwice(one)
			}
			seen[on] = true
		}
	}
	return nil
}

func (c *Client) openReverse(f Forward) (part, error) {
	if f.Target.Network == NetworkUDP {
		return c.newUDPReverse(f)
	}
	on, err := listenTarget(f)
	if err != nil {
		return nil, err
	}
	return &reverse{client: c, name: f.String(), on: on, target: f.Target}, nil
}

func (r *reverse) addr() net.Addr      { return nil }
func (r *reverse) close() error        { return nil }
func (r *reverse) stats() ForwardStats { return r.count.stats(r.name) }

// run has the server listen, in every session, until ctx ends. spec: TUN-65
func (r *reverse) run(ctx context.Context) error {
	r.begin(ctx)
	defer r.conns.Wait()
	defer r.finish()
	pause := firstListenPause
	for {
		s, err := r.client.keeper.get(ctx)
		if err != nil {
			return nil
		}
		listened, err := r.listen(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case s.Err() != nil: // the keeper has said so
			pause = firstListenPause
			continue
		case listened:
			pause = firstListenPause
		}
		r.report(err)
		waiting, cancel := context.WithCancel(s.ctx)
		stop := context.AfterFunc(ctx, cancel)
		sleep(waiting, pause)
		stop()
		cancel()
		pause = min(2*pause, lastListenPause)
	}
}

// report logs why the server does not listen, once for each reason.
func (r *reverse) report(err error) {
	if r.reported == err.Error() {
		return
	}
	r.reported = err.Error()
	r.client.log.Warn("the server does not listen, asking again", "on", r.on, "for", r.target, "reason", err)
}

// listen has the server listen until that ends, and tells whether it ever did.
func (r *reverse) listen(ctx context.Context, s *held) (listened bool, err error) {
	opening, cancel := context.WithTimeout(ctx, listenerWait)
	defer cancel()
	t, err := s.OpenStream(opening)
	if err != nil {
		return false, err
	}
	stop := func() {
		t.Reset(streamReset)
		t.CancelRead(streamReset)
	}
	defer func() { _ = t.Close() }()
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	request := r.on
	request.Network = networkListenTCP
	if _, err := t.Write(appendRequest(nil, request)); err != nil {
		return false, err
	}
	if err := awaitReply(t, r.on); err != nil {
		return false, err
	}
	r.reported = ""
	r.client.log.Info("the server listens", "on", r.on, "for", r.target)
	if _, err = t.Read(make([]byte, 1)); err == nil { // nothing is ever sent
		return true, errMalformed
	}
	return true, fmt.Errorf("the server stopped listening: %w", err)
}

// begin says in which context connections are delivered.
func (r *reverse) begin(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx = ctx
}

// finish ends the delivery of connections.
func (r *reverse) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx = nil
}

// enter counts a connection among those that run waits for. It fails when none is delivered any more.
func (r *reverse) enter() (ctx context.Context, leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil {
		return nil, nil, false
	}
	r.conns.Add(1)
	return r.ctx, r.conns.Done, true
}
