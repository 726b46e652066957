// Package congestion evaluates congestion controllers in the simulator: flows of bulk data, with real
// sessions at both ends, through one bottleneck, in virtual time.
//
// What it is: a [Scenario] (link, flows, changes on the way), [Run], which plays it under a seed and
// returns goodput, shares and queue, and the grid of scenarios that controllers are judged by, kept as
// a golden table beside its test.
//
// What it does not know: real sockets and real time.
//
// Who calls it: its own tests (go test ./bench/congestion -run Grid -v -args -grid.full), and whoever
// tries a controller of their own.
package congestion
