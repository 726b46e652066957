//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// serveEnv makes the test program an HTTP server at this address.
const serveEnv = "GODWIT_E2E_SERVE"

// serveNumbers answers every request with the address that it was sent to.
func serveNumbers(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "serving")
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(http.LocalAddrContextKey))
	}))
}

// Namespaces of the redirect test, and their ends of the cable between them.
const (
	near, far       = "godwit-near", "godwit-far"
	near4, far4     = "10.199.0.1", "10.199.0.2"
	near6, far6     = "fd99::1", "fd99::2"
	target4         = "10.200.0.9" // addresses of far that near has a route to
	target6         = "fd9a::9"
	redirectPort    = "12345"
	redirectedHTTP  = "8080"
	redirectedOther = "8081"
)

// cable makes two namespaces with a cable between them.
func cable(t *testing.T) {
	t.Helper()
	for _, ns := range []string{near, far} {
		_ = exec.Command("ip", "netns", "del", ns).Run() // of a run that was killed
		must(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { must(t, "ip", "netns", "del", ns) })
		must(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	must(t, "ip", "-n", near, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", far)
	for ns, addrs := range map[string][]string{
		near: {near4 + "/24", near6 + "/64"},
		far:  {far4 + "/24", far6 + "/64", target4 + "/32", target6 + "/128"},
	} {
		for _, a := range addrs {
			must(t, "ip", "-n", ns, "addr", "add", a, "dev", "cable", "nodad")
		}
		must(t, "ip", "-n", ns, "link", "set", "cable", "up")
	}
	must(t, "ip", "-n", near, "route", "add", target4, "via", far4)
	must(t, "ip", "-n", near, "-6", "route", "add", target6, "via", far6)
}

// in is the command line of a program in a namespace.
func in(ns string, args ...string) []string {
	return append([]string{"netns", "exec", ns}, args...)
}

func TestRedirectedConnectionsGoWhereTheyWereGoing(t *testing.T) {
	cable(t)
	psk := keyFile(t, t.TempDir(), "psk", "--psk")
	for _, host := range []string{target4, target6} {
		web := start(t, "ip", in(far, "env", serveEnv+"="+net.JoinHostPort(host, redirectedHTTP), os.Args[0])...)
		web.wait("serving")
	}
	server := start(t, "ip", in(far, godwit, "tunnel", "server", "--listen", far4+":4433", "--psk", psk,
		"--allow", "tcp://"+target4+":"+redirectedHTTP, "--allow", "tcp://["+target6+"]:"+redirectedHTTP)...)
	server.wait("msg=listening")
	client := start(t, "ip", in(near, godwit, "tunnel", "client", "--server", far4+":4433", "--psk", psk, "--redirect", ":"+redirectPort)...)
	client.wait("msg=connected")
	for family, host := range map[string]string{"ip": target4, "ip6": target6} {
		must(t, "ip", in(near, "nft", "add", "table", family, "nat")...)
		must(t, "ip", in(near, "nft", "add", "chain", family, "nat", "output", "{ type nat hook output priority -100 ; }")...)
		must(t, "ip", in(near, "nft", "add", "rule", family, "nat", "output", family, "daddr", host, "tcp", "dport", "8000-9000", "redirect", "to", ":"+redirectPort)...)
	}

	for _, host := range []string{target4, target6} {
		address := net.JoinHostPort(host, redirectedHTTP)
		got := must(t, "ip", in(near, "curl", "--silent", "--show-error", "--max-time", "20", "http://"+address+"/")...)
		require.Equal(t, address, got)
		server.wait("client connected")

		refused := net.JoinHostPort(host, redirectedOther)
		_, err := exec.Command("ip", in(near, "curl", "--silent", "--max-time", "20", "http://"+refused+"/")...).Output()
		require.Error(t, err)
		client.wait(`target not allowed`)
	}
	_, err := exec.Command("ip", in(near, "curl", "--silent", "--max-time", "20", "http://"+near4+":"+redirectPort+"/")...).Output()
	require.Error(t, err, "a connection to the redirect port itself goes nowhere")
	client.wait(`made to the redirect port itself`)
}
