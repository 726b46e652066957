// Package sim is a seeded network in virtual time: a model of one link, a language that names links,
// and a world of sockets, links and timers that runs on one event heap.
//
// A [Config] describes a link in one direction (delay, rate, queue, loss, jitter and so on) and
// [ParseLink] reads it from text such as "loss5" or "dsl,loss=1%,queue=4bdp". A [Link] answers one
// question without any goroutine: a datagram of this size enters now, when does it come out, and in
// which state? A [World] runs events in the order of virtual time, so that one seed gives one run,
// bit for bit.
//
// A [Node] is an endpoint of the core in such a world, driven as package conn drives it and checked at
// every step; [Transfer] is an application that knows only the contract. TestSeeds swarms links and
// incidents by seed; a seed that fails prints the command that replays it:
//
//	go test ./protocol/sim -run 'TestSeeds$' -sim.seeds 1000 -sim.seed 1
//
// One seed gives one run bit for bit under testing/cryptotest, which also seeds the few choices that
// the standard library's cryptography makes for itself.
//
// The package knows no real clock and no socket. The simulator's tests, the in-memory network of
// the connection tests and the impairment proxy over real sockets all ask the same Link.
package sim
