package crypto

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors of draft-ietf-quic-load-balancers drive the permutation; their plaintext is server ID
// and nonce, and the first octet of the ID is left out. One of 16 bytes is a single AES call there.
//
// spec: PROT-24
func TestFeistelFollowsTheQUICLBVectors(t *testing.T) {
	var file struct {
		Key     hexBytes `json:"encrypted_key"`
		Vectors []struct {
			ServerID hexBytes `json:"server_id"`
			Nonce    hexBytes `json:"nonce"`
			ID       hexBytes `json:"id"`
		} `json:"encrypted"`
	}
	data, err := os.ReadFile("testdata/quic_lb_vectors.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &file))
	f := newFeistel(file.Key)
	ran := 0
	for _, v := range file.Vectors {
		plain := append(append([]byte{}, v.ServerID...), v.Nonce...)
		text := append([]byte{}, plain...)
		if len(text) == 16 {
			f.block.Encrypt(text, text)
			require.Equal(t, []byte(v.ID[1:]), text)
			continue
		}
		ran++
		f.encrypt(text)
		require.Equal(t, []byte(v.ID[1:]), text)
		f.decrypt(text, feistelRounds)
		require.Equal(t, plain, text)
		if len(v.ServerID) <= len(v.Nonce) {
			f.encrypt(text)
			f.decrypt(text, feistelRounds-1)
			require.Equal(t, []byte(v.ServerID), text[:len(v.ServerID)], "three rounds give the left half")
		}
	}
	require.Equal(t, 3, ran)
}

func TestFeistelIsAPermutationOfEveryLength(t *testing.T) {
	f := newFeistel(make([]byte, 16))
	for n := 2; n <= 2*maxFeistelHalf; n++ {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte(i * 37)
		}
		before := append([]byte{}, text...)
		f.encrypt(text)
		require.NotEqual(t, before, text, "length %d", n)
		f.decrypt(text, feistelRounds)
		require.Equal(t, before, text, "length %d", n)
	}
}

// spec: PROT-24
func TestSessionIDsCarryTheServer(t *testing.T) {
	k := NewIDKey([16]byte{1, 2, 3}, 5)
	for _, server := range []uint16{0, 1, 0x1234, 0xffff} {
		for _, nonce := range []uint64{0, 1, 0x0102030405, MaxIDNonce} {
			for _, random := range []byte{0, 31, 255} {
				id := k.Encode(server, nonce, random)
				require.Equal(t, 5<<5|random&31, id[0])
				gotServer, gotNonce, ok := k.Decode(id)
				require.True(t, ok)
				require.Equal(t, server, gotServer)
				require.Equal(t, nonce, gotNonce)
				gotServer, ok = k.ServerID(id)
				require.True(t, ok)
				require.Equal(t, server, gotServer)
			}
		}
	}
	id := k.Encode(7, 7, 0)
	for rotation := range byte(8) {
		id[0] = rotation<<5 | id[0]&31
		_, _, ok := k.Decode(id)
		require.Equal(t, rotation == 5, ok)
		_, ok = k.ServerID(id)
		require.Equal(t, rotation == 5, ok)
	}
	require.Panics(t, func() { k.Encode(1, MaxIDNonce+1, 0) })
	require.Panics(t, func() { NewIDKey([16]byte{}, 7) }, "rotation 7 means: cannot be routed")
}

// Without the key, IDs of one server in a row look like nothing in particular.
//
// spec: PROT-24
func TestNeighbouringSessionIDsShareNothing(t *testing.T) {
	k := NewIDKey([16]byte{9}, 0)
	const n = 4096
	var ones [56]int
	for nonce := range uint64(n) {
		id := k.Encode(1, nonce, 0)
		for bit := range ones {
			ones[bit] += int(id[1+bit/8] >> (bit % 8) & 1)
		}
	}
	for bit, count := range ones {
		require.InDelta(t, n/2, count, 5*32, "bit %d: five standard deviations", bit)
	}
}

// spec: PROT-25
func TestShardsMakeIDsThatSteerToThem(t *testing.T) {
	const shards = 5
	seen := make(map[[IDSize]byte]bool)
	k := NewIDKey([16]byte{3}, 0)
	for shard := range uint8(shards) {
		source := NewIDSource(k, 2, shards, shard, 100)
		for range 200 {
			id, ok := source.Next(0)
			require.True(t, ok)
			require.Equal(t, shard, id[IDSize-1]%shards)
			require.False(t, seen[id], "shards with one key and one start never share an ID")
			seen[id] = true
			server, ok := k.ServerID(id)
			require.True(t, ok)
			require.Equal(t, uint16(2), server)
		}
	}
	require.Panics(t, func() { NewIDSource(k, 2, 0, 0, 0) })
	require.Panics(t, func() { NewIDSource(k, 2, 3, 3, 0) })
}

// spec: PROT-26
func TestNoncesOfIDsAreUsedOnce(t *testing.T) {
	k := NewIDKey([16]byte{3}, 0)
	source := NewIDSource(k, 2, 1, 0, 1<<40-2)
	for _, want := range []uint64{1<<40 - 2, 1<<40 - 1, 0, 1} {
		id, ok := source.Next(0)
		require.True(t, ok)
		_, nonce, _ := k.Decode(id)
		require.Equal(t, want, nonce)
	}
	source.left = 2
	_, ok := source.Next(0)
	require.True(t, ok)
	_, ok = source.Next(0)
	require.True(t, ok)
	_, ok = source.Next(0)
	require.False(t, ok, "the nonces of the key are used up")
}

func TestSessionIDsAllocateNothing(t *testing.T) {
	k := NewIDKey([16]byte{3}, 0)
	source := NewIDSource(k, 2, 4, 1, 0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		id, _ := source.Next(1)
		_, _, _ = k.Decode(id)
		_, _ = k.ServerID(id)
	}))
}

func TestVectorOfOurOwnLayout(t *testing.T) {
	k := NewIDKey([16]byte(unhex(t, "8f95f09245765f80256934e50c66207f")), 0)
	id := k.Encode(0xed79, 0x3aee080dbf, 0)
	require.Equal(t, "0020b1d07b359d3c", hex.EncodeToString(id[:]), "3+4 and 2+5 are the same seven bytes")
}
