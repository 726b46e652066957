package tunnel

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Forward is one port of a client, or a range of them, and the target that its connections or datagrams go to.
type Forward struct {
	Listen string // HOST:PORT as net.Listen takes it; HOST may be empty, PORT may be 0; the first one of a range
	Target Target // with the first port of a range
	// More is how many further ports follow the first one, at both ends: port n of the one leads to port n of
	// the other. UDP only; for pairs of RTP and RTCP, say.
	More int
	UDP  UDPOptions // zero for TCP
}

// ParseForward reads tcp://LISTEN=tcp://TARGET, for example tcp://127.0.0.1:2222=tcp://127.0.0.1:22, or
// udp://LISTEN=udp://TARGET?OPTIONS, for example udp://127.0.0.1:5004-5005=udp://10.0.0.1:5004-5005?deadline=150ms.
// LISTEN without a host listens on all addresses of the machine; port 0 takes any free port.
// Errors are one line and say what to write instead.
func ParseForward(s string) (f Forward, err error) {
	listen, target, ok := strings.Cut(s, "=")
	if !ok {
		return Forward{}, fmt.Errorf("%q has no '='; write tcp://LISTEN:PORT=tcp://TARGET:PORT", s)
	}
	network, _, err := cutNetwork(listen)
	if err != nil {
		return Forward{}, err
	}
	if network == NetworkUDP {
		if f, target, listen, err = cutUDP(target, listen); err != nil {
			return Forward{}, err
		}
	}
	if f.Listen, err = parseListen(listen); err != nil {
		return Forward{}, err
	}
	if f.Target, err = ParseTarget(target); err != nil {
		return Forward{}, err
	}
	if f.Target.Network != network {
		return Forward{}, fmt.Errorf("%q: %v cannot go to %v", s, network, f.Target.Network)
	}
	return f, f.checkRange()
}

// cutUDP takes options and ranges off the two ends of a UDP forward.
func cutUDP(target, listen string) (f Forward, plainTarget, plainListen string, err error) {
	target, options, has := strings.Cut(target, "?")
	if has {
		if f.UDP, err = parseUDPOptions(options); err != nil {
			return f, "", "", err
		}
	}
	here, listen, err := cutRange(listen)
	if err != nil {
		return f, "", "", err
	}
	there, target, err := cutRange(target)
	if err != nil {
		return f, "", "", err
	}
	if here != there {
		return f, "", "", fmt.Errorf("%d ports cannot go to %d; write ranges of one length, as 5004-5005 at both ends", here+1, there+1)
	}
	f.More = here
	return f, target, listen, nil
}

// cutRange takes the end of a range of ports off an address, and returns how many ports follow the first.
func cutRange(s string) (more int, first string, err error) {
	colon := strings.LastIndexByte(s, ':')
	from, to, isRange := strings.Cut(s[colon+1:], "-")
	if !isRange || strings.HasSuffix(s, "]") {
		return 0, s, nil
	}
	low, high, err := parsePorts(from + "-" + to)
	if err != nil {
		return 0, "", err
	}
	if more = int(high - low); more >= maxRange {
		return 0, "", fmt.Errorf("port range %s-%s is longer than %d", from, to, maxRange)
	}
	return more, s[:colon+1] + from, nil
}

// checkRange refuses a range at a port that would have to be chosen.
func (f *Forward) checkRange() error {
	if _, port, _ := net.SplitHostPort(f.Listen); f.More > 0 && port == "0" {
		return fmt.Errorf("a range cannot begin at port 0")
	}
	return nil
}

// port returns the n-th forward of a range, by itself.
func (f *Forward) port(n int) Forward {
	if n == 0 && f.More == 0 {
		return *f
	}
	one := *f
	one.More = 0
	host, port, _ := net.SplitHostPort(f.Listen)
	first, _ := strconv.Atoi(port)
	one.Listen = net.JoinHostPort(host, strconv.Itoa(first+n))
	one.Target.Port += uint16(n)
	return one
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
		for i := range f.More + 1 {
			one := f.port(i)
			if key := one.listenText(); seen[key] && !strings.HasSuffix(key, ":0") {
				return nil, fmt.Errorf("two forwards listen on %s; give each a port of its own", one.Listen)
			} else {
				seen[key] = true
			}
		}
		forwards = append(forwards, f)
	}
	return forwards, nil
}

// listenText is where the forward listens, with its network.
func (f *Forward) listenText() string { return f.Target.Network.String() + "://" + f.Listen }

// String is the form that ParseForward reads.
func (f Forward) String() string {
	last := f.port(f.More)
	s := f.listenText() + rangeEnd(f.More, last.Listen) + "=" + f.Target.String() + rangeEnd(f.More, last.Target.HostPort())
	if options := f.UDP.String(); options != "" {
		s += "?" + options
	}
	return s
}

// rangeEnd is what stands behind the first port of a range.
func rangeEnd(more int, last string) string {
	if more == 0 {
		return ""
	}
	return "-" + last[strings.LastIndexByte(last, ':')+1:]
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
