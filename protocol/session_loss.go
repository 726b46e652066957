package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// maxPeerAckDelay bounds the acknowledgement delay that a peer may claim, so that it cannot push
// our probe timeouts out.
const maxPeerAckDelay = time.Second

// sentHandler is a Session in its role of taking back what became of packets.
type sentHandler Session

// packetAcked takes the facts of a packet that arrived.
func (h *sentHandler) packetAcked(p *sentPacket) {
	s := (*Session)(h)
	if p.covered {
		s.coveredAcked(p)
	}
	if p.symbol {
		s.symbolFate(p, true)
	}
	for i := range p.facts {
		s.factAcked(&p.facts[i], p.lost)
	}
}

// packetLost sends the facts of a packet again that is lost.
func (h *sentHandler) packetLost(p *sentPacket) {
	s := (*Session)(h)
	s.stats.PacketsLost++
	if p.symbol {
		s.symbolFate(p, false)
	}
	held := s.holdLost(p)
	for i := range p.facts {
		if f := &p.facts[i]; held == nil || f.kind != factMessage {
			s.factLost(f, false)
		} else {
			held.facts = append(held.facts, *f)
		}
	}
}

// packetProbed sends the facts of a packet again that may be lost, since it is the oldest when a
// probe is due.
func (h *sentHandler) packetProbed(p *sentPacket) {
	s := (*Session)(h)
	for i := range p.facts {
		s.factLost(&p.facts[i], true)
	}
}

// factAcked takes the news that a fact arrived, with late set after it had been taken for lost.
func (s *Session) factAcked(f *fact, late bool) {
	switch f.kind {
	case factAck:
		if p := s.paths.find(f.b); p != nil {
			p.acks.ackedAck(f.a)
		}
	case factNewID:
		s.ids.newIDDelivered(f.a, true)
	case factRetireID:
		s.ids.retireDelivered(f.a, true)
	case factDone:
		s.control.done = delivered(s.control.done, true)
	case factAddressToken:
		s.control.token, s.control.addressToken = delivered(s.control.token, true), nil
	case factPing:
	case factChannel, factMessage, factSkip:
		s.messages.ackedFact(*f, late)
	default:
		s.streams.acked(*f)
	}
}

// factLost has a fact sent again that is lost, or with probed may be.
func (s *Session) factLost(f *fact, probed bool) {
	switch f.kind {
	case factAck, factPing:
	case factNewID:
		s.ids.newIDDelivered(f.a, false)
	case factRetireID:
		s.ids.retireDelivered(f.a, false)
	case factDone:
		s.control.done = delivered(s.control.done, false)
	case factAddressToken:
		s.control.token = delivered(s.control.token, false)
	case factChannel, factMessage, factSkip:
		s.messages.lostFact(*f, probed)
	default:
		s.streams.lost(*f)
	}
}

// peerAckDelay is how long the peer may hold an acknowledgement back.
func (s *Session) peerAckDelay() time.Duration {
	return min(time.Duration(s.remote.MaxAckDelayMillis)*time.Millisecond, maxPeerAckDelay)
}

func microseconds(v uint64) time.Duration {
	return time.Duration(min(v, uint64(maxPeerAckDelay/time.Microsecond))) * time.Microsecond
}

// controlState owns the facts that a server tells once, after the handshake.
type controlState struct {
	done    delivery // DONE: the handshake is complete
	token   delivery // ADDRESS_TOKEN, of addressToken
	greased bool     // a frame that nobody knows was sent

	// addressToken is what a server has to tell, nil when that has arrived; at a client, the last one from the server.
	addressToken *[wire.CookieSize]byte

	ackWishes uint64 // one above the highest ACK_FREQUENCY so far
}

func (c *controlState) pending() bool { return c.done == deliveryDue || c.token == deliveryDue }

// appendSessionFacts writes DONE and the address token.
func (s *Session) appendSessionFacts(b *packetBuilder) {
	c := &s.control
	if c.done == deliveryDue && appendFrame(b, wire.Done{}, fact{kind: factDone}) {
		c.done = deliverySent
	}
	if c.token == deliveryDue && appendFrame(b, wire.AddressToken{Token: *c.addressToken}, fact{kind: factAddressToken}) {
		c.token = deliverySent
	}
}
