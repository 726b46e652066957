// Command withkcp is command rivals with kcp-go beside the others. It is a module of its own, since kcp-go comes from
// Debian (golang-github-xtaci-kcp-dev), where its source lies in /usr/share/gocode. `make rivals` takes it where
// that is installed.
package main

import (
	"slices"

	"github.com/godwit-net/godwit/bench/rivals/compare"
	"github.com/godwit-net/godwit/bench/rivals/transport"
)

func main() { compare.Main(all()) }

// all has Godwit last.
func all() []transport.Transport {
	list := transport.All()
	return slices.Insert(list, len(list)-1, transport.Transport(kcpGo{}), transport.Transport(kcpGo{fec: true}))
}
