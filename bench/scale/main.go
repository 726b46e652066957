//go:build linux

// Command scale measures what idle sessions cost a server: it opens many from a process of its own, each of which
// says something and hears it back, lets all of them be silent but for their keepalives, and looks at the memory and
// the processor time of the server's process. Then the clients close them, and it looks again.
//
// What it is: the figures of whole processes, as an operator sees them. What it is not: a test; package conn has
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

// keepAlive is the clients', a usual one.
const keepAlive = 15 * time.Second

func main() {
	sizes := flag.String("sessions", "10000,100000", "how `many` sessions, several with commas between")
	quiet := flag.Duration("quiet", time.Minute, "how long they are idle before the server is measured")
	server := flag.String("clients-of", "", "be the clients of the server at this `address`; scale starts itself so")
	key := flag.String("key", "", "the server's public key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sizes, *quiet, *server, *key); err != nil {
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
	fmt.Println("| sessions | opened in, s | live heap, kB each | RSS, kB each | RSS without sessions, MB | of one processor for 1,000 | RSS after closing, MB |")
	fmt.Println("|---|---|---|---|---|---|---|")
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
