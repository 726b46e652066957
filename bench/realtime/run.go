package realtime

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

const (
	// warmup is left out of all figures: the handshake, the search for the MTU, and the first measurement
	// of the link's loss.
	warmup = 5 * time.Second
	// drain is how long messages may take after the last one was written: several retransmissions.
	drain = 2 * time.Second

	// maxStretch is how much longer than its messages take a run may be, in parts of that: between transfers
	// messages do not count.
	maxStretch = 10

	// checkEvery is how rarely runs look whether the core is sound: they have a million turns, and tests of
	// the simulator look at every one.
	checkEvery = 1024
)

var (
	clientAddress = netip.MustParseAddrPort("192.0.2.1:1000")
	serverAddress = netip.MustParseAddrPort("198.51.100.1:4433")
)

// Run plays a scenario. Equal seeds give equal results.
func Run(s *Scenario, seed uint64) (*Result, error) {
	r := &run{scenario: s, world: sim.NewWorld(seed), buf: make([]byte, 0, maxMessage)}
	r.rng, r.begin = r.world.Rand(), r.world.Now()
	r.world.Violation = func(message string) { r.violation = message }
	if err := r.connect(); err != nil {
		return nil, err
	}
	if s.Starts > 0 {
		r.measuring, r.before = true, r.count()
	} else {
		r.world.Schedule(r.begin.Add(warmup), r.warm)
	}
	more := func() bool { return r.over || r.err != nil || r.violation != "" }
	limit := warmup + time.Duration(maxStretch*float64(s.Samples)/s.Load.perSecond()*float64(time.Second)) + 2*drain
	if !r.world.RunUntil(r.begin.Add(limit), more) {
		r.err = fmt.Errorf("not over after %v", limit)
	}
	switch {
	case r.violation != "":
		return nil, fmt.Errorf("%s, seed %d: %s", s.Name, seed, r.violation)
	case r.err != nil:
		return nil, fmt.Errorf("%s, seed %d: %w", s.Name, seed, r.err)
	}
	return r.result(seed), nil
}

// maxMessage is the size of the largest message that is sent.
const maxMessage = 64 << 10

// run is a scenario under way.
type run struct {
	scenario       *Scenario
	world          *sim.World
	up, down       *sim.Link
	client, server *sim.Node
	session        *protocol.Session
	rng            *rand.Rand
	begin          protocol.Time
	log            log
	transfer       transfer
	measuring      bool // the warm-up is over
	over           bool
	before, after  counters
	buf            []byte
	violation      string
	err            error
}

// counters are what both ends and links have counted at a time.
type counters struct {
	up, down sim.Stats
	client   protocol.Stats
}

func (r *run) count() counters {
	return counters{up: r.up.Stats(), down: r.down.Stats(), client: r.session.Stats()}
}

// connect makes the link and both ends, and dials.
func (r *run) connect() error {
	link, err := sim.ParseLink(r.scenario.Link)
	if err != nil {
		return err
	}
	key, err := crypto.PrivateKeyFromSeed(r.world.Reader())
	if err != nil {
		return err
	}
	overhead := r.scenario.Cap
	config := protocol.EndpointConfig{
		Session: protocol.Config{Identity: key, OverheadCap: overhead}, Listen: true, UnixAtZero: 1,
	}
	if r.server, err = r.world.NewNode(serverAddress, config); err != nil {
		return err
	}
	if r.client, err = r.world.NewNode(clientAddress, protocol.EndpointConfig{}); err != nil {
		return err
	}
	if err := r.world.Connect(clientAddress, serverAddress, link); err != nil {
		return err
	}
	r.log.link, r.log.load = link, &r.scenario.Load
	r.up, r.down = r.world.Link(clientAddress, serverAddress), r.world.Link(serverAddress, clientAddress)
	r.client.Event, r.server.Event = r.clientEvent, r.serverEvent
	r.client.CheckEvery, r.server.CheckEvery = checkEvery, checkEvery
	r.session, err = r.client.Dial(&protocol.Config{PeerKey: key.Public(), OverheadCap: overhead}, serverAddress)
	return err
}

func (r *run) clientEvent(_ *protocol.Session, e protocol.Event) {
	switch e.Kind {
	case protocol.EventEstablished:
		r.world.After(r.scenario.Pause, r.beat)
	case protocol.EventStreamWritable:
		r.err = r.transfer.write(e.Stream)
	case protocol.EventClosed:
		r.err = fmt.Errorf("the client's session ended: %w", e.Err)
	}
}

// warm ends the warm-up.
func (r *run) warm() {
	if !r.session.Established() {
		r.world.After(warmup, r.warm) // the handshake took long
		return
	}
	r.measuring = true
	r.before = r.count()
	if r.scenario.Transfer > 0 {
		r.startTransfer()
	}
}

// beat writes a frame, and the next one when its time comes.
func (r *run) beat() {
	if r.err != nil {
		return
	}
	if r.log.counted >= r.scenario.Samples {
		r.world.After(drain, r.end)
		return
	}
	r.err = r.writeFrame()
	r.client.Wake(r.session)
	r.world.After(r.scenario.Load.Every, r.beat)
}

func (r *run) end() {
	r.after = r.count()
	r.over = true
}

// writeFrame writes the messages of a frame at once.
func (r *run) writeFrame() error {
	load, now := &r.scenario.Load, r.world.Now()
	counts := r.measuring && (r.scenario.Transfer == 0 || r.transfer.running)
	r.log.newFrame()
	n := draw(r.rng, load.frame(), load.MaxFrame)
	if r.log.frames == 1 && load.First > 0 {
		n = load.First
	}
	for range n {
		size := draw(r.rng, load.Size, load.MaxSize)
		if err := r.session.SendMessage(now, r.log.message(now, size, counts), load.Options); err != nil {
			return err
		}
	}
	return nil
}

// draw returns a number from least to most, or least when that is more.
func draw(rng *rand.Rand, least, most int) int {
	if most <= least {
		return least
	}
	return least + rng.IntN(most-least+1)
}

func (r *run) serverEvent(s *protocol.Session, e protocol.Event) {
	switch e.Kind {
	case protocol.EventMessagesReadable:
		for {
			b, _, ok := s.ReceiveMessage(r.buf[:0])
			if !ok {
				return
			}
			r.log.arrived(r.world.Now(), b)
		}
	case protocol.EventStreamOpened, protocol.EventStreamReadable:
		r.readTransfer(e.Stream)
	}
}
