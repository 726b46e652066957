//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/godwit-net/godwit/bench/netpath"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/congestion"
)

// sender says who sends: the kernel's TCP or a Godwit session, and with which congestion control.
type sender struct {
	tcp        bool
	controller string // as the kernel or package congestion names it
}

func (s sender) String() string {
	if s.tcp {
		return "TCP " + s.controller
	}
	return "Godwit " + s.controller
}

// transfer is a way from the near end of a path to the far end.
type transfer struct {
	in    io.WriteCloser // at the near end
	out   io.Reader      // at the far end
	lost  func() (lost, sent uint64)
	close func() // frees everything, whatever is on its way
}

// connectTime bounds how long a transfer takes to begin, on the worst link and a busy machine.
const connectTime = 20 * time.Second

func connect(ctx context.Context, p *netpath.Path, s sender) (*transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if s.tcp {
		return connectTCP(ctx, p, s.controller)
	}
	return connectGodwit(ctx, p, s.controller)
}

// halfClosing is the sending half of a connection, whose Close lets the rest arrive.
type halfClosing struct {
	half interface {
		io.Writer
		CloseWrite() error
	}
}

func (h halfClosing) Write(b []byte) (int, error) { return h.half.Write(b) }
func (h halfClosing) Close() error                { return h.half.CloseWrite() }

func connectGodwit(ctx context.Context, p *netpath.Path, controller string) (*transfer, error) {
	newController, ok := congestion.Named(controller)
	if !ok {
		return nil, fmt.Errorf("no congestion controller is named %q", controller)
	}
	psk := crypto.GeneratePresharedKey()
	config := &conn.Config{PresharedKey: psk, CongestionControl: newController}
	server, err := endpoint(p.Far, config)
	if err != nil {
		return nil, err
	}
	client, err := endpoint(p.Near, config)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	end := func() {
		_ = client.Close()
		_ = server.Close()
	}
	near, in, out, err := openGodwit(ctx, client, server, config)
	if err != nil {
		end()
		return nil, err
	}
	return &transfer{
		in: halfClosing{in}, out: out,
		lost: func() (lost, sent uint64) {
			stats := near.Stats()
			return stats.PacketsLost, stats.PacketsSent
		},
		close: func() {
			_ = near.CloseWithError(0, "measured")
			end()
		},
	}, nil
}

// endpoint opens a socket at an address of the namespace.
func endpoint(n *netpath.Namespace, config *conn.Config) (e *conn.Endpoint, err error) {
	err = n.Do(func() error {
		socket, err := net.ListenPacket("udp", net.JoinHostPort(n.Host, "0"))
		if err != nil {
			return err
		}
		e, err = conn.NewEndpoint(socket, config)
		return err
	})
	return e, err
}

// openGodwit opens a session with one stream, and returns the client and both ends of the stream. One
// byte has passed.
func openGodwit(ctx context.Context, client, server *conn.Endpoint, config *conn.Config) (near *conn.Session, in, out *conn.Stream, err error) {
	listener, err := server.Listen()
	if err != nil {
		return nil, nil, nil, err
	}
	near, err = client.Dial(ctx, listener.Addr().String(), config)
	if err != nil {
		return nil, nil, nil, err
	}
	far, err := listener.AcceptSession(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if in, err = near.OpenUniStream(ctx); err != nil {
		return nil, nil, nil, err
	}
	if _, err = in.Write([]byte{0}); err != nil { // the other end learns of a stream by its first byte
		return nil, nil, nil, err
	}
	if out, err = far.AcceptUniStream(ctx); err != nil {
		return nil, nil, nil, err
	}
	_, err = io.ReadFull(out, make([]byte, 1))
	return near, in, out, err
}
