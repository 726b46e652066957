//go:build linux

// Command scale measures what many sessions cost.
//
// Idle ones: it opens many from a process of its own, each of which says something and hears it back, lets all of them
// be silent but for their keepalives, and looks at the memory and the processor time of the server's process. Then the
// clients close them, and it looks again.
//
// Players of a game, with -game: each sends an input of 32 bytes 20 times a second, reliable and in order, at a moment
// of its own; the server sends everyone in a room of 100 a snapshot of 300 bytes 20 times a second, each room at a
// moment of its own. What counts is how late a message is: from when the plan has it leave until the application at
// the other end has it. Both ends look every half a millisecond.
//
// RESULTS.md has figures of games. What it is: the figures of whole processes, as an operator sees them. What it is not: a test; package conn has
// those, about the heap alone. `make scale` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

const (
	// keepAlive is the clients', a usual one.
	keepAlive = 15 * time.Second
	// steady is how long it takes until the memory of a server stays as it is: the runtime collects every two minutes
	// when there is no other reason, gives pages that were dense back only after a second collection, and needs a while
	// for that.
	steady = 5 * time.Minute
)

func main() {
	sizes := flag.String("sessions", "10000,100000", "how `many` sessions, several with commas between")
	quiet := flag.Duration("quiet", steady, "how long they are idle before the server is measured, and closed")
	server := flag.String("clients-of", "", "be the clients of the server at this `address`; scale starts itself so")
	key := flag.String("key", "", "the server's public key")
	game := flag.String("game", "", "play a game with so `many` players, several with commas between, and no idle sessions")
	length := flag.Duration("for", 10*time.Second, "how long a game counts")
	sockets := flag.Int("sockets", 1, "how many sockets the players of a game share")
	host := flag.String("players-of", "", "be the players of the server at this `address`; scale starts itself so")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := func() error {
		switch {
		case *host != "":
			n, err := strconv.Atoi(*game)
			if err != nil {
				return err
			}
			return bePlayers(ctx, *host, *key, n, *length, *sockets)
		case *game != "":
			return playGames(ctx, *game, *length, *sockets)
		}
		return run(ctx, *sizes, *quiet, *server, *key)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes string, quiet time.Duration, server, key string) error {
	if server != "" {
		n, err := strconv.Atoi(sizes)
		if err != nil {
			return err
		}
		return beClients(ctx, server, key, n)
	}
	fmt.Println("| sessions | opened in, s | live heap, kB each | holes between objects, kB each | RSS, kB each | RSS without sessions, MB | of one processor for 1,000 | RSS after closing, MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil || n <= 0 {
			return fmt.Errorf("-sessions: %q is no number of sessions", size)
		}
		r, err := measure(ctx, n, quiet)
		if err != nil {
			return err
		}
		fmt.Println(r)
	}
	return nil
}
