package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// SendState is what the sampler must remember about a packet in flight. It belongs into the record
// of the packet; its zero value is no state.
type SendState struct {
	delivered     uint64        // bytes delivered on the path when the packet left
	deliveredTime monotime.Time // when the last of them was acknowledged
	firstSent     monotime.Time // send time of the packet whose acknowledgement opened this flight
	lost          uint64        // bytes lost on the path when the packet left
	inFlight      int32         // bytes in flight, the packet included
	appLimited    bool          // the application had nothing more to send at some time before
}

// RateSample is an estimate of the rate at which the path delivered one flight of data
// (draft-ietf-ccwg-bbr-06, section 4.1, formerly draft-cheng-iccrg-delivery-rate-estimation).
type RateSample struct {
	// BytesPerSecond is the delivery rate; 0: the interval was too short to tell.
	BytesPerSecond uint64
	// Delivered bytes arrived during Interval, Lost bytes were declared lost.
	Delivered, Lost uint64
	Interval        time.Duration
	// PriorDelivered bytes had been delivered on the path when the packet that the sample is taken
	// from left; with Delivered, that makes all that has been delivered.
	PriorDelivered uint64
	// TxInFlight is what was in flight when the packet that the sample is taken from left.
	TxInFlight int
	// AppLimited says that the application, not the path, may have limited the rate: the sample is
	// a lower bound.
	AppLimited bool
}

// RateSampler measures the delivery rate of a path. Its zero value is ready.
//
// For each packet: OnSent, and one OnAcked or OnLost. After the packets of one acknowledgement
// frame, of which an AckedFrame is kept: Sample. It also counts rounds: a round ends when a packet is acknowledged that was sent
// after the previous round ended.
type RateSampler struct {
	delivered     uint64 // bytes acknowledged since the start
	lost          uint64 // bytes declared lost since the start
	deliveredTime monotime.Time
	firstSent     monotime.Time
	appLimited    uint64 // while nonzero: samples are limited until this many bytes are delivered
	roundEnd      uint64 // a packet sent when this much had been delivered opens the next round
}

// AckedFrame is the newest packet that an acknowledgement frame reports as arrived. Its zero value is a frame without
// one.
type AckedFrame struct {
	newest SendState
	sent   monotime.Time
	have   bool
}

// OnSent returns what to remember about a packet that leaves now; inFlight includes it.
func (s *RateSampler) OnSent(now monotime.Time, size, inFlight int) SendState {
	if inFlight <= size {
		// The path was empty: a flight begins, and idle time must not count as delivery time.
		s.firstSent, s.deliveredTime = now, now
	}
	return SendState{
		delivered: s.delivered, deliveredTime: s.deliveredTime, firstSent: s.firstSent,
		lost: s.lost, inFlight: int32(inFlight), appLimited: s.appLimited != 0,
	}
}

// OnAcked takes note of a packet that arrived. Packets may come in any order within a frame.
func (s *RateSampler) OnAcked(f *AckedFrame, now, sent monotime.Time, size int, p *SendState) {
	s.delivered += uint64(size)
	s.deliveredTime = now
	if f.have && !newerSend(p, sent, &f.newest, f.sent) {
		return
	}
	f.newest, f.sent, f.have = *p, sent, true
	s.firstSent = sent
}

// newerSend reports whether packet p left after packet q. What leaves at one instant differs in what
// is in flight.
func newerSend(p *SendState, sent monotime.Time, q *SendState, qSent monotime.Time) bool {
	switch {
	case sent != qSent:
		return sent.After(qSent)
	case p.delivered != q.delivered:
		return p.delivered > q.delivered
	}
	return p.inFlight > q.inFlight
}

// OnLost takes note of a packet that was declared lost.
func (s *RateSampler) OnLost(size int) { s.lost += uint64(size) }

// OnLostPacket is OnLost, and returns what a LossObserver wants to know of the packet.
func (s *RateSampler) OnLostPacket(size int, p *SendState) PacketLoss {
	s.OnLost(size)
	return PacketLoss{
		Bytes: size, TxInFlight: int(p.inFlight), Lost: s.lost - min(s.lost, p.lost), AppLimited: p.appLimited,
	}
}

// OnSpurious takes back OnLost: the packet arrived after all.
func (s *RateSampler) OnSpurious(size int) { s.lost -= min(s.lost, uint64(size)) }

// SetAppLimited marks what is sent from now on, until everything in flight is delivered: the
// sender could have sent more than the application gave it.
func (s *RateSampler) SetAppLimited(inFlight int) {
	s.appLimited = max(s.delivered+uint64(inFlight), 1)
}

// AppLimited reports whether a packet sent now would be marked.
func (s *RateSampler) AppLimited() bool { return s.appLimited != 0 }

// Delivered returns the bytes acknowledged since the start.
func (s *RateSampler) Delivered() uint64 { return s.delivered }

// Sample ends the frame. It returns the rate that the newest packet of the frame gives, and whether
// a new round began. An interval below minRTT comes from compressed acknowledgements and gives no
// rate.
func (s *RateSampler) Sample(f *AckedFrame, minRTT time.Duration) (r RateSample, roundStart bool) {
	if s.appLimited != 0 && s.delivered > s.appLimited {
		s.appLimited = 0
	}
	if !f.have {
		return RateSample{}, false
	}
	f.have = false
	p := &f.newest
	if p.delivered >= s.roundEnd {
		s.roundEnd, roundStart = s.delivered, true
	}
	r.AppLimited = p.appLimited
	r.PriorDelivered, r.Delivered = p.delivered, s.delivered-p.delivered
	r.Lost = s.lost - min(s.lost, p.lost)
	r.TxInFlight = int(p.inFlight)
	// "The delivery rate sample is the smaller of the send rate and the ack rate": over the longer
	// of the two intervals.
	r.Interval = max(f.sent.Sub(p.firstSent), s.deliveredTime.Sub(p.deliveredTime))
	if r.Interval <= 0 || r.Interval < minRTT {
		return r, roundStart
	}
	r.BytesPerSecond = uint64(float64(r.Delivered) / r.Interval.Seconds())
	return r, roundStart
}
