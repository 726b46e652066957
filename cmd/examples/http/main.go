// Command http carries HTTP over a session: each connection of net/http is a stream. All requests share one
// handshake, one congestion controller and one path, and none waits for what another one has lost.
//
//	go run ./cmd/examples/http                                  # all in one process, over an emulated link
//	go run ./cmd/examples/http -serve :8443                     # the server alone; it says its key
//	go run ./cmd/examples/http -get HOST:8443 -key KEY          # the client alone
//
// streams.go is what a program of yours would copy; this file uses it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
)

const (
	requests = 100 // that the client makes at the same time
	pageSize = 50_000
)

func main() {
	serveAt := flag.String("serve", "", "run the server alone, at this address")
	getFrom := flag.String("get", "", "run the client alone, against the server at this address")
	key := flag.String("key", "", "public key of the server, for -get")
	link := flag.String("link", "loss5", "link to emulate when both are in one process, as in `godwit link --link`")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Stdout, *serveAt, *getFrom, *key, *link); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, serveAt, getFrom, key, link string) error {
	if getFrom != "" {
		peer, err := crypto.ParsePublicKey(key)
		if err != nil {
			return fmt.Errorf("-key: %w", err)
		}
		return get(ctx, w, getFrom, peer)
	}
	if serveAt != "" {
		l, err := conn.Listen(serveAt, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "serving on %s: get with -key %s\n", l.Addr(), l.PublicKey())
		return serve(ctx, l)
	}
	return both(ctx, w, link)
}

// both runs server and client in one process, with an emulated link between their sockets.
func both(ctx context.Context, w io.Writer, link string) error {
	config, err := sim.ParseLink(link)
	if err != nil {
		return err
	}
	l, err := conn.Listen("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	proxy, err := emulator.New(emulator.Config{To: l.Addr().String(), Link: config})
	if err != nil {
		return err
	}
	defer proxy.Close()
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error)
	go func() { served <- serve(ctx, l) }()
	err = get(ctx, w, proxy.Addr().String(), l.PublicKey())
	cancel()
	return errors.Join(err, <-served)
}

// serve answers requests until the context is done.
func serve(ctx context.Context, l *conn.Listener) error {
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, pageSize))
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(newStreamListener(l)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// get makes all requests at the same time over one session, twice: the second time the streams are there.
func get(ctx context.Context, w io.Writer, addr string, key crypto.PublicKey) error {
	begin := time.Now()
	session, err := conn.Dial(ctx, addr, &conn.Config{PeerKey: key})
	if err != nil {
		return err
	}
	defer session.Close()
	fmt.Fprintf(w, "session after %v\n", time.Since(begin).Round(time.Millisecond))
	client := http.Client{Transport: newTransport(session)}
	for range 2 {
		begin := time.Now()
		errs := make([]error, requests)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = getOne(ctx, &client) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		fmt.Fprintf(w, "%d pages of %d bytes after %v\n", requests, pageSize, time.Since(begin).Round(time.Millisecond))
	}
	return nil
}

func getOne(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != pageSize {
		return fmt.Errorf("a page has %d bytes: %w", n, err)
	}
	return nil
}
