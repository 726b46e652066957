package handshake

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// piece cuts a fragment with a valid MAC out of a core.
func piece(header, core []byte, from, to int, key [32]byte) []byte {
	return appendFragment(nil, header, from, len(core), core[from:to], &key)
}

func (e *ends) take(t *testing.T, datagram []byte) bool {
	t.Helper()
	done, err := e.client.HandleFragment(datagram, len(respHeader()))
	require.NoError(t, err)
	return done
}

// spec: HS-25
func TestRespIsPutTogetherFromAnyCutInAnyOrder(t *testing.T) {
	for _, cut := range []int{300, 700, 1150} {
		for _, order := range [][]int{{0, 1}, {1, 0}, {0, 0, 1}, {1, 1, 0}} {
			t.Run(fmt.Sprint(cut, order), func(t *testing.T) {
				e := newEnds(t, setting{})
				e.respond()
				core, key := coreOf(e.half), e.client.fragKey
				pieces := [][]byte{
					piece(respHeader(), core, 0, cut, key),
					piece(respHeader(), core, cut, len(core), key),
				}
				for i, n := range order {
					require.Equal(t, i == len(order)-1, e.take(t, pieces[n]))
				}
			})
		}
	}
}

// spec: HS-25
func TestOverlappingFragmentsCompleteWhenTheyAgree(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	core, key := coreOf(e.half), e.client.fragKey
	require.False(t, e.take(t, piece(respHeader(), core, 0, 600, key)))
	require.False(t, e.take(t, piece(respHeader(), core, 0, 400, key)))
	require.False(t, e.take(t, piece(respHeader(), core, 700, len(core), key)))
	require.True(t, e.take(t, piece(respHeader(), core, 500, len(core), key)))
}

// spec: HS-25
func TestOverlappingFragmentsThatDisagreeAreDropped(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	core, key := coreOf(e.half), e.client.fragKey
	require.False(t, e.take(t, piece(respHeader(), core, 0, 900, key)))
	other := bytes.Clone(core)
	other[800] ^= 1
	require.False(t, e.take(t, piece(respHeader(), other, 0, 1000, key)))
	require.False(t, e.take(t, piece(respHeader(), other, 700, len(core), key)))
	require.False(t, e.take(t, piece(respHeader(), core, 1000, len(core), key)))
	other = bytes.Clone(core)
	other[1100] ^= 1
	require.False(t, e.take(t, piece(respHeader(), other, 950, len(core), key)))
	longer := append(bytes.Clone(core), 0)
	require.False(t, e.take(t, piece(respHeader(), longer, 900, len(longer), key)), "another total")
	require.True(t, e.take(t, piece(respHeader(), core, 900, len(core), key)))
}

// spec: HS-25
func TestFragmentsOutOfBoundsAreMalformed(t *testing.T) {
	e := newEnds(t, setting{})
	frag := func(offset, total, chunk int) []byte {
		b := binary.BigEndian.AppendUint16(respHeader(), uint16(offset))
		b = binary.BigEndian.AppendUint16(b, uint16(total))
		b = append(b, make([]byte, chunk)...)
		m := mac(&e.client.fragKey, b)
		return append(b, m[:]...)
	}
	for name, b := range map[string][]byte{
		"nothing in it":             frag(0, 1368, 0),
		"neither begins nor ends":   frag(100, 1368, 100),
		"beyond the total":          frag(1300, 1368, 69),
		"offset beyond the total":   frag(65535, 1368, 1),
		"total of nothing":          frag(0, 0, 1),
		"total too small":           frag(0, minCore-1, 100),
		"total too large":           frag(0, maxCore+1, 100),
		"total as large as can be":  frag(0, 65535, 100),
		"longer than any datagram":  append(frag(0, 1368, 1100), make([]byte, 100)...),
		"header alone":              respHeader(),
		"offset and total, no more": frag(0, 1368, 0)[:len(respHeader())+4],
	} {
		_, err := e.client.HandleFragment(b, len(respHeader()))
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	for _, n := range []int{-1, 0, minHeader - 1, maxHeader + 1, 4000} {
		_, err := e.client.HandleFragment(frag(0, 1368, 100), n)
		require.ErrorIs(t, err, ErrMalformed)
	}
	require.Equal(t, assembler{}, e.client.assembler)
}

// answer makes another RESP to the same INIT, from another server ID.
func (e *ends) answer(t *testing.T, id byte) (header []byte, h *Half) {
	t.Helper()
	header = longHeader(5, Version1, clientID, bytes.Repeat([]byte{id}, 8))
	h, err := e.server.Respond(&e.in, header, testResponse())
	require.NoError(t, err)
	return header, h
}

// spec: HS-26 HS-30
func TestTwoServersAnswerAndTheFirstCompleteRespWins(t *testing.T) {
	e := newEnds(t, setting{identity: true})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	h1, one := e.answer(t, 1)
	h2, two := e.answer(t, 2)
	for _, s := range []struct {
		header []byte
		half   *Half
		i      int
		done   bool
	}{{h1, one, 0, false}, {h2, two, 1, false}, {h2, two, 0, true}} {
		done, err := e.client.HandleFragment(s.half.AppendFragment(nil, s.i), len(s.header))
		require.NoError(t, err)
		require.Equal(t, s.done, done)
	}
	_, err := e.client.HandleFragment(one.AppendFragment(nil, 1), len(h1))
	require.ErrorIs(t, err, ErrUnexpected, "one RESP was accepted")
	header := finHeader(Version1, bytes.Repeat([]byte{2}, 8))
	client, err := e.client.Finish(header)
	require.NoError(t, err)
	_, err = one.HandleFin(e.client.AppendFin(nil), len(header))
	require.ErrorIs(t, err, ErrAuth, "the other server cannot take the FIN")
	server, err := two.HandleFin(e.client.AppendFin(nil), len(header))
	require.NoError(t, err)
	requireSame(t, client, server)
}

// spec: HS-26
func TestFifthServerMakesTheOldestRespGiveWay(t *testing.T) {
	e := newEnds(t, setting{})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	var headers [][]byte
	var halves []*Half
	for i := range MaxResponders + 1 {
		header, h := e.answer(t, byte(i+1))
		headers, halves = append(headers, header), append(halves, h)
		done, err := e.client.HandleFragment(h.AppendFragment(nil, 0), len(header))
		require.NoError(t, err)
		require.False(t, done)
	}
	done, err := e.client.HandleFragment(halves[0].AppendFragment(nil, 1), len(headers[0]))
	require.NoError(t, err)
	require.False(t, done, "the first one's beginning is gone")
	done, err = e.client.HandleFragment(halves[MaxResponders].AppendFragment(nil, 1), len(headers[0]))
	require.NoError(t, err)
	require.True(t, done)
}
