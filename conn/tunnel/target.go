package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Network is the kind of traffic that a target takes. The numbers travel in requests.
type Network uint8

// The networks.
const (
	NetworkTCP Network = 1
	NetworkUDP Network = 2
)

func (n Network) String() string {
	switch n {
	case NetworkTCP:
		return "tcp"
	case NetworkUDP:
		return "udp"
	}
	return "network " + strconv.Itoa(int(n))
}

// Target is where a tunnel's server connects to: an address or a host name, and a port.
// Exactly one of Addr and Name is set. The zero value is no target.
type Target struct {
	Network Network
	Addr    netip.Addr // without zone, IPv4 in its 4-octet form
	Name    string     // host name in lower case without a final dot, resolved by the server
	Port    uint16     // 1 to 65535
}

// TargetFromAddr returns the TCP target at an address.
func TargetFromAddr(a netip.AddrPort) Target {
	return Target{Network: NetworkTCP, Addr: a.Addr().Unmap().WithZone(""), Port: a.Port()}
}

// String is the form that ParseTarget reads: tcp://HOST:PORT or udp://HOST:PORT.
func (t Target) String() string {
	return t.Network.String() + "://" + t.HostPort()
}

// HostPort is the target as net.Dial takes it.
func (t Target) HostPort() string {
	host := t.Name
	if t.Addr.IsValid() {
		host = t.Addr.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(t.Port)))
}

// ParseTarget reads tcp://HOST:PORT or udp://HOST:PORT, where HOST is an IPv4 address, an IPv6 address in brackets,
// or a host name. Errors are one line and say what to write instead.
func ParseTarget(s string) (Target, error) {
	network, rest, err := cutNetwork(s)
	if err != nil {
		return Target{}, err
	}
	host, port, err := splitHostPort(rest)
	if err != nil {
		return Target{}, err
	}
	if host == "" {
		return Target{}, fmt.Errorf("%q names no host; write %v://HOST:PORT", s, network)
	}
	t := Target{Network: network}
	if t.Port, err = parsePort(port); err != nil {
		return Target{}, err
	}
	if t.Addr, err = parseAddr(host); err == nil {
		return t, nil
	}
	if strings.ContainsAny(host, ":/%") {
		return Target{}, fmt.Errorf("%q is not an address; write an IPv6 address in brackets, without zone, as in [::1]:22", host)
	}
	t.Name, err = canonicalName(host)
	return t, err
}

// cutNetwork takes the scheme off.
func cutNetwork(s string) (Network, string, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return 0, "", fmt.Errorf("%q has no scheme; write tcp://%s, or udp://", s, s)
	case scheme == "tcp":
		return NetworkTCP, rest, nil
	case scheme == "udp":
		return NetworkUDP, rest, nil
	}
	return 0, "", fmt.Errorf("%q has the unknown scheme %q; write tcp:// or udp://", s, scheme)
}

// splitHostPort cuts at the last colon outside of brackets, and takes the brackets off.
func splitHostPort(s string) (host, port string, err error) {
	if strings.ContainsAny(s, "?#@ \t") {
		return "", "", fmt.Errorf("%q has a part that an address does not take; write HOST:PORT", s)
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return "", "", fmt.Errorf("%q has no port; write HOST:PORT", s)
	}
	host, port = s[:i], s[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", "", fmt.Errorf("%q lacks the closing bracket; write [IPv6]:PORT", s)
		}
		return inner, port, nil
	}
	if strings.Contains(host, ":") {
		return "", "", fmt.Errorf("%q: write an IPv6 address in brackets, as in [::1]:22", s)
	}
	return host, port, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// parseAddr reads an address literal. A zone names an interface of one machine and means nothing
// at the other end, so it is refused.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, err
	}
	if a.Zone() != "" {
		return netip.Addr{}, errors.New("an address with a zone cannot be a target")
	}
	return a.Unmap(), nil
}

// canonicalName checks a host name and returns it in lower case without the final dot.
// A name whose last label is a number is refused: resolvers and socket libraries read such names
// as IPv4 addresses in old notations (127.1, 0x7f000001), past every rule about addresses.
func canonicalName(s string) (string, error) { // spec: TUN-6
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > maxName {
		return "", fmt.Errorf("host name %q must have 1 to %d characters", s, maxName)
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return "", fmt.Errorf("host name %q has the bad part %q; letters, digits, '-' and '_' are allowed", s, label)
		}
		last = label
	}
	if looksNumeric(last) {
		return "", fmt.Errorf("host name %q ends in a number; write an IPv4 address as four decimal numbers", s)
	}
	return name, nil
}

// validLabel accepts 1 to 63 letters, digits, hyphens and underscores (which occur in private
// zones), not starting with a hyphen.
func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// looksNumeric tells whether a label could be read as a number: decimal, or hexadecimal with 0x.
func looksNumeric(s string) bool {
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		_, err := strconv.ParseUint(hex, 16, 64)
		return hex == "" || err == nil || errors.Is(err, strconv.ErrRange)
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
