package congestion_test

import (
	"fmt"
	"time"

	bench "github.com/godwit-net/godwit/bench/congestion"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/monotime"
)

// queueCap is the queue that the controller lets itself cause.
const queueCap = 10 * time.Millisecond

// capped is additive increase and multiplicative decrease (RFC 5681) with a cap on the queue: the window
// grows while a round trip is at most queueCap above the shortest one, and halves for a loss or a CE mark.
type capped struct {
	mss       int // largest datagram
	window    int // bytes
	before    int // window before the last episode, for Undo; 0: nothing to undo
	slowStart bool
	acked     int // bytes towards the next datagram of growth
}

func newCapped(c congestion.Config) congestion.Controller {
	mss := max(c.MaxDatagram, 1200)
	return &capped{mss: mss, window: max(c.InitialWindow, 10*mss), slowStart: true}
}

func (c *capped) Name() string               { return "capped" }
func (c *capped) Sent(congestion.SendSample) {}
func (c *capped) Window() int                { return c.window }
func (c *capped) PacingRate() uint64         { return 0 } // two windows a round trip will do
func (c *capped) SetMaxDatagram(n int)       { c.mss = n }

func (c *capped) Acked(s congestion.AckSample) {
	queue := s.SmoothedRTT - s.MinRTT
	switch {
	case s.Rate.AppLimited:
		// The window was not used, so nothing shows that the path carries more.
	case queue > queueCap:
		if c.slowStart || queue > 2*queueCap && s.RoundStart {
			c.window = max(c.window*7/8, 2*c.mss)
		}
		c.slowStart = false
	case c.slowStart:
		c.window += s.Bytes - s.RecoveryBytes
	default: // a datagram a round trip
		if c.acked += s.Bytes - s.RecoveryBytes; c.acked >= c.window {
			c.window, c.acked = c.window+c.mss, 0
		}
	}
}

func (c *capped) Lost(s congestion.LossSample) {
	switch {
	case s.Persistent:
		c.window, c.before, c.slowStart = 2*c.mss, 0, true
	case s.Episode: // at most one in a round trip
		c.before = c.window
		c.window, c.slowStart = max(c.window/2, 2*c.mss), false
	}
}

func (c *capped) Undo(monotime.Time) {
	c.window, c.before = max(c.window, c.before), 0
}

// A controller of one's own: what it must have, how a session gets it, and how it is judged. The verdict on this
// one is that of most caps on the queue: the flow that comes second takes the queue of the first for a part of
// the path and pushes it aside, and whoever fills queues pushes both.
func Example() {
	// Every session that is dialed or accepted with this makes one for each of its paths.
	_ = &conn.Config{CongestionControl: newCapped}

	// The evaluation knows it by a name, and plays it with real sessions in virtual time. The whole grid, as
	// tables and a page with plots, is bench.Command([]string{"-controllers", "capped,cubic"}, out, log).
	bench.Controllers["capped"] = newCapped
	play := func(link string, flows ...bench.Flow) *bench.Result {
		r, err := bench.Run(&bench.Scenario{Link: link, Flows: flows, Duration: 25 * time.Second, Warmup: 10 * time.Second}, 2)
		if err != nil {
			panic(err)
		}
		return r
	}
	flow, line := bench.Flow{Controller: "capped"}, bench.Capacity(50_000_000)

	alone := play("dsl,queue=4bdp", flow) // 50 Mbit/s, 40 ms
	fmt.Println("fills the line:", alone.Total() > 0.9*line)
	fmt.Println("keeps its queue short:", alone.QueueP95() < 2*queueCap)
	pair := play("dsl,queue=4bdp", flow, bench.Flow{Controller: "capped", Start: time.Second})
	fmt.Println("shares with itself:", pair.Jain() > 0.95)
	rival := play("dsl,queue=4bdp", flow, bench.Flow{Controller: "cubic", Start: time.Second})
	fmt.Println("survives beside CUBIC:", rival.Share(0) > 0.2)
	fmt.Println("bears random loss:", play("dsl,loss=1%", flow).Total() > 0.5*line)

	// Output:
	// fills the line: true
	// keeps its queue short: true
	// shares with itself: false
	// survives beside CUBIC: false
	// bears random loss: false
}
