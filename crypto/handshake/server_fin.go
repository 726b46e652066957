package handshake

import (
	"crypto/hmac"
	"crypto/subtle"

	"github.com/godwit-net/godwit/crypto"
)

// HandleFin reads a FIN, whose header names the server's ID, and gives the keys
// of the session. A FIN that fails at any step leaves everything as it was, so
// that a forged one cannot stand in the way of the real one. Errors:
// ErrMalformed, ErrAuth, ErrWeakKey, and ErrUnexpected after success.
//
// A FIN that was not made by the client of this RESP costs one AEAD. After
// success the keys of the handshake are forgotten, and the RESP with them.
func (h *Half) HandleFin(datagram []byte, headerLen int) (Result, error) {
	// spec: HS-31
	if !hasHeader(datagram, headerLen) || len(datagram)-headerLen != finBody {
		return Result{}, ErrMalformed
	}
	// spec: HS-35
	if h.done {
		return Result{}, ErrUnexpected
	}
	// Everything is tried on a copy. spec: HS-34
	s := &h.server.work
	*s = h.sym
	defer s.clear()
	s.mixHash(datagram[:headerLen])
	body := datagram[headerLen:]

	text, err := s.openAndHash(h.server.text[:0], body[:kemTextSize+tagSize])
	if err != nil {
		return Result{}, err
	}
	if err := h.decapsulate(s, text); err != nil {
		return Result{}, err
	}
	body = body[kemTextSize+tagSize:]
	client, err := h.openStatic(s, body[:keySize+tagSize])
	if err != nil {
		return Result{}, err
	}
	if err := openConfirm(s, body[keySize+tagSize:]); err != nil {
		return Result{}, err
	}
	r := s.finish()
	r.Suite, r.PeerStatic, r.PSKID = h.suite, client, h.pskID
	h.Clear() // nothing else may be read with these keys
	return r, nil
}

func (h *Half) decapsulate(s *symmetric, text []byte) error {
	kem := h.ephemeral.kem
	if kem == nil {
		kem = expandKEM(&h.ephemeral.seed)
	}
	secret, err := kem.Decapsulate(text)
	if err != nil {
		return ErrMalformed
	}
	s.mixKey(secret)
	crypto.Zero(secret)
	return nil
}

// openStatic opens the client's static key and mixes in se. Exactly 32 zero
// bytes mean an anonymous client; that is decided before any X25519, since an
// exchange that gives zero is an error, and another key of low order must not
// pass for a client that proved one.
//
// spec: HS-15 HS-32
func (h *Half) openStatic(s *symmetric, sealed []byte) (crypto.PublicKey, error) {
	var none crypto.PublicKey
	b, err := s.openAndHash(nil, sealed)
	if err != nil {
		return none, err
	}
	static := [keySize]byte(b)
	var zero [keySize]byte
	if subtle.ConstantTimeCompare(static[:], zero[:]) == 1 {
		s.mixKey(zero[:])
		return none, nil
	}
	client := crypto.PublicKeyFromBytes(static)
	h.server.agreements++
	se, err := h.ephemeral.key.ECDH(client)
	if err != nil {
		return none, ErrWeakKey
	}
	s.mixKey(se[:])
	crypto.Zero(se[:])
	return client, nil
}

// openConfirm opens the last payload. ChaCha20-Poly1305 does not commit to its
// key, so the client confirms the chain with a hash of it.
//
// spec: HS-33
func openConfirm(s *symmetric, sealed []byte) error {
	confirm := s.side(labelConfirm)
	payload, err := s.openAndHash(nil, sealed)
	if err != nil {
		return err
	}
	if !hmac.Equal(payload[:confirmSize], confirm[:confirmSize]) {
		return ErrAuth
	}
	return nil
}
