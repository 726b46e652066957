package congestion

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

const (
	// queueInterval is how often the queue is looked at.
	queueInterval = time.Millisecond

	// checkEvery is how rarely runs look whether the core is sound: they have a million turns, and tests of
	// the simulator look at every one.
	checkEvery = 64

	// maxFlows is how many addresses there are.
	maxFlows = 200

	// backAfter and backFor say when a flow should be back after a change, in round trips, and for how
	// long that is measured.
	backAfter = 20
	backFor   = time.Second
)

// Run plays a scenario. Equal seeds give equal results.
func Run(s *Scenario, seed uint64) (*Result, error) {
	r := &run{
		scenario: s, world: sim.NewWorld(seed),
		result: &Result{Scenario: s, Seed: seed, Flows: make([]FlowResult, len(s.Flows))},
	}
	r.begin = r.world.Now()
	r.world.Violation = func(message string) { r.violation = message }
	if s.paced() {
		r.world.Capture = r.capture
	}
	link, err := s.link(s.Link)
	if err != nil {
		return nil, err
	}
	for i := range s.Flows {
		if err := r.add(i, link); err != nil {
			return nil, err
		}
	}
	if err := r.plan(link); err != nil {
		return nil, err
	}
	r.world.Run(r.begin.Add(s.Duration))
	if r.violation != "" {
		return nil, fmt.Errorf("%s, seed %d: %s", s.Name, seed, r.violation)
	}
	for _, f := range r.flows {
		f.finish(r.world.Now(), (s.Duration - s.Warmup).Seconds())
	}
	st := r.up.Stats()
	r.result.Marked = float64(st.Marked) / float64(max(st.Delivered, 1))
	r.result.marks = link.ECN > 0 || link.L4S > 0 || link.Mangle != ""
	return r.result, nil
}

type run struct {
	scenario  *Scenario
	world     *sim.World
	up, down  *sim.Link
	flows     []*flow
	result    *Result
	violation string
	begin     protocol.Time
	warm      bool          // the warm-up is over
	peak      time.Duration // longest queue since the last sample
	changed   protocol.Time // when the last change came; 0: not yet
}

func address(client bool, i int) netip.AddrPort {
	if client {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 1000)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 4433)
}

// add puts a flow with two nodes of its own on the bottleneck.
func (r *run) add(i int, link sim.Config) error {
	if i >= maxFlows {
		return fmt.Errorf("%d flows: at most %d", len(r.scenario.Flows), maxFlows)
	}
	f := &flow{
		Flow: r.scenario.Flows[i], run: r, out: &r.result.Flows[i], config: bulkConfig(),
		sources: make(map[uint64]*source),
	}
	var err error
	if f.config.NewController, err = controller(f.Controller); err != nil {
		return err
	}
	key, err := crypto.PrivateKeyFromSeed(r.world.Reader())
	if err != nil {
		return err
	}
	serving := bulkConfig()
	serving.Identity = key
	f.config.PeerKey = key.Public()
	f.server, err = r.world.NewNode(address(false, i), protocol.EndpointConfig{Session: serving, Listen: true, UnixAtZero: 1})
	if err != nil {
		return err
	}
	if f.client, err = r.world.NewNode(address(true, i), protocol.EndpointConfig{}); err != nil {
		return err
	}
	f.server.Event, f.client.Event = f.serverEvent, f.clientEvent
	f.server.CheckEvery, f.client.CheckEvery = checkEvery, checkEvery
	f.server.Socket().Delay, f.client.Socket().Delay = f.Line, f.Line
	r.flows = append(r.flows, f)
	return r.connect(i, link)
}

// connect makes the link for the first flow and lets the others share it.
func (r *run) connect(i int, link sim.Config) error {
	if i > 0 {
		return r.world.Share(address(true, i), address(false, i), address(true, 0), address(false, 0))
	}
	if err := r.world.Connect(address(true, 0), address(false, 0), link); err != nil {
		return err
	}
	r.up = r.world.Link(address(true, 0), address(false, 0))
	r.down = r.world.Link(address(false, 0), address(true, 0))
	return nil
}

// plan schedules what happens by the clock.
func (r *run) plan(link sim.Config) error {
	w, s := r.world, r.scenario
	for _, f := range r.flows {
		w.Schedule(r.begin.Add(f.Start), f.dial)
		if f.Stop > 0 {
			w.Schedule(r.begin.Add(f.Stop), func() { f.stopped = true })
		}
	}
	if err := r.planChanges(link); err != nil {
		return err
	}
	w.Schedule(r.begin.Add(s.Warmup), func() {
		r.warm = true
		for _, f := range r.flows {
			f.warm = f.read
		}
	})
	r.watch()
	w.After(SampleInterval, r.sample)
	return nil
}

func (r *run) planChanges(link sim.Config) error {
	w, s := r.world, r.scenario
	if s.Shift > 0 {
		r.result.Shift = time.Duration(w.Rand().Int64N(int64(s.Shift)))
	}
	shift, last := r.result.Shift, s.lastChange()
	for _, c := range s.Changes {
		next, err := s.link(c.Link)
		if err != nil {
			return err
		}
		next.Seed = r.up.Config().Seed // each seed of the world tosses its own coins
		w.Schedule(r.begin.Add(c.At+shift), func() {
			_ = r.up.Configure(w.Now(), next) // it was parsed, so it is valid
			_ = r.down.Configure(w.Now(), next)
			if c.At == last {
				r.changed = w.Now()
			}
		})
		link = next
	}
	if last == 0 || link.Rate == 0 {
		return nil
	}
	back := r.begin.Add(last + shift + backAfter*2*link.Delay)
	w.Schedule(back, func() {
		for _, f := range r.flows {
			f.before = f.read
		}
	})
	w.Schedule(back.Add(backFor), func() {
		for _, f := range r.flows {
			r.result.Back += 8 * float64(f.read-f.before) / backFor.Seconds() / Capacity(link.Rate)
		}
	})
	return nil
}

// progress notes that an application reads.
func (r *run) progress(now protocol.Time) {
	if !r.changed.IsZero() && r.result.First == 0 {
		r.result.First = now.Sub(r.changed)
	}
}

// capture tells sources what their sessions send.
func (r *run) capture(s sim.Sighting) {
	if s.Arrival {
		return
	}
	for i, f := range r.flows {
		if s.Packet.Src != address(true, i) {
			continue
		}
		for _, src := range f.sources {
			src.sent(s.At, len(s.Packet.Data))
		}
	}
}

// watch looks at the queue.
func (r *run) watch() {
	queue := r.up.Backlog(r.world.Now())
	r.peak = max(r.peak, queue)
	if r.warm {
		r.result.Queue.Add(queue)
	}
	r.world.After(queueInterval, r.watch)
}

func (r *run) sample() {
	s := Sample{At: r.world.Now().Sub(r.begin), Queue: r.peak}
	r.peak = 0
	for _, f := range r.flows {
		s.Rates = append(s.Rates, float64(8*(f.read-f.sampled))/SampleInterval.Seconds())
		f.sampled = f.read
		window := 0
		if f.session != nil {
			window = f.session.Stats().Window
		}
		s.Windows = append(s.Windows, window)
	}
	r.result.Samples = append(r.result.Samples, s)
	r.world.After(SampleInterval, r.sample)
}
