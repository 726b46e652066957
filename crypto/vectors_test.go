package crypto

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The golden vectors of chapter 4. They change only together with the chapter:
//
//	go test ./crypto -run Vectors -update

var update = flag.Bool("update", false, "write the golden vectors instead of comparing with them")

const vectorFile = "../spec/vectors/protection.json"

type protectionVectors struct {
	Note      string           `json:"note"`
	Keys      []keyVector      `json:"keys"`
	Schedule  []scheduleVector `json:"schedule"`
	Packets   []packetVector   `json:"packets"`
	IDs       []idVector       `json:"session_ids"`
	Cookies   []cookieVector   `json:"cookies"`
	Resets    []resetVector    `json:"reset_tokens"`
	Endpoints []endpointVector `json:"endpoint_keys"`
}

type keyVector struct {
	Seed        hexBytes `json:"seed"`
	PrivateText string   `json:"private_text"`
	PublicText  string   `json:"public_text"`
	Public      hexBytes `json:"public"`
	PSKText     string   `json:"psk_text"`
	PSKID       hexBytes `json:"psk_id"`
	GroupKey    hexBytes `json:"psk_group_public"`
}

// scheduleVector is what one generation of a secret expands to.
type scheduleVector struct {
	Secret     hexBytes `json:"secret"`
	Key        hexBytes `json:"key"`
	IV         hexBytes `json:"iv"`
	HP         hexBytes `json:"hp"`
	NextSecret hexBytes `json:"next_secret"`
}

type packetVector struct {
	Suite        Suite    `json:"suite"`
	Secret       hexBytes `json:"secret"`
	Generation   int      `json:"generation"`
	Path         uint32   `json:"path"`
	PacketNumber uint64   `json:"packet_number"`
	Header       hexBytes `json:"header"`
	PNOffset     int      `json:"packet_number_offset"`
	Plaintext    hexBytes `json:"plaintext"`
	Packet       hexBytes `json:"packet"`
}

type idVector struct {
	Key      hexBytes `json:"key"`
	Rotation uint8    `json:"rotation"`
	ServerID uint16   `json:"server_id"`
	Nonce    uint64   `json:"nonce"`
	Random   byte     `json:"random"`
	ID       hexBytes `json:"id"`
}

type cookieVector struct {
	Root      hexBytes `json:"root"`
	Kind      string   `json:"kind"`
	Now       uint32   `json:"now"`
	Address   string   `json:"address"`
	Ephemeral hexBytes `json:"ephemeral,omitempty"`
	Random    hexBytes `json:"random"`
	Cookie    hexBytes `json:"cookie"`
}

type resetVector struct {
	Key   hexBytes `json:"key"`
	ID    hexBytes `json:"id"`
	Token hexBytes `json:"token"`
}

// endpointVector shows the keys of an identity by what they make: a cookie at second 1,800,000,000
// for 192.0.2.7:4433 with zeros for ephemeral key and random, the ID of server 1 with nonce 2 and
// random bits 3, and its reset token.
type endpointVector struct {
	Identity hexBytes `json:"identity"`
	Rotation uint8    `json:"rotation"`
	Cookie   hexBytes `json:"cookie"`
	ID       hexBytes `json:"id"`
	Token    hexBytes `json:"token"`
}

func TestVectors(t *testing.T) {
	got, err := json.MarshalIndent(makeVectors(t), "", " ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.WriteFile(vectorFile, got, 0o644))
	}
	want, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "vectors change only with the specification; see -update")
}

// spec: PROT-7 PROT-8 PROT-10 PROT-11 PROT-12
func TestVectorsOfPacketsOpen(t *testing.T) {
	for _, v := range readVectors(t).Packets {
		r := NewReceiver(v.Suite, (*Secret)(v.Secret))
		for range v.Generation {
			r.keys[nextKey] = NewPacketKey(v.Suite, &r.secret)
			r.commit(0, 0)
		}
		r.DropPrevious()
		packet := append([]byte(nil), v.Packet...)
		pnLen, truncated, phase, err := r.Unmask(packet, v.PNOffset)
		require.NoError(t, err)
		require.Equal(t, []byte(v.Header), packet[:v.PNOffset+pnLen])
		require.Equal(t, v.PacketNumber&(1<<(8*pnLen)-1), uint64(truncated))
		require.Equal(t, v.Generation%2 == 1, phase)
		plain, updated, err := r.OpenPacket(packet, v.PNOffset, pnLen, phase, v.Path, v.PacketNumber)
		require.NoError(t, err)
		require.False(t, updated)
		require.Equal(t, []byte(v.Plaintext), plain)
	}
}

// spec: PROT-24
func TestVectorsOfSessionIDsDecode(t *testing.T) {
	for _, v := range readVectors(t).IDs {
		server, nonce, ok := NewIDKey([16]byte(v.Key), v.Rotation).Decode([IDSize]byte(v.ID))
		require.True(t, ok)
		require.Equal(t, v.ServerID, server)
		require.Equal(t, v.Nonce, nonce)
	}
}

// spec: PROT-20 PROT-21
func TestVectorsOfCookiesVerify(t *testing.T) {
	for _, v := range readVectors(t).Cookies {
		addr, err := netip.ParseAddrPort(v.Address)
		require.NoError(t, err)
		ephemeral := append([]byte(nil), v.Ephemeral...)
		if len(ephemeral) == 0 {
			ephemeral = make([]byte, 32)
		}
		require.True(t, NewCookieKey([32]byte(v.Root)).Verify((*[CookieSize]byte)(v.Cookie), v.Now, addr, (*[32]byte)(ephemeral)))
	}
}

func readVectors(t *testing.T) (v protectionVectors) {
	data, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}

func makeVectors(t *testing.T) protectionVectors {
	return protectionVectors{
		Note:      "Packet protection of Godwit version 1, chapter 4 of the specification. Byte strings are hexadecimal; suite 1 is AES-256-GCM, 2 is ChaCha20-Poly1305.",
		Keys:      keyVectors(t),
		Schedule:  scheduleVectors(),
		Packets:   packetVectors(),
		IDs:       idVectors(t),
		Cookies:   cookieVectors(),
		Resets:    resetVectors(),
		Endpoints: endpointVectors(t),
	}
}

func keyVectors(t *testing.T) (out []keyVector) {
	for n := byte(1); n <= 3; n++ {
		seed := testSecret(n)
		private := testIdentity(t, n)
		psk, err := ParsePresharedKey(bech32Encode(presharedKeyPrefix, seed[:]))
		require.NoError(t, err)
		public, id, group := private.Public().Bytes(), psk.ID(), psk.GroupKey().Public().Bytes()
		out = append(out, keyVector{
			Seed: seed[:], PrivateText: private.Text(), PublicText: private.Public().String(), Public: public[:],
			PSKText: psk.Text(), PSKID: id[:], GroupKey: group[:],
		})
	}
	return out
}

func scheduleVectors() (out []scheduleVector) {
	secret := *testSecret(1)
	for range 3 {
		current := secret
		secret = NextSecret(&current)
		next := secret
		expand := func(label string, n int) []byte { return ExpandLabel(LabelPrefix, current[:], label, nil, n) }
		out = append(out, scheduleVector{Secret: current[:], Key: expand("key", 32), IV: expand("iv", 12), HP: expand("hp", 32), NextSecret: next[:]})
	}
	return out
}

func packetVectors() (out []packetVector) {
	ids := [][]byte{testID[:], testID[:4], nil}
	payloads := []string{"\x01\x00\x00", "\x10\x00the stream data of a packet", string(make([]byte, 100))}
	numbers := []uint64{0, 0xbeef, 0x12345678, 0x123456789abc, MaxPacketNumber}
	for _, suite := range bothSuites {
		for i, pn := range numbers {
			pnLen, generation, path := i%4+1, i%3, uint32(i%3)<<(8*i)
			id, payload := ids[i%len(ids)], payloads[i%len(payloads)]
			s := NewSender(suite, testSecret(1))
			for range generation {
				s.Update()
			}
			hdr := header(s.Phase(), pnLen, pn)
			hdr = append(append(hdr[:1:1], id...), hdr[testPNOff:]...)
			packet := s.SealPacket(append(append([]byte(nil), hdr...), payload...), 1+len(id), pnLen, path, pn)
			out = append(out, packetVector{
				Suite: suite, Secret: testSecret(1)[:], Generation: generation, Path: path, PacketNumber: pn,
				Header: hdr, PNOffset: 1 + len(id), Plaintext: hexBytes(payload), Packet: packet,
			})
		}
	}
	return out
}

func idVectors(t *testing.T) (out []idVector) {
	key := unhex(t, "8f95f09245765f80256934e50c66207f")
	for i, nonce := range []uint64{0, 1, 0x3aee080dbf, MaxIDNonce} {
		v := idVector{Key: key, Rotation: uint8(i), ServerID: []uint16{0, 1, 0xed79, 0xffff}[i], Nonce: nonce, Random: byte(i * 9)}
		id := NewIDKey([16]byte(key), v.Rotation).Encode(v.ServerID, nonce, v.Random)
		v.ID = id[:]
		out = append(out, v)
	}
	return out
}

func cookieVectors() (out []cookieVector) {
	root := testSecret(77)
	k := NewCookieKey(*root)
	for i, address := range []string{"192.0.2.7:4433", "[2001:db8::7]:65535"} {
		addr, now, random := netip.MustParseAddrPort(address), cookieNow+uint32(i), [8]byte{byte(i), 1, 2, 3, 4, 5, 6, 7}
		cookie := k.Seal(now, addr, &cookieEphem, random)
		token := k.SealAddressToken(now, addr.Addr(), random)
		out = append(out,
			cookieVector{Root: root[:], Kind: "cookie", Now: now, Address: address, Ephemeral: cookieEphem[:], Random: random[:], Cookie: cookie[:]},
			cookieVector{Root: root[:], Kind: "address token", Now: now, Address: address, Random: random[:], Cookie: token[:]})
	}
	return out
}

func resetVectors() (out []resetVector) {
	key := testSecret(4)
	for i := range uint64(3) {
		id := binary.BigEndian.AppendUint64(nil, 0x2122232425262728+i<<61)
		token := NewResetKey(*key).Token([IDSize]byte(id))
		out = append(out, resetVector{Key: key[:], ID: id, Token: token[:]})
	}
	return out
}

func endpointVectors(t *testing.T) (out []endpointVector) {
	for rotation := range uint8(2) {
		keys := DeriveRotatedEndpointKeys(testIdentity(t, 1), rotation)
		cookie := keys.Cookie.Seal(cookieNow, cookieAddr, new([32]byte), [8]byte{})
		id := keys.ID.Encode(1, 2, 3)
		token := keys.Reset.Token(id)
		out = append(out, endpointVector{Identity: testSecret(1)[:], Rotation: rotation, Cookie: cookie[:], ID: id[:], Token: token[:]})
	}
	return out
}
