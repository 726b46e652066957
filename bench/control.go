package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// request is the first line of a run, from the client on a stream of its own.
type request struct {
	Workload   string  `json:"workload"`
	DurationNS int64   `json:"duration_ns"`
	Streams    int     `json:"streams,omitempty"`   // bulk
	Direction  string  `json:"direction,omitempty"` // bulk
	Size       int     `json:"size,omitempty"`      // message
	Hz         float64 `json:"hz,omitempty"`        // message
}

// answer is the line that the server answers with. It is also the first byte of a handshake run.
type answer struct {
	Error string `json:"error,omitempty"` // empty: go on
}

// begin is the client's last word before messages: what to add to their latency, since clocks differ.
type begin struct {
	OffsetNS int64 `json:"offset_ns"`
}

// outcome is the last line of a run, from the server.
type outcome struct {
	Tally    tally    `json:"tally"`
	Received int64    `json:"received"`
	Buckets  []bucket `json:"buckets"`
}

// check refuses what a server does not do. The text reaches the client.
func (r *request) check() error {
	d := time.Duration(r.DurationNS)
	switch {
	case d < 0 || d > MaxDuration:
		return fmt.Errorf("a duration of %v is not between 0 and %v", d, MaxDuration)
	case r.Workload == Bulk && (r.Streams < 1 || r.Streams > maxStreams):
		return fmt.Errorf("%d streams are not between 1 and %d", r.Streams, maxStreams)
	case r.Workload == Bulk && r.Direction != Up && r.Direction != Down && r.Direction != Both:
		return fmt.Errorf("no direction is named %q", r.Direction)
	case r.Workload == Message && (r.Size < MinMessage || r.Size > MaxMessage):
		return fmt.Errorf("a message of %d bytes is not between %d and %d", r.Size, MinMessage, MaxMessage)
	case r.Workload == Message && !(r.Hz > 0 && r.Hz <= MaxHz):
		return fmt.Errorf("%v messages a second are not between 0 and %d", r.Hz, MaxHz)
	case r.Workload != Bulk && r.Workload != Message && r.Workload != Handshake:
		return fmt.Errorf("no workload is named %q", r.Workload)
	}
	return nil
}

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

var errLongLine = errors.New("the peer sent a line that is too long")

// readLine reads one line of JSON into v.
func readLine(r *bufio.Reader, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return errLongLine
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("the peer sent a line that is no %T: %w", v, err)
	}
	return nil
}
