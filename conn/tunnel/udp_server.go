package tunnel

import "context"

// reachTarget opens a socket to a UDP target that the client may reach.
func (v *serving) reachTarget(ctx context.Context, t Target, end func()) (udpConn, func(), *RefusedError) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, refusal := v.server.dialer.addresses(ctx, v.rights().Allow, t) // spec: TUN-34
	if refusal != nil {
		return nil, nil, refusal
	}
	c, a, refusal := v.server.dialer.dialUDP(t, addrs)
	if refusal != nil {
		return nil, nil, refusal
	}
	return c, v.holds.reach(reach{target: t, addr: a}, end), nil
}

// listenUDP opens a port where the client may have one.
func (v *serving) listenUDP(on Target, end func()) (*udpSocket, func(), *RefusedError) {
	if !v.rights().Listen.allowsListen(on) { // spec: TUN-41
		return nil, nil, &RefusedError{Target: on, Code: CodeNotAllowed, Reason: "no --allow-listen rule of the server covers it"}
	}
	s, err := v.server.dialer.openUDP(on.HostPort())
	if err != nil {
		return nil, nil, &RefusedError{Target: on, Code: CodeFailed, Reason: err.Error()}
	}
	return s, v.holds.listen(on, end), nil
}
