package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// flow is one session with its ends, and the application at both.
type flow struct {
	Flow
	run            *run
	out            *FlowResult
	config         protocol.Config
	client, server *sim.Node
	session        *protocol.Session
	open           []*protocol.Stream // of bulk
	sources        map[uint64]*source // by the number of their stream
	wrote          uint64             // bytes of bulk
	read           uint64             // bytes, by the application at the server
	warm           uint64             // of them, before the end of the warm-up
	sampled        uint64             // of them, up to the last sample
	before         uint64             // of them, up to the second that Back is about
	credit         float64
	stopped        bool
	err            error
	buf            [16 << 10]byte // what the application reads goes here, and nowhere
}

// bulk is what applications write: any bytes do.
var bulk [16 << 10]byte

func (f *flow) dial() {
	f.session, f.err = f.client.Dial(&f.config, f.server.Addr())
}

func (f *flow) clientEvent(s *protocol.Session, e protocol.Event) {
	switch e.Kind {
	case protocol.EventEstablished:
		f.err = f.start(s)
	case protocol.EventStreamWritable:
		if src := f.sources[e.Stream.ID()]; src != nil {
			f.err = src.write()
			return
		}
		f.write(e.Stream)
	case protocol.EventClosed:
		f.err = e.Err
	}
}

// start opens the streams of the flow and begins to write.
func (f *flow) start(s *protocol.Session) error {
	if f.Load != Bulk {
		return f.startSource(s, f.Load)
	}
	if f.Game {
		if err := f.startSource(s, Game); err != nil {
			return err
		}
	}
	for range f.streams() {
		st, err := s.OpenStream(true)
		if err != nil {
			return err
		}
		f.open = append(f.open, st)
	}
	if f.Rate > 0 {
		f.earn()
	}
	f.writeAll()
	return f.err
}

func (f *flow) startSource(s *protocol.Session, l Load) error {
	st, err := s.OpenStream(true)
	if err != nil {
		return err
	}
	src := &source{pace: paces[l], stream: st, out: f.out}
	st.SetPriority(src.priority)
	f.sources[st.ID()] = src
	f.beat(src)
	return nil
}

// beat writes a piece, and the next one when its time comes.
func (f *flow) beat(src *source) {
	if f.err != nil {
		return
	}
	src.counts = f.run.warm
	f.err = src.tick(f.run.world.Now())
	f.client.Wake(f.session)
	f.run.world.After(src.every, func() { f.beat(src) })
}

// earn gives bulk with a rate what it may write, 60 times a second.
func (f *flow) earn() {
	const tick = time.Second / 60
	f.credit += float64(f.Rate) / 8 * tick.Seconds()
	f.writeAll()
	f.client.Wake(f.session)
	f.run.world.After(tick, f.earn)
}

func (f *flow) writeAll() {
	for _, st := range f.open {
		f.write(st)
	}
}

// write gives a stream of bulk what it takes, and what the application has.
func (f *flow) write(st *protocol.Stream) {
	for f.err == nil && !f.stopped {
		n := len(bulk)
		if f.Rate > 0 {
			n = min(n, int(f.credit))
		}
		if f.Bytes > 0 {
			n = int(min(uint64(n), f.Bytes-f.wrote))
		}
		if n == 0 {
			return
		}
		wrote, err := st.Write(bulk[:n])
		f.credit -= float64(wrote)
		f.wrote += uint64(wrote)
		if f.err = err; wrote < n {
			return
		}
	}
}

func (f *flow) serverEvent(_ *protocol.Session, e protocol.Event) {
	if e.Kind != protocol.EventStreamOpened && e.Kind != protocol.EventStreamReadable {
		return
	}
	now := f.run.world.Now()
	for {
		n, err := e.Stream.Read(f.buf[:])
		if n == 0 || err != nil {
			return
		}
		f.read += uint64(n)
		f.run.progress(now)
		if src := f.sources[e.Stream.ID()]; src != nil {
			src.arrived(now, n)
		}
		if f.Bytes > 0 && f.read >= f.Bytes && f.out.Done == 0 {
			f.out.Done = now.Sub(f.run.begin.Add(f.Start))
		}
	}
}

// finish fills in the result.
func (f *flow) finish(now protocol.Time, seconds float64) {
	f.out.Goodput = 8 * float64(f.read-f.warm) / seconds
	f.out.Err = f.err
	for _, src := range f.sources {
		src.finish(now)
	}
	if f.session != nil {
		st := f.session.Stats()
		f.out.Established = f.session.Established()
		f.out.Sent, f.out.Lost, f.out.Spurious = st.PacketsSent, st.PacketsLost, st.PacketsSpurious
	}
}

// bulkConfig gives a session windows that never limit a flow.
func bulkConfig() protocol.Config {
	const window = 32 << 20 // four round trips of 150 ms at 500 Mbit/s
	p := protocol.DefaultParameters()
	p.MaxData, p.MaxStreamDataUni = window, window
	return protocol.Config{Params: &p}
}
