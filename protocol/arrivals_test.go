package protocol

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArrivalsAreCountedAsTheyAreLost(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	p := &path{id: 1}
	take := func(pn uint64) {
		p.noteArrival(pn)
		if !p.received || pn > p.largest {
			p.largest, p.received = pn, true
		}
	}
	var lost, run uint64
	var bursts [8]uint64
	late := []uint64{}
	const count = 50_000
	for pn := uint64(0); pn < count; pn++ {
		if pn > 0 && pn < count-burstLag && rng.IntN(20) == 0 || run > 0 && rng.IntN(2) == 0 {
			lost++
			run++
			continue
		}
		if run > 0 {
			bursts[burstBucket(run)]++
			run = 0
		}
		if rng.IntN(10) == 0 {
			late = append(late, pn)
			continue
		}
		for len(late) > 0 && pn-late[0] > uint64(rng.IntN(40)+1) {
			take(late[0])
			late = late[1:]
		}
		take(pn)
	}
	require.Equal(t, lost, p.arrivals.lost)
	require.Equal(t, bursts, p.arrivals.counts)
	take(count + 1<<40)
	take(count + 1<<40 + burstLag)
	require.Equal(t, lost+1<<40+uint64(len(late)), p.arrivals.lost, "a number far ahead costs no more than others")
}

func TestAPathWithoutGapsKeepsNoLogOfArrivals(t *testing.T) {
	p := &path{}
	for pn := range uint64(1000) {
		p.noteArrival(pn)
		p.largest, p.received = pn, true
	}
	require.Nil(t, p.arrivals)
}
