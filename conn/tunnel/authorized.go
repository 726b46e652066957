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

// AuthorizedClient is one client that a server takes.
type AuthorizedClient struct {
	Key  crypto.PublicKey
	Name string // for logs and statistics; empty: the key stands for it
	// Allow and AllowListen, where they are not nil, take the place of the server's rules of the same name for
	// this client. An empty list that is not nil allows nothing.
	Allow, AllowListen Rules
}

// Authorized is the list of clients that a server takes, by their keys. It is safe for concurrent use once it is
// filled. A nil list has no clients.
type Authorized struct {
	clients map[crypto.PublicKey]AuthorizedClient
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

// ParseAuthorized reads one client a line: a public key (gwpub1…), then optionally a name, then anything as a
// comment. Empty lines and lines that begin with # are skipped. The name is only for logs and statistics; without
// one the key stands for it. file is the name that errors begin with.
//
// Options for one client may stand before its key, separated by commas, as in the authorized_keys of OpenSSH:
// allow="RULE" and allow-listen="RULE", each as often as needed, take the place of the server's rules of that
// kind, and restrict takes both kinds away unless options give them back.
func ParseAuthorized(file string, r io.Reader) (*Authorized, error) {
	a := new(Authorized)
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
	if len(a.clients) == 0 {
		return nil, fmt.Errorf("%s: holds no key; write one gwpub1… a line (godwit pubkey prints them)", file)
	}
	return a, nil
}

func (a *Authorized) addLine(line string) error {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	var c AuthorizedClient
	if !strings.HasPrefix(line, keyPrefix) {
		var err error
		if line, err = c.readOptions(line); err != nil {
			return err
		}
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return errors.New("no key behind the options; write one gwpub1… a line (godwit pubkey prints it)")
	}
	var err error
	if c.Key, err = crypto.ParsePublicKey(fields[0]); err != nil {
		return fmt.Errorf("%w; write one gwpub1… a line (godwit pubkey prints it)", err)
	}
	if len(fields) > 1 && !strings.HasPrefix(fields[1], "#") {
		c.Name = fields[1]
	}
	return a.Add(c)
}

// keyPrefix begins the text of every public key.
const keyPrefix = "gwpub1"

// Add adds a client. It fails when the key is in the list already, or the name cannot be printed in a log.
func (a *Authorized) Add(c AuthorizedClient) error {
	if _, twice := a.clients[c.Key]; twice {
		return errors.New("this key stands in the list twice; delete one of the two")
	}
	if len(a.clients) == maxAuthorized {
		return fmt.Errorf("more than %d keys", maxAuthorized)
	}
	if strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("the name has characters that cannot be printed")
	}
	if a.clients == nil {
		a.clients = make(map[crypto.PublicKey]AuthorizedClient)
	}
	a.clients[c.Key] = c
	return nil
}

// Name returns the name of a key, or the key itself when it has none, and whether the key is in the list at all.
// The zero key, which stands for an anonymous client, never is.
func (a *Authorized) Name(key crypto.PublicKey) (string, bool) {
	if a == nil || key.IsZero() {
		return "", false
	}
	c, ok := a.clients[key]
	if ok && c.Name == "" {
		c.Name = key.String()
	}
	return c.Name, ok
}

// rights returns what the owner of a key may do, who has the rights of everybody where it has none of its own.
func (a *Authorized) rights(key crypto.PublicKey, everybody Rights) Rights { // spec: TUN-61
	if a == nil || key.IsZero() {
		return everybody
	}
	own := a.clients[key]
	if own.Allow != nil {
		everybody.Allow = own.Allow
	}
	if own.AllowListen != nil {
		everybody.Listen = own.AllowListen
	}
	return everybody
}

// hasRules tells whether any client has rules of its own that allow something.
func (a *Authorized) hasRules() bool {
	if a == nil {
		return false
	}
	for _, c := range a.clients {
		if len(c.Allow) > 0 || len(c.AllowListen) > 0 {
			return true
		}
	}
	return false
}

// Authorize admits the clients in the list and turns others away with the code NOT_AUTHORIZED of tunnels. It is made
// for conn.Config.Authorize.
func (a *Authorized) Authorize(peer conn.PeerInfo) error {
	if _, ok := a.Name(peer.PublicKey); ok { // spec: TUN-21
		return nil
	}
	return errNotAuthorized
}

// Len is the number of clients.
func (a *Authorized) Len() int { return len(a.clients) }
