package tunnel

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// UDPOptions says how the datagrams of a UDP forward are carried, in both directions. The zero value is
// right for programs that expect what UDP gives (DNS, WireGuard, QUIC): a lost datagram stays lost, and
// none waits for another one.
type UDPOptions struct {
	// Deadline is how long a datagram is worth something, beyond the one-way delay of the path: until then
	// what is lost is sent again, then it is given up. 0: nothing is sent again. 1 ms to 30 s, in ms.
	Deadline time.Duration
	// Playout has datagrams given out at a constant time after they came in: the one-way delay of the path and
	// Playout later, so that jitter and repair do not show. 0: as soon as they have come. At least Deadline, which is
	// the same when it is not given. 1 ms to 30 s, in ms.
	Playout time.Duration
	// Overhead is how much repair may add to what the datagrams of the forward take without loss, in percent. Forwards
	// with the same options are one in this. 0: 30. NoOverhead: what is lost is sent again, and that is all. At most 300.
	Overhead int
	// Unordered gives datagrams out as they come. Without it those of a forward with a Deadline wait, within
	// it, for the ones before them. Forwards without a Deadline are never ordered.
	Unordered bool
}

// Bounds of UDPOptions.
const (
	minDeadline = time.Millisecond
	maxDeadline = 30 * time.Second // what channels of messages take
	maxOverhead = 300              // percent; what sessions can agree on
)

// NoOverhead is the UDPOptions.Overhead of 0 %.
const NoOverhead = -1

const (
	// defaultOverhead is the UDPOptions.Overhead of 0, in percent.
	defaultOverhead = 30
)

// ordered tells whether datagrams of one flow keep their order.
func (o *UDPOptions) ordered() bool { return o.Deadline > 0 && !o.Unordered }

// parseUDPOptions reads what follows the '?' of a UDP forward: deadline=150ms&playout=200ms&ordered=false. Errors are
// one line and say what to write instead.
func parseUDPOptions(s string) (o UDPOptions, err error) {
	seen := make(map[string]bool)
	for option := range strings.SplitSeq(s, "&") {
		name, value, ok := strings.Cut(option, "=")
		if !ok {
			return o, fmt.Errorf("option %q has no value; write it as deadline=150ms", option)
		}
		if seen[name] {
			return o, fmt.Errorf("option %s= is given twice", name)
		}
		seen[name] = true
		if err := o.set(name, value); err != nil {
			return o, err
		}
	}
	if !seen["deadline"] {
		o.Deadline = o.Playout
	}
	if o.Playout > 0 && o.Playout < o.Deadline {
		return o, fmt.Errorf("playout=%v is shorter than deadline=%v: what is repaired later would be late; write playout=%v", o.Playout, o.Deadline, o.Deadline)
	}
	if seen["overhead"] && o.Deadline == 0 {
		return o, fmt.Errorf("overhead= needs deadline=: without one nothing is repaired")
	}
	if seen["ordered"] && o.Deadline == 0 {
		return o, fmt.Errorf("ordered= needs deadline=: order is kept by waiting, and the deadline says how long")
	}
	return o, nil
}

func (o *UDPOptions) set(name, value string) (err error) {
	switch name {
	case "deadline":
		o.Deadline, err = parseMillis(name, value, minDeadline, maxDeadline)
	case "playout":
		o.Playout, err = parseMillis(name, value, minDeadline, maxDeadline)
	case "overhead":
		o.Overhead, err = parseOverhead(value)
	case "ordered":
		var ordered bool
		if ordered, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("ordered=%s: write ordered=true or ordered=false", value)
		}
		o.Unordered = !ordered
	default:
		return fmt.Errorf("unknown option %q; UDP forwards take deadline=, playout=, overhead= and ordered=", name)
	}
	return err
}

// parseMillis reads a duration of whole milliseconds.
func parseMillis(name, value string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%s=%s is not a time; write it as %s=150ms", name, value, name)
	}
	if d < least || d > most || d%time.Millisecond != 0 {
		return 0, fmt.Errorf("%s=%s: write whole milliseconds from %v to %v", name, value, least, most)
	}
	return d, nil
}

// parseOverhead reads a percentage.
func parseOverhead(value string) (int, error) {
	digits, ok := strings.CutSuffix(value, "%")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > maxOverhead {
		return 0, fmt.Errorf("overhead=%s: write a percentage from 0%% to %d%%, as overhead=30%%", value, maxOverhead)
	}
	if n == 0 {
		return NoOverhead, nil
	}
	return n, nil
}

// overheadCap is what the channels of a forward may spend on repair, in percent, as conn.MessageOptions wants it.
func (o *UDPOptions) overheadCap() int { // spec: TUN-46
	if o.Overhead == 0 {
		return defaultOverhead
	}
	return o.Overhead
}

// String is the form that parseUDPOptions reads; empty for the zero value.
func (o UDPOptions) String() string {
	if o.Deadline == 0 {
		return ""
	}
	s := "deadline=" + o.Deadline.String()
	if o.Playout > 0 {
		s += "&playout=" + o.Playout.String()
	}
	if o.Overhead != 0 {
		s += fmt.Sprintf("&overhead=%d%%", max(o.Overhead, 0))
	}
	if o.Unordered {
		s += "&ordered=false"
	}
	return s
}
