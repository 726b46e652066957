// Package fec is the erasure code of repair: systematic Reed-Solomon over a sliding window of source
// packets. An [Encoder] holds the newest contents that were sent and makes repair symbols over any run
// of them, one by one, early or late; a [Decoder] gives lost contents back the moment enough symbols are
// there.
//
// It knows neither packets nor frames, clock, loss nor deadlines: contents are bytes with a sequence
// number. The session (package protocol) calls it, and decides what is covered, when a symbol is worth
// its bytes, and when a content has become too old. Chapter 9 of the specification has the code to the
// byte, decision 15 the reasons.
//
// Both types work from their zero value, are used by one caller at a time, copy what they are given, and
// allocate nothing once their buffers have the size of the packets.
package fec
