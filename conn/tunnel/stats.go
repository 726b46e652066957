package tunnel

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// ClientStats is what a client has seen so far.
type ClientStats struct {
	Began    time.Time
	Sessions uint64         // so far, the present one included
	Session  *SessionStats  // nil: there is none at this moment
	Forwards []ForwardStats // in the order of the configuration
}

// ServerStats is what a server has seen so far.
type ServerStats struct {
	Began    time.Time
	Endpoint conn.EndpointStats // of the present port
	Sessions []SessionStats     // at this moment, the oldest first
}

// SessionStats is what one end of a session has seen so far.
type SessionStats struct {
	Number  uint64           // counts the sessions of this end from 1
	Client  string           // its name at a server; empty at a client
	Key     crypto.PublicKey // of the client, at a server; zero: it is anonymous
	Remote  netip.AddrPort   // where the other end is now
	Began   time.Time
	Session conn.Stats
	// Channels are those with datagrams so far; 0 is that of control messages, the others go with options of
	// forwards, which they name.
	Channels []ChannelStats
	// At a server: connections and flows of the client to targets, and the ports that the server listens on for it.
	Targets ForwardStats
	Reverse []ForwardStats
}

// ForwardStats counts the connections of one forward.
type ForwardStats struct {
	Forward        string    // as the configuration has it
	Open           int64     // connections at this moment
	Total          int64     // that stood
	Refused        int64     // that never stood
	Sent, Received int64     // octets into the tunnel and out of it, at this end
	UDP            *UDPStats // of a UDP forward, whose connections are flows; nil for TCP
}

// counters count the connections of one forward, or of one session at a server.
type counters struct {
	open, total, refused atomic.Int64 // connections
	sent, received       atomic.Int64 // octets into the tunnel and out of it at this end
}

func (c *counters) stats(name string) ForwardStats {
	return ForwardStats{
		Forward: name, Open: c.open.Load(), Total: c.total.Load(), Refused: c.refused.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(),
	}
}

// ChannelStats is one channel of a session.
type ChannelStats struct {
	Channel uint16
	conn.ChannelStats
}

// channelStats returns the channels of a session on which anything was sent or announced.
func channelStats(s session) (list []ChannelStats) {
	for channel := range uint16(udpChannels) {
		if st := s.ChannelStats(channel); st.Sent.Open || st.Received.Open {
			list = append(list, ChannelStats{channel, st})
		}
	}
	return list
}

// Stats returns what the client has seen so far.
func (c *Client) Stats() ClientStats {
	s := ClientStats{Began: c.began}
	s.Session, s.Sessions = c.keeper.stats()
	for _, r := range c.list() {
		s.Forwards = append(s.Forwards, r.part.stats())
	}
	return s
}

// stats returns what the present session has seen, nil without one, and how many there were.
func (k *keeper) stats() (s *SessionStats, sessions uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		s = &SessionStats{Number: k.sessions, Remote: k.current.Peer().Addr, Began: k.current.began, Session: k.current.Stats(), Channels: channelStats(k.current)}
	}
	return s, k.sessions
}

// Stats returns what the server has seen so far.
func (s *Server) Stats() ServerStats {
	st := ServerStats{Began: s.began, Endpoint: s.current().Stats()}
	for _, v := range s.serving() {
		st.Sessions = append(st.Sessions, v.stats())
	}
	slices.SortFunc(st.Sessions, func(a, b SessionStats) int { return int(a.Number) - int(b.Number) })
	return st
}

func (v *serving) stats() SessionStats {
	s := SessionStats{
		Number: v.number, Client: clientName(v.server.config.Load().Authorized, v.key), Key: v.key, Remote: v.session.Peer().Addr,
		Began: v.began, Session: v.session.Stats(), Channels: channelStats(v.session), Targets: v.count.stats(""),
	}
	if udp := v.udp.stats(); udp.Opened > 0 {
		s.Targets.UDP = &udp
		s.Targets.Open += int64(udp.Flows)
		s.Targets.Total += int64(udp.Opened)
		s.Targets.Refused += int64(udp.Refused)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for l := range v.listens {
		s.Reverse = append(s.Reverse, l.count.stats(l.on.String()))
	}
	slices.SortFunc(s.Reverse, func(a, b ForwardStats) int { return strings.Compare(a.Forward, b.Forward) })
	return s
}
