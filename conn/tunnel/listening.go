package tunnel

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"
)

// maxListens is how many ports a server listens on for one session. Each costs a file descriptor and a goroutine;
// whoever needs more wants a tunnel the other way round.
const maxListens = 64 // spec: TUN-66

// listening is a port that the server listens on for a client.
type listening struct {
	v        *serving
	on       Target
	listener *net.TCPListener
	count    counters
}

// serveListen listens for the client until the stream that asked for it ends, or the right to.
func (v *serving) serveListen(ctx context.Context, t stream, on Target) {
	l, refusal := v.listen(on)
	if refusal != nil {
		v.refuse(t, refusal)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = t.Close() }()
	defer v.forget(l)
	defer v.holds.listen(on, func() {
		v.log.Info("no longer listening: it is no longer allowed", "on", on)
		cancel()
	})()
	defer context.AfterFunc(ctx, func() { // spec: TUN-65
		_ = l.listener.Close()
		t.Reset(streamReset)
		t.CancelRead(streamReset)
	})()
	if _, err := t.Write(appendReply(nil, CodeConnected, "")); err != nil {
		_ = l.listener.Close()
		return
	}
	v.log.Info("listening", "on", on)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	conns.Go(func() { l.accept(ctx, cancel, &conns) })
	_, _ = t.Read(make([]byte, 1)) // whatever comes is the end: nothing is ever sent
}

// listen opens a port, if the client may have it.
func (v *serving) listen(on Target) (*listening, *RefusedError) {
	if !v.rights().Listen.allowsListen(on) { // spec: TUN-62
		return nil, &RefusedError{Target: on, Code: CodeNotAllowed, Reason: "no --allow-listen rule of the server covers it"}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.listens) >= maxListens { // spec: TUN-66
		return nil, &RefusedError{Target: on, Code: CodeBusy, Reason: "it listens on " + strconv.Itoa(maxListens) + " ports for this client"}
	}
	network := "tcp" // of both families, where the address is :: for all of them
	if on.Addr.Is4() {
		network = "tcp4"
	}
	opened, err := net.Listen(network, on.HostPort())
	if err != nil {
		return nil, listenRefusal(on, err)
	}
	l := &listening{v: v, on: on, listener: opened.(*net.TCPListener)}
	v.listens[l] = struct{}{}
	return l, nil
}

func (v *serving) forget(l *listening) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.listens, l)
}

// listenRefusal says why a port cannot be had, without telling the client more about this machine.
func listenRefusal(on Target, err error) *RefusedError {
	switch {
	case isInUse(err):
		return &RefusedError{Target: on, Code: CodeInUse}
	case isNotAvailable(err):
		return &RefusedError{Target: on, Code: CodeFailed, Reason: "the server has no such address"}
	}
	return &RefusedError{Target: on, Code: CodeFailed, Reason: "the server may not listen there"}
}

// accept takes connections until the port is closed. A port that fails by itself ends the listening.
func (l *listening) accept(ctx context.Context, end func(), conns *sync.WaitGroup) {
	defer end()
	for {
		tcp, err := l.listener.AcceptTCP()
		if err != nil && ctx.Err() == nil && isTemporary(err) && pauseAccept(ctx) {
			continue
		}
		if err != nil {
			return
		}
		conns.Go(func() { l.serve(ctx, tcp) })
	}
}

// serve carries one connection to the client.
func (l *listening) serve(ctx context.Context, tcp *net.TCPConn) {
	v := l.v
	defer v.open.Add(-1)
	err := errBusy
	if v.open.Add(1) <= int64(v.server.config.Load().MaxConnections) { // spec: TUN-16
		l.count.open.Add(1)
		defer l.count.open.Add(-1)
		err = l.carry(ctx, tcp)
	}
	if err != nil {
		l.count.refused.Add(1)
		resetTCP(tcp) // spec: TUN-13
		if ctx.Err() == nil {
			v.log.Warn("connection refused", "on", l.on, "from", tcp.RemoteAddr(), "reason", err)
		}
	}
}

var errBusy = errors.New("the client has too many connections open")

func (l *listening) carry(ctx context.Context, tcp *net.TCPConn) error {
	opening, cancel := context.WithTimeout(ctx, listenerWait)
	defer cancel()
	t, err := l.v.session.OpenStream(opening) // spec: TUN-63
	if err != nil {
		return err
	}
	if _, err := t.Write(appendRequest(nil, l.on)); err != nil {
		_ = t.Close()
		return err
	}
	return carryRequest(ctx, ctx, tcp, t, l.on, &l.count)
}

// listenerWait is how long a connection waits for a place among the streams to the client.
const listenerWait = 10 * time.Second
