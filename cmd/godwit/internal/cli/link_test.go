package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

// echo runs a server that answers everything, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(buf[:n], from)
		}
	}()
	return server.LocalAddr().String()
}

// startLink runs `godwit link` until stop, which returns the rest of its stderr and its status.
func startLink(t *testing.T, args ...string) (addr string, stop func() (string, int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	status := make(chan int, 1)
	args = append([]string{"link", "--listen", "127.0.0.1:0"}, args...)
	go func() {
		status <- run(ctx, args, strings.NewReader(""), io.Discard, w)
		_ = w.Close()
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, first, ", listening on ", "stderr")
	addr, _, _ = strings.Cut(first[strings.Index(first, "listening on ")+len("listening on "):], ",")
	return addr, func() (string, int) {
		cancel()
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		return string(rest), <-status
	}
}

// exchange sends one datagram and returns how long its echo took.
func exchange(t *testing.T, addr string) time.Duration {
	t.Helper()
	client, err := net.Dial("udp", addr)
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
	begin := time.Now()
	_, err = client.Write([]byte("ping"))
	require.NoError(t, err)
	buf := make([]byte, 10)
	n, err := client.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "ping", string(buf[:n]))
	return time.Since(begin)
}

func TestLinkForwardsWithTheDelayAndSaysSoAtTheEnd(t *testing.T) {
	addr, stop := startLink(t, "--to", echo(t), "--link", "clean", "--delay", "30ms", "--stats")
	require.GreaterOrEqual(t, exchange(t, addr), 60*time.Millisecond)
	rest, status := stop()
	require.Equal(t, statusWorked, status)
	require.Contains(t, rest, "up: 1 in, 1 out; down: 1 in, 1 out")
}

func TestLinkIsSilentWhenPiped(t *testing.T) {
	addr, stop := startLink(t, "--to", echo(t))
	exchange(t, addr)
	rest, status := stop()
	require.Equal(t, statusWorked, status)
	require.Empty(t, rest)
}

func TestLinkFollowsATraceFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(file, []byte("50\n"), 0o600))
	addr, stop := startLink(t, "--to", echo(t), "--trace-file", file, "--stats")
	exchange(t, addr)
	rest, _ := stop()
	require.Contains(t, rest, "queue p50")
}

func TestErrorsAreOneLineWhateverTheyQuote(t *testing.T) {
	var stderr strings.Builder
	status := run(t.Context(), []string{"link", "--listen", ":0", "--to", "a\nb"}, nil, io.Discard, &stderr)
	require.Equal(t, statusUsage, status)
	require.Equal(t, 1, strings.Count(stderr.String(), "\n"))
}

func TestKeyFilesAreBounded(t *testing.T) {
	var stderr strings.Builder
	huge := strings.NewReader(strings.Repeat("#", maxKeyFile+1))
	status := run(t.Context(), []string{"pubkey"}, huge, io.Discard, &stderr)
	require.Equal(t, statusUsage, status)
	require.Contains(t, stderr.String(), "not a key file")
}

func TestKeyFilesAreReadByPath(t *testing.T) {
	var out strings.Builder
	require.Equal(t, statusWorked, run(t.Context(), []string{"keygen", "--psk"}, nil, &out, io.Discard))
	file := filepath.Join(t.TempDir(), "psk")
	require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o600))
	key, err := openPresharedKey(file)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(out.String()), key.Text())

	_, err = openPrivateKey(file)
	require.ErrorContains(t, err, file+" line 1: ")
	_, err = openPrivateKey(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "make the file with 'godwit keygen > FILE'")
	require.ErrorAs(t, err, &usageError{})
}
