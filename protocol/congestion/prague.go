package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Numbers of Prague (draft-briscoe-iccrg-prague-congestion-control-04, section 2).
const (
	// pragueGain is how much one measurement of the part of marked packets counts in its average.
	pragueGain = 1.0 / 16
	// pragueRTT is the round trip as which a shorter one counts: flows of short paths else take the most.
	pragueRTT = 25 * time.Millisecond
	// praguePacing keeps packets as far apart as the window says, in windows a round trip: a step of a
	// millisecond marks bursts.
	praguePacing = 1.0
	// pragueStartPacing is the same for slow start. A window that grows by what is acknowledged, and is sent
	// at g windows a round trip, grows by e^x in a round trip with x e^x = g: 1.8 times for 1.1, in place of
	// twice, and the queue that ends slow start is not met before the window is nine tenths of the path.
	pragueStartPacing = 1.1

	// pragueClassicQueue is a queue that an L4S queue does not let stand, since it marks at about 1 ms
	// (RFC 9332, appendix A.1), but others do, which mark where they would drop (CoDel at 5 ms, PIE at 15).
	pragueClassicQueue = 2500 * time.Microsecond
	// pragueClassicPackets is a queue in packets that a slow link has in any case.
	pragueClassicPackets = 2
	// pragueClassicRounds is after how many round trips with marks, all with such a queue, it is taken for
	// a classic one. What slow start leaves behind is gone in two or three.
	pragueClassicRounds = 6
)

// Prague is a controller for paths with L4S queues (RFC 9330): it marks ECT(1), and takes off its window
// half the part of packets that came as CE, as DCTCP does. A queue that marks at a millisecond so stays
// that short, and the path full (draft-briscoe-iccrg-prague-congestion-control).
//
// All else is CUBIC: slow start, which the first mark ends, growth without marks, and the answer to loss.
// Flows with a round trip below 25 ms grow no faster than one of 25 ms. Where the path does not carry
// marks, or nothing marks, Prague is CUBIC.
//
// Where marks come while a queue stands that no L4S queue would let stand, the queue marks as others drop
// (RFC 3168), and answering like DCTCP would push all others aside. Prague then becomes CUBIC with ECT(0)
// for the rest of its life on the path (RFC 9331, section 4.3).
type Prague struct {
	cubic *Cubic
	srtt  time.Duration // 0: not known yet

	phase    praguePhase
	alpha    float64 // average part of packets that come as CE
	ect, ce  int     // packets of the measurement at hand, and those that came as CE
	measured monotime.Time
	reduced  monotime.Time // last reduction, 0: none yet
	frameCE  int           // marks of the frame at hand

	classic  bool
	roundMin time.Duration // smallest RTT of this round, 0: none yet
	roundCE  bool          // marks came in it
	standing int           // rounds in a row with marks and a standing queue
}

// praguePhase is how much is known of marks.
type praguePhase uint8

const (
	pragueUnmarked  praguePhase = iota // none has come
	pragueFirst                        // the first was answered
	pragueMeasuring                    // packets that left after that arrive: the first measurement
	pragueMarked                       // alpha is known
)

// NewPrague returns a Prague controller.
func NewPrague(cfg Config) *Prague { return &Prague{cubic: NewCubic(cfg)} }

// Name returns "prague".
func (p *Prague) Name() string { return "prague" }

// Marking returns MarkL4S, or MarkClassic once the queue has shown that it marks as others drop.
func (p *Prague) Marking() Marking {
	if p.classic {
		return MarkClassic
	}
	return MarkL4S
}

// Window returns how many bytes may be in flight.
func (p *Prague) Window() int { return p.cubic.Window() }

// PacingRate returns the rate at which packets may leave, in bytes a second.
func (p *Prague) PacingRate() uint64 {
	switch {
	case p.classic || p.srtt <= 0:
		return p.cubic.PacingRate()
	case p.cubic.slowStart():
		return uint64(pragueStartPacing * p.cubic.window / p.srtt.Seconds())
	case p.phase == pragueUnmarked:
		return p.cubic.PacingRate()
	default:
		return uint64(praguePacing * p.cubic.window / p.srtt.Seconds())
	}
}

// SetMaxDatagram tells the largest datagram of the path.
func (p *Prague) SetMaxDatagram(n int) { p.cubic.SetMaxDatagram(n) }

// Sent does nothing.
func (p *Prague) Sent(SendSample) {}

// Undo goes back to before the last episode of loss, if no mark came since.
func (p *Prague) Undo(now monotime.Time) { p.cubic.Undo(now) }

// Lost answers loss as CUBIC does, and marks by their part.
func (p *Prague) Lost(s LossSample) {
	if p.classic {
		p.cubic.Lost(s)
		return
	}
	p.frameCE += s.ECN // Acked answers them
	s.ECN = 0          // episodes are of losses alone
	if s.Packets > 0 {
		p.cubic.Lost(s)
	}
	if s.Episode {
		p.reduced = s.Now
	}
}

// round is the time that counts as a round trip.
func (p *Prague) round() time.Duration { return max(p.srtt, pragueRTT) }

// Acked grows the window, and measures the part of packets that are marked.
func (p *Prague) Acked(s AckSample) {
	if s.SmoothedRTT > 0 {
		p.srtt = s.SmoothedRTT
	}
	marked := p.frameCE
	p.frameCE = 0
	if p.classic {
		p.cubic.Acked(s)
		return
	}
	p.lookForClassicQueue(s, marked)
	p.measure(s, marked)
	if marked > 0 {
		p.answer(s)
	}
	if !p.cubic.slowStart() {
		p.slow(&s, marked)
	}
	p.cubic.Acked(s)
}

// measure takes the part of marked packets, once in a round trip.
func (p *Prague) measure(s AckSample, marked int) {
	p.ect += s.ECT
	p.ce += marked
	if p.phase == pragueUnmarked || p.ect == 0 || !p.roundSince(p.measured, s) {
		return
	}
	part := min(float64(p.ce)/float64(p.ect), 1)
	switch p.phase {
	case pragueFirst: // these left before the first mark was answered
		p.phase = pragueMeasuring
	case pragueMeasuring:
		p.alpha, p.phase = part, pragueMarked
	case pragueMarked:
		p.alpha += pragueGain * (part - p.alpha)
	}
	p.measured, p.ect, p.ce = s.Now, 0, 0
}

// answer makes room for a mark, once in a round trip.
func (p *Prague) answer(s AckSample) {
	switch {
	case p.phase == pragueUnmarked:
		p.first(s)
	case p.phase == pragueMarked && p.roundSince(p.reduced, s):
		p.reduced = s.Now
		p.cubic.ease(1 - p.alpha/2)
	}
}

// roundSince reports whether a packet is acknowledged that left after a time, a round trip ago at least.
func (p *Prague) roundSince(at monotime.Time, s AckSample) bool {
	return s.Now.Sub(at) >= max(p.round(), s.RTT)
}

// first answers the first mark, of which no part is known yet: it goes down to what the path has just
// delivered, by half at most.
func (p *Prague) first(s AckSample) {
	delivers := float64(s.Rate.BytesPerSecond) * s.MinRTT.Seconds() / p.cubic.window
	p.cubic.ease(min(max(delivers, 0.5), 1))
	p.phase, p.reduced = pragueFirst, s.Now
	p.measured, p.ect, p.ce = s.Now, 0, 0
}

// slow takes off what does not make the window grow: packets that came as CE, and what a flow with a short
// round trip has more of than one with pragueRTT. Growth in bytes a round trip falls with the square of
// the round trip, so that rates grow alike.
func (p *Prague) slow(s *AckSample, marked int) {
	part := 1.0
	if s.ECT > 0 {
		part -= min(float64(marked)/float64(s.ECT), 1)
	}
	ratio := p.srtt.Seconds() / p.round().Seconds()
	part *= ratio * ratio
	s.Bytes = int(part * float64(s.Bytes))
	s.RecoveryBytes = int(part * float64(s.RecoveryBytes))
}

// lookForClassicQueue finds out that the queue marks as others drop: it stands while it marks.
func (p *Prague) lookForClassicQueue(s AckSample, marked int) {
	p.roundCE = p.roundCE || marked > 0
	if s.RTT > 0 && (p.roundMin == 0 || s.RTT < p.roundMin) {
		p.roundMin = s.RTT
	}
	if !s.RoundStart {
		return
	}
	if p.roundCE {
		p.judgeQueue(s.MinRTT)
	}
	p.roundMin, p.roundCE = 0, false
}

func (p *Prague) judgeQueue(minRTT time.Duration) {
	packet := time.Duration(float64(p.srtt) * float64(p.cubic.mss) / p.cubic.window)
	if p.roundMin-minRTT < pragueClassicQueue+pragueClassicPackets*packet {
		p.standing = 0
		return
	}
	p.standing++
	p.classic = p.standing >= pragueClassicRounds
}
