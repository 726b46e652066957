// Package congestion evaluates congestion controllers in the simulator: real sessions at both ends of
// one bottleneck, in virtual time.
//
// What it is: a [Scenario] (link, flows and what they send, changes on the way, targets), [Run], which plays
// it under a seed, [MeasureAll], which plays many under many seeds on all processors, and [Grid], the
// scenarios that a controller is judged by. [Command] does all of it and writes tables and a page with
// plots. A golden table stands beside the tests, so that every change of behaviour shows as a difference.
//
// What it does not know: real sockets and real time.
//
// Who calls it: its own tests, cmd/congestion (make congestion), and whoever tries a controller of their
// own: README.md tells how.
package congestion
