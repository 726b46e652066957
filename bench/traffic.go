package bench

import "github.com/godwit-net/godwit/conn"

// traffic is what a session sent and received in a run, of any kind.
type traffic struct {
	Datagrams int64 `json:"datagrams"`
	Bytes     int64 `json:"bytes"` // UDP payload
	Reverse   int64 `json:"reverse"`
	Lost      int64 `json:"lost"`
	Needless  int64 `json:"needless"`
	Repaired  int64 `json:"repaired"`
	Symbols   int64 `json:"symbols"`
	Recovered int64 `json:"recovered"`
	Carried   int64 `json:"carried"`
	Copies    int64 `json:"copies"` // bytes in Carried
}

// trafficSince is what a session counted since an earlier look.
func trafficSince(now, before conn.Stats) traffic {
	return traffic{
		Datagrams: int64(now.DatagramsSent - before.DatagramsSent),
		Bytes:     int64(now.BytesSent - before.BytesSent),
		Reverse:   int64(now.DatagramsReceived - before.DatagramsReceived),
		Lost:      int64(now.PacketsLost - before.PacketsLost),
		Needless:  int64(now.PacketsSpurious - before.PacketsSpurious),
		Repaired:  int64(now.Messages.Retransmitted - before.Messages.Retransmitted),
		Symbols:   int64(now.Repair.Symbols - before.Repair.Symbols),
		Recovered: int64(now.Repair.Recovered - before.Repair.Recovered),
		Carried:   int64(now.Messages.Carried - before.Messages.Carried),
		Copies:    int64(now.Messages.CarriedBytes - before.Messages.CarriedBytes),
	}
}

func (t *traffic) add(other traffic) {
	t.Datagrams += other.Datagrams
	t.Bytes += other.Bytes
	t.Reverse += other.Reverse
	t.Lost += other.Lost
	t.Needless += other.Needless
	t.Repaired += other.Repaired
	t.Symbols += other.Symbols
	t.Recovered += other.Recovered
	t.Carried += other.Carried
	t.Copies += other.Copies
}

// result makes it a part of a report, with the messages that were sent.
func (t *traffic) result(l *load, sent, bytes int64) WireResult {
	each := 1 / float64(max(sent, 1))
	added, copied := int64(messageHeaders), int64(copyHeader)
	if l.DeadlineMS > 0 {
		added, copied = added+stampSize, copied+stampSize-1
	}
	first, carried := bytes+added*sent, t.Copies+copied*t.Carried
	return WireResult{
		Packets: float64(t.Datagrams) * each, Bytes: float64(t.Bytes+ipHeaders*t.Datagrams) * each,
		Reverse: float64(t.Reverse) * each, Payload: t.Bytes,
		Overhead: 100 * float64(t.Bytes-carried-first) / float64(max(first, 1)),
		Lost:     t.Lost, Needless: t.Needless, Repaired: t.Repaired, Carried: t.Carried, CarriedBytes: carried,
		Symbols: t.Symbols, Recovered: t.Recovered,
	}
}

const (
	// ipHeaders is what IPv4 and UDP add to each datagram, in bytes.
	ipHeaders = 20 + 8
	// messageHeaders is what a packet with one message has beside it, in bytes of UDP payload: first octet, session
	// ID, packet number, MESSAGE, tag; stampSize is more on a channel with a deadline, where the number is wide. A copy
	// that is carried has a length. Bench/realtime counts the same.
	messageHeaders = 1 + 8 + 1 + 3 + 16
	stampSize      = 3
	copyHeader     = 3 + 1
)
