package crypto

import (
	"net/netip"
	"strings"
	"testing"
)

// Attack 31: whatever comes in, parsers and openers return, and what they accept is what was made.

func FuzzParseKeys(f *testing.F) {
	f.Add(bech32Encode(privateKeyPrefix, testSecret(1)[:]))
	f.Add(bech32Encode(publicKeyPrefix, testSecret(1)[:]))
	f.Add(strings.ToUpper(bech32Encode(presharedKeyPrefix, testSecret(1)[:])))
	f.Add("gwkey1")
	f.Add("-----BEGIN PRIVATE KEY-----")
	f.Add("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=")
	f.Fuzz(func(t *testing.T, text string) {
		canonical := strings.ToLower(strings.TrimSpace(text))
		accepted := 0
		if key, err := ParsePrivateKey(text); err == nil {
			accepted++
			if key.Text() != canonical {
				t.Fatal("a private key has two texts")
			}
		}
		if key, err := ParsePublicKey(text); err == nil {
			accepted++
			if key.String() != canonical {
				t.Fatal("a public key has two texts")
			}
		}
		if key, err := ParsePresharedKey(text); err == nil {
			accepted++
			if key.Text() != canonical {
				t.Fatal("a pre-shared key has two texts")
			}
		}
		if accepted > 1 {
			t.Fatal("one text is two kinds of key")
		}
	})
}

func FuzzCookieVerify(f *testing.F) {
	k := NewCookieKey(cookieRoot)
	cookie := k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	token := k.SealAddressToken(cookieNow, cookieAddr.Addr(), cookieNoise)
	f.Add(cookie[:], cookieNow, []byte{192, 0, 2, 7}, uint16(4433))
	f.Add(token[:], cookieNow+100, []byte{192, 0, 2, 7}, uint16(1))
	f.Add(make([]byte, 32), uint32(0), make([]byte, 16), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, now uint32, ip []byte, port uint16) {
		var c [CookieSize]byte
		copy(c[:], b)
		addr, _ := netip.AddrFromSlice(ip)
		good := k.Verify(&c, now, netip.AddrPortFrom(addr, port), &cookieEphem)
		ours := c == cookie || c == token || addr.IsValid() && c == k.Seal(now, netip.AddrPortFrom(addr, port), &cookieEphem, [8]byte(c[cookieRandom:]))
		if good && !ours {
			t.Fatal("a forged cookie was taken")
		}
	})
}

// FuzzReceiver feeds arbitrary datagrams, with real ones between them, to a receiver in each state of
// a key update.
func FuzzReceiver(f *testing.F) {
	p := newPair(f, AES256GCM)
	f.Add(p.seal(0, 1, "frames"), testPNOff, uint32(0), uint64(1), uint8(0))
	f.Add(p.seal(1, 2, "frames"), testPNOff, uint32(1), uint64(2), uint8(1))
	p.send.Update()
	f.Add(p.seal(0, 3, "frames"), testPNOff, uint32(0), uint64(3), uint8(2))
	f.Add([]byte{}, 1, uint32(0), uint64(0), uint8(3))
	f.Add(make([]byte, 21), 1, uint32(0), uint64(MaxPacketNumber), uint8(4))
	f.Fuzz(func(t *testing.T, b []byte, pnOff int, path uint32, pn uint64, state uint8) {
		pnOff = []int{1, 5, 9}[uint(pnOff)%3] // the caller knows the length of its IDs
		p := newPair(t, bothSuites[state&1])
		for i := range uint64(state>>1) % 4 {
			p.send.Update()
			p.mustOpen(p.seal(0, 10+i, "real"), 0, 10+i, "real")
		}
		generation := p.recv.phase
		pnLen, truncated, phase, err := p.recv.Unmask(b, pnOff)
		if err != nil {
			return
		}
		if pnLen < 1 || pnLen > 4 || truncated > 1<<(8*pnLen)-1 {
			t.Fatal("a packet number that does not fit its length")
		}
		if _, _, err := p.recv.OpenPacket(b, pnOff, pnLen, phase, path, pn); err != nil && p.recv.phase != generation {
			t.Fatal("a packet that does not open moved the keys")
		}
		p.mustOpen(p.seal(0, 100, "still open"), 0, 100, "still open")
	})
}

func FuzzDecodeID(f *testing.F) {
	k := NewIDKey([16]byte{1}, 2)
	f.Add(uint64(0), uint16(0))
	f.Add(uint64(0x5f00000000000000), uint16(1))
	f.Fuzz(func(t *testing.T, bits uint64, _ uint16) {
		var id [IDSize]byte
		for i := range id {
			id[i] = byte(bits >> (8 * i))
		}
		server, nonce, ok := k.Decode(id)
		short, shortOK := k.ServerID(id)
		if ok != (id[0]>>5 == 2) || ok != shortOK || ok && short != server {
			t.Fatal("the two ways to decode disagree")
		}
		if ok && k.Encode(server, nonce, id[0]) != id {
			t.Fatal("an ID does not survive decoding")
		}
	})
}
