package handshake

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzHeader is a header length that lies in the datagram.
func fuzzHeader(n uint8, b []byte) int { return min(int(n%32), len(b)) }

// FuzzInit gives a server INITs whose mac1 is made valid, so that the fuzzer
// reaches what lies behind it.
func FuzzInit(f *testing.F) {
	e := newEnds(f, setting{})
	p := newEnds(f, setting{psk: true})
	f.Add(e.client.AppendInit(nil), uint8(len(initHeader())), true)
	f.Add(p.client.AppendInit(nil), uint8(len(initHeader())), true)
	f.Add(e.client.AppendInit(nil)[:1199], uint8(7), false)
	f.Add([]byte{}, uint8(0), false)
	f.Fuzz(func(t *testing.T, b []byte, n uint8, valid bool) {
		if valid && len(b) == InitSize {
			b = remac(b, e.client.mac1Key)
		}
		for _, s := range []*Server{e.server, p.server} {
			var in Init
			if s.ParseInit(&in, b, fuzzHeader(n, b)) != nil || s.CheckMAC(&in) != nil {
				_, err := s.Open(&in)
				require.Error(t, err)
				continue
			}
			if _, err := s.Open(&in); err == nil {
				require.Equal(t, e.client.ephemeral.Public().Bytes(), in.Ephemeral())
			}
		}
	})
}

// FuzzFragment gives a client RESP fragments, with valid MACs where asked.
func FuzzFragment(f *testing.F) {
	e := newEnds(f, setting{})
	e.respond()
	f.Add(e.half.AppendFragment(nil, 0), e.half.AppendFragment(nil, 1), uint8(len(respHeader())), false)
	f.Add(e.half.AppendFragment(nil, 1), e.half.AppendFragment(nil, 1), uint8(len(respHeader())), true)
	f.Add([]byte{}, []byte{5}, uint8(9), true)
	f.Fuzz(func(t *testing.T, a, b []byte, n uint8, valid bool) {
		c := *e.client
		for _, d := range [][]byte{a, b} {
			if valid && len(d) >= tagSize && len(d) <= FragmentSize {
				m := mac(&c.fragKey, d[:len(d)-tagSize])
				copy(d[len(d)-tagSize:], m[:])
			}
			done, err := c.HandleFragment(d, fuzzHeader(n, d))
			if done {
				require.NoError(t, err)
				require.NotNil(t, c.Response())
			}
		}
	})
}

// FuzzFin gives a server FINs. None but the true one is accepted.
func FuzzFin(f *testing.F) {
	e := newEnds(f, setting{identity: true})
	e.client.encapsulate = func(k *mlkem.EncapsulationKey768) (secret, text []byte) {
		// The workers of a fuzzer are processes of their own and must make the same FIN.
		secret, text, err := mlkemtest.Encapsulate768(k, bytesOf("encapsulation", 32))
		require.NoError(f, err)
		return secret, text
	}
	e.respond()
	fin, _ := e.deliver()
	f.Add(fin, uint8(len(finHeader(Version1, serverID))))
	f.Add(fin[:1199], uint8(14))
	f.Add([]byte{6}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		h := *e.half
		if _, err := h.HandleFin(b, fuzzHeader(n, b)); err == nil {
			require.Equal(t, fin, b)
		} else {
			require.Equal(t, e.half.sym, h.sym)
		}
	})
}

// FuzzRetry gives a client RETRYs and REJECTs, with valid tags where asked.
func FuzzRetry(f *testing.F) {
	e := newEnds(f, setting{})
	f.Add(e.retry(1), uint8(len(retryHeader())), false)
	f.Add(e.retry(2), uint8(len(retryHeader())), true)
	f.Add([]byte{7}, uint8(1), true)
	f.Fuzz(func(t *testing.T, b []byte, n uint8, valid bool) {
		c := *e.client
		c.init = bytes.Clone(c.init)
		if at := len(b) - tagSize; valid && at >= 0 && at < 1000 {
			m := mac(&c.retryKey, c.init[InitSize-tagSize:], b[:at])
			copy(b[at:], m[:])
		}
		before := bytes.Clone(c.init[:InitSize-initTail])
		_ = c.HandleRetry(b, fuzzHeader(n, b))
		require.Equal(t, before, c.init[:InitSize-initTail])
	})
}

// FuzzReject gives a client REJECTs, with valid MACs where asked.
func FuzzReject(f *testing.F) {
	e := newEnds(f, setting{})
	require.NoError(f, e.receiveInit(e.client.AppendInit(nil)))
	f.Add(e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "later"), uint8(len(rejectHeader())), false)
	f.Add(e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, ""), uint8(len(rejectHeader())), true)
	f.Add([]byte{7}, uint8(1), true)
	f.Fuzz(func(t *testing.T, b []byte, n uint8, valid bool) {
		if at := len(b) - tagSize; valid && at >= 0 && at < 1000 {
			m := mac(&e.client.rejectKey, b[:at])
			copy(b[at:], m[:])
		}
		got, err := e.client.HandleReject(b, fuzzHeader(n, b))
		require.Equal(t, err != nil, got == nil)
		if got != nil {
			require.LessOrEqual(t, len(got.Hint), MaxHint)
			_ = got.Error()
		}
	})
}

// FuzzHello reads payloads of INITs. What was read is written and read again.
func FuzzHello(f *testing.F) {
	h := Hello{Versions: []uint32{Version1}, Suites: testSuites, Original: Version1, AppProtocols: []string{"a"}, Params: []byte{1}}
	b, err := appendHello(nil, &h, 40, 0)
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{0xff, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		again, err := appendHello(nil, h, len(b), 0)
		require.NoError(t, err)
		got, err := parseHello(again)
		require.NoError(t, err)
		got.EarlyData = h.EarlyData
		require.Equal(t, h, got)
	})
}

// FuzzResponse reads payloads of RESPs.
func FuzzResponse(f *testing.F) {
	r := testResponse()
	r.Versions = []uint32{Version1}
	b, err := appendResponse(nil, &r, 0)
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{0, 1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseResponse(b)
		if err != nil {
			return
		}
		again, err := appendResponse(nil, r, 0)
		if err != nil {
			return // longer than a server may say it
		}
		got, err := parseResponse(again)
		require.NoError(t, err)
		got.Observed, r.Observed = addrPort(""), addrPort("")
		require.Equal(t, r, got)
	})
}

// FuzzTicket reads tickets.
func FuzzTicket(f *testing.F) {
	f.Add(make([]byte, minTicket))
	f.Add(make([]byte, maxTicket+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := ParseTicket(b); err == nil {
			require.Len(t, b, 4+len(v.Nonce)+len(v.Sealed))
		}
	})
}

// FuzzConnectToken reads connect tokens.
func FuzzConnectToken(f *testing.F) {
	f.Add(append([]byte{1, 1}, make([]byte, minConnectToken-2)...))
	f.Add(make([]byte, maxConnectToken+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := ParseConnectToken(b); err == nil {
			require.Len(t, b, 14+len(v.Nonce)+len(v.Sealed))
		}
	})
}
