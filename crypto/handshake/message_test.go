package handshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spec: HS-1 HS-31
func TestMessagesHaveTheirExactSizes(t *testing.T) {
	for name, s := range settings {
		e := newEnds(t, s)
		require.Len(t, e.client.AppendInit(nil), 1200, name)
		e.respond()
		require.Len(t, e.half.AppendFragment(nil, 0), 1200, name)
		require.Len(t, e.half.AppendFragment(nil, 1), len(respHeader())+20+(1368-1161), name)
		require.Less(t, e.half.Size(), 1455, "1.21 times the INIT")
		require.Equal(t, 2, e.half.Fragments())
		fin, _ := e.deliver()
		require.Len(t, fin, 1200, name)
		require.Len(t, e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{}), len(retryHeader())+48)
	}
}

// spec: HS-1
func TestInitOfAnyOtherSizeIsDropped(t *testing.T) {
	e := newEnds(t, setting{})
	b := e.client.AppendInit(nil)
	for n := range b {
		require.ErrorIs(t, e.receiveInit(b[:n]), ErrMalformed)
	}
	require.ErrorIs(t, e.receiveInit(append(b, 0)), ErrMalformed)
	require.Zero(t, e.server.Agreements())
}

// spec: HS-10
func TestInitStaysTheSameForOneEphemeralKey(t *testing.T) {
	e := newEnds(t, setting{})
	first := e.client.AppendInit(nil)
	require.Equal(t, first, e.client.AppendInit(nil), "a retransmission")
	require.NoError(t, e.receiveInit(first))
	hash := e.in.Hash()
	cookie := [32]byte{1, 2, 3}
	require.NoError(t, e.client.HandleRetry(e.server.AppendRetry(nil, retryHeader(), &e.in, cookie), len(retryHeader())))
	again := e.client.AppendInit([]byte("before"))
	require.True(t, bytes.HasPrefix(again, []byte("before")), "it is appended")
	again = again[len("before"):]
	require.Equal(t, first[:1200-48], again[:1200-48], "only cookie and mac1 differ")
	require.NotEqual(t, first[1200-16:], again[1200-16:])
	require.NoError(t, e.receiveInit(again))
	require.Equal(t, hash, e.in.Hash())
	require.Equal(t, cookie, e.in.Cookie())
	require.Equal(t, e.client.ephemeral.Public().Bytes(), e.in.Ephemeral())
	require.Equal(t, Version1, e.in.Version())

	second := newEnds(t, setting{client: func(c *ClientConfig) { c.Rand = seeded(77) }})
	require.NoError(t, second.receiveInit(second.client.AppendInit(nil)))
	require.NotEqual(t, e.in.Ephemeral(), second.in.Ephemeral(), "a new INIT has a new key")
}

// spec: HS-10
func TestAddressTokenFromAnEarlierSessionGoesIntoTheFirstInit(t *testing.T) {
	e := newEnds(t, setting{})
	token := [32]byte{4, 5, 6}
	e.client.SetCookie(token)
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	require.Equal(t, token, e.in.Cookie())
}

// spec: HS-23
func TestRespIsTheSameBytesAtEveryCall(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	for i := range e.half.Fragments() {
		require.Equal(t, e.half.AppendFragment(nil, i), e.half.AppendFragment(nil, i))
	}
}

// spec: HS-31
func TestFinIsTheSameBytesAtEveryCallAndMadeOnce(t *testing.T) {
	e := newEnds(t, setting{identity: true})
	require.Empty(t, e.client.AppendFin(nil), "there is none before Finish")
	_, err := e.client.Finish(finHeader(Version1, serverID))
	require.ErrorIs(t, err, ErrUnexpected)
	e.respond()
	fin, _ := e.deliver()
	require.Equal(t, fin, e.client.AppendFin(nil))
	_, err = e.client.Finish(finHeader(Version1, serverID))
	require.ErrorIs(t, err, ErrUnexpected, "one RESP is answered with one ciphertext")
	require.Equal(t, fin, e.client.AppendFin(nil))
}

// remac puts a valid mac1 behind an INIT that was changed.
func remac(b []byte, key [32]byte) []byte {
	hash := sha256.Sum256(b[:InitSize-initTail])
	m := mac(&key, hash[:], b[InitSize-initTail:InitSize-tagSize])
	copy(b[InitSize-tagSize:], m[:])
	return b
}

// spec: HS-5
func TestEveryByteOfAnInitIsUnderMac1(t *testing.T) {
	for name, s := range map[string]setting{"pin": {}, "psk": {psk: true, noPin: true}} {
		e := newEnds(t, s)
		good := e.client.AppendInit(nil)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			require.Error(t, e.receiveInit(bad), "%s: byte %d", name, i)
		}
		require.Zero(t, e.server.Agreements(), "mac1 stops all of them")
		require.NoError(t, e.receiveInit(good))
	}
}

// spec: HS-14
func TestEveryByteOfAnInitIsUnderTheTranscript(t *testing.T) {
	e := newEnds(t, setting{})
	good := e.client.AppendInit(nil)
	for i := range InitSize - initTail {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		require.Error(t, e.receiveInit(remac(bad, e.client.mac1Key)), "byte %d", i)
	}
	bad := bytes.Clone(good)
	bad[InitSize-initTail] ^= 1
	require.NoError(t, e.receiveInit(remac(bad, e.client.mac1Key)), "the cookie is for the server alone")
}

// spec: HS-24
func TestEveryByteOfAFragmentIsUnderItsMAC(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	for i := range e.half.Fragments() {
		good := e.half.AppendFragment(nil, i)
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			done, err := e.client.HandleFragment(bad, len(respHeader()))
			require.Error(t, err)
			require.False(t, done)
		}
		for n := range good {
			_, err := e.client.HandleFragment(good[:n], len(respHeader()))
			require.Error(t, err)
		}
	}
	require.Equal(t, assembler{}, e.client.assembler, "nothing of it was kept")
	fin, _ := e.deliver()
	_, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
}

// refragment cuts a core into datagrams with valid MACs.
func refragment(header, core []byte, key [32]byte) [2][]byte {
	split := FragmentSize - len(header) - fragmentHeader - tagSize
	return [2][]byte{
		appendFragment(nil, header, 0, len(core), core[:split], &key),
		appendFragment(nil, header, split, len(core), core[split:], &key),
	}
}

// coreOf gives the RESP that a half sends, in one piece.
func coreOf(h *Half) []byte {
	a, b := h.AppendFragment(nil, 0), h.AppendFragment(nil, 1)
	n := len(respHeader()) + fragmentHeader
	return append(bytes.Clone(a[n:len(a)-tagSize]), b[n:len(b)-tagSize]...)
}

// spec: HS-14
func TestEveryByteOfAResponseIsUnderTheTranscript(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	good := coreOf(e.half)
	for at := 0; at < len(good); at += 7 {
		e := newEnds(t, setting{}) // the same keys again
		e.respond()
		bad := bytes.Clone(good)
		bad[at] ^= 1
		requireAbort(t, e.client, respHeader(), bad)
	}
	header := respHeader()
	header[len(header)-1] ^= 1
	requireAbort(t, e.client, header, good)
}

// requireAbort says that a client gives up on a RESP whose fragments are
// authentic.
func requireAbort(t *testing.T, c *Client, header, core []byte) *AbortError {
	t.Helper()
	var abort *AbortError
	for i, f := range refragment(header, core, c.fragKey) {
		done, err := c.HandleFragment(f, len(header))
		require.False(t, done)
		if i == 1 {
			require.ErrorAs(t, err, &abort)
		}
	}
	_, err := c.Finish(finHeader(Version1, serverID))
	require.ErrorIs(t, err, ErrUnexpected, "no FIN after an abort")
	return abort
}

// spec: HS-34
func TestFinWithAnyByteChangedFailsAndLeavesTheStateAsItWas(t *testing.T) {
	for _, identity := range []bool{false, true} {
		e := newEnds(t, setting{identity: identity})
		e.respond()
		fin, client := e.deliver()
		before := e.half.sym
		for at := range fin {
			bad := bytes.Clone(fin)
			bad[at] ^= 1
			_, err := e.half.HandleFin(bad, len(finHeader(Version1, serverID)))
			require.Error(t, err, "byte %d", at)
		}
		require.Equal(t, before, e.half.sym)
		server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
		require.NoError(t, err)
		requireSame(t, client, server)
	}
}

// spec: HS-31
func TestFinOfAnyOtherSizeIsDropped(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	fin, _ := e.deliver()
	for n := range fin {
		_, err := e.half.HandleFin(fin[:n], min(n, len(finHeader(Version1, serverID))))
		require.ErrorIs(t, err, ErrMalformed)
	}
	_, err := e.half.HandleFin(append(fin, 0), len(finHeader(Version1, serverID)))
	require.ErrorIs(t, err, ErrMalformed)
}

// spec: HS-35
func TestSecondFinIsNotAccepted(t *testing.T) {
	e := newEnds(t, setting{})
	e.run()
	_, err := e.half.HandleFin(e.client.AppendFin(nil), len(finHeader(Version1, serverID)))
	require.ErrorIs(t, err, ErrUnexpected)
	require.Equal(t, symmetric{}, e.half.sym, "the keys are forgotten")
	require.Equal(t, ephemeral{}, e.half.ephemeral)
	require.Empty(t, e.half.AppendFragment(nil, 0))
}

func TestCompactHalfStillTakesTheFin(t *testing.T) {
	e := newEnds(t, setting{identity: true})
	e.respond()
	e.half.Compact()
	fin, client := e.deliver()
	server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, client, server)
}

// spec: HS-33
func TestFinWithoutTheConfirmationIsRefused(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	fin, _ := e.deliver()
	s := e.half.sym // what the FIN is sealed with, at the server's side
	n := len(finHeader(Version1, serverID))
	s.mixHash(fin[:n])
	text, err := s.openAndHash(nil, fin[n:n+1104])
	require.NoError(t, err)
	require.NoError(t, e.half.decapsulate(&s, text))
	_, err = e.half.openStatic(&s, fin[n+1104:n+1152])
	require.NoError(t, err)
	forged := append(bytes.Clone(fin[:n+1152]), s.sealWithout(make([]byte, finPayload))...)
	_, err = e.half.HandleFin(forged, n)
	require.ErrorIs(t, err, ErrAuth)
	_, err = e.half.HandleFin(fin, n)
	require.NoError(t, err)
}

// sealWithout seals as a peer would that does not draw the confirmation.
func (s *symmetric) sealWithout(text []byte) []byte { return s.sealAndHash(nil, text) }

// spec: HS-32
func TestAnonymousClientAndClientWithAKeyLookTheSame(t *testing.T) {
	sizes := func(s setting) (out []int) {
		e := newEnds(t, s)
		e.respond()
		fin, _ := e.deliver()
		return []int{len(e.client.AppendInit(nil)), e.half.Size(), len(fin)}
	}
	require.Equal(t, sizes(setting{}), sizes(setting{identity: true}))
}

// spec: HS-39
func TestPoolGivesEachKeyOnce(t *testing.T) {
	pool := &EphemeralPool{}
	require.NoError(t, pool.Fill(seeded(9), 3))
	require.NoError(t, pool.Fill(seeded(9), 2))
	require.Equal(t, 3, pool.Len())
	seen := map[string]bool{}
	for range 5 {
		e := newEnds(t, setting{server: func(c *ServerConfig) { c.Pool, c.Rand = pool, seeded(uint64(len(seen))) }})
		e.respond()
		seen[string(coreOf(e.half)[:32])] = true
		fin, client := e.deliver()
		server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
		require.NoError(t, err)
		requireSame(t, client, server)
	}
	require.Len(t, seen, 5)
	require.Zero(t, pool.Len())
	require.Error(t, pool.Fill(bytes.NewReader(nil), 1))
	require.Error(t, pool.Fill(bytes.NewReader(make([]byte, 40)), 1))
}

func TestPoolIsBounded(t *testing.T) {
	pool := &EphemeralPool{keys: make([]ephemeral, MaxPool)}
	require.NoError(t, pool.Fill(seeded(9), 1<<30))
	require.Equal(t, MaxPool, pool.Len())
}

// spec: HS-22
func TestResponsePayloadIsPaddedAndBounded(t *testing.T) {
	for n, want := range map[int]int{0: 120, 69: 120, 70: 128, 77: 128, 78: 160} {
		r := testResponse()
		r.Versions, r.Params = []uint32{Version1}, make([]byte, n)
		b, err := appendResponse(nil, &r, 0xff)
		require.NoError(t, err)
		require.Len(t, b, want)
		got, err := parseResponse(b)
		require.NoError(t, err)
		require.Equal(t, r.Params, append([]byte{}, got.Params...))
	}
	r := testResponse()
	for n := range 70000 {
		r.Params = make([]byte, n)
		if _, err := appendResponse(nil, &r, 0); err != nil {
			require.Greater(t, n, 400, "there is room for 400 bytes of parameters")
			break
		}
		require.Less(t, n, MaxPayload)
	}
	r.Params = make([]byte, 1<<16+5)
	_, err := appendResponse(nil, &r, 0)
	require.Error(t, err, "a length of 16 bits does not wrap")
}

// spec: HS-20
func TestServerNeverAcceptsEarlyData(t *testing.T) {
	r := testResponse()
	r.Versions = []uint32{Version1}
	b, err := appendResponse(nil, &r, 0xff)
	require.NoError(t, err)
	require.Zero(t, b[0]&1, "the flag that accepts early data stays off, whatever the grease")

	h := Hello{Versions: []uint32{Version1}, Suites: testSuites, Original: Version1}
	b, err = appendHello(nil, &h, 100, 0xff)
	require.NoError(t, err)
	require.Zero(t, b[0]&1)
	b[0] |= 1
	got, err := parseHello(b)
	require.NoError(t, err, "a client that sends early data still gets a session")
	require.True(t, got.EarlyData)
}

// spec: HS-16
func TestInitPayloadOutOfBoundsIsDropped(t *testing.T) {
	fixed := append([]byte{0}, binary.BigEndian.AppendUint32(nil, Version1)...)
	versions := func(n int) []byte { return append([]byte{byte(n)}, make([]byte, 4*n)...) }
	list := func(n int) []byte { return append([]byte{byte(n)}, make([]byte, n)...) }
	names := func(n int) []byte { return append([]byte{byte(n)}, bytes.Repeat([]byte{1, 'x'}, n)...) }
	params := []byte{0, 1, 9}
	for name, b := range map[string][]byte{
		"empty":                      nil,
		"no versions":                join(fixed, versions(0), list(1), names(0), params),
		"ten versions":               join(fixed, versions(10), list(1), names(0), params),
		"no suites":                  join(fixed, versions(1), list(0), names(0), params),
		"nine suites":                join(fixed, versions(1), list(9), names(0), params),
		"seventeen protocols":        join(fixed, versions(1), list(1), names(17), params),
		"a protocol without a name":  join(fixed, versions(1), list(1), []byte{1, 0}, params),
		"a name that is not UTF-8":   join(fixed, versions(1), list(1), []byte{1, 1, 0xff}, params),
		"parameters cut off":         join(fixed, versions(1), list(1), names(0), params[:2]),
		"suites cut off":             join(fixed, versions(1), []byte{4, 1}),
		"versions cut off":           join(fixed, []byte{3, 0, 0}),
		"protocols cut off":          join(fixed, versions(1), list(1), []byte{2, 1, 'x'}),
		"no length of parameters":    join(fixed, versions(1), list(1), names(0)),
		"half a length of them":      join(fixed, versions(1), list(1), names(0), []byte{0}),
		"no protocol list":           join(fixed, versions(1), list(1)),
		"no suite list":              join(fixed, versions(1)),
		"no version list":            fixed,
		"a name longer than what is": join(fixed, versions(1), list(1), []byte{1, 200, 'x'}),
	} {
		_, err := parseHello(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	good := join(fixed, versions(9), list(8), names(16), params)
	h, err := parseHello(append(good, "whatever a later version adds"...))
	require.NoError(t, err)
	require.Len(t, h.Versions, 9)
	require.Len(t, h.Suites, 8)
	require.Len(t, h.AppProtocols, 16)
	require.Equal(t, []byte{9}, h.Params)
	for n := range good {
		_, err := parseHello(good[:n])
		require.ErrorIs(t, err, ErrMalformed, "cut at %d", n)
	}
}

func TestResponsePayloadCutAnywhereIsMalformed(t *testing.T) {
	r := testResponse()
	r.Versions = []uint32{Version1}
	b, err := appendResponse(nil, &r, 0)
	require.NoError(t, err)
	need := 1 + 1 + 5 + 1 + len(r.AppProtocol) + 16 + 19 + 2 + len(r.Params)
	for n := range need {
		_, err := parseResponse(b[:n])
		require.ErrorIs(t, err, ErrMalformed)
	}
	_, err = parseResponse(b[:need])
	require.NoError(t, err)
}

func TestObservedAddressIsReadBack(t *testing.T) {
	for _, s := range []string{"192.0.2.1:1", "[2001:db8::1]:65535", "[::ffff:192.0.2.1]:5"} {
		want := addrPort(s)
		got := parseObserved(appendObserved(nil, want))
		require.Equal(t, want.Addr().Unmap(), got.Addr())
		require.Equal(t, want.Port(), got.Port())
	}
	require.False(t, parseObserved(appendObserved(nil, addrPort(""))).IsValid(), "not told")
	require.False(t, parseObserved(append([]byte{9}, make([]byte, 18)...)).IsValid(), "an unknown family")
}

func TestMACIsHMACSHA256(t *testing.T) {
	var key [32]byte
	seeded(8).Read(key[:])
	for _, n := range []int{0, 1, 55, 56, 64, 1000, maxMAC} {
		data := bytesOf("mac", n)
		d := hmac.New(sha256.New, key[:])
		d.Write(data)
		got := mac(&key, data[:n/2], data[n/2:])
		require.Equal(t, d.Sum(nil)[:16], got[:])
		require.True(t, verify(got[:], &key, data))
		require.False(t, verify(got[:15], &key, data))
	}
	require.Panics(t, func() { mac(&key, make([]byte, maxMAC+1)) }, "our own mistake is loud")
}

func TestErrorsSayWhatHappened(t *testing.T) {
	require.Contains(t, (&RejectError{Code: RejectFull}).Error(), "full")
	require.Contains(t, (&RejectError{Code: RejectAppProtocol, Hint: "chat/3"}).Error(), `"chat/3"`)
	require.Contains(t, (&RejectError{Code: 77}).Error(), "code 77")
	for c := RejectVersion; c <= RejectStopping; c++ {
		require.NotContains(t, rejectName(c), "code")
	}
	require.True(t, strings.HasPrefix((&AbortError{Reason: "why"}).Error(), "handshake: why"))
}
