package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlayersPlayAndLoadTheWorldOverALinkThatLoses(t *testing.T) {
	o := options{link: "delay=5ms,loss=5%", players: 20, loaders: 2, hz: 30, length: 2 * time.Second}
	s, b, err := runBoth(t.Context(), &o)
	require.NoError(t, err)
	require.Positive(t, b.inputs)
	require.LessOrEqual(t, s.applied, b.inputs)
	coins, loaded := 0, 0
	for _, bot := range b.all {
		require.Positive(t, bot.snapshots)
		require.LessOrEqual(t, bot.snapshots, int(bot.last-bot.first)+1, "a snapshot came twice or late")
		coins += bot.coins
		if bot.loaded > 0 {
			loaded++
		}
	}
	require.LessOrEqual(t, coins, s.applied/coinEvery, "a coin came twice")
	require.Equal(t, o.loaders, loaded)
}

func TestInputsMoveThePlayerAndFindCoins(t *testing.T) {
	var p player
	for range coinEvery {
		p.apply([]byte{0, 0, 0, 0, 0, 0, 0, 9, 1, 0xff})
	}
	require.Equal(t, player{x: coinEvery, y: 1<<16 - coinEvery, clock: 9, inputs: coinEvery, coins: 1}, p)
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), &options{play: "127.0.0.1:1", key: "none"}, &out), "-key")
	require.ErrorContains(t, run(t.Context(), &options{link: "loss=200%", hz: 20}, &out), "loss")
}
