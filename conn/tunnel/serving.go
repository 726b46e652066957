package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// serving is one session of a server.
type serving struct {
	server  *Server
	session session
	key     crypto.PublicKey // of the client; zero: it is anonymous
	log     *slog.Logger
	holds   holds
	began   time.Time
	count   counters
	udp     udpCounters
}

func newServing(s *Server, sess session, key crypto.PublicKey, log *slog.Logger) *serving {
	v := &serving{server: s, session: sess, key: key, log: log, began: time.Now()}
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
	defer v.count.open.Add(-1)
	busy := v.count.open.Add(1) > int64(v.server.config.Load().MaxConnections)
	target, err := readRequestInTime(t)
	if err != nil {
		v.refuseRequest(t, err)
		return
	}
	if busy { // spec: TUN-16
		v.refuse(t, &RefusedError{Target: target, Code: CodeBusy})
		return
	}
	c, to, refusal := v.server.dialer.dial(ctx, v.rights().Allow, target)
	if refusal != nil {
		v.refuse(t, refusal)
		return
	}
	v.carry(ctx, t, c, to)
}

// carry confirms the connection and relays it.
func (v *serving) carry(ctx context.Context, t stream, c tcpConn, to reach) {
	r := newRelay(c, t, &v.count)
	if _, err := t.Write(appendReply(nil, CodeConnected, "")); err != nil { // spec: TUN-10
		r.abort()
		r.finish()
		return
	}
	v.count.total.Add(1)
	defer v.holds.reach(to, r.abort)()
	start := time.Now()
	r.run(ctx)
	v.log.Debug("connection ended", "target", to.target, "up", r.fromStream.Load(), "down", r.fromTCP.Load(),
		"reset", r.aborted.Load(), "took", time.Since(start))
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

// refuseRequest answers a request that could not be read, or resets the stream when there is no
// request to answer.
func (v *serving) refuseRequest(t stream, err error) {
	code := CodeMalformed
	switch {
	case errors.Is(err, errVersion):
		code = CodeVersion // spec: TUN-3
	case errors.Is(err, errNetwork):
		code = CodeUnsupported // spec: TUN-10
	case !errors.Is(err, errMalformed):
		t.Reset(streamBadPreamble) // spec: TUN-12
		t.CancelRead(streamBadPreamble)
		_ = t.Close()
		return
	}
	v.refuse(t, &RefusedError{Code: code})
}

// refuse answers with a refusal and ends the stream. The reply is delivered in the background.
func (v *serving) refuse(t stream, e *RefusedError) { // spec: TUN-13
	v.count.refused.Add(1)
	v.log.Warn("connection refused", "target", e.Target, "reason", e.Code)
	_, _ = t.Write(appendReply(nil, e.Code, e.Reason))
	_ = t.CloseWrite()
	t.CancelRead(streamRefused)
	_ = t.Close()
}
