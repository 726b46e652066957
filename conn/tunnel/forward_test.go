package tunnel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForwardsReadAndPrintTheSameForm(t *testing.T) {
	for _, s := range []string{
		"tcp://127.0.0.1:2222=tcp://127.0.0.1:22", "tcp://:80=tcp://web.internal:8080",
		"tcp://[::1]:0=tcp://[::1]:22", "tcp://localhost:1=tcp://10.0.0.1:1",
	} {
		f, err := ParseForward(s)
		require.NoError(t, err, s)
		require.Equal(t, s, f.String())
	}
}

func TestBadForwardsAreRefusedWithTheFix(t *testing.T) {
	for text, fix := range map[string]string{
		"tcp://127.0.0.1:2222":                       "has no '='",
		"127.0.0.1:1=tcp://127.0.0.1:2":              "write tcp://127.0.0.1:1",
		"tcp://127.0.0.1:1=127.0.0.1:2":              "write tcp://127.0.0.1:2",
		"udp://127.0.0.1:1=tcp://127.0.0.1:2":        "udp cannot go to tcp",
		"tcp://127.0.0.1:99999=tcp://127.0.0.1:2":    "0 to 65535",
		"tcp://10.0.0.0/8:1=tcp://127.0.0.1:2":       "not an address to listen on",
		"tcp://127.1:1=tcp://127.0.0.1:2":            "four decimal",
		"tcp://127.0.0.1:1=tcp://127.0.0.1:2=tcp://": "brackets",
		"tcp://127.0.0.1:1=tcp://127.0.0.1:0":        "1 to 65535",
	} {
		_, err := ParseForward(text)
		require.ErrorContains(t, err, fix, text)
	}
}

func TestTwoForwardsCannotShareAPort(t *testing.T) {
	_, err := ParseForwards([]string{"tcp://:1=tcp://a:1", "tcp://:1=tcp://b:1"})
	require.ErrorContains(t, err, "two forwards listen on :1")
	list, err := ParseForwards([]string{"tcp://:0=tcp://a:1", "tcp://:0=tcp://b:1"})
	require.NoError(t, err, "port 0 is a new port each time")
	require.Len(t, list, 2)
	_, err = ParseForwards(make([]string, maxForwards+1))
	require.ErrorContains(t, err, "use several clients")
}

func FuzzParseForward(f *testing.F) {
	f.Add("tcp://127.0.0.1:2222=tcp://127.0.0.1:22")
	f.Add("tcp://:0=tcp://a:1")
	f.Add("=")
	f.Fuzz(func(t *testing.T, s string) {
		forward, err := ParseForward(s)
		if err != nil {
			return
		}
		again, err := ParseForward(forward.String())
		require.NoError(t, err)
		require.Equal(t, forward, again)
	})
}
