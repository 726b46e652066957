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
