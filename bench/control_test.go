package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServersRefuseWhatTheyDoNotDo(t *testing.T) {
	good := request{Workload: Bulk, DurationNS: int64(time.Second), Streams: 1, Direction: Up}
	require.NoError(t, good.check())
	for want, change := range map[string]func(*request){
		"duration of 2h0m0s": func(r *request) { r.DurationNS = int64(2 * time.Hour) },
		"duration of -1ns":   func(r *request) { r.DurationNS = -1 },
		"0 streams":          func(r *request) { r.Streams = 0 },
		"65 streams":         func(r *request) { r.Streams = 65 },
		"no direction":       func(r *request) { r.Direction = "sideways" },
		"no workload":        func(r *request) { r.Workload = "media" },
		"message of 15":      func(r *request) { r.Workload, r.Size, r.Hz = Message, 15, 60 },
		"message of 65537":   func(r *request) { r.Workload, r.Size, r.Hz = Message, 65537, 60 },
		"0 messages":         func(r *request) { r.Workload, r.Size = Message, 64 },
		"1001 messages":      func(r *request) { r.Workload, r.Size, r.Hz = Message, 64, 1001 },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.check(), want)
	}
}

func TestLinesTravelWhole(t *testing.T) {
	var b bytes.Buffer
	want := outcome{Received: 7, Buckets: []bucket{{Micros: 25_000, Count: 7}}, Tally: tally{Steps: make([]int64, 20_000)}}
	require.NoError(t, writeLine(&b, want))
	require.NoError(t, writeLine(&b, answer{Error: "next"}))
	r := bufio.NewReader(iotest.HalfReader(&b))
	var got outcome
	require.NoError(t, readLine(r, &got))
	require.Equal(t, want, got)
	var next answer
	require.NoError(t, readLine(r, &next))
	require.Equal(t, "next", next.Error)
	require.Error(t, readLine(r, &next), "the end of the stream is an error")
}

func TestLinesAreBounded(t *testing.T) {
	r := bufio.NewReader(strings.NewReader(strings.Repeat("x", maxLine+1)))
	require.ErrorIs(t, readLine(r, new(answer)), errLongLine)
	require.ErrorContains(t, readLine(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\n")), new(answer)), "no *bench.answer")
}

func TestTheLongestOutcomeFitsALine(t *testing.T) {
	h := newHistogram()
	for us := int64(1); us < maxLatency.Microseconds(); us += max(1, us/3000) {
		h.addMicros(us, 1_000_000)
	}
	steps := make([]int64, maxSteps)
	for i := range steps {
		steps[i] = 1 << 40
	}
	b, err := json.Marshal(outcome{Buckets: h.buckets(), Tally: tally{Steps: steps}})
	require.NoError(t, err)
	require.Less(t, len(b), maxLine)
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"workload":"bulk","duration_ns":1000000000,"streams":1,"direction":"up"}` + "\n"))
	f.Add([]byte(`{"workload":"message","duration_ns":1,"size":64,"hz":60}` + "\n"))
	f.Add([]byte(`{"workload":"handshake"}` + "\n"))
	f.Add([]byte("null\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if readLine(bufio.NewReader(bytes.NewReader(b)), &r) != nil || r.check() != nil {
			return
		}
		require.LessOrEqual(t, time.Duration(r.DurationNS), MaxDuration)
		require.LessOrEqual(t, len(newMeter(time.Duration(r.DurationNS)).steps), maxSteps)
		if r.Workload == Message {
			require.LessOrEqual(t, r.Size, MaxMessage)
		}
	})
}

func FuzzOutcome(f *testing.F) {
	f.Add([]byte(`{"tally":{"bytes":1,"took_ns":1,"steps":[1]},"received":1,"buckets":[{"us":1,"n":1}]}` + "\n"))
	f.Add([]byte(`{"buckets":[{"us":-5,"n":-1},{"us":99999999999999,"n":1}]}` + "\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var o outcome
		if readLine(bufio.NewReader(bytes.NewReader(b)), &o) != nil {
			return
		}
		h := newHistogram()
		h.addBuckets(o.Buckets)
		h.latency()
		var t tally
		t.merge(o.Tally)
		t.rate()
		t.series()
	})
}
