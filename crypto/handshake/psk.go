package handshake

import "github.com/godwit-net/godwit/crypto"

// PSK is a pre-shared key made ready for a server: with its ID and with the
// group key that stands in for a pinned one.
type PSK struct {
	bytes     [keySize]byte
	id        [8]byte
	group     static
	groupMAC1 [keySize]byte // of clients that know the group key only
}

// NewPSK makes a pre-shared key ready. It costs one X25519 operation, so
// servers do it when they start. It returns nil for the zero key, which is no
// key and matches nothing.
func NewPSK(key crypto.PresharedKey) *PSK {
	if key.IsZero() {
		return nil
	}
	p := &PSK{bytes: key.Bytes(), id: key.ID(), group: newStatic(key.GroupKey())}
	p.groupMAC1 = mac1Key(&p.group.public, p.bytes[:])
	return p
}

// ID is the name of the key on the wire.
func (p *PSK) ID() [8]byte { return p.id }

// LookupOne is a lookup for servers with a single pre-shared key.
func LookupOne(p *PSK) func(id [8]byte) *PSK {
	return func(id [8]byte) *PSK {
		if p == nil || id != p.id {
			return nil
		}
		return p
	}
}

// static is a key that a server answers to, with what is drawn from it once.
type static struct {
	private crypto.PrivateKey
	public  [keySize]byte
	mac1    [keySize]byte // of clients without a pre-shared key
	retry   [keySize]byte
}

func newStatic(private crypto.PrivateKey) static {
	public := private.Public().Bytes()
	return static{
		private: private,
		public:  public,
		mac1:    mac1Key(&public, nil),
		retry:   retryKey(&public),
	}
}
