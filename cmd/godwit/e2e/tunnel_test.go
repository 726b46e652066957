//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The links of the tests, in the link language.
const (
	clean    = "delay=25ms"
	lossy    = "delay=25ms,loss=5%"
	lossyDSL = "dsl,loss=5%" // 50 Mbit/s
)

// chain is tunnel client, link and tunnel server, each in a process of its own.
type chain struct {
	t          *testing.T
	dir        string
	serverArgs []string
	server     *process
	client     *process
	ports      []string // local addresses of the forwards
}

// connect starts a chain that forwards a port to each target. The server allows the machine itself,
// except for port 1.
func connect(t *testing.T, link string, targets ...string) *chain {
	t.Helper()
	c := &chain{t: t, dir: t.TempDir()}
	serverKey, clientKey := keyFile(t, c.dir, "server.key"), keyFile(t, c.dir, "client.key")
	authorized := filepath.Join(c.dir, "authorized")
	require.NoError(t, os.WriteFile(authorized, []byte(publicKey(t, clientKey)+" laptop # of the test\n"), 0o600))
	c.serverArgs = []string{
		"tunnel", "server", "--listen", "127.0.0.1:0", "--key", serverKey, "--authorized", authorized,
		"--allow", "tcp://127.0.0.1:2-65535",
	}
	c.startServer()
	server := c.server.wait(`msg=listening on=(\S+)`)
	c.serverArgs[3] = server // after a restart too
	proxy := start(t, godwit, "link", "--listen", "127.0.0.1:0", "--to", server, "--link", link)
	args := []string{
		"tunnel", "client", "--server", proxy.wait(`listening on (\S+),`), "--peer-key", publicKey(t, serverKey),
		"--key", clientKey,
	}
	for _, target := range targets {
		args = append(args, "--forward", "tcp://127.0.0.1:0=tcp://"+target)
	}
	c.client = start(t, godwit, args...)
	for _, target := range targets {
		c.ports = append(c.ports, c.client.wait(`msg=listening on=(\S+) for=tcp://`+target+`\n`))
	}
	c.client.wait("msg=connected")
	return c
}

func (c *chain) startServer() { c.server = start(c.t, godwit, c.serverArgs...) }

// serveFile serves random bytes under /file and returns the server's address and their hash.
func serveFile(t *testing.T, size int) (addr, sum string) {
	t.Helper()
	hash := sha256.New()
	_, _ = io.Copy(hash, random(size))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = io.Copy(w, random(size))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), fmt.Sprintf("%x", hash.Sum(nil))
}

// random is the same random bytes every time.
func random(size int) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{'e', '2', 'e'}), int64(size))
}

// curl downloads a file and returns its hash.
func curl(t *testing.T, addr string) string {
	t.Helper()
	cmd := exec.Command("curl", "--silent", "--show-error", "--fail", "--max-time", "90", "http://"+addr+"/file")
	hash := sha256.New()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = hash, &stderr
	begin := time.Now()
	require.NoError(t, cmd.Run(), stderr.String())
	t.Logf("curl took %v", time.Since(begin).Round(time.Millisecond))
	return fmt.Sprintf("%x", hash.Sum(nil))
}

func TestCurlDownloadsFiftyMegabytesOverACleanLink(t *testing.T) {
	addr, sum := serveFile(t, 50_000_000)
	require.Equal(t, sum, curl(t, connect(t, clean, addr).ports[0]))
}

func TestCurlDownloadsThreeMegabytesAtFivePercentLoss(t *testing.T) {
	addr, sum := serveFile(t, 3_000_000)
	require.Equal(t, sum, curl(t, connect(t, lossy, addr).ports[0]))
}

// It takes about 10 s, of which 8 s are the rate of the link. A controller that takes every loss for
// congestion needs minutes, and curl gives up before.
func TestCurlDownloadsFiftyMegabytesAtFivePercentLoss(t *testing.T) {
	addr, sum := serveFile(t, 50_000_000)
	require.Equal(t, sum, curl(t, connect(t, lossyDSL, addr).ports[0]))
}

func TestRsyncCopiesATreeBothWays(t *testing.T) {
	dir := t.TempDir()
	source, copied := filepath.Join(dir, "source"), filepath.Join(dir, "copied")
	for i := range 60 {
		path := filepath.Join(source, fmt.Sprintf("d%d/e%d/f%d", i%3, i%7, i))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		data, _ := io.ReadAll(random(i * i * 15))
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	require.NoError(t, os.Symlink("d0", filepath.Join(source, "link")))
	module := filepath.Join(dir, "module")
	require.NoError(t, os.Mkdir(module, 0o755))
	port := freePort(t)
	config := filepath.Join(dir, "rsyncd.conf")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(
		"use chroot = no\nuid = 0\ngid = 0\n[tree]\npath = %s\nread only = no\n", module)), 0o644))
	start(t, "rsync", "--daemon", "--no-detach", "--config", config, "--address", "127.0.0.1", "--port", port)
	waitForPort(t, "127.0.0.1:"+port)

	c := connect(t, lossy, "127.0.0.1:"+port)
	url := "rsync://" + c.ports[0] + "/tree/"
	must(t, "rsync", "-a", "--timeout=120", source+"/", url)
	must(t, "rsync", "-a", "--timeout=120", url, copied+"/")
	must(t, "diff", "-r", "--no-dereference", source, copied)
	require.Empty(t, strings.TrimSpace(must(t, "rsync", "-an", "--checksum", "--out-format=%n", source+"/", copied+"/")))
}

func TestRedisBenchmarkRuns(t *testing.T) {
	port := freePort(t)
	start(t, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	waitForPort(t, "127.0.0.1:"+port)
	c := connect(t, lossy, "127.0.0.1:"+port)
	_, local, _ := net.SplitHostPort(c.ports[0])
	out := must(t, "redis-benchmark", "-h", "127.0.0.1", "-p", local, "-c", "50", "-n", "2000", "-t", "set,get,lpush,mset", "--csv")
	require.Equal(t, 5, strings.Count(out, "\n"), out)
	require.Equal(t, "2000", strings.TrimSpace(must(t, "redis-cli", "-h", "127.0.0.1", "-p", local, "llen", "mylist")))
}

func TestAHundredConnectionsOfALoadToolFinishWithoutError(t *testing.T) {
	addr, _ := serveFile(t, 4000)
	for _, link := range []string{clean, lossy} {
		c := connect(t, link, addr)
		out := must(t, "wrk", "--threads", "2", "--connections", "100", "--duration", "5s", "--timeout", "30s", "http://"+c.ports[0]+"/")
		t.Log(link, out)
		require.NotContains(t, out, "Socket errors")
		require.NotContains(t, out, "Non-2xx")
		require.Regexp(t, `[1-9]\d* requests in`, out)
	}
}

func TestTheClientSurvivesAKilledServer(t *testing.T) {
	addr, sum := serveFile(t, 100_000)
	c := connect(t, clean, addr)
	require.Equal(t, sum, curl(t, c.ports[0]))

	c.server.stop(syscall.SIGKILL)
	c.startServer()
	c.server.wait("msg=listening")
	// The old session's next packet meets a server that does not know it, which says so.
	require.Eventually(t, func() bool {
		out, err := exec.Command("curl", "--silent", "--max-time", "30", "http://"+c.ports[0]+"/file").Output()
		return err == nil && fmt.Sprintf("%x", sha256.Sum256(out)) == sum
	}, time.Minute, 100*time.Millisecond, "new connections work without a restart of the client")
	c.client.wait("session lost, connecting again")
	require.Equal(t, 2, strings.Count(c.client.output(), "msg=connected"), "each change is reported once")

	c.server.stop(syscall.SIGTERM)
	require.Equal(t, 0, c.server.cmd.ProcessState.ExitCode())
	c.client.wait("server stopped")
}

func TestARefusedForwardIsClearAtBothEnds(t *testing.T) {
	c := connect(t, clean, "192.0.2.7:80", "127.0.0.1:1")
	for _, port := range c.ports {
		out, err := exec.Command("curl", "--silent", "--show-error", "--max-time", "20", "http://"+port+"/").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "reset")
	}
	c.client.wait(`connection refused.*tcp://192.0.2.7:80.*target not allowed: no --allow rule`)
	c.server.wait(`client=laptop target=tcp://192.0.2.7:80 reason="target not allowed"`)
	c.client.wait(`connection refused.*tcp://127.0.0.1:1.*target not allowed`)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func waitForPort(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, patience, 20*time.Millisecond)
}
