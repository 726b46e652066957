//go:build !godwit_audit

package crypto

// auditID is empty in normal builds; see audit_on.go.
type auditID struct{}

func newAuditID([]byte) auditID { return auditID{} }

func (auditID) sealed(_ *[nonceSize]byte, _, _ []byte) {}

// ResetAudit does nothing in normal builds. Under the build tag godwit_audit it forgets the packets
// noted so far: a simulator calls it for every new world, since worlds of one seed share their keys.
func ResetAudit() {}
