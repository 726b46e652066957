package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// Tests for requirements that other tests cite without failing when the check is taken out
// (spec/mutations.txt has the changes that told).

// spec: SESS-3
func TestLastHandshakePacketThatComesAgainMakesDoneDue(t *testing.T) {
	p := newPair(t)
	var fin []byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && p.cs.Established() && wire.IsLong(data[0]) {
			fin = append([]byte(nil), data...)
		}
		if !toServer && p.ss != nil {
			return 0 // DONE is lost
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return p.ss != nil }))
	p.pump(p.ss)
	require.Equal(t, deliverySent, p.ss.control.done)
	p.give(p.ss, fin, p.clientAddr)
	require.Equal(t, deliveryDue, p.ss.control.done, "before any timeout")
}

// spec: SESS-8
func TestVersionNegotiationThatDoesNotEchoOurIDSaysNothing(t *testing.T) {
	p := newPair(t)
	p.drain()
	long := wire.Long{Kind: wire.KindVersionNegotiation, DCID: p.cs.hs.localID, SCID: wire.MakeID([]byte("anything"))}
	p.give(p.cs, wire.AppendVersions(long.Append(nil), 0x99999999), p.serverAddr)
	require.NoError(t, p.cs.hs.refused)
}

// spec: SESS-15
func TestEveryKeepAliveIsLargeEnoughToProvokeAReset(t *testing.T) {
	p := connected(t, func(c, _ *Config, _ *EndpointConfig) { c.KeepAlive = 10 * time.Second })
	p.idle(30 * time.Second) // all that is known about the path is known
	var sizes []int
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer {
			sizes = append(sizes, len(data))
		}
		return 1
	}
	p.idle(time.Minute)
	require.NotEmpty(t, sizes)
	for _, n := range sizes {
		require.GreaterOrEqual(t, n, 43)
	}
}

// spec: SESS-19
func TestResetIsSmallerThanWhatProvokedIt(t *testing.T) {
	p := connected(t)
	id := p.cs.paths.active.peerID
	cfg := p.server.cfg
	cfg.Session.Rand = seeded(77)
	var err error
	p.server, err = NewEndpoint(cfg)
	require.NoError(t, err)
	for n := 30; n < 200; n++ {
		p.now = p.now.Add(time.Second)
		b := make([]byte, n)
		b[0] = 0x08
		copy(b[1:], id.Bytes())
		reset := p.ask(b, p.clientAddr)
		if n <= wire.MinReset {
			require.Zero(t, reset, "to %d bytes", n)
			continue
		}
		require.GreaterOrEqual(t, reset, wire.MinReset, "to %d bytes", n)
		require.Less(t, reset, n)
	}
}

// spec: SESS-21
func TestKeyUpdateThatIsDueWaitsForTheLastToBeConfirmed(t *testing.T) {
	p := connected(t)
	p.cs.ForceKeyUpdate(p.now)
	p.cs.maybeUpdateKey(p.now.Add(2 * keyUpdateInterval))
	require.Equal(t, uint64(1), p.cs.keys.sendGen)
	p.say("under the new key")
	p.idle(time.Second)
	p.cs.maybeUpdateKey(p.now.Add(2 * keyUpdateInterval))
	require.Equal(t, uint64(2), p.cs.keys.sendGen)
}

// spec: PATH-5
func TestChallengeIsAnsweredWhereItCameFrom(t *testing.T) {
	p := connected(t)
	p.give(p.ss, p.craft(p.cs, wire.PathChallenge{Data: [8]byte{5}}.Append(nil)...), elsewhere)
	r := p.ss.paths.active.response
	require.NotNil(t, r)
	require.Equal(t, elsewhere, r.addr.Remote)
}

// spec: PATH-6
func TestAnswerFromAnotherAddressProvesNothingAboutANewPath(t *testing.T) {
	p := connected(t)
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: elsewhere, Remote: p.serverAddr}))
	ours := p.cs.paths.list[1]
	for _, b := range p.pump(p.cs) {
		p.give(p.ss, b, elsewhere)
	}
	p.pump(p.ss)
	require.True(t, ours.proof.open)
	theirs := p.ss.paths.list[1]
	answer := wire.PathResponse{Data: ours.proof.data}.Append(nil)
	p.give(p.cs, p.craftOn(p.ss, theirs, answer...), p.clientAddr)
	require.NotEqual(t, ours, p.cs.paths.active, "not the server's address")
	p.give(p.cs, p.craftOn(p.ss, theirs, answer...), p.serverAddr)
	require.Equal(t, ours, p.cs.paths.active)
}

// spec: PATH-11
func TestClientSaysNothingToAnotherAddressOfItsServer(t *testing.T) {
	p := connected(t)
	p.give(p.cs, p.craft(p.ss, byte(wire.FramePing)), elsewhere)
	require.Nil(t, p.cs.paths.active.moving)
	for {
		_, m, ok := p.cs.AppendDatagram(p.now, nil)
		if !ok {
			break
		}
		require.Equal(t, p.serverAddr, m.Addr.Remote)
	}
}
