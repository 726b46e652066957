package crypto

import (
	"encoding/binary"
	"sync"
)

// Receiver removes the protection of the packets of one direction. It follows the peer's key updates
// and keeps the previous key for packets that were reordered around one. One caller at a time.
//
// A packet that is not authentic costs the same whatever its phase bit says: it is tried under exactly one key, and the
// next key is made ready before the phase is looked at. Where that was given back, the first few packets are tried
// under the current key before it, whatever their phase.
type Receiver struct {
	suite    Suite
	header   HeaderKey
	keys     [3]*PacketKey // by currentKey, nextKey, previousKey
	secret   Secret        // of the next generation; those of the others are wiped
	phase    bool          // of the current generation
	quiet    uint8         // packets opened without a next key since the last rest
	starts   *startTable   // while there is a previous key
	failures uint64
}

// The generations of which a receiver holds keys.
const (
	currentKey  = 0
	nextKey     = 1 // made when a packet comes; nil after an update, and after Rest and Doze
	previousKey = 2 // nil before the first update and after DropPrevious
)

// quietPackets is how many packets in a row are opened without a next key, since few sessions that say no more need one.
const quietPackets = 16

// maxPacket is more than a UDP datagram can have.
const maxPacket = 1 << 16

// keptPackets holds room for a packet as it came.
var keptPackets = sync.Pool{New: func() any { return new([maxPacket]byte) }}

// NewReceiver returns a receiver that begins with generation 0 of a secret. The caller should wipe the
// secret afterwards.
func NewReceiver(suite Suite, secret *Secret) *Receiver {
	return &Receiver{
		suite:  suite,
		header: *NewHeaderKey(suite, secret),
		keys:   [3]*PacketKey{currentKey: NewPacketKey(suite, secret)},
		secret: NextSecret(secret),
	}
}

// Unmask removes the mask from the header of a datagram, in place, and returns what it hid: length
// and lowest bytes of the packet number, which begins at pnOff, and the key phase. Nothing of that is
// authentic before OpenPacket succeeds. The only error is ErrPacketTooShort; the datagram is then
// untouched.
//
// spec: PROT-10 PROT-11
func (r *Receiver) Unmask(buf []byte, pnOff int) (pnLen int, truncated uint32, phase bool, err error) {
	if len(buf) < pnOff+MinAfterPacketNumber {
		return 0, 0, false, ErrPacketTooShort
	}
	pnLen = r.header.apply(buf, pnOff, false)
	truncated = binary.BigEndian.Uint32(buf[pnOff:]) >> (8 * (4 - pnLen))
	return pnLen, truncated, buf[0]&phaseBit != 0, nil
}

// OpenPacket decrypts an unmasked packet where it lies and returns its plaintext within buf. updated
// says that this packet was the first of the peer's next key generation. On failure (ErrOpen, or
// ErrPacketTooShort) the payload is undefined, but the last 16 bytes are as they came, so that they
// can still be compared with stateless reset tokens.
//
// A packet with the phase of the current generation is opened with the current key. One with the
// other phase is opened with the previous key while that is kept and the packet comes before the
// first packet seen of the current generation on its path (or none was seen on that path), else with
// the next key. So a packet under the previous key whose number lies above the first of the new
// generation is refused, and nothing but a successful opening moves the keys.
//
// spec: PROT-13 PROT-14
func (r *Receiver) OpenPacket(buf []byte, pnOff, pnLen int, phase bool, path uint32, pn uint64) (plain []byte, updated bool, err error) {
	return r.OpenPacketInto(nil, buf, pnOff, pnLen, phase, path, pn)
}

// OpenPacketInto is OpenPacket with the plaintext in dst, which is as long and lies elsewhere; what buf holds then stays
// as it is. If dst is nil, or after a rest, the plaintext lies within buf all the same. On failure dst is undefined.
//
// spec: PROT-13 PROT-14
func (r *Receiver) OpenPacketInto(dst, buf []byte, pnOff, pnLen int, phase bool, path uint32, pn uint64) (plain []byte, updated bool, err error) {
	if r.Resting() {
		if plain, ok := r.openQuiet(buf, pnOff+pnLen, phase, path, pn); ok {
			return plain, false, nil
		}
		r.wake()
	}
	which := r.which(phase, path, pn)
	plain, err = r.keys[which].OpenInto(dst, buf, pnOff+pnLen, path, pn)
	if err != nil {
		r.failures++ // spec: PROT-16
		return nil, false, err
	}
	switch {
	case which == nextKey:
		r.commit(path, pn)
		return plain, true, nil
	case which == currentKey && r.keys[previousKey] != nil:
		r.starts.note(path, pn)
	}
	return plain, false, nil
}

// openQuiet opens one of the first packets after a rest under the current key while there is no next one, which costs an
// idle session no key for each packet that keeps it alive. A packet that does not open that way goes the usual way after
// it, so that its time tells no more than there.
//
// spec: PROT-14
func (r *Receiver) openQuiet(buf []byte, hdrLen int, phase bool, path uint32, pn uint64) (plain []byte, ok bool) {
	if r.quiet == quietPackets || r.keys[previousKey] != nil || len(buf) > maxPacket {
		return nil, false
	}
	r.quiet++
	kept := keptPackets.Get().(*[maxPacket]byte)
	defer keptPackets.Put(kept)
	n := copy(kept[:], buf) // opening wipes what is not authentic
	plain, err := r.keys[currentKey].Open(buf, hdrLen, path, pn)
	if err != nil || phase != r.phase {
		copy(buf, kept[:n])
		return nil, false
	}
	return plain, true
}

// wake makes ready every key that a packet may be tried under, before anything of the packet is looked at.
func (r *Receiver) wake() {
	r.keys[nextKey] = NewPacketKey(r.suite, &r.secret) // spec: PROT-14
	for _, k := range r.keys {
		if k != nil {
			k.ready()
		}
	}
}

// which returns the one key under which a packet is tried. The phase of a forged packet takes no branch
// here: with one, a million openings told the two phases apart by half a nanosecond.
//
// spec: PROT-13 PROT-14
func (r *Receiver) which(phase bool, path uint32, pn uint64) int {
	other := bit(phase != r.phase)
	before := bit(r.keys[previousKey] != nil && r.starts.isBefore(path, pn))
	return other << (other & before)
}

// bit is 1 for true; the compiler makes no branch of it.
func bit(b bool) (n int) {
	if b {
		n = 1
	}
	return n
}

// commit makes the next generation the current one. A previous key that is still there goes.
//
// spec: PROT-12 PROT-13
func (r *Receiver) commit(path uint32, pn uint64) {
	r.DropPrevious()
	r.keys = [3]*PacketKey{currentKey: r.keys[nextKey], previousKey: r.keys[currentKey]}
	following := NextSecret(&r.secret)
	r.secret.Zero()
	r.secret = following
	r.phase = !r.phase
	r.starts = new(startTable)
	r.starts.note(path, pn)
}

// DropPrevious forgets the key of the previous generation, after which its packets no longer open.
// Call it three probe timeouts after an update.
func (r *Receiver) DropPrevious() {
	r.drop(previousKey)
	r.starts = nil
}

// Rest gives memory back while the session is idle: the key made ready for the next generation, and the
// ciphers. The next packet of any kind makes all of them again (about 4 µs), whatever its phase and whether
// it is authentic.
func (r *Receiver) Rest() {
	r.Doze()
	for _, k := range r.keys {
		if k != nil {
			k.Rest()
		}
	}
	r.header.Rest()
}

// Doze gives back the key made ready for the next generation and the cipher of headers, and keeps that of packets. The next
// few packets that are authentic need no more.
func (r *Receiver) Doze() {
	r.drop(nextKey)
	r.quiet = 0
	r.header.Doze()
}

// Resting reports whether no key is ready for the next generation.
func (r *Receiver) Resting() bool { return r.keys[nextKey] == nil }

func (r *Receiver) drop(which int) {
	if r.keys[which] != nil {
		r.keys[which].Zero()
		r.keys[which] = nil
	}
}

// Failures returns how many packets failed to open in the life of the session, all keys together. The
// session must be closed when it reaches MaxAuthFailures.
//
// spec: PROT-16
func (r *Receiver) Failures() uint64 { return r.failures }

// Zero wipes what can be wiped. The receiver cannot be used afterwards.
func (r *Receiver) Zero() {
	r.DropPrevious()
	r.drop(nextKey)
	r.drop(currentKey)
	r.header.Zero()
	r.secret.Zero()
}

// startTable holds, for the newest few paths, the lowest packet number that opened under the current
// generation. It is in use only while the previous key is kept.
type startTable struct {
	path   [guardedPaths]uint32
	lowest [guardedPaths]uint64
	used   int // entries; never more than guardedPaths
}

// note takes in a number that opened under the current key. When the table is full a further path is
// not noted: its packets of the other phase then count as reordered ones until DropPrevious.
func (t *startTable) note(path uint32, pn uint64) {
	for i := range t.used {
		if t.path[i] == path {
			t.lowest[i] = min(t.lowest[i], pn)
			return
		}
	}
	if t.used < guardedPaths {
		t.path[t.used], t.lowest[t.used] = path, pn
		t.used++
	}
}

// isBefore reports whether a number lies before the first one of the current generation on its path.
func (t *startTable) isBefore(path uint32, pn uint64) bool {
	for i := range t.used {
		if t.path[i] == path {
			return pn < t.lowest[i]
		}
	}
	return true
}
