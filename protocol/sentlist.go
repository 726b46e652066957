package protocol

import (
	"sync"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// factKind says what a fact is about.
type factKind uint8

// The kinds of facts. What a and b hold is said where they are not used for nothing.
const (
	factAck               factKind = 1 + iota // a: token of ackState.append, b: path
	factPing                                  //
	factStream                                // a: offset, b: length<<1 | fin
	factReset                                 //
	factStop                                  //
	factMaxData                               // a: the limit
	factMaxStreamData                         // a: the limit
	factMaxStreams                            // a: 1 for one-way streams
	factDataBlocked                           // a: the limit
	factStreamDataBlocked                     // a: the limit
	factStreamsBlocked                        // a: 1 for one-way streams
	factNewID                                 // a: path, b: sequence
	factRetireID                              // a: path, b: sequence
	factPathChallenge                         //
	factPathResponse                          //
	factAddressToken                          //
	factTicket                                //
	factKeyPace                               //
	factDone                                  //
	factAckFrequency                          //
	factImmediateAck                          //
	factChannel                               // a: channel
	factMessage                               // a: position<<16 | channel, b: places from<<32 | to
	factSkip                                  // a: channel, b: next
)

// fact is one thing that a packet told the peer, so that its owner hears whether it arrived. Facts
// are sent again, packets are not.
type fact struct {
	kind   factKind
	stream *Stream // for facts about a stream
	a, b   uint64
}

// sentPacket is what is remembered of a packet until its fate is certain.
//
// The owner of a packet under construction sets facts, eliciting, inFlight, probe and ecn. All else
// belongs to lossState.
type sentPacket struct {
	pn    uint64
	sent  Time
	facts []fact // the backing array stays with the slot and is used again
	state congestion.SendState

	size    int32    // bytes of UDP payload
	run     uint32   // acknowledged packets from here on that can be skipped, this one included
	episode uint32   // the episode of loss that it belongs to, when lost
	ecn     wire.ECN // the mark that it left with

	eliciting bool // wants to be acknowledged
	inFlight  bool // counts against the window until its fate is certain
	urgent    bool // has messages of the latency class
	latency   bool // left on the allowance of the latency class, beyond what bulk data may
	repeat    bool // has nothing but copies of messages: does not put a probe off
	rides     bool // its acknowledgement may wait for rideDelay
	probe     bool // tries a datagram size; its loss is no sign of congestion
	acked     bool
	lost      bool // was declared lost; acked as well: the loss was spurious
	skipped   bool // the number was never sent

	covered   bool   // symbols may repair it
	recovered bool   // and have: the peer says so
	symbol    bool   // it has a symbol, and nothing else
	sequence  uint16 // of a covered packet
}

// reset makes the slot ready for another packet and keeps the room for facts.
func (p *sentPacket) reset(pn uint64) {
	facts := p.facts[:0]
	*p = sentPacket{pn: pn, facts: facts}
}

// forget drops the facts, and with them the references to streams.
func (p *sentPacket) forget() {
	clear(p.facts)
	p.facts = p.facts[:0]
}

// takeFact has p say what the packet before it said, if both say nothing but that bytes of a stream are in them, one
// behind the other. It reports whether they do: then the fate of both is told with p's. It serves acknowledgements of
// bulk data, whose bytes are then acknowledged in long pieces.
func (p *sentPacket) takeFact(before *sentPacket) bool {
	if p.acked || !p.plainData() || !before.plainData() {
		return false
	}
	f, b := &p.facts[0], &before.facts[0]
	length, fin := b.b>>1, b.b&1 != 0
	if f.stream != b.stream || fin || b.a+length != f.a {
		return false
	}
	f.a, f.b = b.a, f.b+b.b
	return true
}

// plainData reports whether a packet that was not taken for lost has bytes of one stream, and nothing else that matters.
func (p *sentPacket) plainData() bool {
	return len(p.facts) == 1 && p.facts[0].kind == factStream && !p.lost && !p.covered && !p.symbol
}

// hasData reports whether the packet says more than that its sender is there.
func (p *sentPacket) hasData() bool {
	for i := range p.facts {
		if k := p.facts[i].kind; k != factAck && k != factPing {
			return true
		}
	}
	return false
}

// answerable returns from when on the peer has no reason to hold its acknowledgement back, but for its max ack delay.
func (p *sentPacket) answerable() Time {
	if p.rides { // spec: REL-45
		return p.sent.Add(rideDelay)
	}
	return p.sent
}

// outstanding reports whether the fate of the packet is open.
func (p *sentPacket) outstanding() bool { return !p.acked && !p.lost && !p.skipped }

// minSentSlots is the smallest ring: a few round trips of a session that sends ticks.
const minSentSlots = 16

// sentList holds the packets base to next-1 in a ring indexed by packet number. Slots are used
// again, with the room of their facts, so that sending costs no allocation once the ring has grown
// to the window. Pointers into it end with the next reserve.
type sentList struct {
	slots      []sentPacket // the length is a power of two
	base, next uint64
}

func (l *sentList) at(pn uint64) *sentPacket { return &l.slots[pn&uint64(len(l.slots)-1)] }

func (l *sentList) len() int { return int(l.next - l.base) }

// reserve makes room for n more packets.
func (l *sentList) reserve(n int) {
	need := l.len() + n
	if need <= len(l.slots) {
		return
	}
	size := max(minSentSlots, len(l.slots))
	for size < need {
		size *= 2
	}
	slots := newSlots(size)
	for pn := l.base; pn < l.next; pn++ {
		slots[pn&uint64(size-1)] = *l.at(pn)
	}
	l.slots = slots
}

// release frees the ring. The list must be empty.
func (l *sentList) release() {
	if l.len() != 0 {
		panic("BUG: releasing packets whose fate is open")
	}
	if len(l.slots) == minSentSlots {
		for i := range l.slots {
			l.slots[i].forget()
		}
		slotsPool.Put((*[minSentSlots]sentPacket)(l.slots))
	}
	l.slots = nil
}

// slotsPool holds smallest rings: sessions that say something now and then take turns with them.
var slotsPool = sync.Pool{New: func() any { return new([minSentSlots]sentPacket) }}

func newSlots(n int) []sentPacket {
	if n == minSentSlots {
		return slotsPool.Get().(*[minSentSlots]sentPacket)[:]
	}
	return make([]sentPacket, n)
}

const (
	// Numbers are skipped at random, so that a peer that acknowledges what it did not get is found
	// out: once in firstSkip numbers on a new path, where it would gain most, and then ever less
	// often, down to once in lastSkip, where the skips cost nothing.
	firstSkip = 256
	lastSkip  = 131072
	// rememberedSkips is how many skipped numbers acknowledgements are checked against. In flight are
	// not more: each skip doubles the distance to the next.
	rememberedSkips = 16
)

// skipper chooses the packet numbers that are never sent.
type skipper struct {
	random   func() uint64
	next     uint64 // the next number to skip
	interval uint64
	recent   *[rememberedSkips]uint64 // plus one, so that 0 is none; made with the first
	n        int
}

// reset starts again at the highest rate, for numbers from pn on.
// spec: REL-7
func (s *skipper) reset(pn uint64) {
	s.interval = firstSkip
	s.draw(pn)
}

// draw chooses the next number to skip: uniform, once in interval numbers on average.
func (s *skipper) draw(from uint64) {
	s.next = from + 1 + s.random()%(2*s.interval-1)
}

// skipped notes that the number chosen was left out.
func (s *skipper) skipped() {
	if s.recent == nil {
		s.recent = new([rememberedSkips]uint64)
	}
	s.recent[s.n%rememberedSkips] = s.next + 1
	s.n++
	s.interval = min(2*s.interval, lastSkip)
	s.draw(s.next)
}

// since reports whether a number from pn on was skipped.
func (s *skipper) since(pn uint64) bool {
	return s.n > 0 && s.recent[(s.n-1)%rememberedSkips] > pn
}

// within reports whether one of the numbers start to end-1 was skipped lately.
func (s *skipper) within(start, end uint64) bool {
	if s.n == 0 {
		return false
	}
	for _, pn := range s.recent[:min(s.n, rememberedSkips)] {
		if pn-1 >= start && pn-1 < end {
			return true
		}
	}
	return false
}
