package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// dialer connects to targets within the rules of a server.
type dialer struct {
	resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	connect func(ctx context.Context, a netip.AddrPort) (tcpConn, error)

	connectUDP func(a netip.AddrPort, from uint16) (udpConn, error)          // from a local port; 0: any
	bindUDP    func(like netip.Addr, port uint16) (io.Closer, uint16, error) // keeps a port of the family; 0: any
	openUDP    func(address string) (*udpSocket, error)                      // a port to listen on
}

func newDialer() *dialer {
	return &dialer{resolve: resolveName, connect: connectTCP, connectUDP: dialUDP, bindUDP: bindUDP, openUDP: listenUDP}
}

func resolveName(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

func connectTCP(ctx context.Context, a netip.AddrPort) (tcpConn, error) {
	var d net.Dialer
	c, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, a)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dial connects to a target and says what it reached, or why it did not. It takes at most dialTimeout.
func (d *dialer) dial(ctx context.Context, rules Rules, t Target) (tcpConn, reach, *RefusedError) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, refusal := d.addresses(ctx, rules, t)
	if refusal != nil {
		return nil, reach{}, refusal
	}
	var last *RefusedError
	for i, a := range addrs {
		c, err := d.connectOne(ctx, netip.AddrPortFrom(a, t.Port), len(addrs)-i) // spec: TUN-8
		if err == nil {
			return c, reach{target: t, addr: a}, nil
		}
		last = &RefusedError{Target: t, Code: dialCode(err)}
	}
	return nil, reach{}, last
}

// addresses returns what may be dialled for a target: at least one address, each of them allowed.
func (d *dialer) addresses(ctx context.Context, rules Rules, t Target) ([]netip.Addr, *RefusedError) {
	if t.Addr.IsValid() {
		if !rules.allowsAddr(t.Network, t.Addr, t.Port) {
			return nil, notAllowed(t)
		}
		return []netip.Addr{t.Addr}, nil
	}
	byName := rules.allowsName(t.Network, t.Name, t.Port)
	if !byName && !rules.hasRange(t.Network, t.Port) {
		return nil, notAllowed(t)
	}
	found, err := d.resolve(ctx, t.Name) // spec: TUN-8
	if err != nil || len(found) == 0 {
		return nil, &RefusedError{Target: t, Code: nameCode(err)}
	}
	var addrs []netip.Addr
	for _, a := range found {
		a = a.Unmap()
		allowed := byName && !neverAllowed(a) || rules.allowsAddr(t.Network, a, t.Port)
		if allowed && len(addrs) < maxAddresses {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return nil, notAllowed(t)
	}
	return addrs, nil
}

func notAllowed(t Target) *RefusedError {
	return &RefusedError{Target: t, Code: CodeNotAllowed, Reason: "no --allow rule of the server covers it"}
}

// connectOne dials one of several addresses with its share of the time that is left.
func (d *dialer) connectOne(ctx context.Context, a netip.AddrPort, left int) (tcpConn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return d.connect(ctx, a)
}

// nameCode tells a name that does not exist from a resolver that does not answer.
func nameCode(err error) Code {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsTimeout || errors.Is(err, context.DeadlineExceeded) {
		return CodeTimeout
	}
	return CodeNameUnknown
}

// dialCode turns the error of a connection attempt into the code of the reply.
func dialCode(err error) Code { // spec: TUN-10
	var timeout net.Error
	switch {
	case isRefused(err):
		return CodeRefused
	case isUnreachable(err):
		return CodeUnreachable
	case errors.Is(err, context.Canceled):
		return CodeStopping
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return CodeTimeout
	}
	return CodeFailed
}
