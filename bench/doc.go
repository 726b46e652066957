// Package bench measures sessions: how much a path carries (bulk), how late messages are (message, snapshot,
// media, worldload, game), how fast sessions begin (handshake) and answer (request), and what they cost when
// nothing happens (idle).
//
// What it is: a Server that serves the other end of every workload to many clients at once, a Client
// that runs workloads against it, a Tour that does both in one process over emulated links, and the
// forms of the results: a table, JSON, and an HTML page that needs nothing else.
//
// What it does not know: packets, frames, timers. It uses sessions through package conn, as any
// application does, and links through package emulator.
//
// Who calls it: cmd/godwit (godwit bench), and whoever wants to measure from a program.
//
// # JSON
//
// A Report is written as one JSON object. Durations are in milliseconds, rates in bits per second,
// sizes in bytes. Fields are added, never renamed or removed, while "schema" stays "godwit-bench/1".
// The fields are those of Report, Result, BulkResult, MessageResult, WireResult, WorldloadResult, HandshakeResult,
// RequestResult, IdleResult and Latency.
package bench
