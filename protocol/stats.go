package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// Drops counts datagrams of a session that were dropped in silence, by cause.
type Drops struct {
	Malformed  uint64 // not the shape of a packet
	Unmatched  uint64 // names no path of the session
	Forged     uint64 // did not open
	Duplicate  uint64 // seen before, or too old to tell
	Unexpected uint64 // a handshake packet that nobody waited for
	Ended      uint64 // the session was over
	Memory     uint64 // there was no memory for what was in them: the peer sends it again
}

// SessionCounters is what a session counts. Bytes are of UDP payload.
type SessionCounters struct {
	DatagramsSent, DatagramsReceived uint64
	BytesSent, BytesReceived         uint64
	PacketsSent, PacketsReceived     uint64 // protected ones
	PacketsLost                      uint64 // declared lost, needlessly or not
	PacketsSpurious                  uint64 // of those, the ones that had arrived after all
	PacketsMarked                    uint64 // reported with the mark CE: congestion on the way
	ProbeTimeouts                    uint64 // times that the peer was silent and a probe was due
	CongestionEvents                 uint64 // times that the rate was reduced for loss or marks
	CongestionUndone                 uint64 // of those, the ones taken back since nothing had been lost
	PersistentCongestion             uint64 // times that nothing at all got through for long
	BlackHoles                       uint64 // times that a path was found to lose large datagrams only
	PathChanges                      uint64
	KeyUpdates                       uint64
	Dropped                          Drops
}

// Stats is what a session has seen so far.
type Stats struct {
	SessionCounters
	Messages MessageStats // of all channels
	Repair   RepairStats

	// Of the active path.
	Path                uint64 // its ID, which goes up with each change
	Addr                AddrPair
	RTT, MinRTT, RTTVar time.Duration // zero: not measured yet
	Window              int           // congestion window in bytes
	InFlight            int           // bytes
	PacingRate          uint64        // bytes per second
	MTU                 int           // largest datagram that is known to pass, in bytes of UDP payload
	ECN                 bool          // the path is known to carry ECN marks

	Sending   DirectionStats // what this end sends
	Receiving DirectionStats // what the peer sends

	// Quality is the lowest of the channels' in both directions, 0 to 100; without messages, that of the delay
	// alone. 0: nothing is known.
	Quality float64
}

// DirectionStats is how one direction of the path behaves.
type DirectionStats struct {
	// Lost is how many packets were lost: of those that this end sends, the ones declared lost that did not arrive
	// after all; of the peer's, numbers that have not come though 64 newer ones have. The peer leaves numbers
	// out now and then (REL-6), which look lost: one in 256 at first, one in 131,072 in the end.
	Lost uint64
	// Recent is the share, 0 to 1, of the last 64 packets that was lost, Loss that of the last minutes (the whole
	// time for what the peer sends).
	Recent, Loss float64
	// Bursts counts runs of lost packets of 1, 2, 3, 4, 5 to 8, 9 to 16, 17 to 32 and more. For what this end
	// sends it forgets: all count half when there are 256.
	Bursts [wire.BurstBuckets]uint64
	// Jitter is the mean change of the one-way delay from packet to packet (RFC 3550), Delay how much the
	// one-way delay is above the smallest one of the last 10 to 20 s, by messages with a stamp: those of channels
	// with a deadline or play-out. 0 without; for what this end sends, by the peer's last report.
	Jitter, Delay time.Duration
}

// Stats returns the counters of the session and the state of its path.
func (s *Session) Stats() Stats {
	st := Stats{SessionCounters: s.stats}
	for _, p := range s.paths.list {
		st.addPath(&p.loss.stats)
	}
	if s.messages != nil {
		st.Messages = s.messages.sum()
	}
	if s.repair != nil {
		st.Repair = s.repair.stats
		if s.repair.recv != nil {
			st.Repair.BurstsReceived = s.repair.recv.bursts.counts
		}
	}
	if p := s.paths.active; p != nil {
		st.setPath(p)
	}
	if s.messages != nil {
		s.messages.directions(&st)
	}
	return st
}

// setPath fills in what is true of the active path.
func (st *Stats) setPath(p *path) {
	l := &p.loss
	st.Path, st.Addr = p.id, p.addr
	if l.rtt.sampled {
		st.RTT, st.MinRTT, st.RTTVar = l.rtt.smoothed, l.rtt.min(), l.rtt.variance
		st.Quality = quality(st.RTT/2, 0)
	}
	st.Window, st.InFlight, st.MTU = l.window(), l.inFlight(), l.mtu.current()
	st.PacingRate = l.pacingRate()
	st.ECN = l.ecn.phase == ecnCapable
	out, in := &st.Sending, &st.Receiving
	out.Lost = st.PacketsLost - min(st.PacketsSpurious, st.PacketsLost)
	out.Recent, out.Loss = l.rate.fast(), l.rate.slow()
	if l.rate.bursts != nil {
		for i, n := range l.rate.bursts {
			out.Bursts[burstBucket(uint64(i)+1)] += uint64(n)
		}
	}
	if a := p.arrivals; a != nil {
		in.Lost, in.Bursts = a.lost, a.counts
		in.Recent = a.share()
		in.Loss = float64(a.lost) / float64(a.lost+st.PacketsReceived)
	}
}

// directions fills in what messages say of delays and quality.
func (m *messagesState) directions(st *Stats) {
	st.Receiving.Jitter, st.Receiving.Delay = m.clock.jitter, max(m.clock.extra, 0)
	newest := Time(0)
	rate := func(f *recentFates, playout time.Duration, late float64) {
		if f.known > 0 {
			st.Quality = min(st.Quality, quality(st.RTT/2+playout, min(1, f.share()+late)))
		}
	}
	for _, c := range m.outOrder {
		late := 0.0
		if p := c.peer; p != nil {
			late = p.late
			if p.at >= newest && p.report.JitterMicros+p.report.DelayMicros > 0 {
				newest = p.at
				st.Sending.Jitter, st.Sending.Delay = saturatedMicros(p.report.JitterMicros), saturatedMicros(p.report.DelayMicros)
			}
		}
		rate(&c.fates, c.playout, late)
	}
	for _, c := range m.inOrder {
		rate(&c.fates, c.playout, 0)
	}
}

// addPath adds the counters of a path.
func (st *SessionCounters) addPath(l *lossStats) {
	st.PacketsSpurious += l.spurious
	st.PacketsMarked += l.marked
	st.ProbeTimeouts += l.ptos
	st.CongestionEvents += l.episodes
	st.CongestionUndone += l.undos
	st.PersistentCongestion += l.persistent
	st.BlackHoles += l.blackHoles
}
