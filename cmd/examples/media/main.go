// Command media sends video frames with a deadline and shows them on time, over a link that loses.
//
//	go run ./cmd/examples/media                               # all in one process, for five seconds
//	go run ./cmd/examples/media -receive :7000                # the receiver alone; it says its key
//	go run ./cmd/examples/media -send HOST:7000 -key KEY      # the sender alone
//
// sender.go and receiver.go are what a program of yours would have; this file puts them together.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
)

// options are the command line.
type options struct {
	receive, send, key string
	link               string
	budget             time.Duration
	rate               int
	length             time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.receive, "receive", "", "run the receiver alone, at this address")
	flag.StringVar(&o.send, "send", "", "run the sender alone, to the receiver at this address")
	flag.StringVar(&o.key, "key", "", "public key of the receiver, for -send")
	flag.StringVar(&o.link, "link", "delay=50ms,loss=5%", "link to emulate when both are in one process, as in `godwit link --link`")
	flag.DurationVar(&o.budget, "budget", 150*time.Millisecond, "latency budget, beyond the one-way delay")
	flag.IntVar(&o.rate, "rate", 4_000_000, "of the video, in bit/s")
	flag.DurationVar(&o.length, "time", 5*time.Second, "length of the video")
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
	case o.receive != "":
		l, err := conn.Listen(o.receive, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "receiving on %s: send with -key %s\n", l.Addr(), l.PublicKey())
		r := newReceiver()
		err = r.run(ctx, l)
		r.report(w)
		return err
	case o.send != "":
		key, err := crypto.ParsePublicKey(o.key)
		if err != nil {
			return fmt.Errorf("-key: %w", err)
		}
		s, err := send(ctx, o, o.send, key)
		s.report(w)
		return err
	default:
		return runBoth(ctx, o, w)
	}
}

// runBoth runs sender and receiver in one process, with an emulated link between their sockets.
func runBoth(ctx context.Context, o *options, w io.Writer) error {
	link, err := sim.ParseLink(o.link)
	if err != nil {
		return err
	}
	l, err := conn.Listen("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	proxy, err := emulator.New(emulator.Config{To: l.Addr().String(), Link: link})
	if err != nil {
		return err
	}
	defer proxy.Close()
	r, received := newReceiver(), make(chan error)
	go func() { received <- r.run(ctx, l) }()
	s, err := send(ctx, o, proxy.Addr().String(), l.PublicKey())
	if err != nil {
		_ = l.Close()
	}
	err = errors.Join(err, <-received)
	up := proxy.Stats().Up
	fmt.Fprintf(w, "link %s: %s\n", o.link, up.String())
	s.report(w)
	r.report(w)
	return err
}
