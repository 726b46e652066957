package handshake

import (
	"crypto/mlkem"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-net/godwit/crypto"
)

// HandleFragment reads one datagram of a RESP. It reports true when the RESP is
// complete and accepted: its server is the one whose ID is in this datagram, and
// [Client.Response] and [Client.Finish] may be called. Fragments of several
// servers are kept apart; the first complete RESP wins.
//
// An *AbortError means that the server is authentic and not acceptable, for
// one because a better common version exists: the handshake is over. Other
// errors mean that the datagram was dropped.
func (c *Client) HandleFragment(datagram []byte, headerLen int) (done bool, err error) {
	if !hasHeader(datagram, headerLen) || len(datagram) > FragmentSize {
		return false, ErrMalformed
	}
	f, ok := parseFragment(datagram[headerLen:])
	if !ok {
		return false, ErrMalformed
	}
	// spec: HS-30
	if c.state != clientWaiting {
		return false, ErrUnexpected
	}
	sum := len(datagram) - tagSize
	// spec: HS-24
	if !verify(datagram[sum:], &c.fragKey, datagram[:sum]) {
		return false, ErrAuth
	}
	g := c.assembler.add(datagram[:headerLen], f)
	if g == nil {
		return false, nil
	}
	if err := c.handleResponse(g.header, g.core); err != nil {
		c.state = clientFailed
		return false, err
	}
	c.state = clientResponded
	c.assembler = assembler{}
	return true, nil
}

// handleResponse reads a whole RESP. Its fragments were authentic, so whatever
// is wrong with it is the server's doing and ends the handshake.
func (c *Client) handleResponse(header, core []byte) error {
	s := c.sym
	ephemeral := [keySize]byte(core)
	shared, err := c.ephemeral.ECDH(crypto.PublicKeyFromBytes(ephemeral))
	if err != nil { // spec: HS-15
		return &AbortError{Reason: "the server's ephemeral key is weak"}
	}
	mixResponse(&s, header, &ephemeral, &shared)

	const kemEnd = keySize + kemKeySize + tagSize
	kem, err := s.openAndHash(nil, core[keySize:kemEnd])
	if err != nil {
		return &AbortError{Reason: "the server's KEM key does not open"}
	}
	// NewEncapsulationKey768 makes the modulus check of FIPS 203, section 7.2.
	// spec: HS-29
	if c.kemKey, err = mlkem.NewEncapsulationKey768(kem); err != nil {
		return &AbortError{Reason: "the server's KEM key is not valid"}
	}
	payload, err := s.openAndHash(nil, core[kemEnd:])
	if err != nil {
		return &AbortError{Reason: "the server's payload does not open"}
	}
	response, err := parseResponse(payload)
	if err != nil {
		return &AbortError{Reason: "the server's payload is malformed"}
	}
	if err := c.checkResponse(response); err != nil {
		return err
	}
	c.sym, c.response = s, response
	c.serverEphemeral = crypto.PublicKeyFromBytes(ephemeral)
	return nil
}

// mixResponse is the key schedule of both ends from k1 to k2.
//
// spec: HS-14
func mixResponse(s *symmetric, header []byte, ephemeral, ee *[keySize]byte) {
	s.mixHash(header)
	s.mixEphemeral(ephemeral[:])
	s.mixKey(ee[:])
	crypto.Zero(ee[:])
}

// checkResponse holds the server to what was offered.
func (c *Client) checkResponse(r *Response) error {
	// spec: HS-27
	if best, ok := BestVersion(c.config.Versions, r.Versions); !ok || best != c.version {
		return &AbortError{Reason: fmt.Sprintf("downgrade: version %#x in use, and the server speaks a better one", c.version)}
	}
	// spec: HS-28
	if !r.Suite.Valid() || !slices.Contains(c.config.Suites, r.Suite) {
		return &AbortError{Reason: "the server chose a packet cipher that was not offered"}
	}
	if r.AppProtocol == "" && len(c.config.AppProtocols) == 0 {
		return nil
	}
	if !slices.Contains(c.config.AppProtocols, r.AppProtocol) {
		return &AbortError{Reason: "the server chose an application protocol that was not offered"}
	}
	return nil
}

// Finish computes the FIN, whose header names the server by the ID that it
// chose, and draws the keys of the session. It may be called once, after
// HandleFragment has reported true. The error is that of Rand, of a call out of
// order, or ErrWeakKey.
func (c *Client) Finish(header []byte) (Result, error) {
	if c.state != clientResponded || len(header) < minHeader || len(header) > maxHeader {
		return Result{}, ErrUnexpected
	}
	var flags [finFlagsSize]byte // no bit has a meaning yet, so all are grease
	if _, err := io.ReadFull(c.config.Rand, flags[:]); err != nil {
		return Result{}, fmt.Errorf("handshake: reading randomness: %w", err)
	}
	s := c.sym
	s.mixHash(header)
	b := append(make([]byte, 0, FinSize), header...)

	// Once for a RESP: the state does not come back here. spec: HS-31
	secret, text := c.encapsulate(c.kemKey)
	b = s.sealAndHash(b, text)
	s.mixKey(secret)
	crypto.Zero(secret)

	static, se, err := c.staticExchange()
	if err != nil {
		return Result{}, err
	}
	b = s.sealAndHash(b, static[:])
	s.mixKey(se[:])
	crypto.Zero(se[:])

	// spec: HS-33
	confirm := s.side(labelConfirm)
	c.fin = s.sealAndHash(b, append(confirm[:confirmSize:confirmSize], flags[:]...))

	c.state = clientFinished
	return c.result(&s), nil
}

// staticExchange gives the client's static key and se: for an anonymous client
// both are 32 zero bytes, so that the pattern cannot be told from outside.
//
// spec: HS-32
func (c *Client) staticExchange() (static, se [keySize]byte, err error) {
	if c.config.Identity.IsZero() {
		return static, se, nil
	}
	se, err = c.config.Identity.ECDH(c.serverEphemeral)
	if err != nil {
		return static, se, ErrWeakKey
	}
	return c.config.Identity.Public().Bytes(), se, nil
}

func (c *Client) result(s *symmetric) Result {
	r := s.finish()
	r.Suite = c.response.Suite
	r.PeerStatic = c.config.PeerKey
	r.PSKID = c.pskID
	return r
}

// AppendFin appends the FIN with its header, the same bytes at every call; it
// appends nothing before Finish.
func (c *Client) AppendFin(b []byte) []byte { return append(b, c.fin...) }

// printable makes text from a peer fit for a log: valid UTF-8 without control
// characters.
func printable(b []byte) string {
	if !utf8.Valid(b) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, string(b))
}
