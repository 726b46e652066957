package crypto

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors of RFC 9001 appendix A drive the code of this package with QUIC's labels. QUIC masks
// other bits of the first octet, so headers are compared by hand; its Initial packets use AES-128.

var quicLabels = labels{prefix: "tls13 ", key: "quic key", iv: "quic iv", hp: "quic hp", ku: "quic ku"}

func quicSecrets(t *testing.T) (client, server Secret) {
	initial, err := hkdf.Extract(sha256.New, unhex(t, "8394c8f03e515708"), unhex(t, "38762cf7f55934b34d179ae6a4c80cadccbb7f0a"))
	require.NoError(t, err)
	require.Equal(t, "7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44", hex.EncodeToString(initial))
	copy(client[:], ExpandLabel("tls13 ", initial, "client in", nil, 32))
	copy(server[:], ExpandLabel("tls13 ", initial, "server in", nil, 32))
	return client, server
}

// spec: PROT-5
func TestRFC9001KeysComeOutOfTheSchedule(t *testing.T) {
	client, server := quicSecrets(t)
	for _, want := range []struct {
		secret                Secret
		text, key, iv, header string
	}{
		{client, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		{server, "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b", "cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"},
	} {
		require.Equal(t, want.text, hex.EncodeToString(want.secret[:]))
		for label, text := range map[string]string{quicLabels.key: want.key, quicLabels.iv: want.iv, quicLabels.hp: want.header} {
			got := ExpandLabel(quicLabels.prefix, want.secret[:], label, nil, len(text)/2)
			require.Equal(t, text, hex.EncodeToString(got), label)
		}
	}
}

// quicInitial returns the AES-128 keys of an Initial secret.
func quicInitial(secret *Secret) (*PacketKey, *HeaderKey) {
	expand := func(label string, n int) []byte { return ExpandLabel(quicLabels.prefix, secret[:], label, nil, n) }
	return newRawPacketKey(AES256GCM, expand(quicLabels.key, 16), expand(quicLabels.iv, nonceSize)),
		newRawHeaderKey(AES256GCM, expand(quicLabels.hp, 16))
}

// Appendix A.2: the client Initial, PADDING up to 1,162 bytes.
//
// spec: PROT-7 PROT-8 PROT-9
func TestRFC9001ClientInitialIsSealed(t *testing.T) {
	client, _ := quicSecrets(t)
	key, hp := quicInitial(&client)
	const payloadLen = 1162
	payload := make([]byte, payloadLen)
	copy(payload, unhex(t, `060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
		04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
		616d706c652e636f6dff01000100000a00080006001d00170018001000070005
		04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
		baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
		0d0010000e0403050306030203080408050806002d00020101001c0002400100
		3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
		75300901100f088394c8f03e51570806048000ffff`))
	hdr := unhex(t, "c300000001088394c8f03e5157080000449e00000002")
	packet := key.Seal(append(hdr, payload...), len(hdr), 0, 2)
	sample := packet[len(hdr) : len(hdr)+sampleSize]
	require.Equal(t, "d1b1c98dd7689fb8ec11d242b123dc9b", hex.EncodeToString(sample))
	mask := hp.Mask(sample)
	require.Equal(t, "437b9aec36", hex.EncodeToString(mask[:]))
	require.Equal(t, "e221af44860018ab0856972e194cd934", hex.EncodeToString(packet[len(packet)-TagSize:]))
}

// Appendix A.3: the server Initial.
//
// spec: PROT-7 PROT-8 PROT-9
func TestRFC9001ServerInitialIsOpened(t *testing.T) {
	_, server := quicSecrets(t)
	key, hp := quicInitial(&server)
	packet := unhex(t, `cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
		5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
		dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
		022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
		2158407dd074ee`)
	const pnOff, pnLen = 18, 2
	mask := hp.Mask(packet[pnOff+sampleOffset:])
	require.Equal(t, "2ec0d8356a", hex.EncodeToString(mask[:]))
	packet[0] ^= mask[0] & 0x0f
	packet[pnOff] ^= mask[1]
	packet[pnOff+1] ^= mask[2]
	require.Equal(t, "c1000000010008f067a5502a4262b50040750001", hex.EncodeToString(packet[:pnOff+pnLen]))
	plain, err := key.Open(packet, pnOff+pnLen, 0, 1)
	require.NoError(t, err)
	require.Equal(t, `02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a`+
		`1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a`+
		`002b00020304`, hex.EncodeToString(plain))
}

// Appendix A.5: a short packet under ChaCha20-Poly1305, and the secret after a key update.
//
// spec: PROT-6 PROT-7 PROT-8 PROT-9 PROT-12
func TestRFC9001ChaChaShortPacket(t *testing.T) {
	secret := Secret(unhex(t, "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b"))
	for label, want := range map[string]string{
		quicLabels.key: "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
		quicLabels.iv:  "e0459b3474bdd0e44a41c144",
		quicLabels.hp:  "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
		quicLabels.ku:  "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9",
	} {
		require.Equal(t, want, hex.EncodeToString(ExpandLabel(quicLabels.prefix, secret[:], label, nil, len(want)/2)), label)
	}
	key := newPacketKey(ChaCha20Poly1305, &secret, &quicLabels)
	hp := newHeaderKey(ChaCha20Poly1305, &secret, &quicLabels)
	hdr := unhex(t, "4200bff4")
	packet := key.Seal(append(hdr, 0x01), len(hdr), 0, 654360564)
	require.Equal(t, "4200bff4655e5cd55c41f69080575d7999c25a5bfb", hex.EncodeToString(packet))
	mask := hp.Mask(packet[1+sampleOffset:])
	require.Equal(t, "aefefe7d03", hex.EncodeToString(mask[:]))
	const shortBits = 0x1f
	packet[0] ^= mask[0] & shortBits
	for i := range 3 {
		packet[1+i] ^= mask[1+i]
	}
	require.Equal(t, "4cfe4189655e5cd55c41f69080575d7999c25a5bfb", hex.EncodeToString(packet))
}
