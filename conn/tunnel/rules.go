package tunnel

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Rule allows a range of ports at a range of addresses, or at one host name.
type Rule struct {
	network  Network
	prefix   netip.Prefix // valid when the rule is for addresses
	name     string       // set when the rule is for one host name
	from, to uint16       // ports, both included
}

// Rules is what a server allows. The empty list allows nothing.
type Rules []Rule

// ParseRule reads tcp://HOST:PORTS or udp://HOST:PORTS. HOST is an address, a range of addresses as 10.0.0.0/8 or
// [fd00::/8], or a host name, which allows targets that ask for this very name. PORTS is a number
// or a range as 8000-8099. Errors are one line and say what to write instead.
func ParseRule(s string) (Rule, error) {
	network, rest, err := cutNetwork(s)
	if err != nil {
		return Rule{}, err
	}
	host, ports, err := splitHostPort(rest)
	if err != nil {
		return Rule{}, err
	}
	r := Rule{network: network}
	if r.from, r.to, err = parsePorts(ports); err != nil {
		return Rule{}, err
	}
	switch {
	case host == "":
		return Rule{}, fmt.Errorf("%q names no host; write %v://0.0.0.0/0:%s for every IPv4 address", s, network, ports)
	case strings.Contains(host, "/"):
		r.prefix, err = parsePrefix(host)
	case strings.Contains(host, ":"):
		r.prefix, err = addressPrefix(host)
	default:
		if r.prefix, err = addressPrefix(host); err != nil {
			r.name, err = canonicalName(host)
		}
	}
	return r, err
}

// ParseRules reads several rules. An error names the rule.
func ParseRules(list []string) (Rules, error) {
	if len(list) > maxRules {
		return nil, fmt.Errorf("%d rules are more than %d; use ranges of addresses and ports", len(list), maxRules)
	}
	rules := make(Rules, 0, len(list))
	for _, s := range list {
		r, err := ParseRule(s)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parsePorts(s string) (from, to uint16, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if from, err = parsePort(first); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return from, from, nil
	}
	if to, err = parsePort(last); err != nil {
		return 0, 0, err
	}
	if to < from {
		return 0, 0, fmt.Errorf("port range %q ends before it starts; write %d-%d", s, to, from)
	}
	return from, to, nil
}

// parsePrefix reads a range of addresses. Set bits behind the length are refused: 10.1.2.3/8 is
// either a typing error in the address or in the length.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a range of addresses; write 10.0.0.0/8 or [fd00::/8]", s)
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q: write a range of IPv4 addresses in IPv4 form", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has address bits behind its length; write %v", s, p.Masked())
	}
	return p, nil
}

func addressPrefix(s string) (netip.Prefix, error) {
	a, err := parseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address without zone; write 10.0.0.1 or [fd00::1]", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// String is the form that ParseRule reads.
func (r Rule) String() string {
	host := r.name
	if r.prefix.IsValid() {
		host = r.prefix.String()
		if r.prefix.IsSingleIP() {
			host = r.prefix.Addr().String()
		}
		if r.prefix.Addr().Is6() {
			host = "[" + host + "]"
		}
	}
	ports := strconv.Itoa(int(r.from))
	if r.to != r.from {
		ports += "-" + strconv.Itoa(int(r.to))
	}
	return r.network.String() + "://" + host + ":" + ports
}

// allowsAddr tells whether an address may be dialled for a target that is this address, or a name
// that resolved to it.
func (rules Rules) allowsAddr(n Network, a netip.Addr, port uint16) bool {
	a = a.Unmap() // spec: TUN-9
	if neverAllowed(a) {
		return false
	}
	for _, r := range rules { // spec: TUN-8
		if r.covers(n, port) && r.prefix.IsValid() && r.prefix.Contains(a) {
			return true
		}
	}
	return false
}

// allowsName tells whether a rule names this very host.
func (rules Rules) allowsName(n Network, name string, port uint16) bool {
	for _, r := range rules { // spec: TUN-8
		if r.covers(n, port) && r.name != "" && r.name == name {
			return true
		}
	}
	return false
}

// hasRange tells whether any rule for addresses covers the port, so that resolving a name could
// lead anywhere.
func (rules Rules) hasRange(n Network, port uint16) bool {
	for _, r := range rules {
		if r.covers(n, port) && r.prefix.IsValid() {
			return true
		}
	}
	return false
}

func (r Rule) covers(n Network, port uint16) bool {
	return r.network == n && r.from <= port && port <= r.to
}

// neverAllowed names the addresses that no rule can allow: systems take the unspecified address for
// the machine itself, TCP has no multicast, and datagrams to many at once would multiply what a client sends.
func neverAllowed(a netip.Addr) bool { // spec: TUN-9
	return !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == limitedBroadcast
}

// limitedBroadcast is every machine of a link (RFC 919).
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
