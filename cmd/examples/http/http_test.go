package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllPagesComeOverOneSession(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, "", "", "", "delay=5ms,loss=5%"))
	require.Regexp(t, `(?s)session after .*100 pages of 50000 bytes after .*100 pages of 50000 bytes after`, out.String())
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), &out, "", "127.0.0.1:1", "no key", ""), "-key")
	require.ErrorContains(t, run(t.Context(), &out, "", "", "", "loss=200%"), "loss")
	require.Empty(t, out.String())
}
