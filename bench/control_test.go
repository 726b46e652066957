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
	messages := func(change func(*load)) func(*request) {
		return func(r *request) {
			*r = request{Workload: Game, Up: &load{Size: 64, Hz: 60, Frame: 1}, Down: &load{Size: 64, Hz: 60, Frame: 1}}
			require.NoError(t, r.check())
			change(r.Down)
		}
	}
	for want, change := range map[string]func(*request){
		"duration of 2h0m0s": func(r *request) { r.DurationNS = int64(2 * time.Hour) },
		"duration of -1ns":   func(r *request) { r.DurationNS = -1 },
		"0 streams":          func(r *request) { r.Streams = 0 },
		"65 streams":         func(r *request) { r.Streams = 65 },
		"no direction":       func(r *request) { r.Direction = "sideways" },
		"no workload":        func(r *request) { r.Workload = "films" },
		"not asked for":      func(r *request) { r.Up = new(load) },
		"are missing":        func(r *request) { r.Workload = Media },
		"message of 15":      messages(func(l *load) { l.Size = 15 }),
		"message of 65537":   messages(func(l *load) { l.MaxSize = 65537 }),
		"0 messages":         messages(func(l *load) { l.Hz = 0 }),
		"1001 messages":      messages(func(l *load) { l.Hz = 1001 }),
		"257 messages":       messages(func(l *load) { l.Frame = 257 }),
		"mode 4":             messages(func(l *load) { l.Mode = 4 }),
		"deadline of 30001":  messages(func(l *load) { l.DeadlineMS = 30_001 }),
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.check(), want)
	}
}

func TestLinesTravelWhole(t *testing.T) {
	var b bytes.Buffer
	want := outcome{Heard: heard{Received: 7, Buckets: []bucket{{Micros: 25_000, Count: 7}}}, Sent: 8, Tally: tally{Steps: make([]int64, 20_000)}}
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
	all := heard{Buckets: h.buckets(), Beside: h.buckets(), Frames: h.buckets()}
	b, err := json.Marshal(outcome{Heard: all, Tally: tally{Steps: steps}})
	require.NoError(t, err)
	require.Less(t, len(b), maxLine)
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"workload":"bulk","duration_ns":1000000000,"streams":1,"direction":"up"}` + "\n"))
	f.Add([]byte(`{"workload":"game","duration_ns":1,"up":{"mode":3,"size":64,"hz":60,"frame":1},"down":{"mode":1,"size":300,"max_size":1200,"hz":60,"frame":1}}` + "\n"))
	f.Add([]byte(`{"workload":"handshake"}` + "\n"))
	f.Add([]byte("null\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if readLine(bufio.NewReader(bytes.NewReader(b)), &r) != nil || r.check() != nil {
			return
		}
		require.LessOrEqual(t, time.Duration(r.DurationNS), MaxDuration)
		require.LessOrEqual(t, len(newMeter(time.Duration(r.DurationNS)).steps), maxSteps)
		for _, l := range []*load{r.Up, r.Down} {
			if l != nil {
				require.LessOrEqual(t, max(l.Size, l.MaxSize), MaxMessage)
				require.Positive(t, time.Duration(float64(time.Second)/l.Hz), "a time from one to the next")
			}
		}
	})
}

func FuzzOutcome(f *testing.F) {
	f.Add([]byte(`{"tally":{"bytes":1,"took_ns":1,"steps":[1]},"heard":{"received":1,"buckets":[{"us":1,"n":1}]}}` + "\n"))
	f.Add([]byte(`{"heard":{"buckets":[{"us":-5,"n":-1},{"us":99999999999999,"n":1}]}}` + "\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var o outcome
		if readLine(bufio.NewReader(bytes.NewReader(b)), &o) != nil {
			return
		}
		m := newMessages(&Options{Workload: Media})
		m.add(&messages{far: o})
		m.results(true)
		var t tally
		t.merge(o.Tally)
		t.rate()
		t.series()
	})
}
