package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// spec: MSG-50
func TestReportsAreRareAndCostLittle(t *testing.T) {
	for _, gap := range []time.Duration{5 * time.Millisecond, 16 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
		bytes := map[bool]uint64{}
		var times []Time
		for _, silent := range []bool{false, true} {
			p := newPlaying(t, gap, MessageOptions{Mode: wire.ReliableOrdered, Deadline: 200 * time.Millisecond})
			p.play(1, 60, time.Second)
			m := p.ss.messages
			before, last := p.ss.Stats().BytesSent, m.inOrder[0].reports
			const count = 400
			for n := 2; n <= count; n++ {
				if silent {
					m.inOrder[0].reports.at = p.now
				}
				p.play(n, 60, 0)
				if r := m.inOrder[0].reports; r != last && !silent {
					require.GreaterOrEqual(t, r.at.Sub(last.at), reportInterval)
					require.Greater(t, r.told, last.told)
					times, last = append(times, r.at), r
				}
			}
			p.run(time.Second, nil)
			bytes[silent] = p.ss.Stats().BytesSent - before
		}
		require.InDelta(t, float64(gap*400/max(reportInterval, min(32*gap, reportLatest))), len(times), 2)
		require.LessOrEqual(t, bytes[false], bytes[true]+400*2+uint64(len(times))*20, "%d reports", len(times))
	}
}

func TestTheSenderLearnsWhatTheReceiverSaw(t *testing.T) {
	p := newPlaying(t, 10*time.Millisecond, MessageOptions{Mode: wire.ReliableOrdered, Deadline: 60 * time.Millisecond, Channel: 5, Priority: 100})
	p.filter = lossy(4, 10)
	p.play(1500, 300, 0)
	p.filter = nil
	p.play(1501, 300, 11*time.Second)
	p.play(1502, 300, time.Second) // its acknowledgement has the last report
	out, in := p.cs.messages.out[5], p.ss.messages.in[5]
	require.Equal(t, in.report(), out.peer.report)
	require.Equal(t, in.stats.Arrived+in.stats.Skipped, out.next)
	require.NotZero(t, in.stats.Skipped)
	require.NotZero(t, in.times.margin.Count())
	require.Equal(t, in.stats.Arrived+in.stats.Late, in.times.margin.Count()+in.times.lateness.Count())
	require.Equal(t, out.next, out.queueTime.Count())
}

// spec: REG-4
func TestReportsProvokeNoPackets(t *testing.T) {
	packets := map[bool]uint64{}
	for _, silent := range []bool{false, true} {
		p := newPlaying(t, 16*time.Millisecond, MessageOptions{Mode: wire.ReliableOrdered})
		p.play(1, 60, time.Second)
		before := p.cs.Stats().DatagramsSent
		for n := 2; n <= 400; n++ {
			if silent {
				p.ss.messages.in[0].reports.at = p.now
			}
			p.play(n, 60, 0)
		}
		packets[silent] = p.cs.Stats().DatagramsSent - before
	}
	require.Equal(t, packets[true], packets[false])
}

// spec: MSG-51
func TestReportsThatLieCloseTheSession(t *testing.T) {
	for name, f := range map[string]wire.ChannelReport{
		"another channel": {Channel: 4},
		"more arrived":    {Channel: 3, Arrived: 3},
		"more skipped":    {Channel: 3, Skipped: 1 << 40},
	} {
		p := connected(t)
		for range 2 {
			p.sendMessage(p.ss, []byte("x"), MessageOptions{Channel: 3})
		}
		p.run(time.Second, nil)
		p.toServer(wire.ChannelReport{Channel: 3, Arrived: 2, Duplicate: 1 << 50}.Append(nil)...)
		require.NoError(t, p.ss.Err(), name)
		p.toServer(f.Append(nil)...)
		var e *TransportError
		require.ErrorAs(t, p.ss.Err(), &e, name)
		require.Equal(t, wire.ProtocolViolation, e.Code)
	}
}

// spec: MSG-51
func TestAReportThatWasOvertakenIsIgnored(t *testing.T) {
	e := newMessagesEnd(t, true, messageLimits())
	for range 3 {
		require.NoError(t, e.messages.send(e.now, []byte("x"), &MessageOptions{}))
	}
	e.packet(testPacket)
	for _, r := range []struct{ path, pn, arrived, want uint64 }{{0, 7, 1, 1}, {0, 6, 0, 1}, {0, 9, 2, 2}, {1, 3, 3, 3}, {0, 12, 1, 3}} {
		f := wire.ChannelReport{Arrived: r.arrived}
		require.NoError(t, e.messages.handleReport(&f, &arrival{now: e.now, place: packetPlace{r.path, r.pn}}))
		require.Equal(t, r.want, e.messages.out[0].peer.report.Arrived)
	}
}

func TestAnEndThatOffersNoChannelsGetsReports(t *testing.T) {
	p := newPair(t, func(_, server *Config, _ *EndpointConfig) {
		params := DefaultParameters()
		params.MaxChannels = 0
		server.Params = &params
	})
	p.connect()
	for range 300 {
		p.sendMessage(p.ss, []byte("x"), MessageOptions{Mode: wire.ReliableUnordered})
		p.run(10*time.Millisecond, nil)
	}
	require.NoError(t, p.ss.Err())
	require.Greater(t, p.ss.messages.out[0].peer.report.Arrived, uint64(100))
}
