//go:build e2e

package e2e

import (
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCurlReachesAServiceBehindTheClient(t *testing.T) {
	addr, sum := serveFile(t, 1_000_000)
	at := net.JoinHostPort("127.0.0.1", freePort(t))
	c := &chain{t: t, dir: t.TempDir()}
	psk := keyFile(t, c.dir, "psk", "--psk")
	c.serverArgs = []string{"tunnel", "server", "--listen", "127.0.0.1:0", "--psk", psk, "--allow-listen", "tcp://" + at}
	c.startServer()
	server := c.server.wait(`msg=listening on=(\S+)`)
	c.serverArgs[3] = server // after a restart too
	proxy := start(t, godwit, "link", "--listen", "127.0.0.1:0", "--to", server, "--link", lossy)
	c.client = start(t, godwit, "tunnel", "client", "--server", proxy.wait(`listening on (\S+),`), "--psk", psk,
		"--reverse", "tcp://"+at+"=tcp://"+addr, "--reverse", "tcp://127.0.0.1:1=tcp://"+addr)
	c.client.wait("the server listens.*" + at)
	c.client.wait("the server does not listen.*tcp://127.0.0.1:1 .*target not allowed")
	require.Equal(t, sum, curl(t, at))

	c.server.stop(syscall.SIGKILL)
	c.startServer()
	c.server.wait("msg=listening client=anonymous on=tcp://" + at)
	require.Eventually(t, func() bool {
		return exec.Command("curl", "--silent", "--fail", "--max-time", "30", "http://"+at+"/file").Run() == nil
	}, time.Minute, 100*time.Millisecond, "the port is back with the session")
}
