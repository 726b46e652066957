//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/godwit-net/godwit/bench/alarm"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// ready is how long after the last player has joined the game begins.
const ready = time.Second

// bePlayers joins a game with n players behind some sockets, tells standard output when it begins, plays, and tells
// how it was.
func bePlayers(ctx context.Context, server, key string, n int, length time.Duration, sockets int) error {
	public, err := crypto.ParsePublicKey(key)
	if err != nil {
		return err
	}
	endpoints := make([]*conn.Endpoint, sockets)
	for i := range endpoints {
		raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		if endpoints[i], err = conn.NewEndpoint(raw, nil); err != nil {
			return err
		}
		defer endpoints[i].Close()
	}
	var sessions []*conn.Session
	for i, e := range endpoints {
		some, err := inParallel((n+i)/sockets, func() (*conn.Session, error) {
			return e.Dial(ctx, server, &conn.Config{PeerKey: public})
		})
		if err != nil {
			return err
		}
		sessions = append(sessions, some...)
	}
	begin := alarm.Now() + ready
	fmt.Println(int64(begin))
	r := play(endpoints, sessions, begin, length)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// play is the players' loop.
func play(endpoints []*conn.Endpoint, sessions []*conn.Session, begin, length time.Duration) *side {
	w := window{begin + warmUp, begin + warmUp + length}
	sent, got := newTally(w), newTally(w)
	batch, input := make([]conn.Received, 512), make([]byte, inputSize)
	cpu, datagrams := processorTime(), datagramsSent(sessions)
	next := newPlan(begin, len(sessions))
	looks := newLooks()
	defer looks.close()
	// Those who are due at about the same time do not share a socket.
	step := stride(len(sessions))
	order := func(i int) *conn.Session { return sessions[i*step%len(sessions)] }
	for now := alarm.Now(); now < w.to; now = alarm.Now() {
		for _, e := range endpoints {
			got.receive(batch, e.ReceiveBatch)
		}
		for player, due, ok := next.due(now); ok; player, due, ok = next.due(now) {
			sent.send(order(player), input, due, inputs)
		}
		for _, e := range endpoints {
			e.Flush()
		}
		looks.next()
	}
	cpu, datagrams = processorTime()-cpu, datagramsSent(sessions)-datagrams
	for end := alarm.Now() + settle; alarm.Now() < end; looks.next() {
		for _, e := range endpoints {
			got.receive(batch, e.ReceiveBatch)
		}
	}
	r := sideOf(sent, got)
	r.CPU, r.Datagrams = cpu, datagrams
	return &r
}

// stride returns a step of about 0.618 n that meets every one of n.
func stride(n int) int {
	for s := n * 618 / 1000; s > 1; s-- {
		if gcd(s, n) == 1 {
			return s
		}
	}
	return 1
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
