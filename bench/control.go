package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// request is the first line of a run, from the client on a stream of its own.
type request struct {
	Workload   string `json:"workload"`
	DurationNS int64  `json:"duration_ns"`
	Streams    int    `json:"streams,omitempty"`   // bulk
	Direction  string `json:"direction,omitempty"` // bulk
	Up         *load  `json:"up,omitempty"`        // messages of the client
	Down       *load  `json:"down,omitempty"`      // messages of the server
	Transfer   bool   `json:"transfer,omitempty"`  // streams carry something beside the messages
}

// answer is the line that the server answers with. It is also the first byte of a handshake run.
type answer struct {
	Error string `json:"error,omitempty"` // empty: go on
}

// begin is the client's last word before messages: what to add to their latency, since clocks differ.
type begin struct {
	OffsetNS int64 `json:"offset_ns"`
}

// ended is the client's word when it has sent its last message.
type ended struct {
	Sent int64 `json:"sent"`
}

// outcome is the last line of a run, from the server.
type outcome struct {
	Tally     tally   `json:"tally"`
	Heard     heard   `json:"heard"`      // messages that came
	Sent      int64   `json:"sent"`       // messages
	SentBytes int64   `json:"sent_bytes"` // in them
	Traffic   traffic `json:"traffic"`    // of this end as a sender
}

// check refuses what a server does not do. The text reaches the client.
func (r *request) check() error {
	d := time.Duration(r.DurationNS)
	switch {
	case d < 0 || d > MaxDuration:
		return fmt.Errorf("a duration of %v is not between 0 and %v", d, MaxDuration)
	case !slices.Contains(Workloads(), r.Workload):
		return fmt.Errorf("no workload is named %q", r.Workload)
	case r.Workload == Bulk && (r.Streams < 1 || r.Streams > maxStreams):
		return fmt.Errorf("%d streams are not between 1 and %d", r.Streams, maxStreams)
	case r.Workload == Bulk && r.Direction != Up && r.Direction != Down && r.Direction != Both:
		return fmt.Errorf("no direction is named %q", r.Direction)
	case slices.Contains(messageWorkloads, r.Workload) != (r.Up != nil):
		return fmt.Errorf("%s: messages are missing, or not asked for", r.Workload)
	}
	for _, l := range []*load{r.Up, r.Down} {
		if l == nil {
			continue
		}
		if err := l.check(); err != nil {
			return err
		}
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
