package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// What goes through a session. Channels of the two directions have nothing to do with each other.
var (
	// Inputs are all wanted, in order: 8 octets of the player's clock, then a step east and a step south. More has
	// them wait for those of the other bots.
	inputs = conn.MessageOptions{Channel: 0, Mode: conn.ReliableOrdered, More: true}
	// Requests ask for the world.
	requests = conn.MessageOptions{Channel: 1, Mode: conn.ReliableOrdered}

	// Snapshots say where everybody is; an old one is worth nothing. More has it wait for what else the tick has
	// to say, to this player and to others. 4 octets of the tick, 8 of the newest input's clock, then 4 for each position.
	snapshots = conn.MessageOptions{Channel: 0, Mode: conn.Sequenced, More: true}
	// Coins that the player found must not be lost.
	coins = conn.MessageOptions{Channel: 1, Mode: conn.ReliableOrdered, More: true}
)

const (
	inputSize      = 10
	snapshotHeader = 12
	worldSize      = 3_000_000
	inSight        = 100 // positions in a snapshot
	coinEvery      = 25  // inputs
)

// player is what the server knows of one.
type player struct {
	session *conn.Session
	x, y    uint16
	clock   uint64 // of the newest input, by the player's own clock
	inputs  int
	coins   int // found and not told yet
}

// server is the game. Only run touches the players: there is no lock.
type server struct {
	listener *conn.Listener
	period   time.Duration
	joining  chan *conn.Session
	world    []byte

	tick    uint32
	players []*player
	of      map[*conn.Session]*player
	batch   []conn.Received // memory for messages, used again and again
	out     []byte          // memory for a message to send

	applied int             // inputs
	took    []time.Duration // by each tick
}

func newServer(addr string, hz int) (*server, error) {
	l, err := conn.Listen(addr, &conn.Config{AppProtocols: []string{"game/1"}})
	if err != nil {
		return nil, err
	}
	return &server{
		listener: l, period: time.Second / time.Duration(hz), joining: make(chan *conn.Session),
		world: make([]byte, worldSize), of: make(map[*conn.Session]*player), batch: make([]conn.Received, 256),
	}, nil
}

// run is the tick loop. It returns when the context is done.
func (s *server) run(ctx context.Context) error {
	defer s.listener.Close()
	go s.accept(ctx)
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case session := <-s.joining:
			p := &player{session: session, x: uint16(rand.Uint32()), y: uint16(rand.Uint32())}
			s.players = append(s.players, p)
			s.of[session] = p
		case begin := <-ticker.C:
			s.tick++
			s.receive(ctx)
			s.send()
			s.took = append(s.took, time.Since(begin))
		}
	}
}

// accept hands new sessions to the tick loop.
func (s *server) accept(ctx context.Context) {
	for {
		session, err := s.listener.AcceptSession(ctx)
		if err != nil {
			return
		}
		select {
		case s.joining <- session:
		case <-ctx.Done():
			return
		}
	}
}

// receive takes everything that came since the last tick, from all players, without waiting.
func (s *server) receive(ctx context.Context) {
	for n := len(s.batch); n == len(s.batch); {
		n = s.listener.ReceiveBatch(s.batch)
		for _, m := range s.batch[:n] {
			p := s.of[m.Session]
			switch {
			case p == nil: // it has come between Accept and the tick loop: a real game keeps it
			case m.Channel == inputs.Channel && len(m.Data) == inputSize:
				p.apply(m.Data)
				s.applied++
			case m.Channel == requests.Channel:
				go s.sendWorld(ctx, m.Session)
			}
		}
	}
}

// apply moves the player.
func (p *player) apply(input []byte) {
	p.clock = binary.BigEndian.Uint64(input)
	p.x += uint16(int8(input[8]))
	p.y += uint16(int8(input[9]))
	if p.inputs++; p.inputs%coinEvery == 0 {
		p.coins++
	}
}

// send tells every player what the tick has brought, in one packet if it fits, and forgets those who left. The packets
// of all players leave together.
func (s *server) send() {
	staying := s.players[:0]
	for i, p := range s.players {
		s.out = s.appendSnapshot(s.out[:0], i)
		if p.session.SendMessage(s.out, snapshots) != nil && p.session.Err() != nil {
			delete(s.of, p.session)
			continue
		}
		for ; p.coins > 0; p.coins-- {
			_ = p.session.SendMessage([]byte("coin"), coins)
		}
		staying = append(staying, p)
	}
	s.listener.Flush()
	clear(s.players[len(staying):])
	s.players = staying
}

// appendSnapshot appends what player i sees: itself and those next to it in the list. A real game takes
// those nearby, and less of them when they have not moved.
func (s *server) appendSnapshot(b []byte, i int) []byte {
	b = binary.BigEndian.AppendUint32(b, s.tick)
	b = binary.BigEndian.AppendUint64(b, s.players[i].clock)
	for n := range min(inSight, len(s.players)) {
		p := s.players[(i+n)%len(s.players)]
		b = binary.BigEndian.AppendUint16(b, p.x)
		b = binary.BigEndian.AppendUint16(b, p.y)
	}
	return b
}

// sendWorld sends the world on a stream of its own. Streams give way to messages, so the player's snapshots
// come as before.
func (s *server) sendWorld(ctx context.Context, session *conn.Session) {
	stream, err := session.OpenUniStream(ctx)
	if err != nil {
		return
	}
	_, _ = stream.Write(s.world)
	_ = stream.Close()
}

// report tells how the ticks went.
func (s *server) report(w io.Writer) {
	fmt.Fprintf(w, "server: %d inputs applied; a tick of %v took %s\n", s.applied, s.period, quantiles(s.took))
}
