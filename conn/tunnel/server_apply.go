package tunnel

import (
	"fmt"
	"net"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// Apply replaces the configuration of a server that runs. Sessions of clients that are still served go on, and so
// do their connections to what is still allowed; the others are ended (spec/12-tunnel.md, TUN-60). A new address,
// key or pre-shared key, or a higher MaxConnections, needs a new port: then clients connect again. On an error the
// old configuration stays in force.
func (s *Server) Apply(config ServerConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	old := s.config.Swap(config.withDefaults())
	if err := s.move(old); err != nil {
		s.config.Store(old)
		return err
	}
	for _, v := range s.serving() {
		v.review()
	}
	return nil
}

// move listens anew if the configuration asks for what the port cannot give. The port is free again a few round
// trips after its sessions have ended, for which conn.Listen waits.
func (s *Server) move(old *ServerConfig) error {
	now := s.config.Load()
	same := sameKeys(now.Identity, old.Identity, now.PresharedKey, old.PresharedKey)
	if same && now.Listen == old.Listen && now.MaxConnections <= s.maxConnections {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !samePort(now.Listen, s.listener.Addr()) { // both can be open for a moment
		err := s.replace()
		if err == nil && !same {
			s.endSessions()
		}
		return err
	}
	_ = s.listener.Close() // it is open, or Serve has ended
	s.endSessions()
	err := s.replace()
	if err == nil {
		return nil
	}
	s.config.Store(old)
	if again := s.replace(); again != nil {
		return fmt.Errorf("%w, and the old port is lost: %w", err, again)
	}
	return err
}

// sameKeys tells whether two pairs of keys are the same; a key that is not set is one, too.
func sameKeys(a, b crypto.PrivateKey, p, q crypto.PresharedKey) bool {
	return (a.IsZero() && b.IsZero() || a.Equal(b)) && (p.IsZero() && q.IsZero() || p.Equal(q))
}

// samePort tells whether an address to listen on has the port of one that is open.
func samePort(listen string, open net.Addr) bool {
	_, port, _ := net.SplitHostPort(listen) // what cannot be split has no port
	_, openPort, _ := net.SplitHostPort(open.String())
	return port == openPort
}

// replace listens as the configuration says, and closes what listened before. s.mu is held, or nobody else has s.
func (s *Server) replace() error {
	l, err := conn.Listen(s.config.Load().Listen, s.connConfig())
	if err != nil {
		return err
	}
	if s.listener != nil {
		_ = s.listener.Close() // it may be closed already
	}
	s.listener, s.maxConnections = l, s.config.Load().MaxConnections
	return nil
}

// endSessions tells all clients to connect again. s.mu is held.
func (s *Server) endSessions() {
	for v := range s.sessions {
		_ = v.session.CloseWithError(closeDone, "server configured anew") // unless it has ended already
	}
}

// enter counts a session among those served, and reviews it for a configuration that changed while it came.
func (s *Server) enter(v *serving) (leave func()) {
	s.mu.Lock()
	s.sessions[v] = struct{}{}
	s.mu.Unlock()
	v.review()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, v)
	}
}

// serving returns the sessions that are served.
func (s *Server) serving() []*serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*serving, 0, len(s.sessions))
	for v := range s.sessions {
		list = append(list, v)
	}
	return list
}
