package tunnel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeNet is a dialer's view of DNS and TCP.
type fakeNet struct {
	answers  map[string][]string // name: addresses
	errs     map[string]error    // address: what connecting gives
	resolved []string
	dialled  []string
}

// ruled is a dialer with the rules of one client.
type ruled struct {
	*dialer
	rules Rules
}

func (d ruled) dial(ctx context.Context, t Target) (tcpConn, *RefusedError) {
	c, _, refusal := d.dialer.dial(ctx, d.rules, t)
	return c, refusal
}

func (n *fakeNet) dialer(t *testing.T, list ...string) ruled {
	return ruled{&dialer{resolve: n.resolve, connect: n.connect}, rules(t, list...)}
}

func (n *fakeNet) resolve(_ context.Context, name string) (addrs []netip.Addr, err error) {
	n.resolved = append(n.resolved, name)
	for _, s := range n.answers[name] {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if addrs == nil {
		err = &net.DNSError{Name: name, IsNotFound: true}
	}
	return addrs, err
}

func (n *fakeNet) connect(_ context.Context, a netip.AddrPort) (tcpConn, error) {
	n.dialled = append(n.dialled, a.String())
	return &net.TCPConn{}, n.errs[a.String()]
}

func (n *fakeNet) code(t *testing.T, d ruled, s string) Code {
	t.Helper()
	_, refusal := d.dial(t.Context(), target(t, s))
	if refusal == nil {
		return CodeConnected
	}
	require.Equal(t, s, refusal.Target.String())
	return refusal.Code
}

func TestAnAddressIsDialledWhenARuleCoversIt(t *testing.T) {
	// spec: TUN-8
	n := &fakeNet{}
	d := n.dialer(t, "tcp://10.0.0.0/8:22")
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://10.0.0.1:22"))
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://10.0.0.1:23"))
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://11.0.0.1:22"))
	require.Equal(t, []string{"10.0.0.1:22"}, n.dialled, "what is not allowed is not dialled")
}

func TestANameIsHeldToTheRulesForItsAddresses(t *testing.T) {
	// spec: TUN-8
	n := &fakeNet{answers: map[string][]string{
		"in.example":    {"10.0.0.1"},
		"mixed.example": {"192.168.0.1", "10.0.0.2", "127.0.0.1"},
		"evil.example":  {"127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254"},
	}}
	d := n.dialer(t, "tcp://10.0.0.0/8:80")
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://in.example:80"))
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://mixed.example:80"))
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://evil.example:80"))
	require.Equal(t, []string{"10.0.0.1:80", "10.0.0.2:80"}, n.dialled)
}

func TestAChangingAnswerWinsNothing(t *testing.T) {
	// spec: TUN-8
	n := &fakeNet{}
	answers := []string{"10.0.0.1", "127.0.0.1"}
	d := n.dialer(t, "tcp://10.0.0.0/8:80")
	d.resolve = func(context.Context, string) ([]netip.Addr, error) {
		a := netip.MustParseAddr(answers[0])
		answers = answers[1:]
		return []netip.Addr{a}, nil
	}
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://rebind.example:80"))
	require.Equal(t, []string{"10.0.0.1:80"}, n.dialled, "the address that was checked is dialled, without asking again")
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://rebind.example:80"))
}

func TestANameRuleTakesWhateverTheNameMeans(t *testing.T) {
	n := &fakeNet{answers: map[string][]string{"db.internal": {"0.0.0.0", "172.16.0.9"}, "nil.internal": {"0.0.0.0", "224.0.0.1"}}}
	d := n.dialer(t, "tcp://db.internal:5432", "tcp://nil.internal:5432")
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://db.internal:5432"))
	require.Equal(t, []string{"172.16.0.9:5432"}, n.dialled)
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://nil.internal:5432"))
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://172.16.0.9:5432"), "the address itself is not allowed by it")
}

func TestNamesThatCannotBeAllowedAreNotResolved(t *testing.T) {
	n := &fakeNet{answers: map[string][]string{"secret.example": {"10.0.0.1"}}}
	d := n.dialer(t, "tcp://10.0.0.0/8:80", "tcp://db.internal:5432")
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://secret.example:81"))
	require.Equal(t, CodeNotAllowed, n.code(t, d, "tcp://secret.example:5432"))
	require.Empty(t, n.resolved)
}

func TestEveryAddressOfANameIsTried(t *testing.T) {
	n := &fakeNet{
		answers: map[string][]string{"a.example": {"10.0.0.1", "10.0.0.2", "10.0.0.3"}},
		errs:    map[string]error{"10.0.0.1:80": syscall.ECONNREFUSED, "10.0.0.2:80": syscall.ETIMEDOUT},
	}
	d := n.dialer(t, "tcp://10.0.0.0/8:80")
	require.Equal(t, CodeConnected, n.code(t, d, "tcp://a.example:80"))
	require.Len(t, n.dialled, 3)

	var many []string
	for i := range 40 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String())
		n.errs[many[i]+":80"] = syscall.ECONNREFUSED
	}
	n.answers["many.example"], n.dialled = many, nil
	require.Equal(t, CodeRefused, n.code(t, d, "tcp://many.example:80"))
	require.Len(t, n.dialled, maxAddresses, "but not without bound")
}

func TestFailuresOfTheTargetHaveTheirCode(t *testing.T) {
	// spec: TUN-10
	for err, want := range map[error]Code{
		syscall.ECONNREFUSED:     CodeRefused,
		syscall.EHOSTUNREACH:     CodeUnreachable,
		syscall.ENETUNREACH:      CodeUnreachable,
		syscall.ETIMEDOUT:        CodeTimeout,
		context.DeadlineExceeded: CodeTimeout,
		os.ErrDeadlineExceeded:   CodeTimeout,
		context.Canceled:         CodeStopping,
		syscall.EACCES:           CodeFailed,
	} {
		n := &fakeNet{errs: map[string]error{"10.0.0.1:80": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}}}
		require.Equal(t, want, n.code(t, n.dialer(t, "tcp://10.0.0.1:80"), "tcp://10.0.0.1:80"), err)
	}
	n := &fakeNet{}
	d := n.dialer(t, "tcp://0.0.0.0/0:80")
	require.Equal(t, CodeNameUnknown, n.code(t, d, "tcp://nowhere.example:80"))
	d.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, &net.DNSError{IsTimeout: true} }
	require.Equal(t, CodeTimeout, n.code(t, d, "tcp://nowhere.example:80"))
	d.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("odd") }
	require.Equal(t, CodeNameUnknown, n.code(t, d, "tcp://nowhere.example:80"))
}

func TestRealDialsWork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := ruled{newDialer(), rules(t, "tcp://127.0.0.1:1-65535", "tcp://localhost:1-65535")}
	c, refusal := d.dial(t.Context(), TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort()))
	require.Nil(t, refusal)
	require.NoError(t, c.Close())
	byName := Target{Network: NetworkTCP, Name: "localhost", Port: uint16(l.Addr().(*net.TCPAddr).Port)}
	c, refusal = d.dial(t.Context(), byName)
	require.Nil(t, refusal)
	require.NoError(t, c.Close())
	require.NoError(t, l.Close())
	_, refusal = d.dial(t.Context(), byName)
	require.NotNil(t, refusal)
	require.Equal(t, CodeRefused, refusal.Code)
}
