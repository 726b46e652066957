package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// Authorized is the list of client keys that a server takes, with the name of each.
// It is read-only and safe for concurrent use.
type Authorized struct {
	names map[crypto.PublicKey]string
}

// ReadAuthorized reads an authorized file. Errors begin with the file and the line.
func ReadAuthorized(path string) (*Authorized, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseAuthorized(path, f)
}

// ParseAuthorized reads one client a line: a public key (gwpub1…), then optionally a name, then
// anything as a comment. Empty lines and lines that begin with # are skipped. The name is only for
// logs; without one the key stands for it. file is the name that errors begin with.
func ParseAuthorized(file string, r io.Reader) (*Authorized, error) {
	a := &Authorized{names: make(map[crypto.PublicKey]string)}
	lines := bufio.NewScanner(r)
	number := 0
	for lines.Scan() {
		number++
		if err := a.addLine(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", file, number, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s line %d: the line is too long; write one key a line", file, number+1)
	}
	if lines.Err() != nil {
		return nil, fmt.Errorf("%s: %w", file, lines.Err())
	}
	if len(a.names) == 0 {
		return nil, fmt.Errorf("%s: holds no key; write one gwpub1… a line (godwit pubkey prints them)", file)
	}
	return a, nil
}

func (a *Authorized) addLine(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	key, err := crypto.ParsePublicKey(fields[0])
	if err != nil {
		return fmt.Errorf("%w; write one gwpub1… a line (godwit pubkey prints it)", err)
	}
	if _, twice := a.names[key]; twice {
		return errors.New("this key stands in the file twice; delete one of the lines")
	}
	if len(a.names) == maxAuthorized {
		return fmt.Errorf("more than %d keys", maxAuthorized)
	}
	name := ""
	if len(fields) > 1 && !strings.HasPrefix(fields[1], "#") {
		name = fields[1]
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("the name has characters that cannot be printed")
	}
	a.names[key] = name
	return nil
}

// Name returns the name of a key, or the key itself when its line has none, and whether the key is
// in the list at all. The zero key, which stands for an anonymous client, never is.
func (a *Authorized) Name(key crypto.PublicKey) (string, bool) {
	if key.IsZero() {
		return "", false
	}
	name, ok := a.names[key]
	if ok && name == "" {
		name = key.String()
	}
	return name, ok
}

// Authorize admits the clients in the list and turns others away with the code NOT_AUTHORIZED of
// tunnels. It is made for conn.Config.Authorize.
func (a *Authorized) Authorize(peer conn.PeerInfo) error { // spec: TUN-21
	if _, ok := a.Name(peer.PublicKey); ok {
		return nil
	}
	return conn.Refuse(closeNotAuthorized, "this key is not authorized")
}

// Len is the number of keys.
func (a *Authorized) Len() int { return len(a.names) }
