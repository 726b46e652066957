package realtime

import (
	"math"
	"slices"
	"time"
)

// Result is what came of a scenario under one seed. Counts are of what was written after the warm-up, and of
// what the links carried since then.
type Result struct {
	Scenario *Scenario
	Seed     uint64

	Sent, SentBytes uint64 // messages, and the bytes in them
	Missing         uint64 // messages that were never read
	Late            uint64 // messages that were read after their deadline

	Packets, PacketBytes uint64 // datagrams of the sender, and their UDP payload
	Reverse              uint64 // datagrams of the receiver
	Lost, Spurious       uint64 // packets that the sender declared lost, and those that had arrived
	Protected            uint64 // packets of the sender, for Lost and Spurious
	Carried              uint64 // frames with copies of messages of which nothing said that they were lost
	CarriedBytes         uint64 // of messages, in them

	latency []time.Duration // of messages, ascending; of a reliable mode, a missing one counts at its deadline
	frames  []time.Duration // of frames: of their last message
	alone   *Result         // the same load without its transfer
}

func (r *run) result(seed uint64) *Result {
	b, a := &r.before, &r.after
	out := &Result{
		Scenario: r.scenario, Seed: seed,
		Packets: a.up.Sent - b.up.Sent, PacketBytes: a.up.SentBytes - b.up.SentBytes,
		Reverse:   a.down.Sent - b.down.Sent,
		Lost:      a.client.PacketsLost - b.client.PacketsLost,
		Spurious:  a.client.PacketsSpurious - b.client.PacketsSpurious,
		Protected: a.client.PacketsSent - b.client.PacketsSent,

		Carried:      a.client.Messages.Carried - b.client.Messages.Carried,
		CarriedBytes: a.client.Messages.CarriedBytes - b.client.Messages.CarriedBytes,
	}
	r.log.fill(out)
	return out
}

// merge adds what came of another run of the scenario.
func (r *Result) merge(other *Result) {
	r.Sent += other.Sent
	r.SentBytes += other.SentBytes
	r.Missing += other.Missing
	r.Late += other.Late
	r.Packets += other.Packets
	r.PacketBytes += other.PacketBytes
	r.Reverse += other.Reverse
	r.Lost += other.Lost
	r.Spurious += other.Spurious
	r.Protected += other.Protected
	r.Carried += other.Carried
	r.CarriedBytes += other.CarriedBytes
	r.latency = append(r.latency, other.latency...)
	r.frames = append(r.frames, other.frames...)
	slices.Sort(r.latency)
	slices.Sort(r.frames)
}

// quantile returns the least of ascending times that a share q of them do not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	const rounding = 1e-9 // of q
	rank := int(math.Ceil((q - rounding) * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
