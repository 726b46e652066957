package bench

import (
	"encoding/json"
	"io"
	"runtime"
	"time"
)

// Schema is the value of Report.Schema.
const Schema = "godwit-bench/1"

// Report is everything that one command measured.
type Report struct {
	Schema  string    `json:"schema"`  // always Schema
	Version string    `json:"version"` // of godwit
	Go      string    `json:"go"`      // version of Go that built it
	OS      string    `json:"os"`      // as in GOOS
	Arch    string    `json:"arch"`    // as in GOARCH
	CPUs    int       `json:"cpus"`    // that the process may use
	Started time.Time `json:"started"`
	Mode    string    `json:"mode"`             // "local": both ends in this process; "client"
	Server  string    `json:"server,omitempty"` // HOST:PORT, in mode "client"
	Results []*Result `json:"results"`
}

// NewReport starts a report.
func NewReport(mode, server, version string) *Report {
	return &Report{
		Schema: Schema, Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		CPUs: runtime.GOMAXPROCS(0), Started: time.Now().UTC(), Mode: mode, Server: server,
	}
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Result is one workload over one link. Error is set, or what the workload measures: Message by message, snapshot,
// media, game and, beside Worldload, by worldload; the others have a field of their own name.
type Result struct {
	Workload   string           `json:"workload"`
	Link       string           `json:"link"` // "direct" without emulation, else in the link language
	DurationMS float64          `json:"duration_ms"`
	Sessions   int              `json:"sessions"` // at once
	Bulk       *BulkResult      `json:"bulk,omitempty"`
	Message    *MessageResult   `json:"message,omitempty"`
	Worldload  *WorldloadResult `json:"worldload,omitempty"`
	Handshake  *HandshakeResult `json:"handshake,omitempty"`
	Request    *RequestResult   `json:"request,omitempty"`
	Idle       *IdleResult      `json:"idle,omitempty"`
	Error      string           `json:"error,omitempty"` // why there is no result
}

// BulkResult is what receivers of streams saw.
type BulkResult struct {
	Direction string  `json:"direction"` // "up": from the client to the server; "down"; "both"
	Streams   int     `json:"streams"`   // in each direction
	Bytes     int64   `json:"bytes"`     // received, both directions together
	RateBPS   float64 `json:"rate_bps"`  // from the first byte to the end of the run
	Series    []Point `json:"series"`    // rate over time
	// CPUSecondsPerGB is the processor time of this process for 10^9 bytes, in mode "local" that of both
	// ends. 0: not measured, since the system does not tell, or since an emulated link would count too.
	CPUSecondsPerGB float64 `json:"cpu_s_per_gb,omitempty"`
}

// Point is the rate in the step of 100 ms that begins at AtMS.
type Point struct {
	AtMS    float64 `json:"at_ms"`
	RateBPS float64 `json:"rate_bps"`
}

// MessageResult is how late messages were, from their sending until they could be received and were: where the mode
// keeps an order, in order. What was sent in a warm-up of a second before the run counts nowhere. Messages with a deadline that never came count at their deadline. Of the workload worldload
// it is those that were sent while a transfer ran.
type MessageResult struct {
	Size       int      `json:"size"`        // bytes, the smallest
	MaxSize    int      `json:"max_size"`    // bytes, the largest
	Hz         float64  `json:"hz"`          // frames a second in each session
	Frame      int      `json:"frame"`       // messages at once
	Mode       string   `json:"mode"`        // "unreliable", "sequenced", "reliable-unordered", "reliable-ordered"
	DeadlineMS float64  `json:"deadline_ms"` // beyond the one-way delay; 0: none
	Sent       int64    `json:"sent"`
	SentBytes  int64    `json:"sent_bytes"`
	Received   int64    `json:"received"`
	Missing    int64    `json:"missing"` // never received
	Late       int64    `json:"late"`    // received more than 1 ms after the deadline
	OneWay     Latency  `json:"one_way"`
	Frames     *Latency `json:"frames,omitempty"` // from the sending of a frame to the receipt of its last message
	// Clock is "shared" when both ends read one clock, else "estimated": half of the quickest round
	// trip is taken for the way, and ClockErrorMS bounds the error of every value.
	Clock        string         `json:"clock"`
	ClockErrorMS float64        `json:"clock_error_ms"`
	Wire         WireResult     `json:"wire"`
	Down         *MessageResult `json:"down,omitempty"` // game: the other direction
}

// WireResult is what the sender of messages put on the wire in the run, of any kind. Where both ends send messages,
// each also counts its acknowledgements for the other.
type WireResult struct {
	Packets float64 `json:"packets_per_message"`
	Bytes   float64 `json:"bytes_per_message"`   // with 28 of IPv4 and UDP for each packet
	Reverse float64 `json:"reverse_per_message"` // packets from the other end
	Payload int64   `json:"payload_bytes"`       // of UDP, in all packets of the sender
	// Overhead is what Payload is beyond the first transmission of all messages, each with 29 bytes of headers, 32
	// with a deadline: symbols, and what was sent again. Copies that are carried in later packets are apart.
	Overhead float64 `json:"overhead_percent"`
	Lost     int64   `json:"lost"`     // packets that the sender declared lost
	Needless int64   `json:"needless"` // of these, the ones that had arrived
	Repaired int64   `json:"repaired"` // frames that repeat what a lost packet had
	// Carried is how many frames had copies of messages of which nothing said that they were lost.
	Carried      int64 `json:"carried"`
	CarriedBytes int64 `json:"carried_bytes"` // in them
	Symbols      int64 `json:"symbols"`       // of the code, sent
	Recovered    int64 `json:"recovered"`     // packets that the receiver computed from symbols
}

// WorldloadResult is what a stream does to messages beside it.
type WorldloadResult struct {
	TransferBytes int     `json:"transfer_bytes"` // that the stream carries
	Transfers     Latency `json:"transfers"`      // from the first byte written until the other end has read all
	Alone         Latency `json:"alone"`          // messages of the first half, without any transfer
	MovedMS       float64 `json:"moved_ms"`       // p99 beside transfers less p99 alone
}

// RequestResult is how long answers took: 100 bytes up and 4 kB down, on a stream of their own.
type RequestResult struct {
	Parallel  int     `json:"parallel"` // under way at once in each session
	Count     int64   `json:"count"`
	PerSecond float64 `json:"per_second"`
	RoundTrip Latency `json:"round_trip"` // from the opening of the stream to the end of the answer
}

// IdleResult is what sessions cost that have nothing to do.
type IdleResult struct {
	// HeapBytes is the live heap of this process for each session, in mode "local" that of both ends.
	HeapBytes float64 `json:"heap_bytes"`
	// CPUMS is the processor time of this process for each session and second in ms. 0: not measured, since the
	// system does not tell.
	CPUMS float64 `json:"cpu_ms_per_s"`
	// Packets is how many each session sent in a second.
	Packets float64 `json:"packets_per_s"`
	Ended   int64   `json:"ended"` // sessions that did not live to the end
}

// HandshakeResult is how long sessions took to begin.
type HandshakeResult struct {
	Count     int64   `json:"count"`
	Failed    int64   `json:"failed"`
	PerSecond float64 `json:"per_second"`
	Dial      Latency `json:"dial"`       // until Dial returned
	FirstByte Latency `json:"first_byte"` // until the first byte of the server's application, from the start of Dial
}
