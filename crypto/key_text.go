package crypto

import (
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length in bytes of every key that has a text form.
const KeySize = 32

// The prefixes of the text forms, without the separator.
const (
	privateKeyPrefix   = "gwkey"
	publicKeyPrefix    = "gwpub"
	presharedKeyPrefix = "gwpsk"
)

// keyTextLen is the exact length of a key's text: prefix, separator, 256 bits in 52 characters,
// checksum.
const keyTextLen = len(privateKeyPrefix) + 1 + (KeySize*8+4)/5 + bech32ChecksumLen

var errZeroKey = errors.New("all bytes are zero, which stands for no key")

// keyKind returns what a prefix names, or "" for a prefix that is not ours.
func keyKind(prefix string) string {
	switch prefix {
	case privateKeyPrefix:
		return "private key"
	case publicKeyPrefix:
		return "public key"
	case presharedKeyPrefix:
		return "pre-shared key"
	}
	return ""
}

// parseKeyText reads the text of the kind of key that prefix names. White space around the text is
// ignored, because key files end in a newline.
//
// spec: PROT-1
func parseKeyText(prefix, text string) (key [KeySize]byte, err error) {
	want := fmt.Sprintf("a %s (%s1…)", keyKind(prefix), prefix)
	text = strings.TrimSpace(text)
	got, data, err := bech32Decode(text)
	if got != prefix && keyKind(got) != "" {
		return key, fmt.Errorf("this is a %s (%s1…), %s is needed", keyKind(got), got, want)
	}
	if err != nil {
		return key, fmt.Errorf("%s is needed: %w", want, err)
	}
	if got != prefix || len(text) != keyTextLen || len(data) != KeySize {
		return key, fmt.Errorf("%s is needed: this text is something else", want)
	}
	copy(key[:], data)
	clear(data)
	if isZero(&key) {
		return key, fmt.Errorf("%s is needed: %w", want, errZeroKey)
	}
	return key, nil
}
