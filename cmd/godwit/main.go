// Command godwit measures paths, tunnels traffic and emulates links with Godwit sessions.
package main

import (
	"os"

	"github.com/godwit-net/godwit/cmd/godwit/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
