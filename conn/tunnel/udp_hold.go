package tunnel

import (
	"bytes"
	"time"
)

// heldDatagram waits for word of its flow.
type heldDatagram struct {
	flow  uint64
	until time.Time
	data  []byte
}

// holdQueue is the datagrams of a session that came before the word of their flow's opening, or before its
// target was found, oldest first. spec: TUN-35
type holdQueue struct {
	list  []heldDatagram
	bytes int
}

// add keeps a copy of a datagram, if there is room, and returns whether it did and how many were dropped for age.
func (q *holdQueue) add(flow uint64, data []byte, now time.Time) (kept bool, dropped int) {
	for len(q.list) > 0 && now.After(q.list[0].until) {
		q.bytes -= len(q.list[0].data)
		q.list = q.list[1:]
		dropped++
	}
	if len(q.list) == maxHeldDatagrams || q.bytes+len(data) > maxHeldBytes {
		return false, dropped
	}
	q.list = append(q.list, heldDatagram{flow, now.Add(holdTime), bytes.Clone(data)})
	q.bytes += len(data)
	return true, dropped
}

// take gives the datagrams of a flow out, in the order in which they came.
func (q *holdQueue) take(flow uint64, give func(data []byte)) {
	kept := q.list[:0]
	for _, d := range q.list {
		if d.flow != flow {
			kept = append(kept, d)
			continue
		}
		q.bytes -= len(d.data)
		give(d.data)
	}
	clear(q.list[len(kept):])
	q.list = kept
}

func (q *holdQueue) clear() { *q = holdQueue{} }
