package crypto

// Sender protects the packets of one direction: it seals them, masks their headers, counts what each
// key has done, and moves to the next key. One caller at a time.
type Sender struct {
	suite  Suite
	phase  bool
	header HeaderKey
	key    *PacketKey
	next   Secret // secret of the next generation; the current one's is wiped

	packets, bytes uint64 // sealed under the current key
	numbers        numberGuard
}

// NewSender returns a sender that begins with generation 0 of a secret. The caller should wipe the
// secret afterwards.
func NewSender(suite Suite, secret *Secret) *Sender {
	return &Sender{
		suite:  suite,
		header: *NewHeaderKey(suite, secret),
		key:    NewPacketKey(suite, secret),
		next:   NextSecret(secret),
	}
}

// SealPacket protects the packet in buf and returns it with its tag: header (first octet, session ID,
// packet number of pnLen bytes at pnOff) and plaintext go in, the datagram comes out in the same
// memory, given a spare capacity of TagSize. The first octet must carry the key phase Phase and the
// length pnLen, packet number and plaintext must have at least 4 bytes together, pn must be above all
// earlier ones of the path, and the key must not be Exhausted. All of this is the caller's own doing
// and panics when it is wrong.
//
// spec: PROT-8 PROT-10 PROT-11
func (s *Sender) SealPacket(buf []byte, pnOff, pnLen int, path uint32, pn uint64) []byte {
	if len(buf) < pnOff+sampleOffset || pnLen > sampleOffset {
		panic("BUG: crypto: a packet to seal is too short")
	}
	return s.SealPacketFrom(buf[:pnOff+pnLen], buf[pnOff+pnLen:], pnOff, pnLen, path, pn)
}

// SealPacketFrom is SealPacket for plaintext that does not lie behind its header. What is encrypted lies there
// afterwards; the plaintext stays as it is.
//
// spec: PROT-8 PROT-10 PROT-11
func (s *Sender) SealPacketFrom(buf, plain []byte, pnOff, pnLen int, path uint32, pn uint64) []byte {
	if len(buf) != pnOff+pnLen || pnLen+len(plain) < sampleOffset || int(buf[0]&pnLenBits)+1 != pnLen || buf[0]&phaseBit != 0 != s.phase {
		panic("BUG: crypto: the header of a packet to seal is wrong")
	}
	if s.Exhausted() {
		panic("BUG: crypto: a packet to seal under an exhausted key") // spec: PROT-15
	}
	s.numbers.use(path, pn)
	buf = s.key.SealFrom(buf, plain, path, pn)
	s.packets++
	s.bytes += uint64(len(buf))
	s.header.apply(buf, pnOff, true)
	return buf
}

// Phase returns the key phase bit that the next packet must carry.
func (s *Sender) Phase() bool { return s.phase }

// Update moves to the next key generation and flips the phase. The caller sees to it that at most one
// update is unconfirmed.
//
// spec: PROT-12
func (s *Sender) Update() {
	s.key.Zero()
	s.key = NewPacketKey(s.suite, &s.next)
	following := NextSecret(&s.next)
	s.next.Zero()
	s.next = following
	s.phase = !s.phase
	s.packets, s.bytes = 0, 0
}

// Packets returns how many packets the current key has sealed.
func (s *Sender) Packets() uint64 { return s.packets }

// Bytes returns how many bytes of datagrams the current key has sealed.
func (s *Sender) Bytes() uint64 { return s.bytes }

// NeedsUpdate reports whether the current key has done enough work that a key update is due.
//
// spec: PROT-15
func (s *Sender) NeedsUpdate() bool { return s.packets >= UpdatePackets || s.bytes >= UpdateBytes }

// Exhausted reports whether the current key may not seal any more.
//
// spec: PROT-15
func (s *Sender) Exhausted() bool { return s.packets >= MaxKeyPackets || s.bytes >= MaxKeyBytes }

// Rest gives back the memory of the ciphers until the next packet is sealed.
func (s *Sender) Rest() {
	s.key.Rest()
	s.header.Rest()
}

// Doze gives back the cipher of headers, and keeps that of packets: the next few packets need no more.
func (s *Sender) Doze() { s.header.Doze() }

// Zero wipes what can be wiped. The sender cannot be used afterwards.
func (s *Sender) Zero() {
	s.key.Zero()
	s.header.Zero()
	s.next.Zero()
}

// guardedPaths is how many paths numberGuard remembers: two in use and as many being left.
const guardedPaths = 4

// numberGuard stops a packet number from being used twice, which would reuse a nonce and open both
// packets to whoever sees them. The core cannot do that by design; a mistake here would be the worst
// one possible, so it is watched where the nonce is made. It remembers the newest few paths.
type numberGuard struct {
	next   uint64 // one above the last number of the path used last; 0: none was used
	path   uint32 // the path used last
	others *[guardedPaths - 1]guardedPath
}

// guardedPath is a path that was used before; next is 0 if the entry is free.
type guardedPath struct {
	next uint64
	path uint32
}

// use notes a number and panics unless it is above all earlier ones of its path.
//
// spec: PROT-7
func (g *numberGuard) use(path uint32, pn uint64) {
	if g.path != path {
		g.change(path)
	}
	if pn < g.next {
		panic("BUG: crypto: a packet number would be used twice")
	}
	g.next = pn + 1
}

// change makes path the one used last. The one before it takes the place of the new one, or a free one, or
// else that of the lowest path ID, since IDs are opened in ascending order.
func (g *numberGuard) change(path uint32) {
	before := guardedPath{g.next, g.path}
	g.next, g.path = 0, path
	if before.next == 0 {
		return
	}
	if g.others == nil {
		g.others = new([guardedPaths - 1]guardedPath)
	}
	place := &g.others[0]
	for i := range g.others {
		o := &g.others[i]
		if o.next != 0 && o.path == path {
			g.next = o.next
			place = o
			break
		}
		if place.next != 0 && (o.next == 0 || o.path < place.path) {
			place = o
		}
	}
	if place.next == 0 || place.path == path || place.path < before.path {
		*place = before
	}
}
