package bench

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/internal/testutil"
	"github.com/godwit-net/godwit/protocol/sim"
)

func TestMain(m *testing.M) { testutil.Main(m) }

// start runs a server and returns a client for it.
func start(t *testing.T) *Client {
	t.Helper()
	psk := crypto.GeneratePresharedKey()
	server, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Conn: conn.Config{PresharedKey: psk}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return NewClient(server.Addr().String(), conn.Config{PresharedKey: psk})
}

const short = 300 * time.Millisecond

func TestBulkCountsWhatArrivesInEachDirection(t *testing.T) {
	c := start(t)
	for _, direction := range []string{Up, Down, Both} {
		r := c.Run(t.Context(), nil, Options{Workload: Bulk, Duration: short, Direction: direction, Streams: 3})
		require.Empty(t, r.Error, direction)
		require.Equal(t, direction, r.Bulk.Direction)
		require.Positive(t, r.Bulk.Bytes, direction)
		require.Positive(t, r.Bulk.RateBPS)
		var sum float64
		for _, p := range r.Bulk.Series {
			sum += p.RateBPS * seriesStep.Seconds() / 8
		}
		require.InEpsilon(t, float64(r.Bulk.Bytes), sum, 1e-6, "the series adds up")
	}
}

func TestMessagesAllArriveAndTakeAsLongAsTheLink(t *testing.T) {
	link, err := sim.ParseLink("delay=20ms")
	require.NoError(t, err)
	r := start(t).Run(t.Context(), &link, Options{Workload: Message, Duration: time.Second, Hz: 100, Sessions: 2})
	require.Empty(t, r.Error)
	m := r.Message
	require.EqualValues(t, 200, m.Sent)
	require.Equal(t, m.Sent, m.Received)
	require.Equal(t, m.Received, m.OneWay.Count)
	require.Equal(t, "estimated", m.Clock)
	require.GreaterOrEqual(t, m.ClockErrorMS, 20.0)
	require.GreaterOrEqual(t, m.OneWay.P50MS, 20-m.ClockErrorMS)
	require.Equal(t, "delay=20ms", r.Link)
}

func TestASharedClockMeasuresTheWayItself(t *testing.T) {
	server, client, err := localPair()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	link, err := sim.ParseLink("delay=30ms")
	require.NoError(t, err)
	r := client.Run(t.Context(), &link, Options{Workload: Message, Duration: short})
	require.Empty(t, r.Error)
	require.Equal(t, "shared", r.Message.Clock)
	require.Zero(t, r.Message.ClockErrorMS)
	require.GreaterOrEqual(t, r.Message.OneWay.MinMS, 29.9, "nothing is quicker than the link")
	cancel()
	require.NoError(t, <-ended)
}

func TestHandshakesAreCounted(t *testing.T) {
	link, err := sim.ParseLink("delay=10ms")
	require.NoError(t, err)
	r := start(t).Run(t.Context(), &link, Options{Workload: Handshake, Duration: short, Sessions: 4})
	require.Empty(t, r.Error)
	h := r.Handshake
	require.Positive(t, h.Count)
	require.Zero(t, h.Failed)
	require.Equal(t, h.Count, h.Dial.Count)
	require.GreaterOrEqual(t, h.Dial.MinMS, 20.0, "one round trip")
	require.GreaterOrEqual(t, h.FirstByte.MinMS, 40.0, "two round trips")
	require.Positive(t, h.PerSecond)
}

func TestAServerServesManyClientsAtOnce(t *testing.T) {
	c := start(t)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			r := c.Run(t.Context(), nil, Options{Workload: []string{Handshake, Message, Bulk}[i%3], Duration: short})
			if r.Error != "" {
				t.Errorf("%s: %s", r.Workload, r.Error)
			}
		})
	}
	all.Wait()
}

func TestFailuresAreResults(t *testing.T) {
	c := start(t)
	r := c.Run(t.Context(), nil, Options{Workload: "films"})
	require.Contains(t, r.Error, "no workload is named")
	r = c.Run(t.Context(), nil, Options{Workload: Message, Sessions: maxClients + 1})
	require.Contains(t, r.Error, "sessions")

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	stranger := NewClient(c.server, conn.Config{PresharedKey: crypto.GeneratePresharedKey()})
	for _, w := range Workloads() {
		require.NotEmpty(t, stranger.Run(ctx, nil, Options{Workload: w, Duration: short}).Error, w)
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	c := start(t)
	for _, w := range Workloads() {
		ctx, cancel := context.WithTimeout(t.Context(), short)
		begin := time.Now()
		c.Run(ctx, nil, Options{Workload: w, Duration: time.Minute})
		require.Less(t, time.Since(begin), 10*time.Second, w)
		cancel()
	}
}

func TestATourVisitsEveryLink(t *testing.T) {
	var steps []float64
	report, err := Tour(t.Context(), TourConfig{
		Links: []string{Direct, "loss1"}, Duration: short, Options: Options{Sessions: 1},
		Progress: func(_ string, done float64) { steps = append(steps, done) },
	}, "test")
	require.NoError(t, err)
	require.Len(t, report.Results, 8)
	for _, r := range report.Results {
		require.Empty(t, r.Error, r.Workload+" over "+r.Link)
	}
	require.InDeltaSlice(t, []float64{0, 1. / 7, 2. / 7, 3.5 / 7, 5. / 7, 6. / 7}, steps, 1e-9, "handshake twice, message and media once, bulk twice")

	_, err = Tour(t.Context(), TourConfig{Links: []string{"los5"}}, "test")
	require.ErrorContains(t, err, "los5")
	_, err = Tour(t.Context(), TourConfig{Workloads: []string{"films"}}, "test")
	require.ErrorContains(t, err, "no workload")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Tour(ctx, TourConfig{Links: []string{Direct}, Duration: short}, "test")
	require.True(t, errors.Is(err, context.Canceled))
}

func TestTheDefaultTourStaysUnderThirtySeconds(t *testing.T) {
	var c tour
	require.NoError(t, c.prepare())
	require.Less(t, c.total, 26*time.Second, "with room for starting and stopping")
}
