//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// result is what n idle sessions cost.
type result struct {
	sessions          int
	opened            time.Duration
	before, idle, end int     // RSS in bytes: without sessions, when they are idle, when they are closed
	heap              int     // live, in bytes, as of the last collection, without what was there before
	holes             int     // bytes between living objects, in spans that are in use
	share             float64 // of one processor, while they are idle
}

func (r *result) String() string {
	n := float64(r.sessions)
	return fmt.Sprintf("| %d | %.0f | %.2f | %.2f | %.2f | %.1f | %.2f %% | %.1f |", r.sessions, r.opened.Seconds(),
		float64(r.heap)/n/1000, float64(r.holes)/n/1000, float64(r.idle)/n/1000, float64(r.before)/1e6, 100*r.share*1000/n, float64(r.end)/1e6)
}

// measure raises a server in this process and its clients in another.
func measure(ctx context.Context, n int, quiet time.Duration) (*result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{AcceptBacklog: n, IdleTimeout: 4 * keepAlive})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	runtime.GC()
	r := &result{sessions: n, before: rss()}
	heap := metric("/gc/heap/live:bytes")
	go serve(ctx, l)

	start := time.Now()
	clients, err := startClients(ctx, l, n)
	if err != nil {
		return nil, err
	}
	defer clients.end()
	if err := clients.await("open"); err != nil {
		return nil, err
	}
	r.opened = time.Since(start)
	if err := sleep(ctx, quiet/2); err != nil {
		return nil, err
	}
	used := processorTime()
	if err := sleep(ctx, quiet/2); err != nil {
		return nil, err
	}
	r.share = float64(processorTime()-used) / float64(quiet/2)
	r.idle = rss()
	if alive := l.Stats().Sessions; alive != n {
		return nil, fmt.Errorf("%d of %d sessions are alive", alive, n)
	}
	r.heap = metric("/gc/heap/live:bytes") - heap
	r.holes = metric("/memory/classes/heap/unused:bytes")

	if err := clients.close(); err != nil {
		return nil, err
	}
	if err := sleep(ctx, quiet); err != nil {
		return nil, err
	}
	if left := l.Stats().Sessions; left != 0 {
		return nil, fmt.Errorf("%d sessions are left", left)
	}
	r.end = rss()
	return r, nil
}

// serve says again what each session says first, and then holds the session without a goroutine.
func serve(ctx context.Context, l *conn.Listener) {
	for {
		s, err := l.AcceptSession(ctx)
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 64)
			n, _ := s.Read(b)
			_, _ = s.Write(b[:n])
		}()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// rss returns the resident memory of this process in bytes.
func rss() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

func metric(name string) int {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// process is the process with the clients.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startClients(ctx context.Context, l *conn.Listener, n int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self,
		"-clients-of", l.Addr().String(), "-key", l.PublicKey().String(), "-sessions", strconv.Itoa(n))}
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

// await returns when the process has said a word.
func (p *process) await(word string) error {
	line, err := p.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != word {
		return fmt.Errorf("the clients said %q, not %q: %w", line, word, err)
	}
	return nil
}

// close has the clients close their sessions.
func (p *process) close() error {
	if _, err := io.WriteString(p.in, "close\n"); err != nil {
		return err
	}
	return p.await("closed")
}

func (p *process) end() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // it ends with its input
}
