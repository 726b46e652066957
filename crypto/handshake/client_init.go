package handshake

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/godwit-net/godwit/crypto"
)

// buildInit computes the INIT with an empty cookie.
func (c *Client) buildInit(header []byte) error {
	var random [5]byte // grease: four for a version, one for flags
	if _, err := io.ReadFull(c.config.Rand, random[:]); err != nil {
		return fmt.Errorf("handshake: reading randomness: %w", err)
	}
	b := make([]byte, 0, InitSize)
	b = append(b, header...)
	b = c.appendToken(b)

	psk := c.config.PSK.Bytes()
	ephemeral := c.ephemeral.Public().Bytes()
	shared, err := c.ephemeral.ECDH(crypto.PublicKeyFromBytes(c.server))
	if err != nil {
		return fmt.Errorf("handshake: the server's key: %w", ErrWeakKey)
	}
	c.sym = startInit(c.version, &c.server, b, &psk, &ephemeral, &shared)
	crypto.Zero(psk[:])

	b = append(b, ephemeral[:]...)
	hello, err := c.appendHello(nil, InitSize-len(b)-tagSize-initTail, random)
	if err != nil {
		return err
	}
	b = c.sym.sealAndHash(b, hello)
	c.fragKey = c.sym.side(labelFragment)
	c.rejectKey = c.sym.side(labelReject)
	c.initHash = sha256.Sum256(b)
	c.init = append(b, make([]byte, initTail)...)
	c.SetCookie([CookieSize]byte{})
	return nil
}

// startInit is the key schedule of both ends from the first step to k1. open is
// what an INIT has before e_c, header and token.
//
// spec: HS-14
func startInit(version uint32, server *[keySize]byte, open []byte, psk, ephemeral, es *[keySize]byte) symmetric {
	s := startTranscript(version, server)
	s.mixHash(open)
	s.mixKeyAndHash(psk[:])
	s.mixEphemeral(ephemeral[:])
	s.mixKey(es[:])
	crypto.Zero(es[:])
	return s
}

func (c *Client) appendToken(b []byte) []byte {
	if c.config.PSK.IsZero() {
		return append(b, byte(TokenNone), 0, 0)
	}
	b = append(b, byte(TokenPSK))
	b = binary.BigEndian.AppendUint16(b, pskIDSize)
	return append(b, c.pskID[:]...)
}

func (c *Client) appendHello(b []byte, size int, random [5]byte) ([]byte, error) {
	h := Hello{
		Versions:     withGrease(c.config.Versions, [4]byte(random[:4])),
		Original:     c.config.Original,
		Suites:       c.config.Suites,
		AppProtocols: c.config.AppProtocols,
		Params:       c.config.Params,
	}
	b, err := appendHello(b, &h, size, random[4])
	if err != nil {
		return nil, fmt.Errorf("handshake: application protocols and parameters do not fit an INIT: %w", err)
	}
	return b, nil
}

// withGrease adds a version that nobody speaks at a random place.
//
// spec: HS-21
func withGrease(versions []uint32, random [4]byte) []uint32 {
	at := int(random[0]&0x0f) % (len(versions) + 1)
	return slices.Insert(slices.Clone(versions), at, greaseVersion(random))
}

// SetCookie puts a cookie or an address token from an earlier session into the
// INIT. Nothing else of it changes but mac1.
//
// spec: HS-10
func (c *Client) SetCookie(cookie [CookieSize]byte) {
	if c.init == nil {
		return // cleared
	}
	tail := c.init[InitSize-initTail:]
	copy(tail, cookie[:])
	m := mac(&c.mac1Key, c.initHash[:], tail[:CookieSize])
	copy(tail[CookieSize:], m[:])
}

// AppendInit appends the INIT, 1,200 bytes with its header. Calls give the same
// bytes, except for cookie and mac1 after a RETRY. After [Client.Clear] it
// appends nothing.
func (c *Client) AppendInit(b []byte) []byte {
	c.mayRetry = true
	return append(b, c.init...)
}

// HandleRetry reads a RETRY, whose header ends behind its subtype octet. On
// success the next INIT carries the new cookie: send it at once. At most one
// RETRY counts for each INIT sent, and MaxRetries in all.
func (c *Client) HandleRetry(datagram []byte, headerLen int) error {
	if !hasHeader(datagram, headerLen) || len(datagram)-headerLen != CookieSize+tagSize {
		return ErrMalformed
	}
	// spec: HS-12 HS-30
	if c.state != clientWaiting || !c.mayRetry {
		return ErrUnexpected
	}
	sum := len(datagram) - tagSize
	// spec: HS-11
	if !verify(datagram[sum:], &c.retryKey, c.init[InitSize-tagSize:], datagram[:sum]) {
		return ErrAuth
	}
	// spec: HS-12
	if c.retries >= MaxRetries {
		return ErrRetries
	}
	c.retries++
	c.mayRetry = false
	c.SetCookie([CookieSize]byte(datagram[headerLen:]))
	return nil
}

// hasHeader reports whether a header of that length can be in the datagram.
func hasHeader(datagram []byte, headerLen int) bool {
	return headerLen >= minHeader && headerLen <= maxHeader && headerLen <= len(datagram)
}

// HandleReject reads a REJECT, whose header ends behind its subtype octet. An
// authentic one is returned as *RejectError; it changes nothing here, and a
// caller waits a moment for a RESP before it gives up. The error says why the
// datagram was dropped.
func (c *Client) HandleReject(datagram []byte, headerLen int) (*RejectError, error) {
	if !hasHeader(datagram, headerLen) {
		return nil, ErrMalformed
	}
	body := datagram[headerLen:]
	if len(body) < rejectFixed+tagSize || len(body) > rejectFixed+MaxHint+tagSize {
		return nil, ErrMalformed
	}
	if c.state != clientWaiting {
		return nil, ErrUnexpected
	}
	sum := len(datagram) - tagSize
	// spec: HS-37
	if !verify(datagram[sum:], &c.rejectKey, datagram[:sum]) {
		return nil, ErrAuth
	}
	hint := body[rejectFixed : len(body)-tagSize]
	if int(body[2]) != len(hint) {
		return nil, ErrMalformed
	}
	// The state stays: a RESP may still come. spec: HS-38
	return &RejectError{Code: binary.BigEndian.Uint16(body), Hint: printable(hint)}, nil
}
