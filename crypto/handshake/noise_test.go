package handshake

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/flynn/noise"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-net/godwit/crypto"
)

// noiseRun is a handshake of a plain Noise pattern, driven step by step with the
// package's own state.
type noiseRun struct {
	t              *testing.T
	s              symmetric
	e, re          crypto.PrivateKey // ephemeral keys of initiator and responder
	static, remote crypto.PrivateKey // static keys of the same
	psk            []byte
}

func (r *noiseRun) agree(a, b crypto.PrivateKey) []byte {
	r.t.Helper()
	out, err := a.ECDH(b.Public())
	require.NoError(r.t, err)
	return out[:]
}

// message writes one handshake message from its tokens.
func (r *noiseRun) message(tokens string, ephemeral crypto.PrivateKey, payload []byte) []byte {
	r.t.Helper()
	var b []byte
	for _, token := range strings.Fields(tokens) {
		switch token {
		case "psk":
			r.s.mixKeyAndHash(r.psk)
		case "e":
			public := ephemeral.Public().Bytes()
			b = append(b, public[:]...)
			r.s.mixEphemeral(public[:])
		case "es":
			r.s.mixKey(r.agree(r.e, r.remote))
		case "ee":
			r.s.mixKey(r.agree(r.e, r.re))
		case "s":
			public := r.static.Public().Bytes()
			b = r.s.sealAndHash(b, public[:])
		case "se":
			r.s.mixKey(r.agree(r.static, r.re))
		}
	}
	return r.s.sealAndHash(b, payload)
}

// transport seals the first message of each direction after the handshake.
func (r *noiseRun) transport(initiator bool, payload []byte) []byte {
	keys := make([]byte, 2*keySize)
	crypto.HKDF(keys, r.s.ck[:], nil)
	if !initiator {
		keys = keys[32:]
	}
	a, err := chacha20poly1305.New(keys[:32])
	require.NoError(r.t, err)
	return a.Seal(nil, make([]byte, 12), payload, nil)
}

var noisePatterns = map[string][]string{
	"NKpsk0": {"psk e es", "e ee"},
	"XKpsk0": {"psk e es", "e ee", "s se"},
}

// TestStateFollowsTheNoiseVectors runs the package's state over published
// handshakes of the two patterns, without what this protocol adds.
//
// spec: HS-14
func TestStateFollowsTheNoiseVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/noise_vectors.txt")
	require.NoError(t, err)
	runs := 0
	for _, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		v := map[string][]byte{}
		var name string
		for _, line := range strings.Split(block, "\n") {
			key, value, _ := strings.Cut(line, "=")
			if key == "handshake" {
				name = value
				continue
			}
			v[key], err = hex.DecodeString(value)
			require.NoError(t, err)
		}
		runNoiseVector(t, name, v)
		runs++
	}
	require.Equal(t, 8, runs)
}

func runNoiseVector(t *testing.T, name string, v map[string][]byte) {
	t.Helper()
	tokens := noisePatterns[strings.Split(name, "_")[1]]
	require.NotEmpty(t, tokens, name)
	r := &noiseRun{
		t: t, s: newSymmetric(name), psk: v["preshared_key"],
		e:      privateKeyOf(t, v["gen_init_ephemeral"]),
		re:     privateKeyOf(t, v["gen_resp_ephemeral"]),
		static: privateKeyOf(t, v["init_static"]),
		remote: privateKeyOf(t, v["resp_static"]),
	}
	r.s.mixHash(v["prologue"])
	public := r.remote.Public().Bytes()
	r.s.mixHash(public[:])
	for i, line := range tokens {
		n := string(rune('0' + i))
		ephemeral := r.e
		if i%2 == 1 {
			ephemeral = r.re
		}
		got := r.message(line, ephemeral, v["msg_"+n+"_payload"])
		require.Equal(t, v["msg_"+n+"_ciphertext"], got, "%s message %d", name, i)
	}
	for i := range 2 {
		n := len(tokens) + i
		digit := string(rune('0' + n))
		got := r.transport(i == 0, v["msg_"+digit+"_payload"])
		require.Equal(t, v["msg_"+digit+"_ciphertext"], got, "%s transport message %d", name, i)
	}
}

// TestStateMeetsAnotherImplementationOfNoise runs fresh handshakes of an
// independent library beside the package's state.
//
// spec: HS-14
func TestStateMeetsAnotherImplementationOfNoise(t *testing.T) {
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)
	for name, pattern := range map[string]noise.HandshakePattern{"NK": noise.HandshakeNK, "XK": noise.HandshakeXK} {
		is, rs, ie, re := bytesOf("is", 32), bytesOf("rs", 32), bytesOf("ie", 32), bytesOf("re", 32)
		config := noise.Config{
			CipherSuite: suite, Pattern: pattern, Initiator: true, Prologue: []byte("prologue"),
			PresharedKey: bytesOf("psk", 32), Random: bytes.NewReader(ie),
			StaticKeypair: noiseKey(t, is), PeerStatic: noiseKey(t, rs).Public,
		}
		initiator, err := noise.NewHandshakeState(config)
		require.NoError(t, err)
		config.Initiator, config.PeerStatic, config.Random = false, nil, bytes.NewReader(re)
		config.StaticKeypair = noiseKey(t, rs)
		responder, err := noise.NewHandshakeState(config)
		require.NoError(t, err)

		r := &noiseRun{
			t: t, s: newSymmetric("Noise_" + name + "psk0_25519_ChaChaPoly_SHA256"), psk: bytesOf("psk", 32),
			e: privateKeyOf(t, ie), re: privateKeyOf(t, re), static: privateKeyOf(t, is), remote: privateKeyOf(t, rs),
		}
		r.s.mixHash([]byte("prologue"))
		public := r.remote.Public().Bytes()
		r.s.mixHash(public[:])
		ends := []*noise.HandshakeState{initiator, responder}
		for i, tokens := range noisePatterns[name+"psk0"] {
			payload := bytesOf("payload", 40+i)
			want, _, _, err := ends[i%2].WriteMessage(nil, payload)
			require.NoError(t, err)
			require.Equal(t, want, r.message(tokens, []crypto.PrivateKey{r.e, r.re}[i%2], payload), "%s message %d", name, i)
			_, _, _, err = ends[1-i%2].ReadMessage(nil, want)
			require.NoError(t, err)
		}
		require.Equal(t, initiator.ChannelBinding(), r.s.h[:])
	}
}

func noiseKey(t *testing.T, private []byte) noise.DHKey {
	t.Helper()
	public := privateKeyOf(t, private).Public().Bytes()
	return noise.DHKey{Private: private, Public: public[:]}
}

// TestNoKeySealsTwiceUnderOneNonce looks at all that is sealed in the recorded
// handshakes.
func TestNoKeySealsTwiceUnderOneNonce(t *testing.T) {
	seen := map[string]bool{}
	for _, sc := range vectorScenarios() {
		runScenario(t, sc)
		_, steps := reference(sc)
		for _, st := range steps {
			if st.Op != "EncryptAndHash" {
				continue
			}
			at := hex.EncodeToString(st.K) + string(rune(st.N))
			require.False(t, seen[at], st.What)
			seen[at] = true
		}
	}
	require.Len(t, seen, 4*6)
}
