// Package vectors holds the golden bytes of the specification: packets,
// handshakes, key schedules. Implementations in any language may read the JSON
// files; Go programs may import this package.
//
// Each file is an object with a note that says what it is, and lists. Byte
// strings are lower-case hexadecimal. The files are made by the tests of the
// packages that implement the chapters, run with -update, and checked by the
// same tests without it. They change only together with their chapter.
package vectors

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Files are the vector files, by their names.
//
//go:embed *.json
var Files embed.FS

// Load reads a file, such as "handshake.json", into v. Fields that v does not
// have are an error, so that nothing in a file goes unread.
func Load(name string, v any) error {
	b, err := Files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("vectors: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("vectors: %s: %w", name, err)
	}
	return nil
}

// Encode gives the bytes of a vector file: indented, with a newline at the end.
func Encode(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	return append(b, '\n'), nil
}

// Hex is a byte string that JSON holds in hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("vectors: %w", err)
	}
	*h = b
	return nil
}
