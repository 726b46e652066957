package compare

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// The game: rooms of players, each with a tick of its own, who say what they do and are told what they see.
const (
	gameHz       = 20
	gameStep     = time.Second / gameHz
	roomSize     = 100
	inputSize    = 32
	snapshotSize = 300
	// gameGrain is how long who says something, or works in ticks, lets go by until it looks again: what is due meanwhile
	// leaves together. A process that is thousands of players would else do little but wake up.
	gameGrain  = 500 * time.Microsecond
	gameWarmUp = time.Second
	// gameGrace is how long after the game messages of it may still leave, and then arrive.
	gameGrace = 500 * time.Millisecond
)

// What a server that keeps up does: gameQueueing is the p99 of both ways, gameLost percent at most do not arrive.
const (
	gameQueueing = 5.0 // ms
	gameLost     = 0.1 // percent
)

// gameSizes are the numbers of sessions that are tried for the highest one.
var gameSizes = []int{250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 10_000}

// gamers are those who have messages for which a game would take them.
func gamers(a *transport.About) bool { return carriesMessages(a) && !a.Outside }

func gameWorkloads() []*Workload {
	const text = "rooms of 100: inputs of 32 bytes up (reliable where the rival can) at each player's own phase, snapshots of 300 bytes down (newest wins) at the room's tick, 20 Hz each; loopback, the server and all clients are a process each; from when a message is due to its read"
	return []*Workload{
		{
			Name: "game", Text: text + "; 1,000 sessions",
			Columns: []Column{
				{"up_p50_ms", "up p50 ms", noRatio}, {"up_p99_ms", "up p99 ms", lower}, {"up_late_ms", "woke late, p99 ms", noRatio}, {"up_lost_percent", "lost %", noRatio},
				{"down_p50_ms", "down p50 ms", noRatio}, {"down_p99_ms", "down p99 ms", lower}, {"down_late_ms", "woke late, p99 ms", noRatio}, {"down_lost_percent", "lost %", noRatio},
				{"server_percent", "server CPU %", lower}, {"clients_percent", "clients CPU %", lower},
			},
			Links: []string{Loopback}, Duration: 3 * time.Second, Sessions: 1000, fits: gamers, apart: game,
		},
		{
			Name: "game-max", Text: fmt.Sprintf("%s; the highest number of sessions, of %v, with p99 below %v ms and at most %v %% lost both ways in two tries of three", text, gameSizes, gameQueueing, gameLost),
			Columns: []Column{
				{"sessions", "sessions", higher}, {"up_p99_ms", "up p99 ms there", noRatio}, {"down_p99_ms", "down p99 ms", noRatio},
				{"server_percent", "server CPU %", noRatio}, {"clients_percent", "clients CPU %", noRatio},
			},
			Links: []string{Loopback}, Duration: 2 * time.Second, fits: gamers, apart: gameMax,
		},
	}
}

// play is when a game counts, on the clock of the machine.
type play struct {
	Begin time.Duration `json:"begin"`
	End   time.Duration `json:"end"`
}

func (p *play) counts(due time.Duration) bool { return due >= p.Begin && due < p.End }

// played is what one end saw of a game.
type played struct {
	Sent     int64         `json:"sent"`
	Received int64         `json:"received"`
	P50MS    float64       `json:"p50_ms"`
	P99MS    float64       `json:"p99_ms"`
	CPU      time.Duration `json:"cpu"` // while it counts
	// LateMS is the p99 of how late this end woke up to send, without what sending before took.
	LateMS float64 `json:"late_ms"`
}

// inputs is what one end receives.
type inputs struct {
	play
	received atomic.Int64
	took     *histogram
}

// receive takes what comes to an end until the game is over: every turn where the transport has ticks, else with a
// goroutine for each session.
func (in *inputs) receive(ctx context.Context, end any, sessions []transport.Session, class transport.Class) {
	if t, ok := end.(transport.Ticker); ok {
		go func() {
			turns := newTurns()
			defer turns.close()
			for ctx.Err() == nil {
				t.ReceiveBatch(in.take)
				turns.await(0)
			}
		}()
		return
	}
	for _, s := range sessions {
		go func() {
			buf := make([]byte, maxMessage)
			for {
				n, err := s.ReceiveMessage(buf, class)
				if err != nil {
					return // the game is over
				}
				in.take(buf[:n])
			}
		}()
	}
}

// take counts one message.
func (in *inputs) take(b []byte) {
	if _, due := unstamp(b); in.counts(due) {
		in.received.Add(1)
		in.took.add(now() - due)
	}
}

func (in *inputs) result(sent int64, late *histogram, cpu time.Duration) *played {
	p := &played{Sent: sent, Received: in.received.Load(), CPU: cpu}
	if late.count() > 0 {
		p.LateMS = late.at(99)
	}
	if p.Received > 0 { // JSON has no NaN
		p.P50MS, p.P99MS = in.took.at(50), in.took.at(99)
	}
	return p
}

// welcome takes all players and what they say.
func (h *house) welcome(ctx context.Context, server transport.Server) {
	for {
		s, err := server.Accept(ctx)
		if err != nil {
			return // the run is over
		}
		h.keep(s)
	}
}

// play is the server's half of a game.
func (h *house) play(ctx context.Context, server transport.Server, p *play) *played {
	h.mu.Lock()
	sessions := h.sessions
	h.mu.Unlock()
	in := &inputs{play: *p, took: newHistogram()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in.receive(ctx, server, sessions, transport.Ordered)
	rooms := (len(sessions) + roomSize - 1) / roomSize
	t := &ticker{
		play: *p, sessions: sessions, class: transport.Newest, size: snapshotSize, end: server,
		phase: func(i int) time.Duration { return gameStep * time.Duration(i/roomSize) / time.Duration(max(rooms, 1)) },
	}
	return playOut(ctx, in, t)
}

// playOut sends and receives until the game is over, and what is on its way is there.
func playOut(ctx context.Context, in *inputs, t *ticker) *played {
	var cpu atomic.Int64
	time.AfterFunc(t.Begin-now(), func() { cpu.Add(-int64(ownCPU())) })
	t.late = newHistogram()
	sent := t.run(ctx)
	cpu.Add(int64(ownCPU()))
	_ = sleep(ctx, gameGrace)
	return in.result(sent, t.late, time.Duration(cpu.Load()))
}

func game(ctx context.Context, t transport.Transport, s *settings) (Sample, error) {
	c, err := startChild(ctx, t.About().Name, s, true)
	if err != nil {
		return nil, err
	}
	defer c.end()
	client, err := t.Client(transport.Options{Host: "127.0.0.1"})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	sessions, err := dialAll(ctx, client, c.target, s.sessions)
	defer closeAll(sessions)
	if err != nil {
		return nil, err
	}
	if err := awaitSessions(ctx, c, s.sessions); err != nil {
		return nil, err
	}
	begin := now() + gameWarmUp
	p := play{Begin: begin, End: begin + s.duration}
	if err := c.say(question{Play: &p}); err != nil {
		return nil, err
	}
	in := &inputs{play: p, took: newHistogram()}
	playing, over := context.WithCancel(ctx)
	defer over()
	in.receive(playing, client, sessions, transport.Newest)
	down := playOut(ctx, in, &ticker{
		play: p, sessions: sessions, class: transport.Ordered, size: inputSize, end: client,
		phase: func(i int) time.Duration { return gameStep * time.Duration(i) / time.Duration(len(sessions)) },
	})
	a, err := c.hear()
	if err != nil {
		return nil, err
	}
	up := a.Played
	up.Sent, down.Sent, up.LateMS, down.LateMS = down.Sent, up.Sent, down.LateMS, up.LateMS
	lost := func(p *played) float64 { return 100 * float64(p.Sent-p.Received) / float64(max(p.Sent, 1)) }
	percent := func(p *played) float64 { return 100 * p.CPU.Seconds() / s.duration.Seconds() }
	return Sample{
		"up_p50_ms": up.P50MS, "up_p99_ms": up.P99MS, "up_lost_percent": lost(up), "up_late_ms": up.LateMS, "server_percent": percent(up),
		"down_p50_ms": down.P50MS, "down_p99_ms": down.P99MS, "down_lost_percent": lost(down), "down_late_ms": down.LateMS, "clients_percent": percent(down),
	}, nil
}

// awaitSessions returns when the server has n sessions.
func awaitSessions(ctx context.Context, c *child, n int) error {
	for {
		a, err := c.ask(question{})
		if err != nil || a.Sessions >= n {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("the server has %d of %d sessions: %w", a.Sessions, n, err)
		}
	}
}

// gameMax looks for the highest number of sessions that a rival keeps up with.
func gameMax(ctx context.Context, t transport.Transport, s *settings) (Sample, error) {
	best, sessions, err := highest(gameSizes, func(n int) (Sample, error) {
		one := *s
		one.sessions = n
		return mostly(func() (Sample, error) { return gameOnce(ctx, t, &one) })
	})
	if err == nil {
		best["sessions"] = float64(sessions)
	}
	return best, err
}

// mostly tries until a size has twice been kept up with, and returns what the last try gave, or twice not: on a machine
// that others use, too, every try is now and then held up by them.
func mostly(try func() (Sample, error)) (kept Sample, err error) {
	for good, bad := 0, 0; good < 2; {
		got, err := try()
		switch {
		case err != nil:
			return nil, err
		case keepsUp(got):
			good, kept = good+1, got
		default:
			bad++
		}
		if bad == 2 {
			return Sample{}, nil
		}
	}
	return kept, nil
}

// highest looks for the highest size that is kept up with, as if every lower one were, and returns what it gave; 0 if
// none is.
func highest(sizes []int, try func(n int) (Sample, error)) (best Sample, size int, err error) {
	best = Sample{}
	low, high := 0, len(sizes)
	for low < high {
		middle := (low + high) / 2
		got, err := try(sizes[middle])
		if err != nil {
			return nil, 0, err
		}
		if keepsUp(got) {
			low, best, size = middle+1, got, sizes[middle]
		} else {
			high = middle
		}
	}
	return best, size, nil
}

// gameOnce gives each size the time that one run has. Players who do not get in are a failure of the size.
func gameOnce(ctx context.Context, t transport.Transport, s *settings) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, s.duration+patience)
	defer cancel()
	got, err := game(ctx, t, s)
	if ctx.Err() == context.DeadlineExceeded {
		return Sample{}, nil
	}
	return got, err
}

func keepsUp(s Sample) bool {
	for _, way := range []string{"up", "down"} {
		p99, ok := s[way+"_p99_ms"]
		if !ok || p99 > gameQueueing || s[way+"_lost_percent"] > gameLost || p99 == 0 {
			return false
		}
	}
	return true
}
