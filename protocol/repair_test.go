package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

// media is a message of a stream that is worth repair.
var media = MessageOptions{Channel: 3, Mode: wire.ReliableOrdered, Deadline: 150 * time.Millisecond}

// expectLoss has an end believe that every n-th packet is lost on its path.
func expectLoss(now Time, s *Session, n int) {
	r := &s.paths.active.loss.rate
	for i := range 1000 {
		if i%n == 0 {
			r.lost(now)
		} else {
			r.arrived(now)
		}
	}
}

// warmFrames is how many frames a mediaPair has sent.
const warmFrames = 40

// mediaPair is a pair whose client believes in 10 % of loss and has announced its channel.
func mediaPair(t testing.TB, options ...pairOption) *pair {
	p := connected(t, append(options, func(client, server *Config, _ *EndpointConfig) {
		client.MaxDatagram, server.MaxDatagram = 1452, 1452 // a packet has one message
	})...)
	got := map[uint16]mail{}
	for n := range warmFrames { // so that the window has grown, and repair may cost something
		p.sendFrame(10*n, 10)
		p.idle(16 * time.Millisecond)
	}
	p.idle(500 * time.Millisecond)
	collect(p.ss, got)
	require.Len(t, got[media.Channel].numbers(t), 10*warmFrames)
	expectLoss(p.now, p.cs, 10)
	return p
}

// sendFrame sends a burst of media.
func (p *pair) sendFrame(first, n int) {
	for i := range n {
		p.sendMessage(p.cs, numbered(first+i, 1000), media)
	}
}

// losing drops the datagrams to the server with these places, counted from now on.
func (p *pair) losing(places ...int) {
	base := p.count[0]
	p.filter = func(toServer bool, n int, _ []byte) int {
		for _, k := range places {
			if toServer && n == base+k {
				return 0
			}
		}
		return 1
	}
}

// spec: FEC-32 FEC-33
func TestLostPacketsComeBackWithinABurst(t *testing.T) {
	p := mediaPair(t)
	p.losing(2, 5)
	from := p.now
	first, _ := p.cs.paths.active.loss.largestAcked()
	p.sendFrame(10*warmFrames, 10)
	got := map[uint16]mail{}
	require.True(t, p.run(time.Second, func() bool { collect(p.ss, got); return len(got[3]) == 10 }))
	require.IsIncreasing(t, got[3].numbers(t))
	require.Less(t, p.now.Sub(from), p.delay+3*symbolPause, "without a round trip")
	require.EqualValues(t, 2, p.ss.Stats().Repair.RecoveredHere)
	require.Zero(t, p.ss.Stats().Repair.RecoveredUnused)
	p.idle(time.Second)
	st := p.cs.Stats()
	require.EqualValues(t, 2, st.Repair.Recovered, "the sender is told")
	require.EqualValues(t, 10*warmFrames+10, st.Messages.Acknowledged)
	require.Zero(t, st.Messages.Retransmitted, "and sends nothing again")
	require.EqualValues(t, 2, st.PacketsLost, "but the packets are lost")
	for _, lost := range []uint64{first + 3, first + 6} {
		require.False(t, p.ss.paths.active.acks.seen.contains(lost), "packet %d did not come", lost)
		require.False(t, p.ss.paths.active.replay.Check(lost), "and is not taken any more")
	}
}

// spec: FEC-32
func TestRecoveredPacketsAreTakenOnceAndTheirMomentIsPast(t *testing.T) {
	p := mediaPair(t)
	next := uint16(100)
	// recover has the server recover a packet of the client's that never came.
	recover := func(above uint64, frames ...byte) (pn uint64) {
		p.craft(p.cs, byte(wire.FramePing)) // never arrives
		pn = p.cs.paths.active.loss.list.next - 1 + above
		var e fec.Encoder
		e.Reset(next)
		next++
		e.Add(wire.AppendVarint(wire.AppendVarint(nil, 0), pn), frames)
		p.toServer(wire.Repair{First: next - 1, Count: 1, Seed: 1, Data: e.AppendSymbol(nil, next-1, 1, 1)}.Append(nil)...)
		return pn
	}
	unused := func() uint64 { return p.ss.Stats().Repair.RecoveredUnused }

	path := p.ss.paths.active
	id := wire.NewSessionID{Path: 9, Sequence: 1, ID: wire.MakeID([]byte("12345678"))} // breaks a rule
	report := wire.AppendRepairReport(nil, 0, 1, []wire.Range{{Start: 90000, End: 90001}}, [wire.BurstBuckets]uint64{})
	for _, moment := range [][]byte{
		wire.Close{Code: 3}.Append(nil), id.Append(nil), report,
		wire.RetireSessionID{Path: 0}.Append(nil),
		wire.AppendAck(nil, 0, 0, []wire.Range{{Start: 90000, End: 90001}}, wire.AckExtras{}),
		wire.PathChallenge{}.Append(nil), wire.PathResponse{}.Append(nil),
		wire.Repair{Count: 1, Data: []byte{0, 1, 2}}.Append(nil),
	} {
		pn := recover(0, moment...)
		require.NoError(t, p.ss.Err(), "%x", moment)
		require.Zero(t, unused())
		require.False(t, path.acks.seen.contains(pn))
		require.Nil(t, path.response)
	}
	limit := wire.MaxData{Max: 1 << 40}.Append(nil)
	recover(0, limit...)
	require.EqualValues(t, 1<<40, p.ss.streams.max, "other frames count")

	largest := path.largest
	recover(1000, limit...)
	require.EqualValues(t, 1, unused(), "a number that cannot have been sent yet")
	require.Less(t, path.largest, largest+10)

	pn := p.cs.paths.active.loss.nextPN()
	late := p.craft(p.cs, byte(wire.FramePing))
	var e fec.Encoder
	e.Reset(next)
	e.Add(wire.AppendVarint(wire.AppendVarint(nil, 0), pn), limit)
	symbol := wire.Repair{First: next, Count: 1, Seed: 1, Data: e.AppendSymbol(nil, next, 1, 1)}.Append(nil)
	p.toServer(symbol...)
	duplicates, packets := p.ss.Stats().Dropped.Duplicate, p.ss.Stats().PacketsReceived
	require.False(t, path.acks.seen.contains(pn))
	p.give(p.ss, late, p.clientAddr)
	require.True(t, path.acks.seen.contains(pn), "it was late, not lost")
	p.give(p.ss, late, p.clientAddr)
	require.Equal(t, duplicates+1, p.ss.Stats().Dropped.Duplicate, "it passed the replay window under its own number")
	require.Equal(t, packets, p.ss.Stats().PacketsReceived)

	came := path.largest - 1
	e.Reset(next + 1)
	e.Add(wire.AppendVarint(wire.AppendVarint(nil, 0), came), limit)
	p.toServer(wire.Repair{First: next + 1, Count: 1, Seed: 1, Data: e.AppendSymbol(nil, next+1, 1, 1)}.Append(nil)...)
	require.EqualValues(t, 2, unused(), "it had come")
	require.NoError(t, p.ss.Err())
}

// spec: FEC-30 FEC-33 ERR-3
func TestRepairThatBreaksTheRulesClosesTheSession(t *testing.T) {
	source := wire.Source{Sequence: 7}.Append(nil)
	report := func(pn uint64) []byte {
		return wire.AppendRepairReport(nil, 0, 1, []wire.Range{{Start: pn, End: pn + 1}}, [wire.BurstBuckets]uint64{})
	}
	hidden := func(pn uint64, content ...byte) []byte {
		var e fec.Encoder
		e.Add(wire.AppendVarint([]byte{0}, pn), content)
		return wire.Repair{Count: 1, Data: e.AppendSymbol(nil, 0, 1, 0)}.Append(nil)
	}
	for name, test := range map[string]struct {
		frames []byte
		code   wire.ErrorCode
	}{
		"SOURCE behind another frame":            {append([]byte{byte(wire.FramePing)}, source...), wire.ProtocolViolation},
		"SOURCE twice":                           {append(source, source...), wire.ProtocolViolation},
		"a report of a packet never sent":        {report(90000), wire.ProtocolViolation},
		"a report of a packet that has no cover": {report(1 << 20), wire.ProtocolViolation},
	} {
		t.Run(name, func(t *testing.T) {
			p := mediaPair(t)
			p.sendMessage(p.ss, numbered(0, 10), MessageOptions{})
			p.ss.repairing()
			if name == "a report of a packet that has no cover" {
				_, _, ok := p.ss.AppendDatagram(p.now, nil)
				require.True(t, ok)
				test.frames = report(p.ss.paths.active.loss.list.next - 1)
			}
			p.toServer(test.frames...)
			var closed *TransportError
			require.ErrorAs(t, p.ss.Err(), &closed)
			require.Equal(t, test.code, closed.Code)
		})
	}
	t.Run("SOURCE in a content", func(t *testing.T) {
		p := connected(t)
		p.craft(p.cs, byte(wire.FramePing)) // never arrives
		p.toServer(hidden(p.cs.paths.active.loss.list.next-1, source...)...)
		var closed *TransportError
		require.ErrorAs(t, p.ss.Err(), &closed)
		require.Equal(t, wire.ProtocolViolation, closed.Code)
	})
	t.Run("a symbol for an end without channels", func(t *testing.T) {
		p := connected(t, func(_, server *Config, _ *EndpointConfig) {
			params := DefaultParameters()
			params.MaxChannels = 0
			server.Params = &params
		})
		p.toServer(hidden(0, byte(wire.FramePing))...)
		var closed *TransportError
		require.ErrorAs(t, p.ss.Err(), &closed)
		require.Equal(t, wire.Unsupported, closed.Code)
	})
}

// spec: FEC-31
func TestSymbolsWaitForTheEndOfABurstAndLeaveAlone(t *testing.T) {
	p := mediaPair(t)
	p.sendFrame(10*warmFrames, 5)
	sources := p.cs.paths.active.loss.nextPN()
	for len(p.pump(p.cs)) > 0 {
	}
	l := &p.cs.paths.active.loss
	for pn := sources; pn < l.list.next; pn++ {
		require.True(t, l.list.at(pn).covered || l.list.at(pn).skipped)
	}
	at, why := p.cs.NextTimeout()
	require.Equal(t, TimerRepair, why)
	require.Equal(t, p.now.Add(symbolPause), at)
	p.now = at
	p.sendFrame(10*warmFrames+5, 5) // comes first, although symbols are due
	first := l.nextPN()
	p.cs.HandleTimeout(p.now)
	for {
		if _, _, ok := p.cs.AppendDatagram(p.now, nil); !ok {
			break
		}
	}
	p.now = p.now.Add(symbolPatience)
	inFlight := l.bytesInFlight
	p.cs.HandleTimeout(p.now)
	for {
		if _, _, ok := p.cs.AppendDatagram(p.now, nil); !ok {
			break
		}
	}
	symbols := 0
	for pn := first; pn < l.list.next; pn++ {
		q := l.list.at(pn)
		require.False(t, q.covered && symbols > 0, "packet %d comes behind a symbol", pn)
		if q.symbol {
			require.Empty(t, q.facts)
			require.True(t, q.inFlight)
			symbols++
		}
	}
	require.Positive(t, symbols)
	require.Greater(t, l.bytesInFlight, inFlight-1, "symbols count against the window")
}

// spec: FEC-34
func TestWhatASymbolUnderWayMayRepairIsNotSentAgain(t *testing.T) {
	p := mediaPair(t)
	p.sendFrame(10*warmFrames, 10)
	p.pump(p.cs)
	l := &p.cs.paths.active.loss
	var covered, symbol *sentPacket
	for range 3 {
		p.now = p.now.Add(symbolPause)
		p.pump(p.cs)
	}
	for pn := l.cursor; pn < l.list.next; pn++ {
		if q := l.list.at(pn); q.covered && covered == nil {
			covered = q
		} else if q.symbol {
			symbol = q
		}
	}
	require.NotNil(t, covered)
	require.NotNil(t, symbol)
	h := (*sentHandler)(p.cs)
	h.packetLost(covered)
	require.False(t, p.cs.streams.hasData(), "the symbol may repair it")
	until := p.cs.repairDeadline()
	require.Equal(t, covered.sent.Add(l.lossDelay()+l.reorder.window(&l.rtt)), until)
	p.cs.settleHeld(until - 1)
	require.False(t, p.cs.streams.hasData())
	owed := p.cs.repair.send.owed
	p.cs.settleHeld(until)
	require.False(t, p.cs.streams.hasData(), "there is time for another round")
	require.GreaterOrEqual(t, p.cs.repair.send.owed, owed)
	last := covered.sent.Add(media.Deadline - l.lossDelay())
	p.cs.settleHeld(last)
	p.cs.settleHeld(last + 1)
	require.True(t, p.cs.streams.hasData(), "the last round is not left to the code")
}

// spec: FEC-34
func TestSymbolsThatDidNotSufficeAreFollowedByAsManyAsAreMissing(t *testing.T) {
	p := mediaPair(t)
	p.sendFrame(10*warmFrames, 10)
	l := &p.cs.paths.active.loss
	first := l.nextPN()
	for range 3 {
		p.pump(p.cs)
		p.now = p.now.Add(symbolPause)
	}
	r, h := p.cs.repair.send, (*sentHandler)(p.cs)
	var lost, symbols []*sentPacket
	for pn := first; pn < l.list.next; pn++ {
		switch q := l.list.at(pn); {
		case q.covered && len(lost) < 5:
			lost = append(lost, q)
		case q.symbol:
			symbols = append(symbols, q)
		}
	}
	require.Len(t, symbols, 3, "three of ten at 10 % of loss")
	for _, q := range lost {
		h.packetLost(q)
	}
	require.Equal(t, 5, r.missing())
	require.Equal(t, 2, r.surplus(0.1), "of three symbols on their way")
	h.packetLost(symbols[0])
	h.packetAcked(symbols[1])
	h.packetAcked(symbols[2])
	require.Equal(t, 3, r.missing())
	require.Zero(t, r.surplus(0.1))
	books := &p.cs.messages.out[media.Channel].books
	books.balance = 1e5
	l.largest = symbols[2].pn
	p.cs.oweNothing()
	p.cs.settleHeld(p.now)
	require.EqualValues(t, 4, r.owed, "three, and one that may be lost")
	require.False(t, p.cs.streams.hasData())
	sent := p.cs.Stats().Repair.Symbols
	p.pump(p.cs)
	require.Equal(t, sent+4, p.cs.Stats().Repair.Symbols, "at once")
	require.Zero(t, r.missing())
}

func TestASymbolThatIsDueRingsNotForEverWhileThePathIsNotProved(t *testing.T) {
	p := mediaPair(t)
	p.sendFrame(10*warmFrames, 10)
	active, r := p.cs.paths.active, p.cs.repair.send
	active.validated, active.budget = false, ledger{in: 1 << 20}
	r.owed, r.since, r.last = 1.5, p.now, p.now
	p.now = p.now.Add(symbolPatience + symbolPause)
	p.drainSession(p.cs, true)
	require.GreaterOrEqual(t, r.owed, 1.0)
	at := p.cs.repairDeadline()
	require.True(t, at == 0 || at.After(p.now), "due at %v, now %v", at, p.now)
}

// spec: FEC-37
func TestSymbolsRestWhileAQueueGrows(t *testing.T) {
	p := mediaPair(t)
	l := &p.cs.paths.active.loss
	require.False(t, l.crowded())
	l.rtt.smoothed = l.rtt.min() + minQueueRise + 1
	require.True(t, l.crowded())
	p.cs.oweNothing()
	symbols := p.cs.Stats().Repair.Symbols
	p.sendFrame(10*warmFrames, 10)
	for range 10 {
		p.now = p.now.Add(symbolPause)
		p.pump(p.cs)
	}
	require.Equal(t, symbols, p.cs.Stats().Repair.Symbols)
}

func TestBurstsAreCountedOnceLatePacketsHadTheirTime(t *testing.T) {
	var m burstMeter
	for pn := range uint64(1000) {
		switch {
		case pn == 10, pn >= 20 && pn < 22, pn >= 100 && pn < 140, pn == 50:
			continue
		}
		m.arrived(0, pn)
		if pn == 60 {
			m.arrived(0, 50) // was late
		}
	}
	require.Equal(t, [wire.BurstBuckets]uint64{1, 1, 0, 0, 0, 0, 0, 1}, m.counts)
	for run, bucket := range map[uint64]int{1: 0, 4: 3, 5: 4, 8: 4, 9: 5, 16: 5, 17: 6, 32: 6, 33: 7} {
		require.Equal(t, bucket, burstBucket(run))
	}
}

// spec: FEC-35
func TestTheLastChanceOfAMessageIsSentTwiceOrMore(t *testing.T) {
	p := connected(t)
	expectLoss(p.now, p.cs, 20)
	thrifty := MessageOptions{Channel: 3, Mode: wire.ReliableOrdered, Deadline: 35 * time.Millisecond, Goal: Economy}
	for n := range 400 { // what it may cost must be earned
		p.sendMessage(p.cs, numbered(n, 1000), thrifty)
		p.idle(2 * time.Millisecond)
	}
	p.idle(time.Second)
	require.Zero(t, p.cs.Stats().Repair.ExtraBytes)
	expectLoss(p.now, p.cs, 20)
	p.sendMessage(p.cs, numbered(400, 1000), thrifty)
	p.losing(0)
	p.idle(2 * time.Millisecond)
	p.sendMessage(p.cs, numbered(401, 1000), thrifty)
	p.idle(time.Second)
	st := p.cs.Stats()
	require.GreaterOrEqual(t, st.Messages.Retransmitted, uint64(3), "a miss of 0.05^4 is rare enough")
	require.Equal(t, st.Messages.Retransmitted-1, st.Repair.Doubled)
	require.Zero(t, st.Repair.Covered, "there is time without the code")
	require.EqualValues(t, 402, st.Messages.Acknowledged)
	require.Equal(t, 1, copiesFor(0.01, 3))
	require.Equal(t, 2, copiesFor(0.01, 1))
	require.Equal(t, 3, copiesFor(0.09, 2))
	require.Equal(t, maxCopiesAtOnce, copiesFor(0.5, 1))
}
