package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
)

// ServerConfig says where a server listens and whom it serves.
type ServerConfig struct {
	// Listen is the UDP address, HOST:PORT.
	Listen string
	// Conn holds the keys, and whom they admit. AppProtocols is set by the server.
	Conn conn.Config
	// Logger gets one line for each run. Nil: nothing is logged.
	Logger *slog.Logger
}

// Server is the other end of every workload.
type Server struct {
	listener *conn.Listener
	log      *slog.Logger
	start    time.Time // of the server's clock
}

// NewServer opens the port. Serve does the rest.
func NewServer(config ServerConfig) (*Server, error) {
	c := config.Conn
	c.AppProtocols = []string{AppProtocol}
	c.OverheadCap = protocol.MaxOverheadCap // the client's own counts
	c.MaxStreams = maxParallel + 1          // and a control stream
	l, err := conn.Listen(config.Listen, &c)
	if err != nil {
		return nil, err
	}
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{listener: l, log: log, start: time.Now()}, nil
}

// Addr is the UDP address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// PublicKey is what clients must know as the peer key.
func (s *Server) PublicKey() crypto.PublicKey { return s.listener.PublicKey() }

// Serve serves clients until ctx ends, and returns once all of its goroutines have.
func (s *Server) Serve(ctx context.Context) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer s.listener.Close()
	places := make(chan struct{}, maxClients)
	for {
		session, err := s.listener.AcceptSession(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case places <- struct{}{}:
			sessions.Go(func() {
				defer func() { <-places }()
				s.serveSession(ctx, session)
			})
		default:
			_ = session.CloseWithError(codeDone, "the bench server is full")
		}
	}
}

// serveSession serves the runs of one session, one after the other.
func (s *Server) serveSession(ctx context.Context, session *conn.Session) {
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { _ = session.CloseWithError(codeDone, "the bench server stopped") })
	defer stop()
	for {
		control, err := session.AcceptStream(ctx)
		if err != nil {
			return
		}
		if err := s.serveRun(ctx, session, control); err != nil {
			s.log.Warn("run failed", "from", session.RemoteAddr(), "reason", err)
			return
		}
	}
}

// serveRun reads a request and serves it.
func (s *Server) serveRun(ctx context.Context, session *conn.Session, control *conn.Stream) error {
	defer control.Close()
	lines := bufio.NewReader(control)
	var r request
	if err := readLine(lines, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return errors.Join(err, writeLine(control, answer{Error: err.Error()}))
	}
	if err := writeLine(control, answer{}); err != nil {
		return err
	}
	if r.Workload != Handshake && r.Workload != Idle {
		s.log.Info("run", "from", session.RemoteAddr(), "workload", r.Workload, "duration", time.Duration(r.DurationNS))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.DurationNS)+patience)
	defer cancel()
	var o outcome
	var err error
	switch r.Workload {
	case Bulk:
		o, err = serveBulk(ctx, session, r)
	case Handshake, Idle:
		return waitForEnd(lines)
	case Request:
		go answerRequests(ctx, session)
		return waitForEnd(lines)
	default:
		o, err = s.serveMessages(ctx, session, control, lines, r)
	}
	if err != nil {
		return err
	}
	return writeLine(control, o)
}

// waitForEnd waits for the client to end its stream.
func waitForEnd(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
