package crypto

import (
	"fmt"
	"io"
)

// LabelPrefix stands before every label of the key schedule, so that no key of this protocol is also
// a key of another one.
const LabelPrefix = "godwit1 "

// Secret is a 32-byte secret of the key schedule, from which keys are expanded. Printing it shows no
// bytes.
type Secret [32]byte

// Zero wipes s.
func (s *Secret) Zero() { Zero(s[:]) }

// String returns a note that says no more than that it is a secret.
func (s Secret) String() string { return "secret(32 bytes)" }

// Format writes the same note as String for every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// ExpandLabel is HKDF-Expand-Label of RFC 8446 §7.1 over SHA-256, with the prefix of the label as an
// argument: LabelPrefix here, "tls13 " where the vectors of RFC 9001 drive the same code.
// The prefix with the label has at most 255 bytes, the context too, and n is at most 8,160; all three
// are constants of the caller, so that passing a limit is a bug and panics.
//
// spec: PROT-5
func ExpandLabel(prefix string, secret []byte, label string, context []byte, n int) []byte {
	out := make([]byte, n)
	expandLabel(out, prefix, secret, label, context)
	return out
}

// maxLabel is the longest label and the longest context in bytes: each has one octet of length.
const maxLabel = 255

// expandLabel is ExpandLabel into out. It allocates nothing.
func expandLabel(out []byte, prefix string, secret []byte, label string, context []byte) {
	if len(prefix)+len(label) > maxLabel || len(context) > maxLabel {
		panic("BUG: crypto: a label or context is longer than 255 bytes")
	}
	var room [4 + 2*maxLabel]byte
	info := append(room[:0], byte(len(out)>>8), byte(len(out)), byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	expand(out, secret, info)
}

// expandSecret is ExpandLabel to a Secret, under this protocol's prefix and with an empty context.
func expandSecret(secret *Secret, label string) (next Secret) {
	expandLabel(next[:], LabelPrefix, secret[:], label, nil)
	return next
}
