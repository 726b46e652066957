package sim

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/monotime"
)

var (
	seedCount = flag.Int("sim.seeds", 300, "how many seeds TestSeeds runs")
	firstSeed = flag.Uint64("sim.seed", 1, "the first seed of TestSeeds")
	verbose   = flag.Bool("sim.trace", false, "print every datagram of the runs")
)

const (
	// faults is how long everything may fail at most; healing begins then.
	faults = 20 * time.Second

	// healed is within what everything must finish once the links are good again. Long enough for a probe
	// timeout that has backed off through all the faults, and for a key that is about to expire.
	healed = 90 * time.Second
)

// rare are paths of the code that the seeds must visit now and then.
var rare = []string{
	"loss", "needless retransmission", "duplicate", "forgery", "key update", "path change", "larger MTU",
	"retry", "reset stream", "clock jump", "closed early", "migration", "CE mark", "queue full",
	"message lost", "message expired", "message skipped", "message late", "messages at close",
	"repaired by code", "last chance doubled",
	"probe timeout", "reduction undone", "persistent congestion", "black hole", "key update during loss",
}

// fixed are seeds that failed once, and what was wrong: they run always. A seed that fails joins them.
var fixed = map[uint64]string{
	306:  "the timer of a loss rings, nothing may be sent, and the probe is due at the same instant",
	1008: "the length was taken out of a message that was in an earlier packet",
}

func TestFixedSeeds(t *testing.T) {
	for seed, wrong := range fixed {
		t.Run(wrong, func(t *testing.T) { runSeed(t, seed, make(map[string]int)) })
	}
}

// scenario is one seed: what is drawn, and what was seen.
type scenario struct {
	*session
	rng  *rand.Rand
	seen map[string]int
	end  monotime.Time // of the faults

	healed bool
}

func TestSeeds(t *testing.T) {
	seen := make(map[string]int)
	for seed := *firstSeed; seed < *firstSeed+uint64(*seedCount); seed++ {
		runSeed(t, seed, seen)
	}
	t.Log(summary(seen))
	const enough = 300 // seeds after which each rare path must have been visited
	for _, name := range rare {
		if *seedCount >= enough && seen[name] == 0 {
			t.Errorf("no seed came to: %s", name)
		}
	}
}

func summary(seen map[string]int) string {
	var parts []string
	for name, n := range seen {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// runSeed runs one scenario. It fails the test with the command that replays it.
func runSeed(t *testing.T, seed uint64, seen map[string]int) {
	sc := newScenario(t, seed, seen)
	replay := fmt.Sprintf("go test ./protocol/sim -run 'TestSeeds$' -sim.seeds 1 -sim.seed %d -sim.trace", seed)
	sc.Violation = func(message string) { t.Fatalf("%s\nreplay: %s", message, replay) }
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("seed %d at %v: %s\nreplay: %s", seed, sc.Now(), fmt.Sprintf(format, args...), replay)
	}
	sc.start(t)
	sc.RunUntil(sc.end, sc.finished)
	sc.heal()
	limit := sc.Now().Add(healed)
	if !sc.RunUntil(limit, sc.finished) {
		fail("not finished %v after all faults were healed: client %s, server %s", healed,
			describe(sc.transfer.Client), describe(sc.transfer.Server))
	}
	sc.note()
	if sc.transfer.Client.Closed == nil {
		sc.transfer.Client.Session.Shutdown(sc.client.Now())
		sc.client.Wake(sc.transfer.Client.Session)
	}
	if !sc.RunUntil(sc.Now().Add(healed), sc.transfer.Over) {
		fail("not dead %v after it was closed: client %s, server %s", healed,
			describe(sc.transfer.Client), describe(sc.transfer.Server))
	}
	if err := sc.verdict(); err != nil {
		fail("%v", err)
	}
	if err := sc.transfer.CheckMessages(); err != nil {
		fail("%v", err)
	}
}

func describe(e *End) string {
	if e == nil {
		return "none"
	}
	at, why := e.Session.NextTimeout()
	return fmt.Sprintf("{read %d written %d of %d streams, closed %v, dead %v, next %v %v, %+v}",
		e.read, e.written, len(e.Streams), e.Closed, e.Dead, at, why, e.Session.Stats())
}

// streamLater is the randomness of what was added later: older draws stay what they were.
const streamLater = 7

// leastRate in bytes a second carries what a scenario sends, in the time that it has once it is healed.
const leastRate = 200_000

// drawController draws the default, one that has a name, or a fixed rate.
func drawController(rng *rand.Rand) func(congestion.Config) congestion.Controller {
	names := congestion.Names()
	switch n := rng.IntN(len(names) + 2); {
	case n < len(names):
		named, _ := congestion.Named(names[n])
		return named
	case n == len(names):
		rate := uint64(leastRate + rng.IntN(10_000_000))
		return func(c congestion.Config) congestion.Controller { return congestion.NewFixed(c, rate) }
	default:
		return nil
	}
}

// newScenario draws a world from its seed.
func newScenario(t *testing.T, seed uint64, seen map[string]int) *scenario {
	rng := newRand(seed, streamWorld)
	later := newRand(seed, streamLater)
	retry := rng.IntN(4) == 0
	sc := &scenario{rng: rng, seen: seen}
	sc.session = newSession(t, seed, "", func(c *protocol.EndpointConfig) {
		if retry {
			c.Retry = protocol.RetryAlways
		}
		if fixed[seed] == "" { // those had the default when they failed
			c.Session.NewController = drawController(later)
		}
	})
	if fixed[seed] == "" {
		sc.clientConfig.NewController = drawController(later)
	}
	sc.end = sc.Now().Add(time.Duration(rng.Int64N(int64(faults))))
	link := sc.drawLink()
	if fixed[seed] == "" && later.IntN(4) == 0 {
		link.Mangle = Mangles()[later.IntN(len(Mangles()))]
	}
	require.NoError(t, link.Validate(), link.String())
	require.NoError(t, sc.Connect(aAddr, bAddr, link))
	for _, n := range []*Node{sc.client, sc.server} {
		if rng.IntN(2) == 0 {
			n.TimerLag = time.Duration(rng.Int64N(int64(2 * time.Millisecond)))
		}
	}
	sc.transfer = &Transfer{
		Streams:    rng.IntN(6),
		UniStreams: rng.IntN(4),
		Bytes:      sc.size(),
	}
	if rng.IntN(2) == 0 {
		sc.transfer.Messages = 1 + rng.IntN(300)
	}
	if rng.IntN(3) == 0 {
		sc.transfer.ReadLimit = 1 + rng.IntN(20_000)
	}
	if rng.IntN(2) == 0 { // lives long enough for what happens by the clock
		sc.transfer.WriteLimit = 1 + sc.transfer.Bytes/(1+rng.IntN(40))
		sc.transfer.Pause = time.Duration(rng.Int64N(int64(time.Second)))
	}
	if *verbose {
		t.Logf("seed %d: link %v, %+v", seed, link, *sc.transfer)
		sc.Capture = func(s Sighting) {
			what := s.Cause.String()
			if s.Arrival {
				what = "arrives"
			}
			t.Logf("%.6f %v > %v: %02x, %d bytes, ecn %d, %s", time.Duration(s.At).Seconds(),
				s.Packet.Src.Port(), s.Packet.Dst.Port(), s.Packet.Data[0], len(s.Packet.Data), s.Packet.ECN, what)
		}
	}
	return sc
}

// size draws how much a stream carries: often little, now and then much.
func (sc *scenario) size() int {
	sizes := [...]int{0, 1, 1000, 20_000, 100_000, 400_000}
	n := sizes[sc.rng.IntN(len(sizes))]
	return n + sc.rng.IntN(n+1)
}

// drawLink swarms the link: each property is there or not, so that some worlds have one fault alone.
func (sc *scenario) drawLink() Config {
	rng := sc.rng
	c := Config{Seed: rng.Uint64(), Delay: time.Duration(rng.Int64N(int64(100 * time.Millisecond)))}
	some := func(f func()) {
		if rng.IntN(4) == 0 {
			f()
		}
	}
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) + time.Microsecond }
	percent := func(max float64) float64 { return float64(int(rng.Float64()*max*1e4)) / 1e6 }
	some(func() { c.Loss = percent(30) })
	some(func() { c.Jitter = upTo(30 * time.Millisecond) })
	some(func() {
		c.Good, c.Bad, c.BadLoss = upTo(time.Second)+time.Millisecond, upTo(300*time.Millisecond), percent(100)
	})
	some(func() { c.Every = upTo(4*time.Second) + 2*time.Millisecond; c.Outage = upTo(c.Every / 2) })
	some(func() { c.Rate = int64(200_000 * math.Exp(rng.Float64()*6)); c.Queue = 3000 + rng.IntN(40_000) })
	some(func() { c.Police = 1_000_000 + rng.Int64N(50_000_000); c.Burst = 5000 + rng.IntN(100_000) })
	some(func() { c.Duplicate = percent(20) })
	some(func() { c.Replay = percent(5) })
	some(func() { c.Reorder, c.ReorderBy = percent(20), upTo(100*time.Millisecond) })
	some(func() { c.Corrupt = percent(10) })
	some(func() { c.MTU = 1280 + rng.IntN(9000) })
	some(func() { c.Rebind = time.Second + upTo(10*time.Second) })
	if c.Rate > 0 {
		some(func() { c.ECN = upTo(10 * time.Millisecond) })
	}
	return c
}

// start dials and schedules what happens beside the link.
func (sc *scenario) start(t *testing.T) {
	if sc.rng.IntN(3) == 0 {
		sc.transfer.Turn = func(e *End) {
			if sc.rng.IntN(40) == 0 && sc.Now().Before(sc.end) {
				e.Disturb(sc.rng)
			}
		}
	}
	require.NoError(t, sc.transfer.Start(sc.client, sc.server, &sc.clientConfig))
	for range sc.rng.IntN(4) {
		at := sc.Now().Add(time.Duration(sc.rng.Int64N(int64(faults))))
		incident := sc.incident()
		sc.Schedule(min(at, sc.end), func() {
			if !sc.healed {
				incident()
			}
		})
	}
}

// incident draws something that happens once.
func (sc *scenario) incident() func() {
	up, down := sc.Link(aAddr, bAddr), sc.Link(bAddr, aAddr)
	length := time.Duration(sc.rng.Int64N(int64(3 * time.Second)))
	switch sc.rng.IntN(8) {
	case 0: // one direction is gone
		link := []*Link{up, down}[sc.rng.IntN(2)]
		return func() {
			link.SetDown(true)
			sc.After(length, func() { link.SetDown(false) })
		}
	case 1: // both are
		return func() {
			up.SetDown(true)
			down.SetDown(true)
			sc.After(length, func() { up.SetDown(false); down.SetDown(false) })
		}
	case 2: // the MTU falls
		return func() {
			for _, l := range []*Link{up, down} {
				c := l.Config()
				c.MTU = 1280
				_ = l.Configure(sc.Now(), c)
			}
		}
	case 3: // the NAT forgets
		return sc.client.Socket().Rebind
	case 4: // the client comes from another network
		return func() { sc.client.Socket().Move(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), 999)) }
	case 5: // the client goes to another of its addresses, and the first is gone
		return sc.migrate
	case 6: // a process stands still
		node := []*Node{sc.client, sc.server}[sc.rng.IntN(2)]
		return func() {
			sc.seen["clock jump"]++
			node.JumpClock(length)
		}
	default: // somebody closes
		return func() {
			if e := sc.transfer.Client; e.Closed == nil {
				sc.seen["closed early"]++
				e.Session.CloseWithError(sc.client.Now(), 42, "enough")
				sc.client.Wake(e.Session)
			}
		}
	}
}

// otherAddr is the client's second interface.
var otherAddr = netip.MustParseAddrPort("203.0.113.5:1234")

// migrate moves the client to its second interface, over a link like the first, which it cuts.
func (sc *scenario) migrate() {
	e, link := sc.transfer.Client, sc.Link(aAddr, bAddr).Config()
	if _, err := sc.client.Open(otherAddr); err != nil || sc.Connect(otherAddr, bAddr, link) != nil {
		return // it is there already
	}
	if e.Session.Migrate(sc.client.Now(), protocol.AddrPair{Local: otherAddr, Remote: bAddr}) != nil {
		return // too early, or over
	}
	sc.seen["migration"]++
	sc.client.Wake(e.Session)
	sc.Link(aAddr, bAddr).SetDown(true)
	sc.Link(bAddr, aAddr).SetDown(true)
}

// links returns all links of the world.
func (sc *scenario) links() []*Link {
	all := []*Link{sc.Link(aAddr, bAddr), sc.Link(bAddr, aAddr)}
	if l := sc.Link(otherAddr, bAddr); l != nil {
		all = append(all, l, sc.Link(bAddr, otherAddr))
	}
	return all
}

// heal ends all faults. The MTU stays what it has become: a path may be narrow.
func (sc *scenario) heal() {
	sc.noteLinks()
	sc.healed = true
	for _, l := range sc.links() {
		l.SetDown(false)
		_ = l.Configure(sc.Now(), Config{Delay: 20 * time.Millisecond, MTU: l.Config().MTU})
	}
}

// finished reports whether the transfer is done or the session over.
func (sc *scenario) finished() bool {
	t := sc.transfer
	return t.Done() || t.Client.Closed != nil && (t.Server == nil || t.Server.Closed != nil)
}

// verdict checks why the session ended, and that both ends say the same about it.
func (sc *scenario) verdict() error {
	t := sc.transfer
	if err := sameEnd(t); err != nil {
		return err
	}
	for i, e := range []*End{t.Client, t.Server} {
		if e == nil {
			continue
		}
		other := []*End{t.Server, t.Client}[i]
		var app *protocol.ApplicationError
		switch {
		case errors.As(e.Closed, &app) && (app.Code == 0 || app.Code == 42):
		case errors.Is(e.Closed, protocol.ErrNoAnswer) && t.Server == nil:
			sc.seen["no answer"]++
		case errors.Is(e.Closed, protocol.ErrIdleTimeout):
			sc.seen["idle timeout"]++
		case errors.Is(e.Closed, protocol.ErrStatelessReset) && (other == nil || other.Closed != nil):
			// The other end had ended and could not say so, or the server gave up waiting for the last
			// packet of the handshake.
			sc.seen["stateless reset"]++
		default:
			return fmt.Errorf("ended by %v", e.Closed)
		}
	}
	return nil
}

// sameEnd checks that two ends that were told why the session ended were told the same: one code, said by
// one of them.
func sameEnd(t *Transfer) error {
	if t.Server == nil {
		return nil
	}
	var client, server *protocol.ApplicationError
	if !errors.As(t.Client.Closed, &client) || !errors.As(t.Server.Closed, &server) {
		return nil // one of them never heard of the other's end: verdict says when it may
	}
	switch {
	case client.Code != server.Code || client.Reason != server.Reason:
		return fmt.Errorf("the client ended by %v, the server by %v", client, server)
	case client.Remote == server.Remote:
		return fmt.Errorf("the client ended by %v, the server by %v: one closed and one was told", client, server)
	}
	return nil
}

// note counts which rare paths the seed came to.
func (sc *scenario) note() {
	t := sc.transfer
	count := func(name string, yes bool) {
		if yes {
			sc.seen[name]++
		}
	}
	for _, e := range []*End{t.Client, t.Server} {
		if e == nil {
			continue
		}
		st := e.Session.Stats()
		count("loss", st.PacketsLost > 0)
		count("message lost", st.Messages.Lost > 0)
		count("message expired", st.Messages.Expired > 0)
		count("message skipped", st.Messages.Skipped > 0)
		count("message late", st.Messages.Late > 0)
		count("repaired by code", st.Repair.RecoveredHere > st.Repair.RecoveredUnused)
		count("last chance doubled", st.Repair.Doubled > 0)
		count("messages at close", e.chat != nil && !e.chatted())
		count("needless retransmission", st.PacketsSpurious > 0)
		count("duplicate", st.Dropped.Duplicate > 0)
		count("forgery", st.Dropped.Forged > 0)
		count("key update", st.KeyUpdates > 0)
		count("path change", st.PathChanges > 0)
		count("larger MTU", st.MTU > protocol.MinDatagram)
		count("reset stream", e.Resets > 0)
		count("probe timeout", st.ProbeTimeouts > 0)
		count("reduction undone", st.CongestionUndone > 0)
		count("persistent congestion", st.PersistentCongestion > 0)
		count("black hole", st.BlackHoles > 0)
		count("key update during loss", st.KeyUpdates > 0 && st.PacketsLost > 0)
	}
	count("retry", sc.server.Endpoint().Stats().Retries > 0)
}

// noteLinks counts what the links did, before they are healed.
func (sc *scenario) noteLinks() {
	for _, l := range sc.links() {
		st := l.Stats()
		if st.Marked > 0 {
			sc.seen["CE mark"]++
		}
		if st.Drops[QueueFull] > 0 {
			sc.seen["queue full"]++
		}
	}
}

// TestSeedsAreRepeatable runs a few scenarios twice.
func TestSeedsAreRepeatable(t *testing.T) {
	for seed := uint64(100); seed < 104; seed++ {
		digest := func() uint64 {
			sc := newScenario(t, seed, make(map[string]int))
			sc.start(t)
			sc.RunUntil(sc.end, sc.finished)
			return sc.Digest()
		}
		require.Equal(t, digest(), digest(), "seed %d", seed)
	}
}
