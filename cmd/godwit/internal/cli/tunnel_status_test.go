package cli

import (
	"encoding/json"
	"math"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/conn/tunnel"
	"github.com/godwit-net/godwit/protocol"
)

// records reads the records of a file.
func records(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		list = append(list, r)
	}
	return list
}

// at follows a path of keys and indices into JSON.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			require.Contains(t, v, p)
			v = v.(map[string]any)[p]
		case int:
			require.Greater(t, len(v.([]any)), p)
			v = v.([]any)[p]
		}
	}
	return v
}

// echoingDatagrams answers every datagram with itself.
func echoingDatagrams(t *testing.T) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	return c.LocalAddr().String()
}

func TestStatisticsAreWrittenAsJSONAtBothEnds(t *testing.T) {
	f := newFolder(t)
	serverKey, laptop := f.key("server.key"), f.key("laptop.key")
	service, datagrams := echoing(t), echoingDatagrams(t)
	f.write("clients", laptop+" laptop\n")
	server := start(t, "tunnel", "server", "--listen", "127.0.0.1:0", "--key", f.name("server.key"), "--authorized", f.name("clients"),
		"--allow", "tcp://"+service, "--allow", "udp://"+datagrams, "--status", "100ms", "--stats", f.name("stats"))
	client := start(t, "tunnel", "client", "--server", server.wait(1, `msg=listening on=(\S+)`), "--peer-key", serverKey,
		"--key", f.name("laptop.key"), "--forward", "tcp://127.0.0.1:0=tcp://"+service,
		"--forward", "udp://127.0.0.1:0=udp://"+datagrams+"?deadline=10s", "--stats", "-")
	c := dial(t, client.wait(1, `listening on=(\S+) for=tcp`))
	client.wait(1, "msg=connected")
	media, err := net.Dial("udp", client.wait(1, `listening on=(\S+) for=udp`))
	require.NoError(t, err)
	defer media.Close()
	require.NoError(t, media.SetDeadline(time.Now().Add(patience)))
	say(t, media, "a datagram that is repaired")
	say(t, c, "ten octets")
	server.wait(2, `msg=status client=laptop state="up \d+s, rtt .*, sending .*bit/s, receiving .*bit/s, lost \d+.\d\d %, 2 connections"`)

	client.stop()
	var last map[string]any
	for line := range strings.Lines(client.text()) {
		if strings.HasPrefix(line, "{") {
			last = records(t, line)[0]
		}
	}
	require.Equal(t, "godwit-tunnel/1", last["schema"])
	require.Equal(t, "client", last["end"])
	require.EqualValues(t, 1, last["sessions_so_far"])
	require.Equal(t, 10.0, at(t, last, "forwards", 0, "sent_bytes"))
	require.Equal(t, 10.0, at(t, last, "forwards", 0, "received_bytes"))
	require.Equal(t, 1.0, at(t, last, "forwards", 0, "open"), "the last record is of the time before the end")
	require.Positive(t, at(t, last, "sessions", 0, "session", "rtt_ms"))
	require.Equal(t, 1.0, at(t, last, "forwards", 1, "udp", "out"))
	require.Equal(t, 10_000.0, at(t, last, "sessions", 0, "channels", 1, "sent", "deadline_ms"))
	require.Equal(t, 1.0, at(t, last, "sessions", 0, "channels", 1, "received", "received"))

	server.wait(1, `client gone`)
	server.stop()
	text, err := os.ReadFile(f.name("stats"))
	require.NoError(t, err)
	list := records(t, string(text))
	require.Greater(t, len(list), 2)
	require.Empty(t, at(t, list[len(list)-1], "sessions"))
	require.EqualValues(t, 1, at(t, list[len(list)-1], "endpoint", "accepted"))
	for _, r := range list {
		if len(at(t, r, "sessions").([]any)) > 0 && at(t, r, "sessions", 0, "targets", "sent_bytes") == 10.0 {
			require.Equal(t, "laptop", at(t, r, "sessions", 0, "client"))
			require.Positive(t, at(t, r, "sessions", 0, "session", "packets_sent"))
			require.GreaterOrEqual(t, at(t, r, "sessions", 0, "send_rate_bps"), 0.0)
			return
		}
	}
	require.Fail(t, "no record of the session", string(text))
}

func TestEveryCounterHasAPlainNameInJSON(t *testing.T) {
	for name, want := range map[string]string{
		"RTT": "rtt", "MinRTT": "min_rtt", "RTTVar": "rtt_var", "PacketsSent": "packets_sent", "MTU": "mtu", "ECN": "ecn", "InBytes": "in_bytes", "In": "in",
	} {
		require.Equal(t, want, snakeCase(name))
	}
	s := record(conn.Stats{RTT: 1500 * time.Microsecond, SessionCounters: protocol.SessionCounters{PacketsLost: 3}, Quality: math.NaN()}).(map[string]any)
	require.Equal(t, 1.5, s["rtt_ms"])
	require.EqualValues(t, 3, s["packets_lost"], "what is embedded stands in the outer one")
	require.Nil(t, s["quality"], "JSON has no such number")
	require.Equal(t, "sequenced", record(conn.SentChannelStats{Mode: conn.Sequenced}).(map[string]any)["mode"])
	require.Equal(t, "127.0.0.1:1", record(struct{ Addr netip.AddrPort }{netip.MustParseAddrPort("127.0.0.1:1")}).(map[string]any)["addr"])
	require.Contains(t, s["messages"], "sent")
	for _, v := range []any{conn.Stats{}, conn.EndpointStats{}, conn.SentChannelStats{}, conn.ReceivedChannelStats{}, tunnel.UDPStats{}} {
		_, err := json.Marshal(record(v))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(record(v).(map[string]any)), reflect.TypeOf(v).NumField(), "nothing is left out, and no two names are the same")
	}
}

func TestStatusLinesAreForPeople(t *testing.T) {
	session := tunnel.SessionStats{Session: conn.Stats{
		SessionCounters: protocol.SessionCounters{PacketsSent: 1000}, Sending: protocol.DirectionStats{Lost: 20}, RTT: 25040 * time.Microsecond,
	}}
	s := statsRecord{End: "client", Sessions: []sessionRecord{{UptimeMS: 61_900, SendRateBPS: 1.26e6, ReceiveRateBPS: 12_300}}, Forwards: []forwardRecord{{Open: 2}, {Open: 1}}}
	require.Equal(t, "up 1m1s, rtt 25ms, sending 1.3 Mbit/s, receiving 12 kbit/s, lost 2.00 %, 3 connections", statusText(&s, []tunnel.SessionStats{session}))
	require.Equal(t, "not connected, 0 connections", statusText(&statsRecord{End: "client"}, nil))
	s = statsRecord{End: "server", Sessions: []sessionRecord{{SendRateBPS: 1e9, Targets: &forwardRecord{Open: 1}}, {SendRateBPS: 1e9, Reverse: []forwardRecord{{Open: 4}}}}}
	require.Equal(t, "2 clients, sending 2.00 Gbit/s, receiving 0 kbit/s, lost 2.00 %, 5 connections", statusText(&s, []tunnel.SessionStats{session, session}))
	require.Equal(t, "0 clients, 0 connections", statusText(&statsRecord{End: "server"}, nil))
}

func TestRatesAreOfTheTimeSinceTheLastRecord(t *testing.T) {
	r := newReporter(nil, newConsole(new(strings.Builder)), nil, nil)
	defer r.close()
	began := time.Unix(1e9, 0)
	r.last = began.Add(time.Hour)
	rate := func(after time.Duration, number, sent uint64, began time.Time) float64 {
		snap := statsSnapshot{end: "client", sessions: []tunnel.SessionStats{{Number: number, Began: began, Session: conn.Stats{SessionCounters: protocol.SessionCounters{BytesSent: sent}}}}}
		return r.record(snap, r.last.Add(after)).Sessions[0].SendRateBPS
	}
	require.Equal(t, 800.0, rate(10*time.Second, 1, 1000, began))
	require.Equal(t, 400.0, rate(10*time.Second, 1, 1500, began))
	require.Equal(t, 4800.0, rate(10*time.Second, 2, 300, r.last.Add(9500*time.Millisecond)), "a new session begins at 0, and when it began")
}

func TestLogLinesStandAboveTheStatusLine(t *testing.T) {
	var w strings.Builder
	c := &console{w: &w, terminal: true}
	log := func(s string) { _, _ = c.Write([]byte(s)) }
	log("a\n")
	c.status("first")
	log("b\n")
	c.status("")
	log("c\n")
	require.Equal(t, "a\n\rfirst"+clearToEnd+"\r"+clearToEnd+"b\n\rfirst"+clearToEnd+"\r"+clearToEnd+"c\n", w.String())
	c = &console{w: &w}
	w.Reset()
	c.status("not on what is no terminal")
	require.Empty(t, w.String())
}
