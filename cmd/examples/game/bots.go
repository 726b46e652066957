package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

const (
	dialing  = 50               // bots that join at the same time
	patience = 10 * time.Second // with a world that does not come, on a machine that has too much to do
)

// bot is a player.
type bot struct {
	session *conn.Session
	start   time.Time // of its clock

	lag, lagLoading []time.Duration // from an input to the snapshot that shows it
	first, last     uint32          // ticks of snapshots
	snapshots       int
	coins           int
	loading         atomic.Bool
	loaded          time.Duration // that loading the world took
}

// bots are all players of this process, and what they sent. One loop plays all of them; a real client is one of them,
// and receives with Session.ReceiveMessageInto.
type bots struct {
	all      []*bot
	of       map[*conn.Session]*bot
	endpoint *conn.Endpoint
	batch    []conn.Received // memory for messages, used again and again
	loading  sync.WaitGroup
	inputs   int
}

// playAll has bots join the server through one socket and play for a while.
func playAll(ctx context.Context, o *options, addr string, key crypto.PublicKey) (*bots, error) {
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	endpoint, err := conn.NewEndpoint(socket, &conn.Config{PeerKey: key, AppProtocols: []string{"game/1"}})
	if err != nil {
		return nil, err
	}
	defer endpoint.Close()
	b := &bots{
		all: make([]*bot, o.players), of: make(map[*conn.Session]*bot), endpoint: endpoint, batch: make([]conn.Received, 256),
	}
	if err := b.join(ctx, addr); err != nil {
		return nil, err
	}
	b.play(ctx, o)
	b.loading.Wait()
	b.receive()
	for _, bot := range b.all {
		_ = bot.session.Close()
	}
	return b, nil
}

// join dials all sessions, some at a time.
func (b *bots) join(ctx context.Context, addr string) error {
	turns := make(chan struct{}, dialing)
	errs := make([]error, len(b.all))
	var joining sync.WaitGroup
	for i := range b.all {
		turns <- struct{}{}
		joining.Go(func() {
			defer func() { <-turns }()
			session, err := b.endpoint.Dial(ctx, addr, nil)
			b.all[i], errs[i] = &bot{session: session, start: time.Now()}, err
		})
	}
	joining.Wait()
	for _, bot := range b.all {
		b.of[bot.session] = bot
	}
	return errors.Join(errs...)
}

// play sends the inputs of all bots, and looks at what they are told, until their time is over. Their ticks are spread,
// as those of people are.
func (b *bots) play(ctx context.Context, o *options) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	start, period := time.Now(), time.Second/time.Duration(o.hz)
	loading := false
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if !loading && time.Since(start) >= o.length/4 {
				loading = true
				for _, bot := range b.all[:min(o.loaders, len(b.all))] {
					b.loading.Go(func() { _ = bot.loadWorld(ctx) })
				}
			}
			if time.Since(start) >= o.length {
				return
			}
			b.receive()
			for due := int(time.Since(start) * time.Duration(len(b.all)) / period); turn < due; turn++ {
				if b.all[turn%len(b.all)].sendInput() == nil {
					b.inputs++
				}
			}
			b.endpoint.Flush()
		}
	}
}

func (b *bot) sendInput() error {
	input := binary.BigEndian.AppendUint64(make([]byte, 0, inputSize), uint64(time.Since(b.start)))
	input = append(input, byte(rand.IntN(3)-1), byte(rand.IntN(3)-1))
	return b.session.SendMessage(input, inputs)
}

// receive takes what the server has said to all bots, without waiting.
func (b *bots) receive() {
	for n := len(b.batch); n == len(b.batch); {
		n = b.endpoint.ReceiveBatch(b.batch)
		for _, m := range b.batch[:n] {
			switch bot := b.of[m.Session]; {
			case m.Channel == snapshots.Channel && len(m.Data) >= snapshotHeader:
				bot.see(m.Data)
			case m.Channel == coins.Channel:
				bot.coins++
			}
		}
	}
}

// see takes a snapshot. A real client draws it, between this one and the one before.
func (b *bot) see(snapshot []byte) {
	b.last = binary.BigEndian.Uint32(snapshot)
	if b.snapshots++; b.snapshots == 1 {
		b.first = b.last
	}
	clock := time.Duration(binary.BigEndian.Uint64(snapshot[4:]))
	if clock == 0 {
		return // no input has arrived yet
	}
	lag := time.Since(b.start) - clock
	if b.loading.Load() {
		b.lagLoading = append(b.lagLoading, lag)
		return
	}
	b.lag = append(b.lag, lag)
}

// loadWorld asks for the world and reads it, while messages go on.
func (b *bot) loadWorld(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b.loading.Store(true)
	defer b.loading.Store(false)
	begin := time.Now()
	if err := b.session.SendMessage([]byte("world"), requests); err != nil {
		return err
	}
	stream, err := b.session.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { stream.CancelRead(0) })()
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return err
	}
	b.loaded = time.Since(begin)
	return nil
}

// report tells how it was for the players.
func (b *bots) report(w io.Writer) {
	var lag, lagLoading, loaded []time.Duration
	var got, ticks, coins int
	for _, bot := range b.all {
		lag, lagLoading = append(lag, bot.lag...), append(lagLoading, bot.lagLoading...)
		got += bot.snapshots
		ticks += int(bot.last - bot.first + 1)
		coins += bot.coins
		if bot.loaded > 0 {
			loaded = append(loaded, bot.loaded)
		}
	}
	fmt.Fprintf(w, "lag, from an input to the snapshot that shows it: %s\n", quantiles(lag))
	if len(loaded) > 0 {
		fmt.Fprintf(w, "lag of those who load the world: %s; %d loads of %d MB took %s\n", quantiles(lagLoading), len(loaded), worldSize/1_000_000, quantiles(loaded))
	}
	fmt.Fprintf(w, "players: %d inputs sent, %d coins; %.2f %% of the snapshots lost or late\n", b.inputs, coins, 100-100*float64(got)/float64(max(ticks, 1)))
}

// quantiles is a line about durations.
func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "nothing"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, p99.9 %v", at(0.5), at(0.99), at(0.999))
}
