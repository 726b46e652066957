package tunnel

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Forward is one port of a client and the target that its connections go to.
type Forward struct {
	Listen string // HOST:PORT as net.Listen takes it; HOST may be empty, PORT may be 0
	Target Target
}

// ParseForward reads tcp://LISTEN=tcp://TARGET, for example tcp://127.0.0.1:2222=tcp://127.0.0.1:22.
// LISTEN without a host listens on all addresses of the machine; port 0 takes any free port.
// Errors are one line and say what to write instead.
func ParseForward(s string) (Forward, error) {
	listen, target, ok := strings.Cut(s, "=")
	if !ok {
		return Forward{}, fmt.Errorf("%q has no '='; write tcp://LISTEN:PORT=tcp://TARGET:PORT", s)
	}
	var f Forward
	var err error
	if f.Listen, err = parseListen(listen); err != nil {
		return Forward{}, err
	}
	f.Target, err = ParseTarget(target)
	return f, err
}

// ParseForwards reads several forwards and refuses two on one port.
func ParseForwards(list []string) ([]Forward, error) {
	if len(list) > maxForwards {
		return nil, fmt.Errorf("%d forwards are more than %d; use several clients", len(list), maxForwards)
	}
	forwards := make([]Forward, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		f, err := ParseForward(s)
		if err != nil {
			return nil, err
		}
		if seen[f.Listen] && !strings.HasSuffix(f.Listen, ":0") {
			return nil, fmt.Errorf("two forwards listen on %s; give each a port of its own", f.Listen)
		}
		seen[f.Listen] = true
		forwards = append(forwards, f)
	}
	return forwards, nil
}

// String is the form that ParseForward reads.
func (f Forward) String() string {
	return "tcp://" + f.Listen + "=" + f.Target.String()
}

func parseListen(s string) (string, error) {
	_, rest, err := cutNetwork(s)
	if err != nil {
		return "", err
	}
	host, port, err := splitHostPort(rest)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	if err := checkListenHost(host); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// checkListenHost accepts nothing, an address, or a name that this machine resolves.
func checkListenHost(host string) error {
	if host == "" || net.ParseIP(host) != nil {
		return nil
	}
	if strings.ContainsAny(host, ":%/") {
		return fmt.Errorf("%q is not an address to listen on", host)
	}
	_, err := canonicalName(host)
	return err
}
