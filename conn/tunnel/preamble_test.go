package tunnel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func target(t testing.TB, s string) Target {
	t.Helper()
	target, err := ParseTarget(s)
	require.NoError(t, err)
	return target
}

func TestRequestsHaveTheLayoutOfTheSpec(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://127.0.0.1:22": "01 01 01 7f000001 0016 0000",
		"tcp://[::1]:443":    "01 01 02 00000000000000000000000000000001 01bb 0000",
		"tcp://a.b:65535":    "01 01 03 03612e62 ffff 0000",
	} {
		require.Equal(t, strings.ReplaceAll(want, " ", ""), hex.EncodeToString(appendRequest(nil, target(t, text))))
	}
}

func TestARequestIsReadWithoutTouchingThePayload(t *testing.T) {
	for _, text := range []string{"tcp://127.0.0.1:22", "tcp://[::1]:443", "tcp://a.b:65535"} {
		r := bytes.NewReader(append(appendRequest(nil, target(t, text)), "payload"...))
		got, err := readRequest(iotest.OneByteReader(r))
		require.NoError(t, err)
		require.Equal(t, text, got.String())
		rest, _ := io.ReadAll(r)
		require.Equal(t, "payload", string(rest))
	}
}

func readHex(t testing.TB, s string) (Target, error) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return readRequest(bytes.NewReader(b))
}

func TestAnUnknownVersionIsToldApartFromABadRequest(t *testing.T) {
	// spec: TUN-3
	_, err := readHex(t, "02 ff ff")
	require.ErrorIs(t, err, errVersion)
}

func TestBadRequestsAreMalformed(t *testing.T) {
	// spec: TUN-4
	for name, s := range map[string]string{
		"form 0":                  "01 01 00 7f000001 0016 0000",
		"form 4":                  "01 01 04 7f000001 0016 0000",
		"empty name":              "01 01 03 00 0016 0000",
		"name of 254":             "01 01 03 fe" + strings.Repeat("61", 254) + "0016 0000",
		"options beyond limit":    "01 01 01 7f000001 0016 0401" + strings.Repeat("00", 1025),
		"option longer than all":  "01 01 01 7f000001 0016 0005 0001 0002 ff",
		"option without length":   "01 01 01 7f000001 0016 0003 000100",
		"cut in the host":         "01 01 01 7f00",
		"cut in the name":         "01 01 03 05 6162",
		"cut before name length":  "01 01 03",
		"cut in the port":         "01 01 01 7f000001 00",
		"cut in the options":      "01 01 01 7f000001 0016 0005 0001",
		"cut in the first octets": "01 01",
		"nothing":                 "",
	} {
		_, err := readHex(t, s)
		require.ErrorIs(t, err, errMalformed, name)
	}
}

func TestUnknownOptionsAreSkipped(t *testing.T) {
	// spec: TUN-5
	got, err := readHex(t, "01 01 01 7f000001 0016 000b 0001 0003 aabbcc ff00 0000")
	require.NoError(t, err)
	require.Equal(t, "tcp://127.0.0.1:22", got.String())
}

func TestNamesThatLookLikeAddressesAreMalformed(t *testing.T) {
	// spec: TUN-6
	for _, name := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "a.0x", "a b", "a/b", "é", ".", "a..b", "-a"} {
		b := append([]byte{1, 1, 3, byte(len(name))}, name...)
		_, err := readRequest(bytes.NewReader(append(b, 0, 22, 0, 0)))
		require.ErrorIs(t, err, errMalformed, name)
	}
}

func TestPortZeroIsMalformed(t *testing.T) {
	// spec: TUN-7
	_, err := readHex(t, "01 01 01 7f000001 0000 0000")
	require.ErrorIs(t, err, errMalformed)
}

func TestAMappedAddressIsReadAsIPv4(t *testing.T) {
	// spec: TUN-9
	got, err := readHex(t, "01 01 02 00000000000000000000ffff 0a000001 0016 0000")
	require.NoError(t, err)
	require.Equal(t, "tcp://10.0.0.1:22", got.String())
}

func TestOtherNetworksAreRefusedByName(t *testing.T) {
	// spec: TUN-10
	for _, s := range []string{"01 02 01 7f000001 0016 0000", "01 00 01 7f000001 0016 0000", "01 ff 01 7f000001 0016 0000"} {
		_, err := readHex(t, s)
		require.ErrorIs(t, err, errNetwork, s)
	}
}

func TestErrorsOfTheStreamPassThrough(t *testing.T) {
	reset := errors.New("reset")
	for n := range 11 {
		request := appendRequest(nil, target(t, "tcp://127.0.0.1:22"))[:n]
		_, err := readRequest(io.MultiReader(bytes.NewReader(request), iotest.ErrReader(reset)))
		require.ErrorIs(t, err, reset, "after %d octets", n)
	}
	_, _, err := readReply(iotest.ErrReader(reset))
	require.ErrorIs(t, err, reset)
}

func TestRepliesHaveTheLayoutOfTheSpec(t *testing.T) {
	require.Equal(t, []byte{1, 0, 0}, appendReply(nil, CodeConnected, ""))
	require.Equal(t, append([]byte{1, 4, 2}, "no"...), appendReply(nil, CodeNotAllowed, "no"))
}

func TestAReplyIsReadWithoutTouchingThePayload(t *testing.T) {
	for code := range Code(len(codeText)) {
		r := bytes.NewReader(append(appendReply(nil, code, "because"), "payload"...))
		got, reason, err := readReply(iotest.OneByteReader(r))
		require.NoError(t, err)
		require.Equal(t, code, got)
		require.Equal(t, "because", reason)
		rest, _ := io.ReadAll(r)
		require.Equal(t, "payload", string(rest))
	}
}

func TestBadRepliesAreRefused(t *testing.T) {
	// spec: TUN-11
	for want, list := range map[error][]string{
		errMalformed: {"", "01", "0100", "010005ab", "0100c9" + strings.Repeat("61", 201)},
		errVersion:   {"020000", "000000"},
	} {
		for _, s := range list {
			b, _ := hex.DecodeString(s)
			_, _, err := readReply(bytes.NewReader(b))
			require.ErrorIs(t, err, want, s)
		}
	}
	code, _, err := readReply(bytes.NewReader([]byte{9, byte(CodeVersion), 0}))
	require.NoError(t, err, "a server of another version can say so")
	require.Equal(t, CodeVersion, code)
}

func TestReasonsAreHarmless(t *testing.T) {
	// spec: TUN-11
	hostile := "\x1b[2J\xff\n\u0085\u202e"
	_, reason, err := readReply(bytes.NewReader(append([]byte{1, 11, byte(len(hostile))}, hostile...)))
	require.NoError(t, err)
	require.Equal(t, "?[2J????", reason)
	long := appendReply(nil, CodeFailed, strings.Repeat("é", 150))
	require.LessOrEqual(t, len(long), maxReply)
	_, reason, err = readReply(bytes.NewReader(long))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("é", 100), reason)
}

func TestEveryCodeHasAText(t *testing.T) {
	for code := range Code(len(codeText)) {
		require.NotEmpty(t, code.String())
	}
	require.Contains(t, Code(200).String(), "unknown code 200")
	err := &RefusedError{Target: target(t, "tcp://127.0.0.1:22"), Code: CodeNotAllowed, Reason: "ask the operator"}
	require.EqualError(t, err, "tcp://127.0.0.1:22: target not allowed: ask the operator")
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{"tcp://127.0.0.1:22", "tcp://[::1]:443", "tcp://a.b:65535"} {
		f.Add(appendRequest(nil, target(f, s)))
	}
	f.Add([]byte{1, 1, 1, 10, 0, 0, 1, 0, 22, 0, 5, 0, 1, 0, 1, 0xff})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		got, err := readRequest(r)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(b)-r.Len(), maxRequest)
		again, err := readRequest(bytes.NewReader(appendRequest(nil, got)))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

func FuzzReply(f *testing.F) {
	f.Add(appendReply(nil, CodeConnected, ""))
	f.Add(appendReply(nil, CodeRefused, "connection refused"))
	f.Add([]byte{1, 4, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		code, reason, err := readReply(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(reason), maxReason)
		again, text, err := readReply(bytes.NewReader(appendReply(nil, code, reason)))
		require.NoError(t, err)
		require.Equal(t, code, again)
		require.Equal(t, reason, text, "what was made harmless stays as it is")
	})
}
