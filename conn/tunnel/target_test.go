package tunnel

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTargetsReadAndPrintTheSameForm(t *testing.T) {
	for text, want := range map[string]Target{
		"tcp://127.0.0.1:22":          {Network: NetworkTCP, Addr: netip.MustParseAddr("127.0.0.1"), Port: 22},
		"tcp://[::1]:65535":           {Network: NetworkTCP, Addr: netip.IPv6Loopback(), Port: 65535},
		"tcp://db.internal:5432":      {Network: NetworkTCP, Name: "db.internal", Port: 5432},
		"tcp://_ldap._tcp.corp-1:389": {Network: NetworkTCP, Name: "_ldap._tcp.corp-1", Port: 389},
		"tcp://0xdad.example:1":       {Network: NetworkTCP, Name: "0xdad.example", Port: 1},
	} {
		got, err := ParseTarget(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
}

func TestTargetsHaveOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://DB.Internal.:5432":       "tcp://db.internal:5432",
		"tcp://[::ffff:10.0.0.1]:22":    "tcp://10.0.0.1:22",
		"tcp://[0:0:0:0:0:0:0:1]:22":    "tcp://[::1]:22",
		"tcp://[2001:DB8::1]:443":       "tcp://[2001:db8::1]:443",
		"tcp://xn--bcher-kva.example:1": "tcp://xn--bcher-kva.example:1",
	} {
		got, err := ParseTarget(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got.String())
	}
}

func TestBadTargetsAreRefusedWithTheFix(t *testing.T) {
	for text, fix := range map[string]string{
		"127.0.0.1:22":             "write tcp://127.0.0.1:22",
		"http://127.0.0.1:22":      "unknown scheme",
		"tcp://127.0.0.1":          "HOST:PORT",
		"tcp://[::1]":              "HOST:PORT",
		"tcp://[::1:22":            "bracket",
		"tcp://::1:22":             "brackets",
		"tcp://[fe80::1%eth0]:22":  "without zone",
		"tcp://:22":                "names no host",
		"tcp://127.0.0.1:0":        "1 to 65535",
		"tcp://127.0.0.1:65536":    "1 to 65535",
		"tcp://127.0.0.1:+22":      "1 to 65535",
		"tcp://127.0.0.1:22-23":    "1 to 65535",
		"tcp://10.0.0.0/8:22":      "not an address",
		"tcp://a..b:22":            "bad part",
		"tcp://bücher.example:22":  "bad part",
		"tcp://user@host:22":       "HOST:PORT",
		"tcp://h:22?deadline=1s":   "HOST:PORT",
		"tcp://-v:22":              "bad part",
		"tcp://127.1:22":           "four decimal numbers",
		"tcp://2130706433:22":      "four decimal numbers",
		"tcp://0x7f000001:22":      "four decimal numbers",
		"tcp://evil.0x7f000001:22": "four decimal numbers",
		"tcp://x.0x:22":            "four decimal numbers",
		"tcp://256.1.1.1:22":       "four decimal numbers",
		"tcp://" + strings.Repeat("a.", 127) + "com:1": "1 to 253",
	} {
		_, err := ParseTarget(text)
		require.ErrorContains(t, err, fix, text)
		require.NotContains(t, err.Error(), "\n", "an error is one line")
	}
}

func TestTargetFromAddrForgetsZoneAndMapping(t *testing.T) {
	require.Equal(t, "tcp://10.0.0.1:22", TargetFromAddr(netip.MustParseAddrPort("[::ffff:10.0.0.1]:22")).String())
	require.Equal(t, "tcp://[fe80::1]:22", TargetFromAddr(netip.MustParseAddrPort("[fe80::1%eth0]:22")).String())
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"tcp://127.0.0.1:22", "tcp://[::1]:22", "tcp://a.b:1", "tcp://[", "tcp://:", "tcp://127.1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		again, err := ParseTarget(target.String())
		require.NoError(t, err)
		require.Equal(t, target, again)
		onWire, err := readRequest(strings.NewReader(string(appendRequest(nil, target))))
		require.NoError(t, err, "what the parser accepts can be asked for")
		require.Equal(t, target, onWire)
	})
}
