// Package transport has one Transport for each protocol that is compared: a way to listen, to dial, and to carry
// streams and messages between the two ends.
//
// It does not know what is measured. Package compare drives all transports alike; each file beside this one is one
// rival, with the settings that its own documentation recommends.
package transport

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Class says what a message is worth. A transport that has no such class takes the nearest one that loses nothing,
// or says in its About that messages may be lost.
type Class uint8

// The classes of messages.
const (
	Ordered Class = iota // all of them, in order
	Newest               // only what is newer than all before
	Timed                // in order, each worth nothing MediaDeadline after the time that the way takes
	classes
)

// MediaDeadline is how long a Timed message is worth something, beyond the delay of the way.
const MediaDeadline = 150 * time.Millisecond

// About describes a transport.
type About struct {
	Name     string
	Module   string // Go module whose version counts; empty: Version says it
	Version  string // of what is no Go module
	Settings string // how it is set up, as a part of a sentence
	Missing  string // why it cannot run on this machine; empty: it can

	Streams     bool // sessions are a reliable stream
	Multiplexed bool // sessions are Multiplexers
	PerRequest  bool // a stream is cheap enough to open one for each request
	Messages    bool // sessions carry messages
	OneWay      bool // messages go from the dialing end only
	Outside     bool // programs of their own: neither many sessions nor their memory can be measured
}

// Options say where an end is and what its datagrams may be.
type Options struct {
	Host      string                        // IP address to bind
	Do        func(open func() error) error // calls open where the sockets of this end belong; nil: anywhere
	Datagram  int                           // largest UDP payload in bytes; 0: what the transport finds
	KeepAlive time.Duration                 // silence after which an idle session says something; 0: never
	Logf      func(format string, v ...any) // gets what outside programs print; nil: nobody
}

// Open opens sockets, or starts programs, where they belong.
func (o *Options) Open(open func() error) error {
	if o.Do == nil {
		return open()
	}
	return o.Do(open)
}

// Transport is one protocol, set up in one way.
type Transport interface {
	About() About
	// Listen opens the far end.
	Listen(Options) (Server, error)
	// Client opens the near end, from which any number of sessions may be dialed.
	Client(Options) (Client, error)
}

// Server accepts sessions. Close ends them too.
type Server interface {
	// Target is what a Client must know: one line without a line end, good for another process on this machine.
	Target() string
	// Accept returns the next session, at the latest when its first byte or message has come.
	Accept(context.Context) (Session, error)
	Close() error
}

// Client dials.
type Client interface {
	Dial(ctx context.Context, target string) (Session, error)
	Close() error
}

// Stream is reliable and ordered.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// LastWriter is a Stream with Write and CloseWrite in one call.
type LastWriter interface {
	WriteLast(b []byte) (int, error)
}

// Session is one context between two ends. Read and Write are those of its first stream, which needs no opening.
// One goroutine may write while another one reads. A session carries messages or the bytes of the first stream,
// not both.
type Session interface {
	io.ReadWriter
	// SendMessage sends b. More says that another one follows at once.
	SendMessage(b []byte, class Class, more bool) error
	// ReceiveMessage copies the next message of a class into buf.
	ReceiveMessage(buf []byte, class Class) (int, error)
	// Close ends the session without waiting for anything. Calls that wait return.
	Close() error
}

// Multiplexer is a session with further streams.
type Multiplexer interface {
	OpenStream(context.Context) (Stream, error)
	AcceptStream(context.Context) (Stream, error)
}

// Ticker is a Server or a Client for programs that work in ticks.
type Ticker interface {
	// ReceiveBatch gives each message that has come to any session to take, without waiting.
	ReceiveBatch(take func(b []byte))
	// Flush sends in one go what was said with more to any session.
	Flush()
}

// Outside is a Server or a Client that works through programs of its own.
type Outside interface {
	Processes() []*os.Process
}

// ErrTooLarge is a message that does not fit what the path carries now.
var ErrTooLarge = errors.New("the message does not fit a datagram")

// All returns the transports of this module.
func All() []Transport {
	return []Transport{
		TCP(), TLS(), QUIC(), QUICDatagrams(), NetQUIC(), SCTP(), KCPTun(), SRT(), UDP(), Godwit(),
	}
}
