package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// serving is one session of a server.
type serving struct {
	server  *Server
	session session
	number  uint64           // among the sessions of the server
	key     crypto.PublicKey // of the client; zero: it is anonymous
	log     *slog.Logger
	holds   holds
	began   time.Time
	open    atomic.Int64 // streams in use and connections of listening ports, which MaxConnections bounds
	count   counters     // of connections to targets
	udp     udpCounters

	mu      sync.Mutex
	listens map[*listening]struct{}
}

func newServing(s *Server, sess session, key crypto.PublicKey, log *slog.Logger) *serving {
	v := &serving{server: s, number: s.sessionCount.Add(1), session: sess, key: key, log: log, began: time.Now(), listens: make(map[*listening]struct{})}
	v.holds.rights = v.rights
	return v
}

// rights is what the client may do at this moment. A new configuration may change it between two calls.
func (v *serving) rights() Rights { return v.server.config.Load().rights(v.key) }

// review ends what a new configuration does not cover any longer. spec: TUN-60
func (v *serving) review() {
	if v.server.config.Load().admit(conn.PeerInfo{PublicKey: v.key}) != nil {
		_ = v.session.CloseWithError(closeNotAuthorized, "this key is no longer authorized") // unless it has ended already
		return
	}
	if n := v.holds.review(); n > 0 {
		v.log.Info("connections ended: they are no longer allowed", "count", n)
	}
}

// run serves the streams of the session until it ends or ctx does, which ends the session, and waits
// for all of them.
func (v *serving) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	defer v.server.enter(v)()
	streams.Go(func() { newUDPMux(v.session, false, v, &v.udp, v.log).run(ctx) })
	for {
		t, err := v.session.AcceptStream(ctx)
		if err != nil {
			_ = v.session.CloseWithError(closeDone, "server stopped") // unless it has ended already
			return
		}
		streams.Go(func() { v.serveStream(ctx, t) })
	}
}

// serveStream reads the request of a stream, connects, answers, and carries the connection.
func (v *serving) serveStream(ctx context.Context, t stream) {
	defer v.open.Add(-1)
	busy := v.open.Add(1) > int64(v.server.config.Load().MaxConnections)
	target, err := readRequestInTime(t)
	if err != nil {
		if refusal := requestRefusal(t, err); refusal != nil {
			v.refuse(t, refusal)
		}
		return
	}
	if busy { // spec: TUN-16
		v.refuse(t, &RefusedError{Target: target, Code: CodeBusy})
		return
	}
	switch target.Network {
	case networkListenTCP:
		target.Network = NetworkTCP
		v.serveListen(ctx, t, target)
	default:
		v.connect(ctx, t, target)
	}
}

// connect connects a stream to a target and carries it to its end.
func (v *serving) connect(ctx context.Context, t stream, target Target) {
	v.count.open.Add(1)
	defer v.count.open.Add(-1)
	c, to, refusal := v.server.dialer.dial(ctx, v.rights().Allow, target)
	if refusal != nil {
		v.refuse(t, refusal)
		return
	}
	r := newRelay(c, t, &v.count)
	defer v.holds.reach(to, r.abort)()
	start := time.Now()
	confirm(ctx, r, &v.count)
	v.log.Debug("connection ended", "target", to.target, "up", r.fromStream.Load(), "down", r.fromTCP.Load(),
		"reset", r.aborted.Load(), "took", time.Since(start))
}

// confirm tells the other end that a connection stands, and carries it to its end or to that of ctx.
func confirm(ctx context.Context, r *relay, count *counters) {
	if _, err := r.stream.Write(appendReply(nil, CodeConnected, "")); err != nil { // spec: TUN-10
		r.abort()
		r.finish()
		return
	}
	count.total.Add(1)
	r.run(ctx)
}

// readRequestInTime reads the request, which must be complete within requestTimeout.
func readRequestInTime(t stream) (Target, error) { // spec: TUN-12
	if err := t.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return Target{}, err
	}
	target, err := readRequest(t)
	if err != nil {
		return Target{}, err
	}
	return target, t.SetReadDeadline(time.Time{})
}

// requestRefusal is the answer to a request that could not be read. Where there is no request to answer it resets the
// stream and returns nil.
func requestRefusal(t stream, err error) *RefusedError {
	switch {
	case errors.Is(err, errVersion):
		return &RefusedError{Code: CodeVersion} // spec: TUN-3
	case errors.Is(err, errNetwork):
		return &RefusedError{Code: CodeUnsupported} // spec: TUN-10
	case errors.Is(err, errMalformed):
		return &RefusedError{Code: CodeMalformed}
	}
	t.Reset(streamBadPreamble) // spec: TUN-12
	t.CancelRead(streamBadPreamble)
	_ = t.Close()
	return nil
}

// refuse answers with a refusal and ends the stream.
func (v *serving) refuse(t stream, e *RefusedError) {
	v.count.refused.Add(1)
	v.log.Warn("connection refused", "target", e.Target, "reason", e.Code)
	sendRefusal(t, e)
}

// sendRefusal answers with a refusal and ends the stream. The reply is delivered in the background.
func sendRefusal(t stream, e *RefusedError) { // spec: TUN-13
	_, _ = t.Write(appendReply(nil, e.Code, e.Reason))
	_ = t.CloseWrite()
	t.CancelRead(streamRefused)
	_ = t.Close()
}
