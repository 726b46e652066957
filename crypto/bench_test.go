package crypto

import (
	"fmt"
	"testing"
)

func BenchmarkSealPacket(b *testing.B) {
	for _, suite := range bothSuites {
		for _, size := range []int{64, 1200, 9000} {
			b.Run(fmt.Sprintf("%v/%d", suite, size), func(b *testing.B) {
				s := NewSender(suite, testSecret(1))
				buf := make([]byte, size, size+TagSize)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				pn := uint64(0)
				for b.Loop() {
					pn++
					copy(buf, header8[:])
					s.packets, s.bytes = 0, 0
					s.SealPacket(buf, testPNOff, 1, 0, pn)
				}
			})
		}
	}
}

func BenchmarkOpenPacket(b *testing.B) {
	for _, suite := range bothSuites {
		for _, size := range []int{64, 1200, 9000} {
			b.Run(fmt.Sprintf("%v/%d", suite, size), func(b *testing.B) {
				p := newPair(b, suite)
				packet := p.seal(0, 1, string(make([]byte, size-testPNOff-testPNLen)))
				work := make([]byte, len(packet))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					copy(work, packet)
					pnLen, _, phase, _ := p.recv.Unmask(work, testPNOff)
					if _, _, err := p.recv.OpenPacket(work, testPNOff, pnLen, phase, 0, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkMask(b *testing.B) {
	for _, suite := range bothSuites {
		b.Run(suite.String(), func(b *testing.B) {
			h := NewHeaderKey(suite, testSecret(1))
			sample := make([]byte, sampleSize)
			b.ReportAllocs()
			for b.Loop() {
				mask := h.Mask(sample)
				sample[3] = mask[3]
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, suite := range bothSuites {
		b.Run(suite.String(), func(b *testing.B) {
			s := NewSender(suite, testSecret(1))
			for b.Loop() {
				s.Update()
			}
		})
	}
}

func BenchmarkReplayWindow(b *testing.B) {
	for name, step := range map[string]uint64{"no loss": 1, "half lost": 2} {
		b.Run(name, func(b *testing.B) {
			var w ReplayWindow
			b.ReportAllocs()
			pn := uint64(0)
			for b.Loop() {
				pn += step
				if w.Check(pn) {
					w.Set(pn)
				}
			}
		})
	}
}

func BenchmarkCookie(b *testing.B) {
	k := NewCookieKey(cookieRoot)
	cookie := k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = k.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem)
		}
	})
}

func BenchmarkSessionID(b *testing.B) {
	k := NewIDKey([16]byte{1}, 0)
	id := k.Encode(1, 2, 3)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = k.Encode(1, 2, 3)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = k.Decode(id)
		}
	})
	b.Run("reset token", func(b *testing.B) {
		r := NewResetKey([32]byte{1})
		b.ReportAllocs()
		for b.Loop() {
			_ = r.Token(id)
		}
	})
	b.Run("token lookup", func(b *testing.B) {
		l := NewTokenLookup([16]byte{1})
		var token [ResetTokenSize]byte
		b.ReportAllocs()
		for b.Loop() {
			token = l.Key(token)
		}
	})
}

func BenchmarkECDH(b *testing.B) {
	key, peer := GeneratePrivateKey(), GeneratePrivateKey().Public()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.ECDH(peer); err != nil {
			b.Fatal(err)
		}
	}
}
