//go:build e2e

package compare

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// TestEachRivalCrossesALinkThatLoses needs root, for the namespaces.
func TestEachRivalCrossesALinkThatLoses(t *testing.T) {
	const link = "delay=2ms,loss=2%"
	for _, rival := range transport.All() {
		about := rival.About()
		if about.Missing != "" {
			continue
		}
		t.Run(strings.ReplaceAll(about.Name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			for _, w := range Workloads() {
				if !w.fits(&about) || w.Name != "message" && w.Name != "bulk" && !about.OneWay {
					continue
				}
				sample := requireCarries(t, w, rival, link)
				if w.Name == "message" {
					require.Greater(t, sample["p50_ms"], 2.0, "faster than the link")
					require.Greater(t, sample["wire_up"], 80.0, "less than most of what is in it, 92")
				}
			}
		})
	}
}
