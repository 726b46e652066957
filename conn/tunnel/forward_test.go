package tunnel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForwardsReadAndPrintTheSameForm(t *testing.T) {
	for _, s := range []string{
		"tcp://127.0.0.1:2222=tcp://127.0.0.1:22", "tcp://:80=tcp://web.internal:8080",
		"tcp://[::1]:0=tcp://[::1]:22", "tcp://localhost:1=tcp://10.0.0.1:1",
		"udp://127.0.0.1:53=udp://10.0.0.53:53", "udp://:5004-5005=udp://[::1]:6004-6005",
		"udp://:0=udp://a:1?deadline=150ms", "udp://:0=udp://a:1?deadline=150ms&ordered=false",
		"udp://:1-3=udp://a:1-3?deadline=1.5s&playout=2s", "udp://:0=udp://a:1?deadline=1s&playout=1s&ordered=false",
		"udp://:0=udp://a:1?deadline=1s&overhead=50%", "udp://:0=udp://a:1?deadline=1s&overhead=0%&ordered=false",
	} {
		f, err := ParseForward(s)
		require.NoError(t, err, s)
		require.Equal(t, s, f.String())
	}
}

func TestBadForwardsAreRefusedWithTheFix(t *testing.T) {
	for text, fix := range map[string]string{
		"tcp://127.0.0.1:2222":                            "has no '='",
		"127.0.0.1:1=tcp://127.0.0.1:2":                   "write tcp://127.0.0.1:1",
		"tcp://127.0.0.1:1=127.0.0.1:2":                   "write tcp://127.0.0.1:2",
		"udp://127.0.0.1:1=tcp://127.0.0.1:2":             "udp cannot go to tcp",
		"tcp://127.0.0.1:99999=tcp://127.0.0.1:2":         "0 to 65535",
		"tcp://10.0.0.0/8:1=tcp://127.0.0.1:2":            "not an address to listen on",
		"tcp://127.1:1=tcp://127.0.0.1:2":                 "four decimal",
		"tcp://127.0.0.1:1=tcp://127.0.0.1:2=tcp://":      "brackets",
		"tcp://127.0.0.1:1=tcp://127.0.0.1:0":             "1 to 65535",
		"tcp://127.0.0.1:1=tcp://127.0.0.1:2?deadline=1s": "does not take",
		"tcp://:1-2=tcp://a:1-2":                          "0 to 65535",
		"tcp://127.0.0.1:1=udp://127.0.0.1:2":             "tcp cannot go to udp",
		"udp://:1-2=udp://a:1":                            "2 ports cannot go to 1",
		"udp://:2-1=udp://a:2-1":                          "write 1-2",
		"udp://:1-65=udp://a:1-65":                        "longer than 64",
		"udp://:0-1=udp://a:1-2":                          "1 to 65535",
		"udp://:1=udp://a:1?":                             "has no value",
		"udp://:1=udp://a:1?deadline":                     "has no value",
		"udp://:1=udp://a:1?deadline=1s&deadline=1s":      "given twice",
		"udp://:1=udp://a:1?deadline=1":                   "write it as deadline=150ms",
		"udp://:1=udp://a:1?deadline=31s":                 "from 1ms to 30s",
		"udp://:1=udp://a:1?deadline=0s":                  "from 1ms to 30s",
		"udp://:1=udp://a:1?deadline=1.5ms":               "whole milliseconds",
		"udp://:1=udp://a:1?playout=soon":                 "write it as playout=150ms",
		"udp://:1=udp://a:1?deadline=2s&playout=1s":       "shorter than deadline",
		"udp://:1=udp://a:1?ordered=true":                 "needs deadline=",
		"udp://:1=udp://a:1?deadline=1s&ordered=yes":      "ordered=true or ordered=false",
		"udp://:1=udp://a:1?overhead=50%":                 "needs deadline=",
		"udp://:1=udp://a:1?deadline=1s&overhead=50":      "as overhead=30%",
		"udp://:1=udp://a:1?deadline=1s&overhead=-1%":     "from 0% to 300%",
		"udp://:1=udp://a:1?deadline=1s&overhead=301%":    "from 0% to 300%",
		"udp://:1=udp://a:1?jitter=1":                     "unknown option",
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
	_, err = ParseForwards([]string{"udp://:1-3=udp://a:1-3", "udp://:3=udp://b:1"})
	require.ErrorContains(t, err, "two forwards listen on :3")
	_, err = ParseForwards([]string{"udp://:1=udp://a:1", "tcp://:1=tcp://b:1"})
	require.NoError(t, err)
	_, err = ParseForwards(make([]string, maxForwards+1))
	require.ErrorContains(t, err, "use several clients")
}

func FuzzParseForward(f *testing.F) {
	f.Add("tcp://127.0.0.1:2222=tcp://127.0.0.1:22")
	f.Add("tcp://:0=tcp://a:1")
	f.Add("udp://:5004-5005=udp://a:5004-5005?deadline=150ms&playout=200ms&ordered=false")
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
