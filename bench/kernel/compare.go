//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/bench/congestion"
	"github.com/godwit-net/godwit/bench/machine"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	cc "github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// The comparison of real sockets with the simulator: one session, one stream, from the first byte on.
const (
	compareDuration = 10 * time.Second // as godwit bench has it
	compareTimes    = 3                // medians of so many
)

// comparison is a link and a controller to compare on.
type comparison struct{ link, controller string }

func (c comparison) String() string { return "simulator, " + c.controller + ", " + c.link }

var comparisons = []comparison{
	{"dsl", "adaptive"}, {"dsl,loss=1%", "adaptive"}, {"dsl,loss=5%", "adaptive"}, {"dsl", "cubic"},
}

// agreement is the goodput in bit/s of one stream over one link, measured in three ways.
type agreement struct {
	comparison
	simulated float64 // in virtual time
	proxied   float64 // over sockets and the UDP proxy, as godwit bench does
	bridged   float64 // over sockets in two namespaces
	load      string
}

func (c comparison) run(ctx context.Context) (a agreement, err error) {
	a = agreement{comparison: c}
	for _, m := range []struct {
		goodput *float64
		measure func(ctx context.Context, link, controller string, seed uint64) (float64, error)
	}{{&a.simulated, simulated}, {&a.proxied, proxied}, {&a.bridged, bridged}} {
		var values []float64
		for seed := range uint64(compareTimes) {
			v, err := m.measure(ctx, c.link, c.controller, seed+1)
			if err != nil {
				return a, err
			}
			values = append(values, v)
		}
		slices.Sort(values)
		*m.goodput = values[len(values)/2]
	}
	a.load = machine.Load()
	return a, nil
}

func simulated(_ context.Context, link, controller string, seed uint64) (float64, error) {
	r, err := congestion.Run(&congestion.Scenario{
		Name: link, Link: link, Flows: []congestion.Flow{{Controller: controller, Streams: 1}}, Duration: compareDuration,
	}, seed)
	if err != nil {
		return 0, err
	}
	return r.Total(), nil
}

// proxied is `godwit bench --link LINK --workload bulk` with another controller and another seed.
func proxied(ctx context.Context, link, controller string, seed uint64) (float64, error) {
	c, err := sim.ParseLink(link)
	if err != nil {
		return 0, err
	}
	c.Seed = seed
	newController, _ := cc.Named(controller)
	config := conn.Config{PresharedKey: crypto.GeneratePresharedKey(), CongestionControl: newController}
	server, err := bench.NewServer(bench.ServerConfig{Listen: "127.0.0.1:0", Conn: config})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	r := bench.NewClient(server.Addr().String(), config).Run(ctx, &c, bench.Options{Workload: bench.Bulk, Duration: compareDuration})
	cancel()
	err = <-served
	if r.Error != "" {
		err = errors.Join(err, errors.New(r.Error))
	}
	if err != nil {
		return 0, err
	}
	return r.Bulk.RateBPS, nil
}

func bridged(ctx context.Context, link, controller string, seed uint64) (float64, error) {
	c, err := sim.ParseLink(link)
	if err != nil {
		return 0, err
	}
	c.Seed = seed
	s := scenario{name: link, link: c.String(), flows: []flow{{sender: sender{controller: controller}}}, duration: compareDuration}
	r, err := s.run(ctx)
	if err != nil {
		return 0, err
	}
	return r.total(), nil
}
