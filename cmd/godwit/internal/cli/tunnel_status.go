package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/conn/tunnel"
)

const (
	// statsInterval is how often --stats writes a record, unless --status says something else.
	statsInterval = 10 * time.Second
	// shortestStatus keeps statistics cheaper than what they count.
	shortestStatus = 100 * time.Millisecond
	// statusSessions is how many sessions a server reports by name; beyond, one line stands for all.
	statusSessions = 20
	// noInterval stands for no report at all.
	noInterval = time.Duration(1<<63 - 1)
)

// reporting is what the user wants to be told how often.
type reporting struct {
	status time.Duration // between status lines; 0: none
	stats  string        // file of the records; "-": stdout; empty: none
}

// interval is the time between reports.
func (r reporting) interval() time.Duration {
	switch {
	case r.status > 0:
		return r.status
	case r.stats != "":
		return statsInterval
	}
	return noInterval
}

// reporter writes status lines and records of a tunnel.
type reporter struct {
	snapshot func() statsSnapshot
	console  *console
	stdout   io.Writer
	log      *slog.Logger
	changed  chan struct{} // configure was called
	asked    chan os.Signal

	mu      sync.Mutex
	want    reporting
	file    io.WriteCloser // nil: none
	last    time.Time
	traffic map[uint64]traffic // of sessions, at last
}

// traffic is what a session had carried at one time, in bytes.
type traffic struct{ sent, received uint64 }

// statsSnapshot is what an end of a tunnel has seen so far.
type statsSnapshot struct {
	end      string
	began    time.Time
	endpoint *conn.EndpointStats
	sessions []tunnel.SessionStats
	forwards []tunnel.ForwardStats
	sofar    uint64
}

func clientSnapshot(s tunnel.ClientStats) statsSnapshot {
	snap := statsSnapshot{end: "client", began: s.Began, forwards: s.Forwards, sofar: s.Sessions}
	if s.Session != nil {
		snap.sessions = []tunnel.SessionStats{*s.Session}
	}
	return snap
}

func serverSnapshot(s tunnel.ServerStats) statsSnapshot {
	return statsSnapshot{end: "server", began: s.Began, endpoint: &s.Endpoint, sessions: s.Sessions}
}

func newReporter(snapshot func() statsSnapshot, c *console, stdout io.Writer, log *slog.Logger) *reporter {
	r := &reporter{
		snapshot: snapshot, console: c, stdout: stdout, log: log, changed: make(chan struct{}, 1), asked: make(chan os.Signal, 1),
		traffic: make(map[uint64]traffic), last: time.Now(),
	}
	notifyStatus(r.asked)
	return r
}

// configure says what is wanted from now on. The file is opened anew, so that one that was moved away for rotation is
// left alone.
func (r *reporter) configure(want reporting) error {
	var file io.WriteCloser
	switch want.stats {
	case "":
	case "-":
		file = unclosed{r.stdout}
	default:
		f, err := os.OpenFile(want.stats, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("--stats: %w", err)
		}
		file = f
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeFile()
	r.want, r.file = want, file
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return nil
}

// unclosed is a writer that stays open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

func (r *reporter) closeFile() {
	if r.file != nil {
		_ = r.file.Close() // each record was written whole
		r.file = nil
	}
}

// close stops listening to signals.
func (r *reporter) close() { signal.Stop(r.asked) }

// beside reports while serve runs. When ctx ends the last record comes first, while there are sessions to count, and
// serve's context ends then.
func (r *reporter) beside(ctx context.Context, serve func(context.Context) error) error {
	reporting, done := context.WithCancel(ctx)
	defer done()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer stop()
		r.run(reporting)
	}()
	err := serve(serving)
	done()
	<-ended
	return err
}

// run reports until ctx ends, and then a last record.
func (r *reporter) run(ctx context.Context) {
	timer := time.NewTicker(noInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.end()
			return
		case <-r.changed:
			r.mu.Lock()
			timer.Reset(r.want.interval())
			r.mu.Unlock()
		case <-timer.C:
			r.report(false)
		case <-r.asked:
			r.report(true)
		}
	}
}

// end writes the last record.
func (r *reporter) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.console.status("")
	s := r.record(r.snapshot(), time.Now())
	r.write(&s)
	r.closeFile()
}

// report writes a status line, if one is wanted or asked for, and a record.
func (r *reporter) report(asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	snap := r.snapshot()
	s := r.record(snap, time.Now())
	r.write(&s)
	switch {
	case !asked && r.want.status == 0:
	case !asked && r.console.terminal:
		r.console.status(statusText(&s, snap.sessions))
	default:
		r.logStatus(&s, snap.sessions)
	}
}

func (r *reporter) write(s *statsRecord) {
	if r.file == nil {
		return
	}
	line, err := s.line()
	if err == nil {
		_, err = r.file.Write(line)
	}
	if err != nil {
		r.log.Error("no more statistics: they cannot be written", "reason", err)
		r.closeFile()
	}
}

// record makes a record of a snapshot, and keeps what the rates of the next one need.
func (r *reporter) record(snap statsSnapshot, now time.Time) statsRecord {
	s := statsRecord{
		Schema: statsSchema, Time: now.UTC(), End: snap.end, UptimeMS: milliseconds(now.Sub(snap.began)),
		Sessions: make([]sessionRecord, 0, len(snap.sessions)), Forwards: newForwardRecords(snap.forwards), SessionsSoFar: snap.sofar,
	}
	if snap.endpoint != nil {
		s.Endpoint = record(*snap.endpoint)
	}
	carried := make(map[uint64]traffic, len(snap.sessions))
	for i := range snap.sessions {
		x := &snap.sessions[i]
		t, before := traffic{x.Session.BytesSent, x.Session.BytesReceived}, r.traffic[x.Number]
		since := now.Sub(later(r.last, x.Began)).Seconds()
		one := sessionRecord{
			Number: x.Number, Client: x.Client, Remote: x.Remote.String(), UptimeMS: milliseconds(now.Sub(x.Began)),
			SendRateBPS: bitRate(t.sent-before.sent, since), ReceiveRateBPS: bitRate(t.received-before.received, since),
			Session: record(x.Session), Reverse: newForwardRecords(x.Reverse),
		}
		if len(x.Channels) > 0 {
			one.Channels = record(x.Channels)
		}
		if snap.end == "server" {
			targets := newForwardRecord(&x.Targets)
			one.Targets = &targets
		}
		s.Sessions = append(s.Sessions, one)
		carried[x.Number] = t
	}
	r.last, r.traffic = now, carried
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bitRate is in bit/s.
func bitRate(bytes uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(bytes) * 8 / seconds
}

// logStatus logs one line for each session, or one for all when they are many or none.
func (r *reporter) logStatus(s *statsRecord, sessions []tunnel.SessionStats) {
	if len(sessions) == 0 || len(sessions) > statusSessions {
		r.log.Info("status", "state", statusText(s, sessions))
		return
	}
	for i := range sessions {
		name := []any{}
		if s.End == "server" {
			name = append(name, "client", s.Sessions[i].Client)
		}
		one := *s
		one.Sessions = s.Sessions[i : i+1]
		r.log.Info("status", append(name, "state", statusText(&one, sessions[i:i+1]))...)
	}
}

// statusText is a line for people, of one session or of several together.
func statusText(s *statsRecord, sessions []tunnel.SessionStats) string {
	var parts []string
	switch {
	case s.End == "server" && len(sessions) != 1:
		parts = append(parts, plural(len(sessions), "client"))
	case len(sessions) == 0:
		parts = append(parts, "not connected")
	default:
		up := time.Duration(s.Sessions[0].UptimeMS) * time.Millisecond
		parts = append(parts, fmt.Sprintf("up %v", up.Truncate(time.Second)), fmt.Sprintf("rtt %v", sessions[0].Session.RTT.Round(100*time.Microsecond)))
	}
	var sent, lost uint64
	var send, receive float64
	open := openOf(s.Forwards)
	for i := range sessions {
		sent += sessions[i].Session.PacketsSent
		lost += sessions[i].Session.Sending.Lost
		send += s.Sessions[i].SendRateBPS
		receive += s.Sessions[i].ReceiveRateBPS
		open += openOf(s.Sessions[i].Reverse)
		if t := s.Sessions[i].Targets; t != nil {
			open += openOf([]forwardRecord{*t})
		}
	}
	if len(sessions) > 0 {
		parts = append(parts, fmt.Sprintf("sending %s, receiving %s", rateText(send), rateText(receive)),
			fmt.Sprintf("lost %.2f %%", 100*float64(lost)/float64(max(sent, 1))))
	}
	return strings.Join(append(parts, plural(int(open), "connection")), ", ")
}

// openOf counts connections and flows.
func openOf(list []forwardRecord) (n int64) {
	for i := range list {
		n += list[i].Open
	}
	return n
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// rateText writes a rate of bits a second with a unit that fits.
func rateText(bps float64) string {
	switch {
	case bps >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", bps/1e9)
	case bps >= 1e6:
		return fmt.Sprintf("%.1f Mbit/s", bps/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", bps/1e3)
}
