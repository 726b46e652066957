package handshake

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each step of a handshake alone. What a server does for a stranger is in the
// first four.

func BenchmarkServerParseInit(b *testing.B) {
	e := newEnds(b, setting{})
	d, n := e.client.AppendInit(nil), len(initHeader())
	b.ReportAllocs()
	for b.Loop() {
		_ = e.server.ParseInit(&e.in, d, n)
	}
}

func BenchmarkServerRejectMAC(b *testing.B) {
	for name, s := range map[string]setting{"pin": {}, "psk": {psk: true}} {
		b.Run(name, func(b *testing.B) {
			e := newEnds(b, s)
			d, n := e.client.AppendInit(nil), len(initHeader())
			d[InitSize-1] ^= 1
			b.ReportAllocs()
			for b.Loop() {
				_ = e.server.ParseInit(&e.in, d, n)
				_ = e.server.CheckMAC(&e.in)
			}
		})
	}
}

func BenchmarkServerRetry(b *testing.B) {
	e := newEnds(b, setting{})
	require.NoError(b, e.receiveInit(e.client.AppendInit(nil)))
	out, header := make([]byte, 0, 100), retryHeader()
	b.ReportAllocs()
	for b.Loop() {
		e.server.AppendRetry(out, header, &e.in, [32]byte{})
	}
}

func BenchmarkServerRejectFin(b *testing.B) {
	e := newEnds(b, setting{})
	e.respond()
	d := make([]byte, FinSize)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.half.HandleFin(d, 14)
	}
}

func BenchmarkServerOpen(b *testing.B) {
	e := newEnds(b, setting{})
	require.NoError(b, e.receiveInit(e.client.AppendInit(nil)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.server.Open(&e.in)
	}
}

func BenchmarkServerRespond(b *testing.B) {
	e := newEnds(b, setting{})
	require.NoError(b, e.receiveInit(e.client.AppendInit(nil)))
	header := respHeader()
	b.Run("fresh keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = e.server.Respond(&e.in, header, testResponse())
		}
	})
	b.Run("keys from the pool", func(b *testing.B) {
		random := seeded(1)
		key, err := newEphemeral(random)
		require.NoError(b, err)
		pool := &EphemeralPool{}
		e.server.config.Pool = pool
		b.ReportAllocs()
		for b.Loop() {
			pool.keys = append(pool.keys, key)
			_, _ = e.server.Respond(&e.in, header, testResponse())
		}
	})
}

func BenchmarkServerFin(b *testing.B) {
	for name, s := range map[string]setting{"XK": {identity: true}, "NK": {}} {
		for _, compact := range []bool{false, true} {
			if compact {
				name += " compact"
			}
			b.Run(name, func(b *testing.B) {
				e := newEnds(b, s)
				e.respond()
				if compact {
					e.half.Compact()
				}
				fin, _ := e.deliver()
				b.ReportAllocs()
				for b.Loop() {
					h := *e.half
					_, err := h.HandleFin(fin, 14)
					require.NoError(b, err)
				}
			})
		}
	}
}

func BenchmarkClientInit(b *testing.B) {
	pin, header := privateKey(b, 1).Public(), initHeader()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = NewClient(ClientConfig{PeerKey: pin}, header)
	}
}

func BenchmarkClientRespAndFin(b *testing.B) {
	e := newEnds(b, setting{identity: true})
	e.respond()
	one, two := e.half.AppendFragment(nil, 0), e.half.AppendFragment(nil, 1)
	header, fin := respHeader(), finHeader(Version1, serverID)
	b.ReportAllocs()
	for b.Loop() {
		c := *e.client
		c.config.Rand = seeded(1)
		_, _ = c.HandleFragment(one, len(header))
		_, _ = c.HandleFragment(two, len(header))
		_, err := c.Finish(fin)
		require.NoError(b, err)
	}
}

func BenchmarkWholeHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newEnds(b, setting{identity: true}).run()
	}
}
