package handshake

import (
	"crypto/mlkem"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/godwit-net/godwit/crypto"
)

// ClientConfig is what a client wants. A client has PeerKey, PSK or both;
// there is no third way to know a server.
type ClientConfig struct {
	Rand         io.Reader           // randomness; nil: crypto/rand. ML-KEM encapsulation always uses crypto/rand
	Identity     crypto.PrivateKey   // static key; zero: anonymous
	PeerKey      crypto.PublicKey    // the only server key accepted; zero: the group key of PSK
	PSK          crypto.PresharedKey // zero: none
	Suites       []crypto.Suite      // packet ciphers, best first; nil: crypto.PreferredSuites
	Versions     []uint32            // all versions spoken, best first; nil: Version1
	Original     uint32              // version of the first INIT, after a version negotiation; 0: that of this one
	AppProtocols []string            // best first, at most MaxAppProtocols; nil: none is named
	Params       []byte              // transport parameters, carried as they are
}

// Client is the client's side of one handshake. See the package comment for the
// order of calls.
type Client struct {
	config  ClientConfig
	version uint32
	state   clientState

	server    [keySize]byte // S
	pskID     [8]byte
	ephemeral crypto.PrivateKey
	sym       symmetric
	mac1Key   [keySize]byte
	retryKey  [keySize]byte
	fragKey   [keySize]byte
	rejectKey [keySize]byte

	init      []byte // the whole INIT, present cookie and mac1 included
	initHash  [HashSize]byte
	mayRetry  bool // an INIT was sent since the last RETRY
	retries   int
	assembler assembler

	response        *Response
	kemKey          *mlkem.EncapsulationKey768
	serverEphemeral crypto.PublicKey
	fin             []byte // body of the FIN behind its header, header first

	// encapsulate is replaced where vectors need fixed randomness.
	encapsulate func(*mlkem.EncapsulationKey768) (secret, text []byte)
}

type clientState uint8

const (
	clientWaiting   clientState = iota // INIT made, no RESP
	clientResponded                    // RESP accepted
	clientFinished                     // FIN made, keys drawn
	clientFailed                       // aborted
)

// NewClient prepares a handshake and computes its INIT, whose long header is
// given: 7 to 24 bytes that end where the token kind begins. The header is
// copied. The error says what is wrong with the configuration, or is that of
// Rand.
func NewClient(config ClientConfig, header []byte) (*Client, error) {
	c := &Client{config: config, encapsulate: (*mlkem.EncapsulationKey768).Encapsulate}
	if err := c.configure(header); err != nil {
		return nil, err
	}
	var err error
	if c.ephemeral, err = crypto.PrivateKeyFromSeed(c.config.Rand); err != nil {
		return nil, err
	}
	return c, c.buildInit(header)
}

// configure fills in defaults and checks what the caller gave.
func (c *Client) configure(header []byte) error {
	cfg := &c.config
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Suites == nil {
		cfg.Suites = crypto.PreferredSuites()
	}
	if cfg.Versions == nil {
		cfg.Versions = []uint32{Version1}
	}
	if len(header) < minHeader || len(header) > maxHeader {
		return fmt.Errorf("handshake: header of %d bytes, want %d to %d", len(header), minHeader, maxHeader)
	}
	c.version = headerVersion(header)
	if cfg.Original == 0 {
		cfg.Original = c.version
	}
	if !slices.Contains(cfg.Versions, c.version) {
		return fmt.Errorf("handshake: header has version %#x, which is not among those spoken", c.version)
	}
	if err := checkLists(cfg.Versions, cfg.Suites, cfg.AppProtocols); err != nil {
		return err
	}
	return c.chooseServer()
}

// chooseServer settles S: the pinned key, or else the group key of the PSK.
func (c *Client) chooseServer() error {
	cfg := &c.config
	switch {
	case !cfg.PeerKey.IsZero():
		c.server = cfg.PeerKey.Bytes()
	case !cfg.PSK.IsZero(): // spec: HS-8
		c.server = cfg.PSK.GroupKey().Public().Bytes()
	default: // spec: HS-9
		return errors.New("handshake: a client needs the server's key or a pre-shared key")
	}
	c.retryKey = retryKey(&c.server)
	c.mac1Key = mac1Key(&c.server, nil)
	if !cfg.PSK.IsZero() {
		psk := cfg.PSK.Bytes()
		c.pskID = cfg.PSK.ID()
		c.mac1Key = mac1Key(&c.server, psk[:])
		crypto.Zero(psk[:])
	}
	return nil
}

// checkLists checks what a configuration offers. Grease adds one version.
func checkLists(versions []uint32, suites []crypto.Suite, protocols []string) error {
	switch {
	case len(versions) == 0 || len(versions) >= MaxVersions:
		return fmt.Errorf("handshake: %d versions, want 1 to %d", len(versions), MaxVersions-1)
	case len(suites) == 0 || len(suites) > MaxSuites:
		return fmt.Errorf("handshake: %d suites, want 1 to %d", len(suites), MaxSuites)
	case len(protocols) > MaxAppProtocols:
		return fmt.Errorf("handshake: %d application protocols, want at most %d", len(protocols), MaxAppProtocols)
	}
	for _, p := range protocols {
		if len(p) == 0 || len(p) > MaxAppProtocol {
			return fmt.Errorf("handshake: application protocol of %d bytes, want 1 to %d", len(p), MaxAppProtocol)
		}
	}
	return nil
}

// headerVersion reads the version of a long header of at least minHeader bytes.
func headerVersion(header []byte) uint32 { return binary.BigEndian.Uint32(header[1:]) }

// Response is what the server said, once HandleFragment has reported that its
// RESP is complete; nil before.
func (c *Client) Response() *Response { return c.response }

// Retries is the number of RETRY datagrams that were followed.
func (c *Client) Retries() int { return c.retries }

// Clear forgets the keys of the handshake. The client is of no use afterwards,
// except that AppendFin goes on to give the FIN, which holds no secrets.
func (c *Client) Clear() {
	c.sym.clear()
	c.ephemeral = crypto.PrivateKey{}
	c.config.Identity = crypto.PrivateKey{}
	c.config.PSK = crypto.PresharedKey{}
	for _, k := range []*[keySize]byte{&c.mac1Key, &c.retryKey, &c.fragKey, &c.rejectKey} {
		crypto.Zero(k[:])
	}
	c.assembler = assembler{}
	c.init = nil
	if c.state != clientFinished {
		c.state = clientFailed
	}
}
