//go:build unix

package cli

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSIGHUPReadsTheFilesAgain(t *testing.T) {
	p := startPair(t)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	p.server.wait(1, "configuration changed")
	require.NoError(t, os.Remove(p.name("server.toml")))
	p.server.wait(1, "configuration not changed: .*no such file")
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	p.server.wait(2, "configuration not changed: .*no such file")
}

func TestStatisticsGoOnInANewFileAfterSIGHUP(t *testing.T) {
	p := startPair(t)
	text := p.config("127.0.0.1:0", p.a, p.b)
	p.replace("server.toml", "stats = \"stats\"\n"+text)
	p.server.wait(1, "configuration changed")
	require.NoError(t, os.Rename(p.name("stats"), p.name("stats.1")))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	p.server.wait(2, "configuration changed")
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	p.server.wait(1, `msg=status state="0 clients, 0 connections"`)
	p.server.stop()
	old, err := os.ReadFile(p.name("stats.1"))
	require.NoError(t, err)
	require.Empty(t, old)
	now, err := os.ReadFile(p.name("stats"))
	require.NoError(t, err)
	require.Len(t, records(t, string(now)), 2, "one on the signal, one at the end")
}
