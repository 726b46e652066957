// Command congestion judges congestion controllers in the simulator, by a grid of scenarios in virtual
// time. It prints tables, compares them with golden ones, and writes a page with plots.
//
//	go run ./cmd/congestion -controllers adaptive,cubic -seeds 5 -out bin/congestion
//
// It is for contributors, and for whoever writes a controller: make congestion.
package main

import (
	"os"

	"github.com/godwit-net/godwit/bench/congestion"
)

func main() { os.Exit(congestion.Command(os.Args[1:], os.Stdout, os.Stderr)) }
