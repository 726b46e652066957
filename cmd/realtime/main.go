// Command realtime measures messages, media and their repair in the simulator, in virtual time. It prints
// tables with the targets and compares them with golden ones.
//
//	go run ./cmd/realtime -only 'media.*5' -seeds 1 -short
//
// It is for contributors: make realtime.
package main

import (
	"os"

	"github.com/godwit-net/godwit/bench/realtime"
)

func main() { os.Exit(realtime.Command(os.Args[1:], os.Stdout, os.Stderr)) }
