package handshake

import (
	"bytes"
	"crypto/mlkem"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/spec/vectors"
)

type wycheproofKEM struct {
	ID      int         `json:"tcId"`
	Comment string      `json:"comment"`
	Flags   []string    `json:"flags"`
	Seed    vectors.Hex `json:"seed"`
	EK      vectors.Hex `json:"ek"`
	C       vectors.Hex `json:"c"`
	K       vectors.Hex `json:"K"`
	Result  string      `json:"result"`
}

func wycheproof(t testing.TB) (tests []wycheproofKEM) {
	t.Helper()
	b, err := os.ReadFile("testdata/wycheproof_mlkem_768_test.json")
	require.NoError(t, err)
	var file struct {
		TestGroups []struct{ Tests []wycheproofKEM }
	}
	require.NoError(t, json.Unmarshal(b, &file))
	for _, g := range file.TestGroups {
		tests = append(tests, g.Tests...)
	}
	require.Len(t, tests, 193)
	return tests
}

// TestAttack32KEMVectors runs the Wycheproof tests, among them the one of
// implicit rejection compared as by strcmp, through the code that reads a FIN.
// Seeds of other lengths than 64 bytes cannot be given to it.
func TestAttack32KEMVectors(t *testing.T) {
	ran := 0
	for _, v := range wycheproof(t) {
		if len(v.Seed) != kemSeedSize {
			require.Equal(t, "invalid", v.Result)
			continue
		}
		ran++
		h := &Half{ephemeral: ephemeral{seed: [kemSeedSize]byte(v.Seed)}}
		require.Equal(t, []byte(v.EK), expandKEM(&h.ephemeral.seed).EncapsulationKey().Bytes())
		s := newSymmetric("start")
		err := h.decapsulate(&s, v.C)
		if v.Result == "invalid" {
			require.ErrorIs(t, err, ErrMalformed, "%d %s", v.ID, v.Comment)
			continue
		}
		require.NoError(t, err)
		want := newSymmetric("start")
		want.mixKey(v.K)
		require.Equal(t, want.ck, s.ck, "%d %s", v.ID, v.Comment)
	}
	require.Greater(t, ran, 170)
}

// TestAttack32ImplicitRejection sends a FIN with a ciphertext that the server's
// key rejects implicitly, in a live handshake.
//
// spec: HS-34
func TestAttack32ImplicitRejection(t *testing.T) {
	for _, v := range wycheproof(t)[:3] {
		e := newEnds(t, setting{identity: true})
		e.client.encapsulate = func(*mlkem.EncapsulationKey768) (secret, text []byte) { return bytes.Clone(v.K), v.C }
		e.respond()
		fin, _ := e.deliver()
		_, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
		require.ErrorIs(t, err, ErrAuth)
	}
}

// respondWithKEMKey answers with a KEM key of the caller's choice, as a bad
// server could.
func (e *ends) respondWithKEMKey(key []byte) (core []byte) {
	e.t.Helper()
	require.NoError(e.t, e.receiveInit(e.client.AppendInit(nil)))
	s := e.in.sym
	ephemeral, err := newEphemeral(e.server.config.Rand)
	require.NoError(e.t, err)
	public := ephemeral.key.Public().Bytes()
	ee, err := e.client.ephemeral.ECDH(ephemeral.key.Public())
	require.NoError(e.t, err)
	mixResponse(&s, respHeader(), &public, &ee)
	response := testResponse()
	response.Versions = []uint32{Version1}
	payload, err := appendResponse(nil, &response, 0)
	require.NoError(e.t, err)
	core = s.sealAndHash(public[:], key)
	return s.sealAndHash(core, payload)
}

// putCoefficient writes one of the 768 12-bit numbers of an encapsulation key.
func putCoefficient(key []byte, i int, v uint16) {
	b := key[i/2*3:]
	if i%2 == 0 {
		b[0], b[1] = byte(v), b[1]&0xf0|byte(v>>8)
	} else {
		b[1], b[2] = b[1]&0x0f|byte(v<<4), byte(v>>4)
	}
}

// TestAttack32KEMModulus gives the client encapsulation keys with one number
// that is not reduced, at every place.
//
// spec: HS-29
func TestAttack32KEMModulus(t *testing.T) {
	const q = 3329
	good, err := mlkem.NewDecapsulationKey768(bytesOf("seed", 64))
	require.NoError(t, err)
	key := good.EncapsulationKey().Bytes()
	for i := range 768 {
		for _, v := range []uint16{q, q + 1, 4095} {
			bad := bytes.Clone(key)
			putCoefficient(bad, i, v)
			_, err := mlkem.NewEncapsulationKey768(bad)
			require.Error(t, err, "coefficient %d is %d", i, v)
		}
	}
	for _, i := range []int{0, 1, 255, 256, 766, 767} {
		e := newEnds(t, setting{})
		bad := bytes.Clone(key)
		putCoefficient(bad, i, q)
		abort := requireAbort(t, e.client, respHeader(), e.respondWithKEMKey(bad))
		require.Contains(t, abort.Reason, "KEM key is not valid")
	}
	e := newEnds(t, setting{})
	putCoefficient(key, 5, q-1)
	for i, f := range refragment(respHeader(), e.respondWithKEMKey(key), e.client.fragKey) {
		done, err := e.client.HandleFragment(f, len(respHeader()))
		require.NoError(t, err, "q-1 is a number as any other")
		require.Equal(t, i == 1, done)
	}
}
