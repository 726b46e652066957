package handshake

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/godwit-net/godwit/crypto"
)

// Respond answers an INIT that Open has opened, under the header of the RESP,
// whose source ID is the one that the server chose. Response.Versions may be
// nil: those of the configuration. The error is that of Rand, or that the
// response is longer than MaxPayload.
func (s *Server) Respond(in *Init, header []byte, response Response) (*Half, error) {
	if !in.opened {
		return nil, ErrUnexpected
	}
	if len(header) < minHeader || len(header) > maxHeader {
		return nil, fmt.Errorf("handshake: header of %d bytes, want %d to %d", len(header), minHeader, maxHeader)
	}
	var random [5]byte // grease: four for a version, one for flags
	if _, err := io.ReadFull(s.config.Rand, random[:]); err != nil {
		return nil, fmt.Errorf("handshake: reading randomness: %w", err)
	}
	if response.Versions == nil {
		response.Versions = withGrease(s.config.Versions, [4]byte(random[:4]))
	}
	payload, err := appendResponse(nil, &response, random[4])
	if err != nil {
		return nil, err
	}
	e, err := s.config.Pool.take(s.config.Rand)
	if err != nil {
		return nil, err
	}
	return s.respond(in, header, payload, &response, e)
}

func (s *Server) respond(in *Init, header, payload []byte, response *Response, e ephemeral) (*Half, error) {
	s.agreements++
	shared, err := e.key.ECDH(crypto.PublicKeyFromBytes(in.Ephemeral()))
	if err != nil { // spec: HS-15
		return nil, ErrWeakKey
	}
	h := &Half{server: s, ephemeral: e, sym: in.sym, suite: response.Suite}
	if in.psk != nil {
		h.pskID = in.psk.id
	}
	public := e.key.Public().Bytes()
	mixResponse(&h.sym, header, &public, &shared)

	core := append(make([]byte, 0, maxCore), public[:]...)
	core = h.sym.sealAndHash(core, e.kem.EncapsulationKey().Bytes())
	core = h.sym.sealAndHash(core, payload)
	h.fragment(header, core, &in.fragKey)
	return h, nil
}

// Half is a handshake that a server has answered and the client has not
// finished. It is used by the goroutine that uses its server.
type Half struct {
	server    *Server
	ephemeral ephemeral
	sym       symmetric
	suite     crypto.Suite
	pskID     [8]byte
	done      bool

	response []byte // both datagrams of the RESP, one behind the other
	split    int    // length of the first
}

// fragment cuts a RESP into two datagrams. The first is as long as may be.
//
// spec: HS-23
func (h *Half) fragment(header, core []byte, key *[keySize]byte) {
	split := FragmentSize - len(header) - fragmentHeader - tagSize
	b := make([]byte, 0, len(core)+2*(len(header)+fragmentHeader+tagSize))
	b = appendFragment(b, header, 0, len(core), core[:split], key)
	h.split = len(b)
	h.response = appendFragment(b, header, split, len(core), core[split:], key)
}

func appendFragment(b, header []byte, offset, total int, chunk []byte, key *[keySize]byte) []byte {
	start := len(b)
	b = append(b, header...)
	b = binary.BigEndian.AppendUint16(b, uint16(offset))
	b = binary.BigEndian.AppendUint16(b, uint16(total))
	b = append(b, chunk...)
	sum := mac(key, b[start:])
	return append(b, sum[:]...)
}

// Fragments is the number of datagrams of the RESP.
func (h *Half) Fragments() int { return MaxFragments }

// AppendFragment appends datagram i of the RESP with its header, the same bytes
// at every call; nothing once the handshake is finished or cleared.
func (h *Half) AppendFragment(b []byte, i int) []byte {
	if i == 0 {
		return append(b, h.response[:h.split]...)
	}
	return append(b, h.response[h.split:]...)
}

// Size is the number of bytes of all datagrams of the RESP.
func (h *Half) Size() int { return len(h.response) }

// Suite is the packet cipher of the session.
func (h *Half) Suite() crypto.Suite { return h.suite }

// Compact drops the expanded ML-KEM key, 8 kB of heap, and keeps its seed of 64
// bytes; the FIN then costs about 100 µs more.
func (h *Half) Compact() { h.ephemeral.kem = nil }

// Clear forgets all keys. No FIN is accepted afterwards.
func (h *Half) Clear() {
	h.sym.clear()
	crypto.Zero(h.ephemeral.seed[:])
	h.ephemeral = ephemeral{}
	h.response, h.split = nil, 0
	h.done = true
}
