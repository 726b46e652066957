package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// DefaultOverheadCap is how much repair may add to what is sent for the first time, in percent.
	DefaultOverheadCap = 30
	// MaxOverheadCap is the largest cap that can be agreed on, in percent: four copies of everything.
	MaxOverheadCap = 300

	// sourceSize is the size of the frame SOURCE, repairHeaderSize that of REPAIR without its data, whose
	// length takes two bytes.
	sourceSize       = 1 + 2
	repairHeaderSize = 1 + 2 + 1 + 1 + 2
	// coverSpan is how many packets a symbol covers at most. Receivers remember fec.Window of them: so many
	// less may overtake a symbol, and 40 of them are as good as 64 where loss is independent (decision 15).
	coverSpan = 48
	// pressingSpan is how many packets before that symbols pass messages that wait.
	pressingSpan = 8
)

// RepairStats counts the repair of messages with a deadline. Bytes are of UDP payload.
type RepairStats struct {
	FirstBytes uint64 // sent for the first time
	ExtraBytes uint64 // beside them: symbols, and what was sent again
	Covered    uint64 // packets that symbols may repair
	Symbols    uint64 // sent
	Recovered  uint64 // packets that the peer recovered by them
	Doubled    uint64 // copies of lost messages beyond the first

	SymbolsReceived uint64
	SymbolsNeedless uint64                    // that came when nothing was missing, or too late
	SymbolsRefused  uint64                    // that contradicted what was known, or were malformed
	RecoveredHere   uint64                    // packets of the peer's
	RecoveredUnused uint64                    // of these, the ones that had come or could not be told any more
	BurstsReceived  [wire.BurstBuckets]uint64 // losses in a row of the peer's packets: 1, 2, 3, 4, 5–8, 9–16, 17–32, more
	BurstsSent      [wire.BurstBuckets]uint64 // of ours, as the peer says
}

// repairState is all that a session keeps for the repair of packets. It exists once a packet is covered or a
// symbol comes.
type repairState struct {
	send  *repairSender   // nil: nothing is covered
	recv  *repairReceiver // nil: nothing that is covered came
	next  uint16          // sequence of the next covered packet, while send is nil
	stats RepairStats

	doubles doubles
}

// repairing returns the state of repair, which the first use makes.
func (s *Session) repairing() *repairState {
	if s.repair == nil {
		s.repair = &repairState{}
	}
	return s.repair
}

// release gives back what only traffic needs.
func (r *repairState) release() {
	if r.send != nil && r.send.held == 0 {
		r.next = r.send.encoder.Next()
		r.send = nil
	}
	r.recv = nil
}

// coveredState is what is known of a covered packet.
type coveredState uint8

const (
	coveredFlying    coveredState = iota
	coveredArrived                // acknowledged
	coveredRecovered              // the peer says so
	coveredLost
)

// coveredPacket is a packet that symbols can cover.
type coveredPacket struct {
	sequence uint16
	state    coveredState
	path, pn uint64
	expires  Time         // when the last of its messages does
	payer    *sendChannel // of its channels, the one to which repair is worth most
	symbol   uint64       // number of the last packet with a symbol that covers it, plus one
	due      bool         // at work: that has been answered
	waits    bool         // it is lost, and its facts wait for what that symbol achieves
	until    Time         // at most so long
	facts    []fact       // those
}

// open reports whether the packet may still be missing at the peer, and its messages matter.
func (c *coveredPacket) open(now Time) bool {
	return (c.state == coveredFlying || c.state == coveredLost) && now.Before(c.expires)
}

// repairSender is the sender's half of the code.
type repairSender struct {
	encoder  fec.Encoder
	covered  [fec.Window]coveredPacket // by sequence
	held     int                       // of them, those that wait
	symbols  [fec.Window]sentSymbol    // the newest, unless they were lost
	sent     int                       // symbols so far
	owed     float64                   // symbols to send: the sum of what the channels owe
	demanded int                       // of them, those that repair what is known to be lost
	last     Time                      // when the last packet was covered
	since    Time                      // when a symbol became due
	from     uint16                    // what was covered last by then
	tried    Time                      // when it was last seen whether one may leave

	burst     int           // packets covered since a pause
	perBurst  float64       // in a burst, on average
	perPause  time.Duration // from one burst to the next, on average
	lastBurst Time          // when the last one began
}

// sentSymbol is a symbol that has arrived or may yet.
type sentSymbol struct {
	pn           uint64
	first, count uint16 // count is 0 when it was lost
	counts       bool   // it has arrived, or was sent for what is known to be lost
}

func (y *sentSymbol) end() uint16 { return y.first + y.count }

// at returns the place of a sequence.
func (r *repairSender) at(sequence uint16) *coveredPacket {
	return &r.covered[sequence%fec.Window]
}

// find returns the record of a covered packet, or nil when it has made room for another.
func (r *repairSender) find(p *sentPacket) *coveredPacket {
	if c := r.at(p.sequence); p.covered && c.sequence == p.sequence && c.pn == p.pn {
		return c
	}
	return nil
}

// span returns the run of packets that a symbol should cover now: from the oldest that may be missing to the
// newest, coverSpan at most; count is 0 when nothing may be.
func (r *repairSender) span(now Time) (first uint16, count int) {
	oldest, held := r.encoder.Held()
	end := oldest + uint16(held)
	for n := min(held, coverSpan); n > 0; n-- {
		if first = end - uint16(n); r.at(first).open(now) {
			return first, n
		}
	}
	return end, 0
}

const (
	// symbolPause is how long after the last covered packet symbols leave, so that they cover all of a burst
	// that an application gives piece by piece.
	symbolPause = time.Millisecond
	// symbolPatience is how long a symbol waits for the end of a burst at most: the pause between the packets
	// of 2.4 Mbit/s.
	symbolPatience = 4 * time.Millisecond
)

// repairPresses reports whether symbols that are due must go before messages that wait, or be of no use to the first of
// the packets that they are for.
//
// spec: FEC-31
func (s *Session) repairPresses() bool {
	return s.repair != nil && s.repair.send != nil && s.paths.active.loss.starting() && s.repair.send.pressing()
}

func (r *repairSender) pressing() bool {
	return r.owed >= 1 && r.encoder.Next()-r.from >= coverSpan-pressingSpan
}

// due is when the next symbol should leave; 0: none is owed.
func (r *repairSender) due() Time {
	if r.owed < 1 {
		return 0
	}
	if r.demanded > 0 {
		return r.tried // settleHeld has just asked for it
	}
	return min(r.last.Add(symbolPause), r.since.Add(symbolPatience))
}
