package conn_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A listener and a session over loopback. The client accepts only the key of this listener.
func Example() {
	ctx := context.Background()
	l, err := conn.Listen("127.0.0.1:0", nil)
	check(err)
	go func() {
		for {
			c, err := l.Accept() // a net.Conn
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	s, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	check(err)
	_, err = s.Write([]byte("hello"))
	check(err)
	check(s.CloseWrite())
	answer, err := io.ReadAll(s)
	check(err)
	fmt.Println(string(answer))
	check(s.Close())
	check(l.Close())
	// Output: hello
}

// The lines of README.md; spec/links_test.go keeps them the same.
func Example_readme() {
	ctx := context.Background()
	l, _ := conn.Listen("127.0.0.1:0", nil)
	go func() {
		server, _ := l.AcceptSession(ctx)
		stream, _ := server.AcceptStream(ctx) // a net.Conn, as the session itself is
		_, _ = io.Copy(stream, stream)
		_ = stream.Close()
	}()
	client, _ := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	stream, _ := client.OpenStream(ctx)
	_, _ = stream.Write([]byte("hello"))
	_ = stream.CloseWrite()
	answer, _ := io.ReadAll(stream)
	fmt.Println(string(answer))
	check(client.Close())
	check(l.Close())
	// Output: hello
}

// Streams share a session and do not wait for each other. Each is a net.Conn of its own.
func ExampleSession_OpenStream() {
	ctx := context.Background()
	l, err := conn.Listen("127.0.0.1:0", nil)
	check(err)
	defer func() { check(l.Close()) }()
	go serveLengths(ctx, l)

	s, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	check(err)
	for _, text := range []string{"godwit", "curlew"} {
		t, err := s.OpenStream(ctx)
		check(err)
		_, err = io.WriteString(t, text)
		check(err)
		check(t.CloseWrite()) // the other direction goes on
		answer, err := io.ReadAll(t)
		check(err)
		fmt.Println(t.ID(), string(answer))
	}
	check(s.Close())
	// Output:
	// 4 6 letters
	// 8 6 letters
}

// serveLengths answers every stream of the first session with the number of its letters.
func serveLengths(ctx context.Context, l *conn.Listener) {
	s, err := l.AcceptSession(ctx)
	if err != nil {
		return
	}
	for {
		t, err := s.AcceptStream(ctx)
		if err != nil {
			return // the session is over
		}
		text, _ := io.ReadAll(t)
		_, _ = fmt.Fprintf(t, "%d letters", len(text))
		_ = t.Close()
	}
}

// A server that admits the holders of known keys, under a key of its own that outlives restarts.
func ExampleListen() {
	server, client := crypto.GeneratePrivateKey(), crypto.GeneratePrivateKey()
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{
		Identity:     server,
		AppProtocols: []string{"example/1"},
		Authorize: func(p conn.PeerInfo) error {
			if p.PublicKey != client.Public() {
				return conn.Refuse(1, "not one of ours")
			}
			return nil
		},
	})
	check(err)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		check(err)
		accepted <- c
	}()
	s, err := conn.Dial(context.Background(), l.Addr().String(), &conn.Config{
		Identity: client, PeerKey: server.Public(), AppProtocols: []string{"example/1"},
	})
	check(err)
	c := <-accepted
	fmt.Println(c.(*conn.Session).Peer().PublicKey == client.Public(), s.Peer().AppProtocol)
	check(s.Close())
	check(l.Close())
	// Output: true example/1
}
