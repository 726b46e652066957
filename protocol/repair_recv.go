package protocol

import (
	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// reportRepeats is in how many packets a report goes, since nobody says whether it arrived.
	reportRepeats = 3
	// maxAwaited is how many ranges of numbers that were recovered are told from duplicates, should they still come.
	maxAwaited = 32
	// maxReported is how many ranges of recovered numbers a report has at most: the newest.
	maxReported = 8
)

// repairReceiver is the receiver's half of the code, and what it has to say of the peer's packets on one path:
// the one on which the last symbol helped.
type repairReceiver struct {
	decoder   fec.Decoder
	path      uint64
	count     uint64   // packets recovered on the path
	recovered rangeset // the newest of them
	awaited   rangeset // recovered numbers whose packets may still come
	repeats   int      // packets in which the report is to go
	bursts    burstMeter
}

// receiver returns the receiver's half, which the first use makes.
func (r *repairState) receiver() *repairReceiver {
	if r.recv == nil {
		r.recv = &repairReceiver{}
	}
	return r.recv
}

// handleRepair takes a REPAIR frame. What it brings back is taken when the packet is done with.
func (s *Session) handleRepair(b []byte, kinds *frameKinds) int {
	f, n := wire.ParseRepair(b)
	if n < 0 || kinds.recovered { // spec: FEC-32
		return n
	}
	r := s.repairing()
	r.stats.SymbolsReceived++
	switch r.receiver().decoder.AddSymbol(f.First, f.Count, f.Seed, f.Data) {
	case fec.Late, fec.Needless:
		r.stats.SymbolsNeedless++
	case fec.Malformed, fec.Contradictory:
		r.stats.SymbolsRefused++
	}
	kinds.repair = true
	return n
}

// handleSource notes that a packet is covered: SOURCE comes first in it, and all else is what is covered.
//
// spec: FEC-30
func handleSource(b []byte, kinds *frameKinds) (int, error) {
	f, n := wire.ParseSource(b)
	if n < 0 {
		return n, nil
	}
	if !kinds.first || kinds.recovered {
		return 0, transportErrorf(wire.ProtocolViolation, wire.FrameSource, "not the first frame of its packet")
	}
	kinds.source, kinds.sequence, kinds.content = true, f.Sequence, b[n:]
	return n, nil
}

// takeSource gives the code a covered packet that arrived.
func (s *Session) takeSource(p *path, pn uint64, kinds *frameKinds) {
	var head [16]byte
	h := wire.AppendVarint(wire.AppendVarint(head[:0], p.id), pn)
	s.repairing().receiver().decoder.AddSource(kinds.sequence, h, kinds.content)
	kinds.repair = true
}

// takeRecovered takes the packets that the code has brought back.
func (s *Session) takeRecovered(now Time) {
	r := s.repair.recv
	for s.state == stateEstablished {
		_, content, ok := r.decoder.Next()
		if !ok {
			return
		}
		s.repair.stats.RecoveredHere++
		s.handleRecovered(now, content)
	}
}

// handleRecovered takes one packet that the code has brought back. It is as authentic as the symbols, and passes
// the replay window under its own number. A symbol leaves after what it covers: a number above all that came on
// the path is no honest one.
//
// spec: FEC-32
func (s *Session) handleRecovered(now Time, content []byte) {
	id, n := wire.ConsumeVarint(content)
	if n < 0 {
		s.repair.stats.RecoveredUnused++
		return
	}
	pn, m := wire.ConsumeVarint(content[n:])
	p := s.paths.find(id)
	if m < 0 || p == nil || !p.received || pn >= p.largest || !p.replay.Check(pn) {
		s.repair.stats.RecoveredUnused++
		return
	}
	p.replay.Set(pn)
	kinds := frameKinds{recovered: true, place: packetPlace{p.id, pn}}
	if err := s.handleFrames(now, &AddrPair{}, p, content[n+m:], &kinds); err != nil {
		s.fail(now, err)
		return
	}
	if !s.streams.book.tookAll() || kinds.old { // spec: MSG-7 SESS-26
		s.repair.stats.RecoveredUnused++
		return
	}
	s.repair.recv.note(p.id, pn)
	p.acks.requestNow()
}

// skipMoment passes over a frame that describes a moment which has passed, in a packet that was recovered, and
// returns its length behind the type; ok is false for frames that count.
//
// spec: FEC-32
func skipMoment(typ wire.FrameType, b []byte) (n int, ok bool) {
	switch {
	case typ.IsAck():
		_, n = wire.ParseAck(typ, b)
	case typ == wire.FramePathChallenge:
		_, n = wire.ParsePathChallenge(b)
	case typ == wire.FramePathResponse:
		_, n = wire.ParsePathResponse(b)
	case typ == wire.FrameNewSessionID:
		_, n = wire.ParseNewSessionID(b)
	case typ == wire.FrameRetireSessionID:
		_, n = wire.ParseRetireSessionID(b)
	case typ == wire.FrameRepairReport:
		_, n = wire.ParseRepairReport(b)
	case typ == wire.FrameClose || typ == wire.FrameCloseApp:
		_, n = wire.ParseClose(typ, b)
	default:
		return 0, false
	}
	return n, true
}

// note has a recovered number reported, at once.
func (r *repairReceiver) note(path, pn uint64) {
	if r.path != path {
		r.path, r.count, r.recovered, r.awaited = path, 0, r.recovered[:0], r.awaited[:0]
	}
	r.count++
	r.recovered.add(pn, pn+1)
	r.recovered.dropOldest(maxReported)
	r.awaited.add(pn, pn+1)
	r.awaited.dropOldest(maxAwaited)
	r.repeats = reportRepeats
}

// cameAfterAll reports whether a packet was recovered before it came, for the first time. All it said is known, but it was
// late, not lost.
func (r *repairState) cameAfterAll(path, pn uint64) bool {
	if r.recv == nil || r.recv.path != path || !r.recv.awaited.contains(pn) {
		return false
	}
	r.recv.awaited.sub(pn, pn+1)
	return true
}

// appendReport writes what was recovered beside the first acknowledgements after the news. The first one goes even if
// a message must then wait for the next packet.
//
// spec: FEC-33
func (s *Session) appendReport(b *packetBuilder) {
	if s.repair == nil || s.repair.recv == nil || s.repair.recv.repeats == 0 || b.nAcks == 0 {
		return
	}
	r := s.repair.recv
	reserved := 0
	if r.repeats < reportRepeats {
		reserved = s.streams.nextWhole()
	}
	before := len(b.buf)
	b.buf = wire.AppendRepairReport(b.buf, r.path, r.count, r.recovered, r.bursts.counts)
	if len(b.buf) > b.limit-reserved {
		b.buf = b.buf[:before]
		return
	}
	r.repeats--
}

// burstMeter counts how many packets in a row are lost, when what is late has had the time of burstLag more
// packets to come. The zero value is ready.
type burstMeter struct {
	path   uint64
	end    uint64 // one more than the largest number; 0: nothing came
	seen   uint64 // of the burstLag numbers before, the newest in the lowest bit
	run    uint64 // lost in a row
	lost   uint64
	counts [wire.BurstBuckets]uint64
}

// burstLag is the bits of a word.
const burstLag = 64

// arrived takes the number of a packet.
func (m *burstMeter) arrived(path, pn uint64) {
	if m.end == 0 || m.path != path {
		m.path, m.end, m.seen, m.run = path, pn+1, ^uint64(0), 0
		return
	}
	if pn < m.end {
		if back := m.end - 1 - pn; back < burstLag {
			m.seen |= 1 << back
		}
		return
	}
	ahead := pn + 1 - m.end
	for range min(ahead, burstLag) {
		m.settle(m.seen>>(burstLag-1) == 1)
		m.seen <<= 1
	}
	if ahead > burstLag {
		m.run += ahead - burstLag
		m.lost += ahead - burstLag
	}
	m.seen |= 1
	m.end = pn + 1
}

func (m *burstMeter) settle(came bool) {
	if !came {
		m.lost++
		m.run++
		return
	}
	if m.run > 0 {
		m.counts[burstBucket(m.run)]++
		m.run = 0
	}
}

// burstBucket returns the bucket of the histogram of REPAIR_REPORT that a run belongs in.
func burstBucket(run uint64) int {
	switch {
	case run <= 4:
		return int(run) - 1
	case run <= 8:
		return 4
	case run <= 16:
		return 5
	case run <= 32:
		return 6
	}
	return 7
}
