package protocol

import "time"

// Drops counts datagrams of a session that were dropped in silence, by cause.
type Drops struct {
	Malformed  uint64 // not the shape of a packet
	Unmatched  uint64 // names no path of the session
	Forged     uint64 // did not open
	Duplicate  uint64 // seen before, or too old to tell
	Unexpected uint64 // a handshake packet that nobody waited for
	Ended      uint64 // the session was over
}

// Stats is what a session has seen so far. Bytes are of UDP payload.
type Stats struct {
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
	Messages                         MessageStats
	Repair                           RepairStats

	// Of the active path.
	RTT, MinRTT, RTTVar time.Duration // zero: not measured yet
	Window              int           // congestion window in bytes
	InFlight            int           // bytes
	MTU                 int           // largest datagram that is known to pass, in bytes of UDP payload
	ECN                 bool          // the path is known to carry ECN marks
}

// Stats returns the counters of the session.
func (s *Session) Stats() Stats {
	st := s.stats
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
	p := s.paths.active
	if p == nil {
		return st
	}
	if p.loss.rtt.sampled {
		st.RTT, st.MinRTT, st.RTTVar = p.loss.rtt.smoothed, p.loss.rtt.min(), p.loss.rtt.variance
	}
	st.Window, st.InFlight, st.MTU = p.loss.window(), p.loss.inFlight(), p.loss.mtu.current()
	st.ECN = p.loss.ecn.phase == ecnCapable
	return st
}

// addPath adds the counters of a path.
func (st *Stats) addPath(l *lossStats) {
	st.PacketsSpurious += l.spurious
	st.PacketsMarked += l.marked
	st.ProbeTimeouts += l.ptos
	st.CongestionEvents += l.episodes
	st.CongestionUndone += l.undos
	st.PersistentCongestion += l.persistent
	st.BlackHoles += l.blackHoles
}
