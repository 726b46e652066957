//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// dialers is how many sessions are opened at a time: enough to keep both processes busy.
const dialers = 32

// dialsAgain is how often a session is tried again that had no answer: both ends may have to wait for the processor for
// seconds where other programs run, and one of 100,000 must not end the measurement.
const dialsAgain = 3

// beClients opens n sessions through one socket, tells standard output, and closes them when standard input ends.
func beClients(ctx context.Context, server, key string, n int) error {
	public, err := crypto.ParsePublicKey(key)
	if err != nil {
		return err
	}
	raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	e, err := conn.NewEndpoint(raw, nil)
	if err != nil {
		return err
	}
	config := &conn.Config{PeerKey: public, KeepAlive: keepAlive}
	sessions, err := inParallel(n, func() (*conn.Session, error) { return open(ctx, e, server, config) })
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // however it ends
	for _, s := range sessions {
		_ = s.CloseWithError(0, "")
	}
	fmt.Println("closed")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return e.Close()
}

// inParallel opens n sessions, dialers at a time.
func inParallel(n int, open func() (*conn.Session, error)) ([]*conn.Session, error) {
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		failed   error
		sessions = make([]*conn.Session, 0, n)
		todo     = make(chan struct{}, n)
	)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	for range dialers {
		wg.Go(func() {
			for range todo {
				s, err := open()
				mu.Lock()
				if err != nil {
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				sessions = append(sessions, s)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sessions, failed
}

// open opens a session, says something and hears it back.
func open(ctx context.Context, e *conn.Endpoint, server string, config *conn.Config) (*conn.Session, error) {
	s, err := e.Dial(ctx, server, config)
	for range dialsAgain {
		if err != nil {
			s, err = e.Dial(ctx, server, config)
		}
	}
	if err != nil {
		return nil, err
	}
	words := []byte("a few words, which the server says again")
	if _, err := s.Write(words); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(s, words); err != nil {
		return nil, err
	}
	return s, nil
}
