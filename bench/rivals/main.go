// Command rivals measures Godwit beside other transports: what a stream carries, how late messages are, what
// sessions cost. Runs are interleaved and the tables have medians and ratios of the same runs. RESULTS.md is such a
// report; -list names the workloads and the rivals.
//
// It has a go.mod of its own, so that nothing here becomes a dependency of Godwit. withkcp is the same command with
// kcp-go.
package main

import (
	"github.com/godwit-net/godwit/bench/rivals/compare"
	"github.com/godwit-net/godwit/bench/rivals/transport"
)

func main() { compare.Main(transport.All()) }
