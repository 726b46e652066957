package cli

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/godwit-net/godwit/conn/tunnel"
)

// statsSchema names what --stats writes. A new name comes with a change that breaks readers; more fields do not.
const statsSchema = "godwit-tunnel/1"

// statsRecord is one line of --stats. Counters count from the start of the session or of the process; times are in
// ms, rates in bit/s, sizes in bytes.
type statsRecord struct {
	Schema   string          `json:"schema"`
	Time     time.Time       `json:"time"`
	End      string          `json:"end"` // "client" or "server"
	UptimeMS float64         `json:"uptime_ms"`
	Endpoint any             `json:"endpoint,omitempty"` // at a server: conn.EndpointStats
	Sessions []sessionRecord `json:"sessions"`           // at this moment: at most one at a client
	Forwards []forwardRecord `json:"forwards,omitempty"` // at a client

	SessionsSoFar uint64 `json:"sessions_so_far,omitempty"` // at a client
}

// sessionRecord is one session.
type sessionRecord struct {
	Number         uint64          `json:"number"` // counts the sessions of this process
	Client         string          `json:"client,omitempty"`
	Remote         string          `json:"remote"`
	UptimeMS       float64         `json:"uptime_ms"`
	SendRateBPS    float64         `json:"send_rate_bps"` // since the last record: what left this machine, headers and repair included
	ReceiveRateBPS float64         `json:"receive_rate_bps"`
	Session        any             `json:"session"`            // conn.Stats
	Channels       any             `json:"channels,omitempty"` // tunnel.ChannelStats, of datagrams
	Targets        *forwardRecord  `json:"targets,omitempty"`
	Reverse        []forwardRecord `json:"reverse,omitempty"`
}

// forwardRecord is one forward, or all connections of a client to targets.
type forwardRecord struct {
	Forward       string `json:"forward,omitempty"`
	Open          int64  `json:"open"`
	Total         int64  `json:"total"`
	Refused       int64  `json:"refused"`
	SentBytes     int64  `json:"sent_bytes"`
	ReceivedBytes int64  `json:"received_bytes"`
	UDP           any    `json:"udp,omitempty"` // tunnel.UDPStats
}

func newForwardRecord(f *tunnel.ForwardStats) forwardRecord {
	r := forwardRecord{
		Forward: f.Forward, Open: f.Open, Total: f.Total, Refused: f.Refused, SentBytes: f.Sent, ReceivedBytes: f.Received,
	}
	if f.UDP != nil {
		r.UDP = record(*f.UDP)
	}
	return r
}

func newForwardRecords(list []tunnel.ForwardStats) (records []forwardRecord) {
	for i := range list {
		records = append(records, newForwardRecord(&list[i]))
	}
	return records
}

// record makes JSON of a struct of counters: each field under its name in lower case with underscores, durations in ms
// with "_ms" behind the name, addresses and named constants as text, what is no number as null. Structs that are embedded have their fields in the outer one.
func record(counters any) any { return recordOf(reflect.ValueOf(counters)) }

func recordOf(v reflect.Value) any {
	if t, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, _ := t.MarshalText() // addresses have text whatever they are
		return string(text)
	}
	if name, ok := v.Interface().(fmt.Stringer); ok && v.Kind() == reflect.Uint8 { // a named constant
		return name.String()
	}
	switch {
	case v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)):
		return nil
	case v.Type() == reflect.TypeFor[time.Duration]():
		return milliseconds(time.Duration(v.Int()))
	case v.Kind() == reflect.Struct:
		fields := make(map[string]any, v.NumField())
		addFields(fields, v)
		return fields
	case v.Kind() == reflect.Array || v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = recordOf(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

func addFields(fields map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch {
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			addFields(fields, v.Field(i))
		case field.IsExported():
			name := snakeCase(field.Name)
			if field.Type == reflect.TypeFor[time.Duration]() {
				name += "_ms"
			}
			fields[name] = recordOf(v.Field(i))
		}
	}
}

// snakeCase writes PacketsSent as packets_sent, and MinRTT as min_rtt.
func snakeCase(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		follows := i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if unicode.IsUpper(r) && follows {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// line is the record as one line.
func (r *statsRecord) line() ([]byte, error) {
	b, err := json.Marshal(r)
	return append(b, '\n'), err
}
