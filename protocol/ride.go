package protocol

import "time"

// Where messages come and go all the time, as in a game, their acknowledgements would be as many packets again. They
// ride on the packets that leave anyway instead, if those are near: messages that are not sent again are acknowledged
// late without harm, and those of which the next one follows soon show a loss by the gap that it leaves.
const (
	// rideDelay is how long the acknowledgement of a packet with nothing but messages may wait for a packet that
	// leaves anyway: a tick at 20 Hz, and a fifth. Both ends know it.
	rideDelay = 60 * time.Millisecond
	// ridePackets is how many of them may wait: three ticks of 60 Hz for one of 20 Hz. Of more the sender should
	// hear as of any other data.
	ridePackets = 4
	// rideCheck is how often a sender asks for an acknowledgement without delay all the same, to measure the round
	// trip by what the peer does not have to say about itself.
	rideCheck = 3 * time.Second
	// sameBeat is the time within which packets belong to one tick.
	sameBeat = 4 * time.Millisecond
)

// beat is the rhythm in which packets with messages leave or come.
type beat struct {
	last Time          // the first packet of the last tick
	gap  time.Duration // to the one before; 0: there was none
}

func (b *beat) note(now Time) {
	gap := now.Sub(b.last)
	if b.last != 0 && gap < sameBeat {
		return
	}
	if b.last == 0 {
		gap = 0
	}
	b.last, b.gap = now, gap
}

// goesOn reports whether packets have come with gaps of at most d, and still do.
func (b *beat) goesOn(now Time, d time.Duration) bool {
	return b.gap != 0 && b.gap <= d && now.Sub(b.last) <= d
}

// rideState is what a session knows of the rhythm of its messages.
type rideState struct {
	out, in beat
	asked   Time // when an acknowledgement without delay was asked for last
}

// peerRides reports whether the peer may hold the acknowledgement of a reliable message back, since it sends messages
// all the time. It knows its rhythm better than we do, so that we expect it rather too often.
func (r *rideState) peerRides(now Time) bool { return r.in.goesOn(now, 2*rideDelay) }

// finishMessages decides, when all data is in a packet, whether its acknowledgement may ride.
//
// spec: REL-44
func (s *Session) finishMessages(now Time, b *packetBuilder, probe bool) {
	t := &s.streams
	if s.messages == nil || !t.urgent && !t.patient {
		return
	}
	r := &s.messages.ride
	only := onlyMessages(b.pkt.facts)
	rides := only
	if t.urgent {
		b.asked = b.asked || !only || !r.peerRides(now) // it is acknowledged at once without a word
		// Before the next one a loss shows by the gap. Where the path is known to lose, the sooner it is known what
		// arrived, the fewer copies go along.
		rides = only && s.messages.carry.copies == 0 && r.out.goesOn(now, rideDelay)
	}
	r.out.note(now)
	switch {
	case b.asked || probe || b.room() == 0:
	case t.urgent && !rides || rides && now.Sub(r.asked) >= rideCheck:
		s.askNow(b)
		r.asked = now
	default:
		b.pkt.rides = rides
	}
}

// onlyMessages reports whether a packet has messages, and nothing else that wants to be acknowledged.
func onlyMessages(facts []fact) bool {
	for i := range facts {
		if k := facts[i].kind; k != factAck && k != factMessage {
			return false
		}
	}
	return true
}

// rideUntil returns how long the acknowledgement of a packet that has come may wait for one that leaves anyway, and
// whether it must not wait at all; 0: it follows the rules for other data.
//
// spec: REL-44
func (s *Session) rideUntil(now Time, kinds *frameKinds) (until Time, immediate bool) {
	if !kinds.messages {
		return 0, kinds.immediate
	}
	r := &s.messages.ride
	r.in.note(now)
	switch {
	case kinds.immediate || kinds.urgent && (kinds.plain || !r.out.goesOn(now, rideDelay)): // spec: MSG-18
		return 0, true
	case kinds.plain:
		return 0, false
	}
	return now.Add(rideDelay), false
}
