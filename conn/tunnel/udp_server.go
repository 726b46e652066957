package tunnel

import (
	"context"
	"net"
)

// reachTarget opens a socket to a UDP target that the client may reach.
func (v *serving) reachTarget(ctx context.Context, t Target, f *farFlow, end func()) (udpConn, func(), *RefusedError) {
	if c, to := v.resume(t, f.names.resume); c != nil {
		return c, v.holds.reach(to, end), nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, refusal := v.server.dialer.addresses(ctx, v.rights().Allow, t) // spec: TUN-34
	if refusal != nil {
		return nil, nil, refusal
	}
	c, a, refusal := v.server.dialer.dialUDP(t, addrs, f.pair)
	if refusal != nil {
		return nil, nil, refusal
	}
	return c, v.holds.reach(reach{target: t, addr: a}, end), nil
}

// resume returns the socket of a flow that the client had in an earlier session, if it may still have it.
func (v *serving) resume(t Target, token flowToken) (udpConn, reach) {
	c := v.server.kept.take(keptKey{v.key, token, t})
	if c == nil {
		return nil, reach{}
	}
	to := reach{target: t, addr: c.RemoteAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()}
	if !v.rights().mayReach(to) { // spec: TUN-45
		_ = c.Close()
		return nil, reach{}
	}
	return c, to
}

func (v *serving) kept() *keptFlows { return &v.server.kept }

func (v *serving) keep(f *farFlow, t Target) {
	f.key = keptKey{v.key, f.names.resume, t}
	v.server.kept.enter(f)
}

// listenUDP opens a port where the client may have one.
func (v *serving) listenUDP(asked *control, end func()) (listened, *RefusedError) {
	on := asked.target
	if !v.rights().Listen.allowsListen(on) { // spec: TUN-41
		return listened{}, &RefusedError{Target: on, Code: CodeNotAllowed, Reason: "no --allow-listen rule of the server covers it"}
	}
	l := listened{kept: &v.server.listens, key: keptKey{v.key, asked.names.resume, on}}
	l.peers = l.kept.take(l.key) // an earlier session may have the port still
	s, err := v.server.dialer.openUDP(on.HostPort())
	if err != nil {
		return listened{}, &RefusedError{Target: on, Code: CodeFailed, Reason: err.Error()}
	}
	l.socket, l.release = s, v.holds.listen(on, end)
	return l, nil
}
