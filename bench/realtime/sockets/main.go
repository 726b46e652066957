// Command sockets measures messages and media over real sockets, in real time, and writes them down beside the
// simulator's figures and the targets. It takes about eight minutes.
//
// What it is: a check of bench/realtime against sockets, timers and a scheduler: both ends and the emulated link
// in one process. What it is not: a test; its figures are recorded in RESULTS.md and compared by people, and want a
// machine with nothing else to do. make realtime-sockets runs it.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	out := flag.String("out", "", "write the table to this `file` too, at the end")
	duration := flag.Duration("duration", runDuration, "how long each of the nine runs takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *duration, *out); err != nil {
		fmt.Fprintln(os.Stderr, "sockets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, duration time.Duration, out string) error {
	var text bytes.Buffer
	if err := measure(ctx, io.MultiWriter(os.Stdout, &text), duration); err != nil || out == "" {
		return err
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}
