//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-net/godwit/bench/alarm"
	"github.com/godwit-net/godwit/conn"
)

// limit is the queueing that a game bears: from when a message is due until the other end has it, for 99 of 100.
const limit = 5 * time.Millisecond

// playGames plays with ever more players, and says with how many it went well.
func playGames(ctx context.Context, sizes string, length time.Duration, sockets int) error {
	fmt.Println("| players | inputs lost | late by, ms, p50 / p99 / p99.9 | snapshots lost | late by, ms | CPU of the server, s/s | of the players | both, µs a message | datagrams a message |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	best := 0
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil || n <= 0 {
			return fmt.Errorf("-game: %q is no number of players", size)
		}
		up, down, err := playGame(ctx, n, length, sockets)
		if err != nil {
			return err
		}
		fmt.Println(gameRow(n, length, up, down))
		lost := down.Sent + up.Sent - up.Received - down.Received
		if lost == 0 && up.P99 < limit && down.P99 < limit {
			best = max(best, n)
		}
	}
	fmt.Printf("\nThe most players without loss and with less than %v for 99 of 100 messages: %d.\n", limit, best)
	return nil
}

// gameRow is what both ends tell: up the server, which got the inputs, down the players.
func gameRow(n int, length time.Duration, up, down *side) string {
	seconds := (warmUp + length).Seconds()
	all := float64(up.Sent+down.Sent) * seconds / length.Seconds()
	return fmt.Sprintf("| %d | %d of %d | %s | %d of %d | %s | %.2f | %.2f | %.1f | %.2f |", n,
		down.Sent-up.Received, down.Sent, up, up.Sent-down.Received, up.Sent, down,
		up.CPU.Seconds()/seconds, down.CPU.Seconds()/seconds, float64((up.CPU+down.CPU).Microseconds())/all,
		float64(up.Datagrams+down.Datagrams)/all)
}

// playGame has this process be the server and another one the players.
func playGame(ctx context.Context, n int, length time.Duration, sockets int) (up, down *side, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{AcceptBacklog: n})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	players, err := startPlayers(ctx, l, n, length, sockets)
	if err != nil {
		return nil, nil, err
	}
	defer players.end()
	sessions := make([]*conn.Session, n)
	for i := range sessions {
		if sessions[i], err = l.AcceptSession(ctx); err != nil {
			return nil, nil, err
		}
	}
	line, err := players.out.ReadString('\n') // when the game begins
	if err != nil {
		return nil, nil, fmt.Errorf("the players said nothing: %w", err)
	}
	begin, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return nil, nil, fmt.Errorf("the players said %q: %w", line, err)
	}
	up = hostGame(l, sessions, time.Duration(begin), length)
	down = new(side)
	if err := json.NewDecoder(players.out).Decode(down); err != nil {
		return nil, nil, fmt.Errorf("the players gave no result: %w", err)
	}
	return up, down, nil
}

func startPlayers(ctx context.Context, l *conn.Listener, n int, length time.Duration, sockets int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, "-players-of", l.Addr().String(), "-key", l.PublicKey().String(),
		"-game", strconv.Itoa(n), "-for", length.String(), "-sockets", strconv.Itoa(sockets))}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// hostGame is the server's loop. The rooms' ticks are spread over the period.
func hostGame(l *conn.Listener, sessions []*conn.Session, begin, length time.Duration) *side {
	w := window{begin + warmUp, begin + warmUp + length}
	sent, got := newTally(w), newTally(w)
	batch, snapshot := make([]conn.Received, 512), make([]byte, snapshotSize)
	rooms := (len(sessions) + roomSize - 1) / roomSize
	cpu, datagrams := processorTime(), datagramsSent(sessions)
	next := newPlan(begin, rooms)
	looks := newLooks()
	defer looks.close()
	for now := alarm.Now(); now < w.to; now = alarm.Now() {
		got.receive(batch, l.ReceiveBatch)
		for room, due, ok := next.due(now); ok; room, due, ok = next.due(now) {
			for _, s := range sessions[room*roomSize : min((room+1)*roomSize, len(sessions))] {
				sent.send(s, snapshot, due, snapshots)
			}
			l.Flush()
		}
		looks.next()
	}
	cpu, datagrams = processorTime()-cpu, datagramsSent(sessions)-datagrams
	for end := alarm.Now() + settle; alarm.Now() < end; looks.next() {
		got.receive(batch, l.ReceiveBatch)
	}
	result := sideOf(sent, got)
	result.CPU, result.Datagrams = cpu, datagrams
	return &result
}

// plan says when each of n is due: once every period, one after the other.
type plan struct {
	begin time.Duration
	n     int
	turn  int
}

func newPlan(begin time.Duration, n int) plan { return plan{begin: begin, n: n} }

// due returns who is due next, and when, if that is not later than now.
func (p *plan) due(now time.Duration) (who int, at time.Duration, ok bool) {
	at = p.begin + period*time.Duration(p.turn/p.n) + period*time.Duration(p.turn%p.n)/time.Duration(p.n)
	if at > now {
		return 0, 0, false
	}
	who = p.turn % p.n
	p.turn++
	return who, at, true
}
