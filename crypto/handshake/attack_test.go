package handshake

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// lowOrder are the X25519 public keys of low order, in the encodings that
// RFC 7748 decodes, the ones that are not reduced included.
func lowOrder(t testing.TB) [][32]byte {
	t.Helper()
	hexes := []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	}
	var out [][32]byte
	for _, h := range hexes {
		var b hexBytes
		require.NoError(t, b.UnmarshalText([]byte(h)))
		for _, top := range []byte{0, 0x80} { // the highest bit is ignored
			k := [32]byte(b)
			k[31] |= top
			out = append(out, k)
		}
	}
	return out
}

// TestAttack07Reflection sends every message back to its sender.
func TestAttack07Reflection(t *testing.T) {
	e := newEnds(t, setting{identity: true, psk: true})
	clientSide := func(b []byte) {
		_, err := e.client.HandleFragment(b, len(respHeader()))
		require.Error(t, err)
		require.Error(t, e.client.HandleRetry(b, len(retryHeader())))
		_, err = e.client.HandleReject(b, len(rejectHeader()))
		require.Error(t, err)
	}
	serverSide := func(b []byte) {
		require.Error(t, e.receiveInit(b))
		if e.half != nil {
			_, err := e.half.HandleFin(b, min(len(b), len(finHeader(Version1, serverID))))
			require.Error(t, err)
		}
	}
	init := e.client.AppendInit(nil)
	clientSide(init)
	require.NoError(t, e.receiveInit(init))
	retry := e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{1})
	reject := e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "")
	serverSide(retry)
	serverSide(reject)
	e.respond()
	serverSide(e.half.AppendFragment(nil, 0))
	serverSide(e.half.AppendFragment(nil, 1))
	fin, client := e.deliver()
	clientSide(fin)
	clientSide(init)
	server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, client, server)
}

// TestAttack09OnPath changes, cuts and invents messages at every step, as
// somebody on the path can who has no keys: the outcome is success or silence,
// and never an error that the attacker chose.
func TestAttack09OnPath(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 9))
		e := newEnds(t, setting{identity: seed%2 == 0, psk: seed%3 == 0})
		e.respond()
		retry := e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{1})
		reject := e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "go away")
		toClient := [][]byte{retry, reject, e.half.AppendFragment(nil, 0), e.half.AppendFragment(nil, 1)}
		for range 50 {
			b := distort(random, toClient)
			requireHarmless(t, e.client, b)
		}
		fin, client := e.deliver()
		for range 50 {
			b := distort(random, [][]byte{fin})
			_, err := e.half.HandleFin(b, min(len(b), len(finHeader(Version1, serverID))))
			require.Error(t, err)
		}
		server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
		require.NoError(t, err)
		requireSame(t, client, server)
	}
}

// distort makes a datagram that differs from all the given ones.
func distort(random *rand.Rand, from [][]byte) []byte {
	b := bytes.Clone(from[random.IntN(len(from))])
	switch random.IntN(4) {
	case 0:
		b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
	case 1:
		b = b[:random.IntN(len(b))]
	case 2:
		b = append(b, byte(random.Uint32()))
	default:
		for i := len(respHeader()); i < len(b); i++ {
			b[i] = byte(random.Uint32())
		}
	}
	return b
}

// requireHarmless says that a datagram neither ends nor advances a client.
func requireHarmless(t *testing.T, c *Client, b []byte) {
	t.Helper()
	var abort *AbortError
	done, err := c.HandleFragment(b, len(respHeader()))
	require.False(t, done)
	require.Error(t, err)
	require.NotErrorAs(t, err, &abort)
	require.Error(t, c.HandleRetry(b, len(retryHeader())))
	reject, err := c.HandleReject(b, len(rejectHeader()))
	require.Error(t, err)
	require.Nil(t, reject)
}

// forgeFin makes the FIN of a client that claims a static key with a se of its
// choice.
func (e *ends) forgeFin(claim, se [32]byte) []byte {
	e.t.Helper()
	header := finHeader(Version1, serverID)
	s := e.client.sym
	s.mixHash(header)
	secret, text := e.client.encapsulate(e.client.kemKey)
	b := s.sealAndHash(header, text)
	s.mixKey(secret)
	b = s.sealAndHash(b, claim[:])
	s.mixKey(se[:])
	confirm := s.side(labelConfirm)
	return s.sealAndHash(b, append(confirm[:confirmSize:confirmSize], 0, 0))
}

// deliverOnly hands the client the RESP without making a FIN.
func (e *ends) deliverOnly() {
	e.t.Helper()
	for i := range 2 {
		_, err := e.client.HandleFragment(e.half.AppendFragment(nil, i), len(respHeader()))
		require.NoError(e.t, err)
	}
}

// TestAttack16KeyCompromiseImpersonation lets somebody who stole the server's
// static key talk to that server as a client whose public key is known.
func TestAttack16KeyCompromiseImpersonation(t *testing.T) {
	stolen, victim := privateKey(t, 1), privateKey(t, 5).Public()
	own := privateKey(t, 66)
	agree := func(k crypto.PrivateKey, p crypto.PublicKey) [32]byte {
		out, err := k.ECDH(p)
		require.NoError(t, err)
		return out
	}
	e := newEnds(t, setting{})
	e.respond()
	e.deliverOnly()
	serverEphemeral := e.client.serverEphemeral
	for name, se := range map[string][32]byte{
		"the stolen key with the victim's":           agree(stolen, victim),
		"the stolen key with the server's ephemeral": agree(stolen, serverEphemeral),
		"the own key with the server's ephemeral":    agree(own, serverEphemeral),
		"the ephemeral key again":                    agree(e.client.ephemeral, serverEphemeral),
		"the own ephemeral with the victim's":        agree(e.client.ephemeral, victim),
		"zeros, as for an anonymous client":          {},
	} {
		_, err := e.half.HandleFin(e.forgeFin(victim.Bytes(), se), len(finHeader(Version1, serverID)))
		require.ErrorIs(t, err, ErrAuth, name)
	}
	// It can be itself, and nobody else.
	ownPublic := own.Public().Bytes()
	result, err := e.half.HandleFin(e.forgeFin(ownPublic, agree(own, serverEphemeral)), len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	require.Equal(t, own.Public(), result.PeerStatic)

	// An anonymous client that proves itself by a pre-shared key cannot be
	// played by a thief of the static key either.
	e = newEnds(t, setting{psk: true, client: func(c *ClientConfig) { c.PSK = presharedKey(t, 404) }})
	b := e.client.AppendInit(nil)
	id := presharedKey(t, 2).ID()
	copy(b[len(initHeader())+tokenHeader:], id[:])
	require.ErrorIs(t, e.receiveInit(remac(b, e.client.mac1Key)), ErrAuth)
	require.ErrorIs(t, e.receiveInit(remac(b, mac1Key(&e.client.server, nil))), ErrAuth)
	require.Zero(t, e.server.Agreements())
}

// TestAttack17UnknownKeyShare wires the ends of different sessions together.
func TestAttack17UnknownKeyShare(t *testing.T) {
	a := newEnds(t, setting{identity: true})
	b := newEnds(t, setting{
		identity: true,
		client:   func(c *ClientConfig) { c.Rand = seeded(41) },
		server:   func(c *ServerConfig) { c.Rand = seeded(42) },
	})
	a.respond()
	b.respond()
	for i := range 2 {
		_, err := a.client.HandleFragment(b.half.AppendFragment(nil, i), len(respHeader()))
		require.ErrorIs(t, err, ErrAuth, "the RESP of another session")
	}
	finA, clientA := a.deliver()
	finB, clientB := b.deliver()
	_, err := b.half.HandleFin(finA, len(finHeader(Version1, serverID)))
	require.ErrorIs(t, err, ErrAuth, "the FIN of another session")
	serverA, err := a.half.HandleFin(finA, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	serverB, err := b.half.HandleFin(finB, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, clientA, serverA)
	requireSame(t, clientB, serverB)
	require.NotEqual(t, serverA.ChannelBinding, serverB.ChannelBinding)
	require.NotEqual(t, serverA.Exporter[:], serverB.Exporter[:])

	// A client that means one server is not taken by another.
	other := newEnds(t, setting{server: func(c *ServerConfig) { c.Identities = []crypto.PrivateKey{privateKey(t, 43)} }})
	require.ErrorIs(t, other.receiveInit(a.client.AppendInit(nil)), ErrAuth)

	// A FIN under another server ID than the RESP was made for.
	c := newEnds(t, setting{})
	c.respond()
	c.deliverOnly()
	header := finHeader(Version1, []byte{9, 9, 9, 9, 9, 9, 9, 9})
	_, err = c.client.Finish(header)
	require.NoError(t, err)
	fin := c.client.AppendFin(nil)
	copy(fin, finHeader(Version1, serverID)) // as seen by the server that the ID was swapped for
	_, err = c.half.HandleFin(fin, len(header))
	require.ErrorIs(t, err, ErrAuth)
}

// TestAttack19CrossProtocol feeds the first bytes of other protocols to every
// reader, filled up to the size that a Godwit message has.
func TestAttack19CrossProtocol(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	client := newEnds(t, setting{}).client
	client.AppendInit(nil)
	foreign := map[string][]byte{
		"QUIC Initial":         {0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9e},
		"QUIC version 2":       {0xd3, 0x6b, 0x33, 0x43, 0xcf, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0},
		"DTLS ClientHello":     {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 1, 0, 0, 0xb4},
		"STUN binding":         {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8},
		"WireGuard initiation": {1, 0, 0, 0, 7, 7, 7, 7},
		"WireGuard transport":  {4, 0, 0, 0, 7, 7, 7, 7, 1, 0, 0, 0, 0, 0, 0, 0},
		"RTP":                  {0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3},
		"RTCP":                 {0x80, 200, 0, 6, 0, 0, 0, 2},
		"own, other version":   longHeader(4, version2, firstID, clientID),
		"own, version 0":       longHeader(7, 0, firstID, clientID),
		"nothing":              {},
	}
	for name, start := range foreign {
		for _, size := range []int{len(start), 71, 254, 1200} {
			b := append(bytes.Clone(start), make([]byte, max(0, size-len(start)))...)
			for _, n := range []int{minHeader, len(initHeader()), len(retryHeader()), maxHeader} {
				requireForeign(t, name, e, client, b, n)
			}
		}
	}
	require.Equal(t, uint64(2), e.server.Agreements(), "those of the true client")
}

func requireForeign(t *testing.T, name string, e *ends, c *Client, b []byte, headerLen int) {
	t.Helper()
	require.Error(t, e.server.ParseInit(&Init{}, b, headerLen), name)
	_, err := e.half.HandleFin(b, headerLen)
	require.Error(t, err, name)
	_, err = c.HandleFragment(b, headerLen)
	require.Error(t, err, name)
	require.Error(t, c.HandleRetry(b, headerLen), name)
	_, err = c.HandleReject(b, headerLen)
	require.Error(t, err, name)
}

// TestAttack25PartitioningOracle counts what a server tries for one INIT.
//
// spec: HS-6
func TestAttack25PartitioningOracle(t *testing.T) {
	keys := map[[8]byte]*PSK{}
	for seed := uint64(2); seed < 34; seed++ {
		p := NewPSK(presharedKey(t, seed))
		keys[p.ID()] = p
	}
	lookups := 0
	e := newEnds(t, setting{psk: true, server: func(c *ServerConfig) {
		c.LookupPSK = func(id [8]byte) *PSK { lookups++; return keys[id] }
	}})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	require.Equal(t, 1, lookups)

	// One ciphertext, offered under the name of each key in turn.
	good := e.client.AppendInit(nil)
	before := e.server.Agreements()
	for id := range keys {
		if id == presharedKey(t, 2).ID() {
			continue
		}
		lookups = 0
		bad := bytes.Clone(good)
		copy(bad[len(initHeader())+tokenHeader:], id[:])
		require.ErrorIs(t, e.receiveInit(remac(bad, e.client.mac1Key)), ErrAuth)
		require.Equal(t, 1, lookups)
	}
	require.Equal(t, before, e.server.Agreements(), "mac1 is keyed by the pre-shared key: no AEAD is tried")
}

// TestAttack29FragmentPoisoning puts forged, foreign and disagreeing fragments
// between the true ones.
//
// spec: HS-24 HS-26
func TestAttack29FragmentPoisoning(t *testing.T) {
	e := newEnds(t, setting{identity: true})
	e.respond()
	core := coreOf(e.half)
	random := rand.New(rand.NewPCG(29, 29))
	forged := func() []byte {
		junk := make([]byte, len(core))
		for i := range junk {
			junk[i] = byte(random.Uint32())
		}
		header := respHeader()
		if random.IntN(2) == 0 { // another server, of which there are many
			header = longHeader(5, Version1, clientID, junk[:8])
		}
		from := random.IntN(2) * (1 + random.IntN(300))
		to := len(core)
		if from == 0 || to-from > 1100 {
			from, to = 0, 1+random.IntN(1100)
		}
		var key [32]byte
		copy(key[:], junk)
		return piece(header, junk, from, to, key)
	}
	for range 1000 {
		_, err := e.client.HandleFragment(forged(), len(respHeader()))
		require.Error(t, err)
	}
	require.Equal(t, assembler{}, e.client.assembler, "an attacker without the key gets nothing kept")
	require.False(t, e.take(t, e.half.AppendFragment(nil, 0)))
	for range 1000 {
		_, err := e.client.HandleFragment(forged(), len(respHeader()))
		require.Error(t, err)
	}
	require.True(t, e.take(t, e.half.AppendFragment(nil, 1)))
	client, err := e.client.Finish(finHeader(Version1, serverID))
	require.NoError(t, err)
	server, err := e.half.HandleFin(e.client.AppendFin(nil), len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, client, server)
}

// TestAttack31RejectsWithoutAllocating drops forged messages of every kind and
// counts what that costs.
func TestAttack31RejectsWithoutAllocating(t *testing.T) {
	e := newEnds(t, setting{})
	p := newEnds(t, setting{psk: true})
	e.respond()
	fin := make([]byte, FinSize)
	init := e.client.AppendInit(nil)
	init[InitSize-1] ^= 1
	pinit := p.client.AppendInit(nil)
	pinit[InitSize-1] ^= 1
	other := newEnds(t, setting{}).client
	other.AppendInit(nil)
	fragment := e.half.AppendFragment(nil, 0)
	fragment[len(fragment)-1] ^= 1
	retry := make([]byte, len(retryHeader())+48)
	reject := make([]byte, len(rejectHeader())+19)
	// Lengths are taken once: making a header allocates.
	headerLen, retryLen, rejectLen := len(initHeader()), len(retryHeader()), len(rejectHeader())
	var in Init
	for name, drop := range map[string]func() error{
		"INIT too short": func() error { return e.server.ParseInit(&in, init[:1199], 19) },
		"INIT with a wrong mac1": func() error {
			if e.server.ParseInit(&in, init, headerLen) != nil {
				return nil
			}
			return e.server.CheckMAC(&in)
		},
		"INIT with a wrong mac1 under a PSK": func() error {
			if p.server.ParseInit(&in, pinit, headerLen) != nil {
				return nil
			}
			return p.server.CheckMAC(&in)
		},
		"FIN that does not open": func() error { _, err := e.half.HandleFin(fin, 14); return err },
		"fragment":               func() error { _, err := other.HandleFragment(fragment, headerLen); return err },
		"RETRY":                  func() error { return other.HandleRetry(retry, retryLen) },
		"REJECT":                 func() error { _, err := other.HandleReject(reject, rejectLen); return err },
		"ticket":                 func() error { _, err := ParseTicket(fin[:100]); return err },
		"connect token":          func() error { _, err := ParseConnectToken(fin[:100]); return err },
	} {
		var err error
		n := testing.AllocsPerRun(100, func() { err = drop() })
		require.Error(t, err, name)
		require.Zero(t, n, name)
	}
	b := make([]byte, 0, 100)
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	header := retryHeader()
	require.Zero(t, testing.AllocsPerRun(100, func() { e.server.AppendRetry(b, header, &e.in, [32]byte{}) }))
}

// TestAttack32WeakPoints runs a live handshake with each point of low order in
// each place where a peer puts a key.
//
// spec: HS-15 HS-32
func TestAttack32WeakPoints(t *testing.T) {
	for i, point := range lowOrder(t) {
		// S: the client finds out before it sends anything.
		_, err := NewClient(ClientConfig{PeerKey: crypto.PublicKeyFromBytes(point)}, initHeader())
		require.Error(t, err, "S, point %d", i)

		// e_c
		e := newEnds(t, setting{})
		b := e.client.AppendInit(nil)
		copy(b[len(initHeader())+tokenHeader:], point[:])
		require.ErrorIs(t, e.receiveInit(remac(b, e.client.mac1Key)), ErrWeakKey, "e_c, point %d", i)
		_, err = e.server.Respond(&e.in, respHeader(), testResponse())
		require.ErrorIs(t, err, ErrUnexpected)

		// e_s, by a server that gives the fragments valid MACs
		e = newEnds(t, setting{})
		e.respond()
		core := coreOf(e.half)
		copy(core, point[:])
		abort := requireAbort(t, e.client, respHeader(), core)
		require.Contains(t, abort.Reason, "weak", "e_s, point %d", i)

		// s_c, by a client that knows that se would be zero
		e = newEnds(t, setting{})
		e.respond()
		e.deliverOnly()
		fin := e.forgeFin(point, [32]byte{})
		result, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
		if point == [32]byte{} {
			require.NoError(t, err, "32 zero bytes are an anonymous client")
			require.True(t, result.PeerStatic.IsZero())
			continue
		}
		require.ErrorIs(t, err, ErrWeakKey, "s_c, point %d", i)
	}
}

// spec: HS-15
func TestWeakEphemeralKeyStopsTheSecondExchangeToo(t *testing.T) {
	e := newEnds(t, setting{})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	clear(e.in.ephemeral) // as if es had not looked
	_, err := e.server.Respond(&e.in, respHeader(), testResponse())
	require.ErrorIs(t, err, ErrWeakKey)
}

// spec: HS-2
func TestTokensThatDoNotFitTheirKindAreMalformed(t *testing.T) {
	e := newEnds(t, setting{})
	for name, c := range map[string]struct {
		kind TokenKind
		size int
		want error
	}{
		"no token, with bytes":       {TokenNone, 1, ErrMalformed},
		"PSK without its ID":         {TokenPSK, 0, ErrMalformed},
		"PSK with a longer ID":       {TokenPSK, 32, ErrMalformed},
		"ticket too short":           {TokenTicket, minTicket - 1, ErrMalformed},
		"ticket too long":            {TokenTicket, maxTicket + 1, ErrMalformed},
		"connect token too short":    {TokenConnect, minConnectToken - 1, ErrMalformed},
		"connect token too long":     {TokenConnect, maxConnectToken + 1, ErrMalformed},
		"longer than the datagram":   {TokenPSK, 65535, ErrMalformed},
		"a kind that does not exist": {77, 10, ErrTokenKind},
		"a kind and an absurd size":  {77, 1100, ErrMalformed},
	} {
		b := e.client.AppendInit(nil)
		b[len(initHeader())] = byte(c.kind)
		binary.BigEndian.PutUint16(b[len(initHeader())+1:], uint16(c.size))
		require.ErrorIs(t, e.receiveInit(remac(b, e.client.mac1Key)), c.want, name)
	}
}

// spec: HS-3
func TestTicketsAndConnectTokensAreRefusedByName(t *testing.T) {
	e := newEnds(t, setting{})
	put := func(kind TokenKind, token []byte) error {
		b := e.client.AppendInit(nil)
		b[len(initHeader())] = byte(kind)
		binary.BigEndian.PutUint16(b[len(initHeader())+1:], uint16(len(token)))
		copy(b[len(initHeader())+tokenHeader:], token)
		return e.receiveInit(remac(b, e.client.mac1Key))
	}
	for _, n := range []int{minTicket, 200, maxTicket} {
		require.ErrorIs(t, put(TokenTicket, make([]byte, n)), ErrTicket)
	}
	for _, n := range []int{minConnectToken, 300, maxConnectToken} {
		token := make([]byte, n)
		token[0], token[1] = 1, 1
		require.ErrorIs(t, put(TokenConnect, token), ErrConnectToken)
		token[1] = 2
		require.ErrorIs(t, put(TokenConnect, token), ErrMalformed, "another kind of connect token")
	}
	require.Zero(t, e.server.Agreements())
}

func TestTokensAreReadFieldByField(t *testing.T) {
	b := bytesOf("token", 200)
	ticket, err := ParseTicket(b)
	require.NoError(t, err)
	require.Equal(t, binary.BigEndian.Uint32(b), ticket.KeyID)
	require.Equal(t, b[4:28], ticket.Nonce)
	require.Equal(t, b[28:], ticket.Sealed)
	b[0], b[1] = 1, 1
	token, err := ParseConnectToken(b)
	require.NoError(t, err)
	require.Equal(t, binary.BigEndian.Uint64(b[6:]), token.Expiry)
	require.Equal(t, b[14:38], token.Nonce)
	require.Equal(t, b[38:], token.Sealed)
	for _, k := range []TokenKind{TokenNone, TokenPSK, TokenTicket, TokenConnect} {
		require.NotEqual(t, "unknown", k.String())
	}
	require.Equal(t, "unknown", TokenKind(9).String())
}
