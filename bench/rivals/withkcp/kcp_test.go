package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench/rivals/compare"
)

// TestMain lets the tests' binary be the server process of workloads that have one.
func TestMain(m *testing.M) {
	if compare.IsServer() {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestKCPCarriesEachOfItsWorkloads(t *testing.T) {
	for _, rival := range []kcpGo{{}, {fec: true}} {
		for _, w := range compare.Workloads() {
			if w.Name == "game-max" {
				continue // many games
			}
			sample, fits, err := w.Try(t.Context(), rival, compare.Loopback)
			require.NoError(t, err, w.Name)
			require.True(t, fits, w.Name)
			require.Contains(t, sample, w.Columns[0].Key, "%s gave %v", w.Name, sample)
		}
	}
}
