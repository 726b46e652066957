//go:build godwit_audit

package crypto

import (
	"crypto/sha256"
	"sync"
)

// With the build tag godwit_audit every sealed packet of the process is written down as (key, nonce),
// and a pair that comes back with another content panics. The same content is let through, because
// two runs of one simulator seed in one process make the very same packets. Tests only: memory grows
// by about 100 bytes a packet, up to the bound below, after which a new pair is no longer noted; so tests
// that measure the heap fail under this tag.

// maxAudited bounds the memory of the audit to some 400 MB.
const maxAudited = 4 << 20

// auditing is turned off by the tests of this package, which reuse keys and numbers on purpose.
var auditing = true

type auditID struct{ key [16]byte }

type auditEntry struct {
	key   [16]byte
	nonce [nonceSize]byte
}

var audited = struct {
	sync.Mutex
	content map[auditEntry][16]byte
}{content: make(map[auditEntry][16]byte)}

func newAuditID(key []byte) (id auditID) {
	sum := sha256.Sum256(key)
	copy(id.key[:], sum[:])
	return id
}

func (id auditID) sealed(nonce *[nonceSize]byte, header, plain []byte) {
	if !auditing {
		return
	}
	sum := sha256.Sum256(append(append([]byte(nil), header...), plain...))
	entry, content := auditEntry{id.key, *nonce}, [16]byte(sum[:16])
	audited.Lock()
	defer audited.Unlock()
	before, known := audited.content[entry]
	if known && before != content { // not secret: a hash of test traffic
		panic("BUG: crypto: a nonce was used twice under one key")
	}
	if !known && len(audited.content) < maxAudited {
		audited.content[entry] = content
	}
}

// ResetAudit forgets the packets noted so far: a simulator calls it for every new world, since worlds of
// one seed share their keys.
func ResetAudit() {
	audited.Lock()
	defer audited.Unlock()
	clear(audited.content)
}
