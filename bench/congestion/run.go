package congestion

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// defaultStreams is how many streams a flow sends on. One would be limited, where much is lost, by its
// buffer, which holds what is sent until all before it has arrived, and not by the controller.
const defaultStreams = 8

// queueInterval is how often the queue is looked at.
const queueInterval = time.Millisecond

// checkEvery is how rarely runs look whether the core is sound: they have a million turns, and tests of
// the simulator look at every one.
const checkEvery = 64

// Run plays a scenario. Equal seeds give equal results.
func Run(s *Scenario, seed uint64) (*Result, error) {
	r := &run{
		scenario: s, world: sim.NewWorld(seed),
		result: &Result{Scenario: s, Flows: make([]FlowResult, len(s.Flows))},
	}
	r.world.Violation = func(message string) { r.violation = message }
	link, err := sim.ParseLink(s.Link)
	if err != nil {
		return nil, err
	}
	for i := range s.Flows {
		if err := r.add(i, link); err != nil {
			return nil, err
		}
	}
	if err := r.plan(); err != nil {
		return nil, err
	}
	r.world.Run(r.start().Add(s.Duration))
	if r.violation != "" {
		return nil, fmt.Errorf("%s, seed %d: %s", s.Name, seed, r.violation)
	}
	r.finish()
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
}

// flow is one session with its ends.
type flow struct {
	Flow
	config         protocol.Config
	client, server *sim.Node
	session        *protocol.Session
	open           []*protocol.Stream
	read           uint64 // bytes, by the application at the server
	warm           uint64 // of them, before the end of the warm-up
	sampled        uint64 // of them, up to the last sample
	credit         float64
	stopped        bool
	err            error
	buf            [16 << 10]byte // what the application reads goes here, and nowhere
}

func (r *run) start() protocol.Time {
	if r.begin == 0 {
		r.begin = r.world.Now()
	}
	return r.begin
}

func address(client bool, i int) netip.AddrPort {
	if client {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 1000)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 4433)
}

// maxFlows is how many addresses there are.
const maxFlows = 200

// add puts a flow with two nodes of its own on the bottleneck.
func (r *run) add(i int, link sim.Config) error {
	if i >= maxFlows {
		return fmt.Errorf("%d flows: at most %d", len(r.scenario.Flows), maxFlows)
	}
	f := &flow{Flow: r.scenario.Flows[i], config: bulkConfig()}
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
	r.flows = append(r.flows, f)
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
func (r *run) plan() error {
	w, start := r.world, r.start()
	for _, f := range r.flows {
		w.Schedule(start.Add(f.Start), func() { r.dial(f) })
		if f.Stop > 0 {
			w.Schedule(start.Add(f.Stop), func() { f.stopped = true })
		}
	}
	for _, c := range r.scenario.Changes {
		link, err := sim.ParseLink(c.Link)
		if err != nil {
			return err
		}
		w.Schedule(start.Add(c.At), func() {
			_ = r.up.Configure(w.Now(), link) // it was parsed, so it is valid
			_ = r.down.Configure(w.Now(), link)
		})
	}
	w.Schedule(start.Add(r.scenario.Warmup), func() {
		for _, f := range r.flows {
			f.warm = f.read
		}
		r.watch()
	})
	w.After(SampleInterval, r.sample)
	return nil
}

func (r *run) dial(f *flow) {
	s, err := f.client.Dial(&f.config, f.server.Addr())
	if err != nil {
		f.err = err
		return
	}
	f.session = s
	if f.Rate > 0 {
		r.earn(f)
	}
}

// earn gives a flow with a rate what it may write, 60 times a second.
func (r *run) earn(f *flow) {
	const tick = time.Second / 60
	f.credit += float64(f.Rate) / 8 * tick.Seconds()
	f.write()
	f.client.Wake(f.session)
	r.world.After(tick, func() { r.earn(f) })
}

// watch looks at the queue.
func (r *run) watch() {
	r.result.Queue.Add(r.up.Backlog(r.world.Now()))
	r.world.After(queueInterval, r.watch)
}

func (r *run) sample() {
	now := r.world.Now()
	s := Sample{At: now.Sub(r.start()), Queue: r.up.Backlog(now)}
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

func (r *run) finish() {
	seconds := (r.scenario.Duration - r.scenario.Warmup).Seconds()
	for i, f := range r.flows {
		out := &r.result.Flows[i]
		out.Goodput = 8 * float64(f.read-f.warm) / seconds
		out.Err = f.err
		if f.session == nil {
			continue
		}
		st := f.session.Stats()
		out.Established = f.session.Established()
		out.Sent, out.Lost, out.Spurious = st.PacketsSent, st.PacketsLost, st.PacketsSpurious
	}
}

// bulk is what flows write: any bytes do.
var bulk [16 << 10]byte

func (f *flow) clientEvent(s *protocol.Session, e protocol.Event) {
	switch e.Kind {
	case protocol.EventEstablished:
		f.start(s)
		f.write()
	case protocol.EventStreamWritable:
		f.writeTo(e.Stream)
	case protocol.EventClosed:
		f.err = e.Err
	}
}

// start opens the streams of the flow.
func (f *flow) start(s *protocol.Session) {
	for range cmp.Or(f.Streams, defaultStreams) {
		st, err := s.OpenStream(true)
		if err != nil {
			f.err = err
			return
		}
		f.open = append(f.open, st)
	}
}

func (f *flow) write() {
	for _, st := range f.open {
		f.writeTo(st)
	}
}

// writeTo writes what the stream takes, and what the application has.
func (f *flow) writeTo(st *protocol.Stream) {
	for f.err == nil && !f.stopped {
		n := len(bulk)
		if f.Rate > 0 {
			n = min(n, int(f.credit))
		}
		if n == 0 {
			return
		}
		wrote, err := st.Write(bulk[:n])
		f.credit -= float64(wrote)
		if f.err = err; wrote < n {
			return
		}
	}
}

func (f *flow) serverEvent(_ *protocol.Session, e protocol.Event) {
	if e.Kind != protocol.EventStreamOpened && e.Kind != protocol.EventStreamReadable {
		return
	}
	for {
		n, err := e.Stream.Read(f.buf[:])
		f.read += uint64(n)
		if n == 0 || err != nil {
			return
		}
	}
}
