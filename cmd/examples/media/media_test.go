package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

func TestFramesComeOverALinkWithoutLossWholeAndInOrder(t *testing.T) {
	var out bytes.Buffer
	o := options{link: "delay=5ms", budget: 2 * time.Second, rate: 1_000_000, length: time.Second}
	require.NoError(t, run(t.Context(), &o, &out))
	require.Contains(t, out.String(), "receiver: 30 frames shown, 0 missing, 0 damaged", out.String())
}

// Every frame is shown once or skipped, whatever else the machine has to do meanwhile.
func TestFramesAreShownOrSkippedOverALinkThatLoses(t *testing.T) {
	var out bytes.Buffer
	o := options{link: "delay=5ms,loss=5%", budget: 2 * time.Second, rate: 1_000_000, length: time.Second}
	require.NoError(t, run(t.Context(), &o, &out))
	require.Contains(t, out.String(), "sender: 30 frames")
	require.Contains(t, out.String(), "receiver: 30 frames shown, 0 missing, 0 damaged", out.String())
}

func TestADamagedFrameIsCounted(t *testing.T) {
	r := newReceiver()
	frame := encode(0, 1_000_000, 0)
	r.show(frame)
	frame[len(frame)/2]++
	r.show(frame)
	r.show(nil)
	require.Equal(t, 2, r.damaged)
	require.Len(t, r.delays, 1)
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), &options{send: "127.0.0.1:1", key: crypto.PublicKey{}.String()}, &out), "-key")
	require.ErrorContains(t, run(t.Context(), &options{link: "loss=200%"}, &out), "loss")
}
