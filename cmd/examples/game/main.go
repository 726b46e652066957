// Command game is a game server and its players: a tick loop on one side, a thousand bots on the other, and, if
// wanted, a link between them that delays and loses. It shows how messages are meant to be used.
//
//	go run ./cmd/examples/game                             # all in one process, for five seconds
//	go run ./cmd/examples/game -link loss5 -players 500    # the emulated link takes as much of a processor as the game
//	go run ./cmd/examples/game -serve :7777                # the server alone; it says its key
//	go run ./cmd/examples/game -play HOST:7777 -key KEY    # the players alone
//
// server.go and bots.go are what a game would have; this file puts them together.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
)

// options are the command line.
type options struct {
	serve, play, key string
	link             string
	players, loaders int
	hz               int
	length           time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.serve, "serve", "", "run the server alone, at this address")
	flag.StringVar(&o.play, "play", "", "run the players alone, against the server at this address")
	flag.StringVar(&o.key, "key", "", "public key of the server, for -play")
	flag.StringVar(&o.link, "link", "none", "link to emulate when all is in one process, as in `godwit link --link`; none: no link between")
	flag.IntVar(&o.players, "players", 1000, "how many bots play")
	flag.IntVar(&o.loaders, "loaders", 5, "how many of them load the world while they play")
	flag.IntVar(&o.hz, "hz", 20, "ticks a second, of server and players")
	flag.DurationVar(&o.length, "time", 5*time.Second, "how long the bots play")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, &o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run does what the options say and reports to w.
func run(ctx context.Context, o *options, w io.Writer) error {
	switch {
	case o.serve != "":
		s, err := newServer(o.serve, o.hz)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "serving on %s: play with -key %s\n", s.listener.Addr(), s.listener.PublicKey())
		return s.run(ctx)
	case o.play != "":
		key, err := crypto.ParsePublicKey(o.key)
		if err != nil {
			return fmt.Errorf("-key: %w", err)
		}
		b, err := playAll(ctx, o, o.play, key)
		if err != nil {
			return err
		}
		b.report(w)
		return nil
	default:
		s, b, err := runBoth(ctx, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d players, %d ticks a second, link %s\n", o.players, o.hz, o.link)
		b.report(w)
		s.report(w)
		return nil
	}
}

// runBoth runs server and players in one process, with an emulated link between their sockets.
func runBoth(ctx context.Context, o *options) (*server, *bots, error) {
	s, err := newServer("127.0.0.1:0", o.hz)
	if err != nil {
		return nil, nil, err
	}
	addr := s.listener.Addr().String()
	if o.link != "none" {
		link, err := sim.ParseLink(o.link)
		if err != nil {
			return nil, nil, err
		}
		proxy, err := emulator.New(emulator.Config{To: addr, Link: link})
		if err != nil {
			return nil, nil, err
		}
		defer proxy.Close()
		addr = proxy.Addr().String()
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- s.run(ctx) }()
	b, err := playAll(ctx, o, addr, s.listener.PublicKey())
	cancel()
	if e := <-done; err == nil {
		err = e
	}
	return s, b, err
}
