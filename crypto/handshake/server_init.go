package handshake

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/godwit-net/godwit/crypto"
)

// Init is an INIT on its way through the steps of a server. It holds views of
// the datagram, so it is good as long as that is. Its zero value is ready for
// [Server.ParseInit], also after use.
type Init struct {
	datagram  []byte
	headerLen int
	version   uint32
	kind      TokenKind
	token     []byte
	open      []byte // header and token: all before e_c
	ephemeral []byte
	sealed    []byte
	hash      [HashSize]byte

	static *static // the server key that mac1 fits
	psk    *PSK

	sym       symmetric
	fragKey   [keySize]byte
	rejectKey [keySize]byte
	opened    bool
}

// ParseInit reads the shape of an INIT and hashes it; it knows nothing of keys
// yet. The header ends where the token kind begins. Errors: ErrMalformed,
// ErrVersion, ErrTokenKind, and ErrTicket or ErrConnectToken for tokens that
// are reserved. It allocates nothing.
func (s *Server) ParseInit(in *Init, datagram []byte, headerLen int) error {
	*in = Init{}
	if len(datagram) < InitSize || !hasHeader(datagram, headerLen) {
		return ErrMalformed
	}
	// The INIT of another version may be longer. spec: HS-4
	if in.version = headerVersion(datagram); !s.speaks(in.version) {
		return ErrVersion
	}
	// spec: HS-1
	if len(datagram) != InitSize {
		return ErrMalformed
	}
	body := datagram[headerLen:]
	in.kind = TokenKind(body[0])
	size := int(binary.BigEndian.Uint16(body[1:]))
	// spec: HS-2
	if size > maxToken {
		return ErrMalformed
	}
	in.token = body[tokenHeader : tokenHeader+size]
	if err := checkToken(in.kind, in.token); err != nil {
		return err
	}
	at := headerLen + tokenHeader + size
	in.datagram, in.headerLen = datagram, headerLen
	in.open = datagram[:at]
	in.ephemeral = datagram[at : at+keySize]
	in.sealed = datagram[at+keySize : InitSize-initTail]
	in.hash = sha256.Sum256(datagram[:InitSize-initTail])
	return nil
}

// Clone returns a copy that is good for longer than the datagram.
func (in *Init) Clone() *Init {
	c := *in
	d := append([]byte(nil), in.datagram...)
	at := len(in.open)
	c.datagram = d
	c.open, c.token = d[:at], d[at-len(in.token):at]
	c.ephemeral, c.sealed = d[at:at+keySize], d[at+keySize:InitSize-initTail]
	return &c
}

// Hash names the INIT: SHA-256 of all before the cookie, the same for every
// copy that a client sends.
func (in *Init) Hash() [HashSize]byte { return in.hash }

// Version is the version that the INIT is written in.
func (in *Init) Version() uint32 { return in.version }

// Cookie is the content of the cookie field: zeros, a cookie or an address
// token, to be judged by the caller.
func (in *Init) Cookie() (c [CookieSize]byte) {
	copy(c[:], in.datagram[InitSize-initTail:])
	return c
}

// Ephemeral is the client's ephemeral key e_c, which a cookie is bound to.
func (in *Init) Ephemeral() (e [keySize]byte) {
	copy(e[:], in.ephemeral)
	return e
}

func (in *Init) mac1() []byte { return in.datagram[InitSize-tagSize:] }

// CheckMAC verifies mac1 and with it finds the server key that the client means
// and its pre-shared key. Errors: ErrAuth, ErrNoPSK, ErrUnknownPSK. It costs
// hashes only, and allocates nothing.
//
// spec: HS-5
func (s *Server) CheckMAC(in *Init) error {
	if in.datagram == nil {
		return ErrUnexpected
	}
	if in.kind == TokenPSK {
		return s.checkPSK(in)
	}
	if s.config.LookupPSK != nil { // spec: HS-7
		return ErrNoPSK
	}
	for i := range s.statics {
		if st := &s.statics[i]; in.fits(&st.mac1) {
			in.static = st
			return nil
		}
	}
	return ErrAuth
}

// checkPSK is CheckMAC for an INIT that names a pre-shared key: one lookup, and
// then only that key.
//
// spec: HS-6 HS-8
func (s *Server) checkPSK(in *Init) error {
	if s.config.LookupPSK == nil {
		return ErrUnknownPSK
	}
	psk := s.config.LookupPSK([8]byte(in.token))
	if psk == nil {
		return ErrUnknownPSK
	}
	for i := range s.statics {
		st := &s.statics[i]
		if key := mac1Key(&st.public, psk.bytes[:]); in.fits(&key) {
			in.static, in.psk = st, psk
			return nil
		}
	}
	if in.fits(&psk.groupMAC1) {
		in.static, in.psk = &psk.group, psk
		return nil
	}
	return ErrAuth
}

func (in *Init) fits(key *[keySize]byte) bool {
	tail := in.datagram[InitSize-initTail:]
	return verify(tail[CookieSize:], key, in.hash[:], tail[:CookieSize])
}

// Open does the first public-key work, one X25519 operation, and opens the
// payload. Errors: ErrWeakKey, ErrAuth, ErrMalformed, or an *AbortError for a
// client that was led to a worse version than it could have: answer that with
// AppendReject.
func (s *Server) Open(in *Init) (*Hello, error) {
	if in.static == nil { // spec: HS-5
		return nil, ErrUnexpected
	}
	s.agreements++
	ephemeral := in.Ephemeral()
	shared, err := in.static.private.ECDH(crypto.PublicKeyFromBytes(ephemeral))
	if err != nil { // spec: HS-15
		return nil, ErrWeakKey
	}
	var psk [keySize]byte
	if in.psk != nil {
		psk = in.psk.bytes
	}
	sym := startInit(in.version, &in.static.public, in.open, &psk, &ephemeral, &shared)
	crypto.Zero(psk[:])
	payload, err := sym.openAndHash(nil, in.sealed)
	if err != nil {
		return nil, err
	}
	hello, err := parseHello(payload)
	if err != nil {
		return nil, err
	}
	if in.psk != nil {
		hello.PSKID = in.psk.id
	}
	in.sym, in.opened = sym, true
	in.fragKey, in.rejectKey = sym.side(labelFragment), sym.side(labelReject)
	return hello, s.checkVersions(in.version, hello)
}

// checkVersions refuses a handshake in another version than the first of the
// client's that this server speaks: somebody forged a version negotiation.
//
// spec: HS-17
func (s *Server) checkVersions(version uint32, hello *Hello) error {
	best, ok := BestVersion(hello.Versions, s.config.Versions)
	if ok && best == version && (hello.Original == version || !s.speaks(hello.Original)) {
		return nil
	}
	return &AbortError{Code: RejectVersion, Reason: "downgrade: a better common version exists"}
}

// AppendRetry appends a RETRY under the given header, which ends behind the
// subtype octet. CheckMAC must have succeeded. It allocates nothing when b has
// room.
//
// spec: HS-11 HS-13
func (s *Server) AppendRetry(b, header []byte, in *Init, cookie [CookieSize]byte) []byte {
	if in.static == nil {
		panic("BUG: RETRY to an INIT without a valid mac1")
	}
	start := len(b)
	b = append(b, header...)
	b = append(b, cookie[:]...)
	tag := mac(&in.static.retry, in.mac1(), b[start:])
	return append(b, tag[:]...)
}

// AppendReject appends a REJECT under the given header, which ends behind the
// subtype octet. Open must have opened the payload. The hint is cut to MaxHint
// bytes.
//
// spec: HS-37
func (s *Server) AppendReject(b, header []byte, in *Init, code uint16, hint string) []byte {
	if !in.opened {
		panic("BUG: REJECT to an INIT that was not opened")
	}
	start := len(b)
	hint = cutHint(hint)
	b = append(b, header...)
	b = binary.BigEndian.AppendUint16(b, code)
	b = append(b, byte(len(hint)))
	b = append(b, hint...)
	sum := mac(&in.rejectKey, b[start:])
	return append(b, sum[:]...)
}

// cutHint cuts at a character, so that what is left is still UTF-8.
func cutHint(s string) string {
	if len(s) <= MaxHint {
		return s
	}
	end := 0
	for i := range s {
		if i > MaxHint {
			break
		}
		end = i
	}
	return s[:end]
}
