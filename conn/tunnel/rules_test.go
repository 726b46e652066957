package tunnel

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func rules(t testing.TB, list ...string) Rules {
	t.Helper()
	r, err := ParseRules(list)
	require.NoError(t, err)
	return r
}

func TestRulesReadAndPrintTheSameForm(t *testing.T) {
	for _, s := range []string{
		"tcp://127.0.0.1:22", "tcp://10.0.0.0/8:1-65535", "tcp://[::1]:22", "tcp://[fd00::/8]:80-81",
		"tcp://0.0.0.0/0:443", "tcp://db.internal:5432-5433", "udp://127.0.0.1:5004-5005",
	} {
		r, err := ParseRule(s)
		require.NoError(t, err)
		require.Equal(t, s, r.String())
	}
}

func TestBadRulesAreRefusedWithTheFix(t *testing.T) {
	for text, fix := range map[string]string{
		"127.0.0.1:22":                   "write tcp://",
		"quic://127.0.0.1:22":            "tcp:// or udp://",
		"tcp://127.0.0.1":                "HOST:PORT",
		"tcp://127.0.0.1:":               "1 to 65535",
		"tcp://127.0.0.1:22-":            "1 to 65535",
		"tcp://127.0.0.1:90-80":          "write 80-90",
		"tcp://127.0.0.1:0-80":           "1 to 65535",
		"tcp://10.1.2.3/8:22":            "write 10.0.0.0/8",
		"tcp://10.0.0.0/33:22":           "not a range",
		"tcp://[::ffff:10.0.0.0/104]:22": "IPv4 form",
		"tcp://fd00::/8:22":              "brackets",
		"tcp://[fe80::1%eth0]:22":        "zone",
		"tcp://:22":                      "0.0.0.0/0",
		"tcp://*:22":                     "bad part",
		"tcp://127.1:22":                 "four decimal",
	} {
		_, err := ParseRule(text)
		require.ErrorContains(t, err, fix, text)
	}
	_, err := ParseRules(make([]string, maxRules+1))
	require.ErrorContains(t, err, "use ranges")
}

func TestAnAddressIsAllowedByARangeThatHoldsItAndItsPort(t *testing.T) {
	// spec: TUN-8
	r := rules(t, "tcp://10.0.0.0/8:20-30", "tcp://[fd00::/8]:80", "tcp://192.168.1.7:22")
	for text, want := range map[string]bool{
		"10.1.2.3:20": true, "10.1.2.3:30": true, "10.1.2.3:19": false, "10.1.2.3:31": false,
		"11.0.0.1:22": false, "192.168.1.7:22": true, "192.168.1.8:22": false,
		"[fd12::1]:80": true, "[fe80::1]:80": false, "[fd12::1]:81": false,
	} {
		a := netip.MustParseAddrPort(text)
		require.Equal(t, want, r.allowsAddr(NetworkTCP, a.Addr(), a.Port()), text)
	}
	require.False(t, r.allowsAddr(NetworkUDP, netip.MustParseAddr("10.1.2.3"), 22), "a rule is for its network")
	require.False(t, Rules(nil).allowsAddr(NetworkTCP, netip.MustParseAddr("10.1.2.3"), 22), "no rule allows nothing")
}

func TestMappedAddressesMeetTheRulesOfIPv4(t *testing.T) {
	// spec: TUN-9
	r := rules(t, "tcp://10.0.0.0/8:22", "tcp://[::/0]:80")
	require.True(t, r.allowsAddr(NetworkTCP, netip.MustParseAddr("::ffff:10.0.0.1"), 22))
	require.False(t, r.allowsAddr(NetworkTCP, netip.MustParseAddr("::ffff:10.0.0.1"), 80), "a range of IPv6 holds no IPv4 address")
}

func TestUnspecifiedAndMulticastAreNeverAllowed(t *testing.T) {
	// spec: TUN-9
	r := rules(t, "tcp://0.0.0.0/0:1-65535", "tcp://[::/0]:1-65535")
	for _, s := range []string{"0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1"} {
		require.False(t, r.allowsAddr(NetworkTCP, netip.MustParseAddr(s), 80), s)
	}
	require.True(t, r.allowsAddr(NetworkTCP, netip.MustParseAddr("203.0.113.1"), 80))
}

func TestANameIsAllowedByItsOwnRuleOnly(t *testing.T) {
	// spec: TUN-8
	r := rules(t, "tcp://DB.internal.:5432", "tcp://10.0.0.0/8:5432")
	require.True(t, r.allowsName(NetworkTCP, "db.internal", 5432))
	require.False(t, r.allowsName(NetworkTCP, "db.internal", 5433))
	require.False(t, r.allowsName(NetworkTCP, "a.db.internal", 5432))
	require.False(t, r.allowsName(NetworkTCP, "", 5432), "a rule for addresses names nothing")
	require.True(t, r.hasRange(NetworkTCP, 5432))
	require.False(t, rules(t, "tcp://db.internal:5432").hasRange(NetworkTCP, 5432))
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"tcp://127.0.0.1:22", "tcp://[fd00::/8]:1-2", "tcp://10.0.0.0/8:1-65535", "tcp://a.b:1", "tcp://[/]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		again, err := ParseRule(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
		require.NotEqual(t, r.prefix.IsValid(), r.name != "", "a rule is for addresses or for a name")
	})
}
