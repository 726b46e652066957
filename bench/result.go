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

// Result is one workload over one link. Exactly one of Bulk, Message, Handshake and Error is set.
type Result struct {
	Workload   string           `json:"workload"`
	Link       string           `json:"link"` // "direct" without emulation, else in the link language
	DurationMS float64          `json:"duration_ms"`
	Sessions   int              `json:"sessions"` // at once
	Bulk       *BulkResult      `json:"bulk,omitempty"`
	Message    *MessageResult   `json:"message,omitempty"`
	Handshake  *HandshakeResult `json:"handshake,omitempty"`
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

// MessageResult is how late messages were, from the call of Write to the end of Read, in order.
type MessageResult struct {
	Size     int     `json:"size"` // bytes
	Hz       float64 `json:"hz"`   // messages a second in each session
	Sent     int64   `json:"sent"`
	Received int64   `json:"received"`
	OneWay   Latency `json:"one_way"`
	// Clock is "shared" when both ends read one clock, else "estimated": half of the quickest round
	// trip is taken for the way, and ClockErrorMS bounds the error of every value.
	Clock        string  `json:"clock"`
	ClockErrorMS float64 `json:"clock_error_ms"`
}

// HandshakeResult is how long sessions took to begin.
type HandshakeResult struct {
	Count     int64   `json:"count"`
	Failed    int64   `json:"failed"`
	PerSecond float64 `json:"per_second"`
	Dial      Latency `json:"dial"`       // until Dial returned
	FirstByte Latency `json:"first_byte"` // until the first byte of the server's application, from the start of Dial
}
