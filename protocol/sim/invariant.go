package sim

import (
	"fmt"
	"net/netip"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// maxDatagramsAtOnce bounds what a session may want to send or say at one instant. The pacer lets a
	// millisecond's worth go at once, or two packets: far less at any rate that is simulated.
	maxDatagramsAtOnce = 1 << 16

	// maxTurnsAtOnce bounds the timeouts that a session may want at one instant, so that no timer stays in
	// the past: one for what was due, one for what that made due (a probe, after losses that may not be
	// sent again yet), and one to spare.
	maxTurnsAtOnce = 3

	// maxAmplification is how many times the bytes that an address sent may go back to it before it has
	// proved itself.
	maxAmplification = 3

	// maxPayload is the largest UDP payload that can exist over IPv4.
	maxPayload = 65_535 - 28
)

// violation reports to the world's owner.
func (n *Node) violation(format string, args ...any) {
	text := fmt.Sprintf("%v at %v, seed %d: %s", n.sockets[0].addr, n.world.now, n.world.seed, fmt.Sprintf(format, args...))
	if n.world.Violation != nil {
		n.world.Violation(text)
		return
	}
	panic("BUG: " + text)
}

// canary stands before the space that the core appends to: append means append.
const canary = "\xca\xfe\x01"

// scratch returns the buffer for one datagram, with the canary in it.
func (n *Node) scratch() []byte { return append(n.buf[:0], canary...) }

// checkAppended returns the datagram that was appended behind the canary.
func (n *Node) checkAppended(b []byte) []byte {
	n.buf = b
	if len(b) < len(canary) || string(b[:len(canary)]) != canary {
		n.violation("AppendDatagram changed what stood in the buffer")
		return nil
	}
	data := b[len(canary):]
	if len(data) == 0 || len(data) > maxPayload {
		n.violation("a datagram of %d bytes", len(data))
	}
	return data
}

// checkEvent watches the order of a session's life: established, confirmed, closed, dead, each once
// and nothing after the last.
func (n *Node) checkEvent(d *driven, e protocol.Event) {
	ordered := e.Kind == protocol.EventEstablished || e.Kind == protocol.EventConfirmed ||
		e.Kind == protocol.EventClosed || e.Kind == protocol.EventDead
	switch {
	case d.last == protocol.EventDead:
		n.violation("%v after the session was dead", e.Kind)
	case ordered && e.Kind <= d.last:
		n.violation("%v after %v", e.Kind, d.last)
	case e.Kind == protocol.EventClosed && (e.Err == nil || d.Err() == nil):
		n.violation("closed without a reason")
	case e.Kind == protocol.EventDead && d.last != protocol.EventClosed:
		n.violation("dead before it was closed")
	case e.Stream == nil && isStreamEvent(e.Kind):
		n.violation("%v without its stream", e.Kind)
	}
	if ordered {
		d.last = e.Kind
	}
}

func isStreamEvent(k protocol.EventKind) bool {
	return k == protocol.EventStreamOpened || k == protocol.EventStreamReadable || k == protocol.EventStreamWritable
}

// checkTimeout finds a session that wants to be woken again and again without end.
func (n *Node) checkTimeout(d *driven, at monotime.Time, why protocol.Timer) {
	if at.IsZero() || at.After(n.Now()) {
		d.turns = 0
		return
	}
	if d.turnAt != n.Now() {
		d.turnAt, d.turns = n.Now(), 0
	}
	if d.turns++; d.turns > maxTurnsAtOnce {
		n.violation("the %v timer is in the past: due at %v after %d turns", why, at, d.turns)
	}
}

// checkDead makes sure that a dead session is silent and asks for nothing.
func (n *Node) checkDead(d *driven) {
	if at, why := d.NextTimeout(); !at.IsZero() {
		n.violation("a dead session waits for its %v timer", why)
	}
	if d.last != protocol.EventDead {
		n.violation("dead without saying so")
	}
	if d.Err() == nil {
		n.violation("dead without a reason")
	}
}

// checkStats compares the session's own counters with what was seen of it.
func (n *Node) checkStats(d *driven) {
	st := d.Stats()
	if st.DatagramsSent != d.sent || st.BytesSent != d.bytes {
		n.violation("counted %d datagrams of %d bytes in all, sent %d of %d", st.DatagramsSent, st.BytesSent, d.sent, d.bytes)
	}
	if st.InFlight < 0 || st.Window <= 0 && !d.Dead() && d.Established() {
		n.violation("%d bytes in flight in a window of %d", st.InFlight, st.Window)
	}
	if err := d.CheckInvariants(); err != nil {
		n.violation("%v", err)
	}
}

// ledger is what a server exchanged with an address.
type ledger struct {
	in, out int
	proven  bool // a session speaks with it: it answered from there
}

func (n *Node) ledger(addr netip.AddrPort) *ledger {
	l := n.ledgers[addr]
	if l == nil {
		l = new(ledger)
		n.ledgers[addr] = l
	}
	return l
}

// prove notes the address that a session uses by now.
func (n *Node) prove(d *driven) { n.ledger(d.Peer().Addr.Remote).proven = true }

// checkAmplification makes sure that nobody can have a server flood an address that never asked.
func (n *Node) checkAmplification(to netip.AddrPort, size int) {
	l := n.ledger(to)
	l.out += size
	if n.server && !l.proven && l.out > maxAmplification*l.in {
		n.violation("%d bytes to %v, which sent %d and has proved nothing", l.out, to, l.in)
	}
}
