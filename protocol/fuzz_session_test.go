package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// liveFuzz drives one session by a string of bytes: its network, its clock, its application, and a peer
// that holds the keys and breaks every rule.
type liveFuzz struct {
	*pair
	in     []byte
	target *Session
	peer   *Session // only seals
	e      *Endpoint
	held   [][]byte
	paths  map[uint64]*path // of the peer
	first  error            // how the target ended
}

// What the low four bits of an op mean. The high four are its argument.
const (
	opWait = iota
	opTimeout
	opDrain
	opWrite
	opRead
	opEndStream
	opCommand
	opPeerKey
	opDeliver
	opAck
	opOpen
	opPacket // this and the rest: a packet of frames that follow
)

func (f *liveFuzz) next() byte {
	if len(f.in) == 0 {
		return 0
	}
	b := f.in[0]
	f.in = f.in[1:]
	return b
}

// frames takes a length and as many bytes.
func (f *liveFuzz) frames() []byte {
	n := min(int(f.next()), len(f.in))
	b := f.in[:n]
	f.in = f.in[n:]
	return b
}

// peerPath returns the peer's half of a path, once the target has given it a name.
func (f *liveFuzz) peerPath(id uint64) *path {
	if p := f.paths[id]; p != nil {
		return p
	}
	l := f.target.ids.localFor(id)
	if l == nil {
		return f.paths[0]
	}
	p := f.peer.newPath(f.now, id, f.paths[0].addr, f.paths[0].localID, l.id, 0)
	f.paths[id] = p
	return p
}

// send seals frames as the peer would, and delivers or holds the packet.
func (f *liveFuzz) send(frames []byte, how byte) {
	p := f.paths[0]
	if how&2 != 0 {
		p = f.peerPath(f.target.paths.active.id + 1)
	} else if how&4 != 0 {
		p = f.peerPath(f.target.paths.active.id)
	}
	b := f.craftOn(f.peer, p, frames...)
	p.loss.abandon((*sentHandler)(f.peer))
	if how&1 != 0 && len(f.held) < 64 {
		f.held = append(f.held, b)
		return
	}
	f.deliverTo(b, how&8 != 0)
}

func (f *liveFuzz) deliverTo(b []byte, strange bool) {
	from := f.clientAddr
	if f.target == f.cs {
		from = f.serverAddr
	}
	if strange {
		from = elsewhere
	}
	f.give(f.target, b, from)
}

// ackAll acknowledges what the target has sent on a path, as it is.
func (f *liveFuzz) ackAll(p *path) {
	var got rangeset
	l := &p.loss.list
	for pn := l.base; pn < l.next; pn++ {
		if !l.at(pn).skipped {
			got.add(pn, pn+1)
		}
	}
	if len(got) > 0 {
		f.send(wire.AppendAck(nil, p.id, 0, got, wire.AckExtras{}), 0)
	}
}

func (f *liveFuzz) stream(arg byte) *Stream {
	if st := f.target.streams.table[uint64(arg)]; st != nil {
		return st
	}
	return f.target.Stream0()
}

func (f *liveFuzz) op(c byte) {
	arg := c >> 4
	switch c & 15 {
	case opWait:
		f.now = f.now.Add(time.Duration(arg) * time.Duration(arg) * 3 * time.Millisecond)
	case opTimeout:
		if at, _ := f.target.NextTimeout(); at > f.now && at.Sub(f.now) < time.Minute {
			f.now = at
		}
		f.target.HandleTimeout(f.now)
		f.rests(f.target)
	case opDrain:
		if arg&1 != 0 {
			_, _, _ = f.target.AppendDatagram(f.now, nil)
			return
		}
		f.pump(f.target)
	case opWrite:
		_, _ = f.stream(arg).Write(make([]byte, 1+int(arg)*700))
	case opRead:
		_, _ = f.stream(arg).Read(make([]byte, 1000))
	case opEndStream:
		st := f.stream(f.next())
		[]func(){st.CloseWrite, func() { st.Reset(1) }, func() { st.CancelRead(2) }, func() { st.ResetAt(3, 10) }}[arg&3]()
	case opCommand:
		f.command(arg)
	case opPeerKey:
		f.peer.updateKey(f.now)
		f.send([]byte{byte(wire.FramePing)}, arg)
	case opDeliver:
		if len(f.held) > 0 {
			i := int(arg) % len(f.held)
			f.deliverTo(f.held[i], false)
			if arg&8 == 0 {
				f.held = append(f.held[:i], f.held[i+1:]...)
			}
		}
	case opAck:
		for _, p := range f.target.paths.list {
			f.ackAll(p)
		}
	case opOpen:
		_, _ = f.target.OpenStream(arg&1 != 0)
	default:
		f.send(f.frames(), arg)
	}
}

func (f *liveFuzz) command(arg byte) {
	switch s := f.target; arg {
	case 0, 1:
		s.Shutdown(f.now)
	case 2:
		s.CloseWithError(f.now, 7, "seven")
	case 3, 4, 5:
		s.ForceKeyUpdate(f.now)
	case 6, 7, 8:
		_ = s.Migrate(f.now, AddrPair{Local: elsewhere, Remote: f.serverAddr})
	case 9:
		s.TooBig(f.now, s.Peer().Addr, 1300)
	case 10:
		if d := s.paths.active; d != nil { // what is asked is answered
			for _, p := range s.paths.list {
				f.send(wire.PathResponse{Data: p.proof.data}.Append(nil), byte(2*min(p.id-d.id, 1)))
				if p.moving != nil {
					f.send(wire.PathResponse{Data: p.moving.proof.data}.Append(nil), 8)
				}
			}
		}
	default:
		for ok := true; ok; {
			_, ok = s.PollEvent()
		}
	}
}

func (f *liveFuzz) check() {
	checkSession(f.t, f.target)
	if f.first == nil {
		f.first = f.target.Err()
	}
	require.Equal(f.t, f.first, f.target.Err(), "the first cause of the end is kept")
}

// run takes all ops, then leaves the session alone and sees it die in its time.
func (f *liveFuzz) run() {
	for n := 0; len(f.in) > 0 && n < 2000; n++ {
		f.op(f.next())
		f.check()
	}
	f.rests(f.target)
	for n := 0; !f.target.Dead(); n++ {
		require.Less(f.t, n, 2000, "a session that is left alone ends")
		at, _ := f.target.NextTimeout()
		require.NotZero(f.t, at)
		f.now = max(f.now, at)
		f.target.HandleTimeout(f.now)
		f.rests(f.target)
		f.check()
	}
	require.Empty(f.t, f.e.sessions, "all names are given back")
	require.Empty(f.t, f.e.tokens)
}

// newLiveFuzz makes the session that the first byte describes: bit 0 its role, bit 1 whether both ends
// have spoken, bits 2 and 3 whether it lives, was closed, hears of its end, or ends in good order.
func newLiveFuzz(t testing.TB, in []byte) *liveFuzz {
	p := givenKeys(t, 1500)
	f := &liveFuzz{pair: p, in: in[1:], target: p.ss, peer: p.cs, e: p.server}
	if in[0]&1 != 0 {
		f.target, f.peer, f.e = p.cs, p.ss, p.client
	}
	if in[0]&2 != 0 {
		p.idle(200 * time.Millisecond)
	}
	f.paths = map[uint64]*path{0: f.peer.paths.active}
	switch in[0] >> 2 & 3 {
	case 1:
		f.target.CloseWithError(p.now, 1, "one")
	case 2:
		f.send(wire.Close{App: true, Code: 2}.Append(nil), 0)
	case 3:
		_, _ = f.target.Stream0().Write(make([]byte, 5000))
		f.target.Shutdown(p.now)
	}
	f.first = f.target.Err()
	return f
}

// packetOf encodes an op that sends frames.
func packetOf(how byte, frames ...wire.Frame) []byte {
	b := frameSequence(frames...)
	return append([]byte{how<<4 | opPacket, byte(len(b))}, b...)
}

// liveSeeds are strings that begin in interesting places.
func liveSeeds() (all [][]byte) {
	id8, id4 := wire.MakeID([]byte("12345678")), wire.MakeID([]byte("1234"))
	path := func(ops ...[]byte) (b []byte) {
		for _, o := range ops {
			b = append(b, o...)
		}
		return b
	}
	answer := []byte{10<<4 | opCommand}
	timeout, drain, ack := []byte{opTimeout}, []byte{opDrain}, []byte{opAck}
	bodies := [][]byte{
		path(packetOf(0, dataFrame(0, 0, "hello")), timeout, drain, ack, []byte{opRead, 3<<4 | opWrite}, drain, ack),
		path(packetOf(1, dataFrame(4, 5, "later")), packetOf(0, dataFrame(4, 0, "first")), []byte{opDeliver}, timeout),
		path(packetOf(0, finFrame(4, 0, "")), packetOf(0, wire.ResetStream{ID: 8, FinalSize: 9}), packetOf(0, wire.StopSending{ID: 0}), drain),
		path(packetOf(2, wire.Ping{}), drain, answer, timeout, packetOf(2, dataFrame(0, 0, "moved")), drain, ack, timeout),
		path(packetOf(8, wire.Ping{}), drain, answer, drain, packetOf(8, wire.PathChallenge{}), timeout, timeout, timeout),
		path(packetOf(0, wire.NewSessionID{Path: 1, ID: id8}, wire.NewSessionID{Path: 2, ID: id4}), packetOf(0, wire.RetireSessionID{Path: 1}), drain, ack),
		path([]byte{6<<4 | opCommand}, drain, answer, drain, ack, []byte{opPeerKey, 3<<4 | opCommand, opPeerKey}, timeout),
		path([]byte{opPeerKey}, drain, []byte{opPeerKey}, drain, packetOf(0, wire.Ping{}, wire.ImmediateAck{}), drain, ack),
		path(packetOf(0, wire.MaxData{Max: 1 << 50}, wire.MaxStreamData{ID: 0, Max: 1 << 50}), []byte{15<<4 | opWrite, 15<<4 | opWrite}, drain, timeout, timeout, drain),
		path(packetOf(0, wire.AckFrequency{Sequence: 1, Packets: 3, DelayMicros: 1000}), packetOf(0, wire.Close{App: true}), packetOf(0, wire.Ping{})),
		path(packetOf(0, wire.DataBlocked{Limit: 1}, wire.StreamsBlocked{Limit: 2}, wire.Done{}), []byte{opOpen, 1<<4 | opOpen, opEndStream, 0, 2<<4 | opEndStream, 4}, drain),
		path([]byte{opDrain}, []byte{opCommand}, timeout, ack, timeout),
		packetOf(0, wire.NewAck(0, 5, []wire.Range{{Start: 0, End: 1}}, wire.AckExtras{HasECN: true})),
	}
	for _, body := range bodies {
		for state := range byte(16) {
			all = append(all, append([]byte{state}, body...))
		}
	}
	return all
}

// FuzzFramesIntoLiveSession gives a session, in either role and any state, whatever a peer with the keys
// may send, in any order, while time goes on and its application acts. The books stay in order, no timer
// spins, memory stays bounded, and a session that has ended stays ended, by its first cause.
func FuzzFramesIntoLiveSession(f *testing.F) {
	for _, seed := range liveSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 0 {
			newLiveFuzz(t, in).run()
		}
	})
}
