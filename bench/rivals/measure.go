package main

import (
	"context"
	"io"
	"time"
)

// pair is a connected pair of ends in this process.
type pair struct {
	send    io.Writer
	receive io.Reader
	close   func()
}

const (
	chunk  = 128 << 10              // of one Write and one Read
	warmUp = 300 * time.Millisecond // of congestion control and buffers, which does not count
)

// measure sends for warmUp and d, and counts what arrives in d.
func measure(ctx context.Context, r rival, d time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, warmUp+d+10*time.Second)
	defer cancel()
	p, err := r.open(ctx)
	if err != nil {
		return result{}, err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		data := make([]byte, chunk)
		for {
			if _, err := p.send.Write(data); err != nil {
				return
			}
		}
	}()
	one, err := count(p.receive, d)
	p.close()
	<-sent
	return one, err
}

func count(r io.Reader, d time.Duration) (result, error) {
	buf := make([]byte, chunk)
	for end := time.Now().Add(warmUp); time.Now().Before(end); {
		if _, err := r.Read(buf); err != nil {
			return result{}, err
		}
	}
	begin, cpu, total := time.Now(), cpuTime(), 0
	for time.Since(begin) < d {
		n, err := r.Read(buf)
		if err != nil {
			return result{}, err
		}
		total += n
	}
	took, used := time.Since(begin), cpuTime()-cpu
	return result{rate: float64(total) * 8 / took.Seconds(), cpu: used.Seconds() / (float64(total) / 1e9)}, nil
}
