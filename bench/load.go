package bench

import (
	"fmt"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// load is messages that come by the clock, in one direction of a session: frames of them, each at once.
type load struct {
	Mode       conn.Mode `json:"mode"`
	Size       int       `json:"size"`                  // bytes
	MaxSize    int       `json:"max_size,omitempty"`    // when it is more, each size is drawn
	Frame      int       `json:"frame"`                 // messages at once
	Hz         float64   `json:"hz"`                    // frames a second
	DeadlineMS int64     `json:"deadline_ms,omitempty"` // beyond the one-way delay; 0: none
	Twice      bool      `json:"twice,omitempty"`       // conn.MessageOptions.Twice
}

// loads are the messages of a workload, up and down; nil: none.
func (o *Options) loads() (up, down *load) {
	message := &load{Mode: conn.ReliableOrdered, Size: or(o.Size, 64), Frame: 1, Hz: or(o.Hz, 60), Twice: o.Twice}
	snapshot := &load{Mode: conn.Sequenced, Size: or(o.Size, 300), MaxSize: or(o.Size, 1200), Frame: 1, Hz: or(o.Hz, 30)}
	switch o.Workload {
	case Message, Worldload:
		return message, nil
	case Snapshot:
		return snapshot, nil
	case Media:
		return &load{
			Mode: conn.ReliableOrdered, Size: or(o.Size, 1250), Frame: 10, Hz: or(o.Hz, 60), DeadlineMS: o.Deadline.Milliseconds(),
		}, nil
	case Game:
		message.Hz, snapshot.Hz = or(o.Hz, 20), or(o.Hz, 20)
		return message, snapshot
	}
	return nil, nil
}

func or[T comparable](v, fallback T) T {
	setDefault(&v, fallback)
	return v
}

// check refuses what an end does not send.
func (l *load) check() error {
	switch {
	case l.Mode > conn.ReliableOrdered:
		return fmt.Errorf("there is no mode %d of messages", l.Mode)
	case l.Size < MinMessage || l.Size > MaxMessage || l.MaxSize > MaxMessage:
		return fmt.Errorf("a message of %d bytes is not between %d and %d", max(l.Size, l.MaxSize), MinMessage, MaxMessage)
	case !(l.Hz > 0 && l.Hz <= MaxHz):
		return fmt.Errorf("%v messages a second are not between 0 and %d", l.Hz, MaxHz)
	case l.Frame < 1 || l.Frame > maxFrame:
		return fmt.Errorf("%d messages at once are not between 1 and %d", l.Frame, maxFrame)
	case l.DeadlineMS < 0 || l.DeadlineMS > MaxDeadline.Milliseconds():
		return fmt.Errorf("a deadline of %d ms is not between 0 and %v", l.DeadlineMS, MaxDeadline)
	}
	return nil
}

func (l *load) deadline() time.Duration { return time.Duration(l.DeadlineMS) * time.Millisecond }

// reliable reports whether all messages should arrive.
func (l *load) reliable() bool { return l.Mode >= conn.ReliableUnordered }

// ordered reports whether no message comes after a newer one.
func (l *load) ordered() bool { return l.Mode == conn.Sequenced || l.Mode == conn.ReliableOrdered }
