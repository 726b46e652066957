package protocol

import "math/bits"

// noteArrival notes the number of a packet of the peer's. As long as each is the next one there is nothing to
// remember.
func (p *path) noteArrival(pn uint64) {
	if p.arrivals == nil {
		if !p.received || pn <= p.largest+1 {
			return
		}
		p.arrivals = &burstMeter{path: p.id, end: p.largest + 1, seen: ^uint64(0)}
	}
	p.arrivals.arrived(p.id, pn)
}

// keepArrivals has the active path go on with what one that ends has counted.
func (s *Session) keepArrivals(p *path) {
	q := s.paths.active
	if p.arrivals == nil || q == nil || q == p {
		return
	}
	if q.arrivals == nil {
		q.arrivals = &burstMeter{path: q.id}
		if q.received {
			q.arrivals.end, q.arrivals.seen = q.largest+1, ^uint64(0)
		}
	}
	q.arrivals.lost += p.arrivals.lost
	for i, n := range p.arrivals.counts {
		q.arrivals.counts[i] += n
	}
}

// share returns the share of the newest numbers that has not come.
func (m *burstMeter) share() float64 {
	return float64(burstLag-bits.OnesCount64(m.seen)) / burstLag
}
