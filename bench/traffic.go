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
	}
}

func (t *traffic) add(other traffic) {
	t.Datagrams += other.Datagrams
	t.Bytes += other.Bytes
	t.Reverse += other.Reverse
	t.Lost += other.Lost
	t.Needless += other.Needless
	t.Repaired += other.Repaired
}

// result makes it a part of a report.
func (t *traffic) result(sent int64) WireResult {
	each := 1 / float64(max(sent, 1))
	return WireResult{
		Packets: float64(t.Datagrams) * each, Bytes: float64(t.Bytes+ipHeaders*t.Datagrams) * each,
		Reverse: float64(t.Reverse) * each, Payload: t.Bytes,
		Lost: t.Lost, Needless: t.Needless, Repaired: t.Repaired,
	}
}

// ipHeaders is what IPv4 and UDP add to each datagram, in bytes.
const ipHeaders = 20 + 8
