//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// connectSOCKS starts a chain whose client serves SOCKS for one user, and returns its address. The server allows
// localhost by name and by address, except for port 1.
func connectSOCKS(t *testing.T, link string) (c *chain, addr string) {
	t.Helper()
	c = &chain{t: t, dir: t.TempDir()}
	psk := keyFile(t, c.dir, "psk", "--psk")
	users := filepath.Join(c.dir, "users")
	require.NoError(t, os.WriteFile(users, []byte("bob:secret\n"), 0o600))
	c.serverArgs = []string{
		"tunnel", "server", "--listen", "127.0.0.1:0", "--psk", psk, "--allow", "tcp://localhost:2-65535",
		"--allow", "tcp://127.0.0.1:2-65535", "--allow", "udp://127.0.0.1:2-65535", "--allow", "udp://localhost:2-65535",
	}
	c.startServer()
	proxy := start(t, godwit, "link", "--listen", "127.0.0.1:0", "--to", c.server.wait(`msg=listening on=(\S+)`), "--link", link)
	c.client = start(t, godwit, "tunnel", "client", "--server", proxy.wait(`listening on (\S+),`), "--psk", psk,
		"--socks5", "127.0.0.1:0", "--socks5-users", users)
	addr = c.client.wait(`msg=listening on=(\S+) for="SOCKS clients"`)
	c.client.wait("msg=connected")
	return c, addr
}

func TestCurlSpeaksSOCKSAndTheServerResolves(t *testing.T) {
	c, socks := connectSOCKS(t, lossy)
	addr, sum := serveFile(t, 1_000_000)
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"--silent", "--show-error", "--fail", "--max-time", "60", "--socks5-hostname", "bob:secret@" + socks}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		out, err := exec.Command("curl", append(args, "http://"+net.JoinHostPort(host, port)+"/file")...).Output()
		require.NoError(t, err)
		require.Equal(t, sum, fmt.Sprintf("%x", sha256.Sum256(out)))
	}
	out, err := exec.Command("curl", append(args, "http://127.0.0.1:1/")...).CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, `\(2\)|not allowed`, string(out), "curl tells that the rules of the server forbid it")
	c.client.wait("SOCKS request refused.*target not allowed")

	args[6] = "bob:wrong@" + socks
	_, err = exec.Command("curl", append(args, "http://localhost:"+port+"/file")...).Output()
	require.Error(t, err)
	c.client.wait("wrong SOCKS user name or password")
}

func TestDatagramsGoThroughSOCKS(t *testing.T) {
	_, socks := connectSOCKS(t, clean)
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer echo.Close()
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(append([]byte("echo "), buf[:n]...), from)
		}
	}()
	port := echo.LocalAddr().(*net.UDPAddr).Port

	control, err := net.Dial("tcp", socks)
	require.NoError(t, err)
	defer control.Close()
	require.NoError(t, control.SetDeadline(time.Now().Add(patience)))
	_, err = control.Write([]byte("\x05\x01\x02\x01\x03bob\x06secret\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"))
	require.NoError(t, err)
	reply := make([]byte, 2+2+10)
	for n := 0; n < len(reply); {
		k, err := control.Read(reply[n:])
		require.NoError(t, err)
		n += k
	}
	require.Equal(t, "\x05\x02\x01\x00\x05\x00\x00\x01", string(reply[:8]))
	relay := netip.AddrPortFrom(netip.AddrFrom4([4]byte(reply[8:12])), uint16(reply[12])<<8|uint16(reply[13]))
	client, err := net.Dial("udp", relay.String())
	require.NoError(t, err)
	defer client.Close()
	for _, host := range []string{"\x01\x7f\x00\x00\x01", "\x03\x09localhost"} {
		header := "\x00\x00\x00" + host + string([]byte{byte(port >> 8), byte(port)})
		got := ""
		for range 10 { // a datagram may be lost
			_, err = client.Write([]byte(header + "hello"))
			require.NoError(t, err)
			buf := make([]byte, 2000)
			require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Second)))
			if n, err := client.Read(buf); err == nil {
				got = string(buf[:n])
				break
			}
		}
		require.Equal(t, header+"echo hello", got, strings.TrimSpace(host))
	}

	require.NoError(t, control.Close())
	require.Eventually(t, func() bool {
		_, err := client.Write([]byte("x"))
		return err != nil // the relay port is gone with the connection
	}, patience, 20*time.Millisecond)
}
