package cli

import (
	"bufio"
	"bytes"
	"strings"
)

const (
	// maxSOCKSUserFile bounds what is read of a file of SOCKS users: thousands of users fit.
	maxSOCKSUserFile = 1 << 20
	// maxSOCKSField is the longest name or password that the protocol carries (RFC 1929).
	maxSOCKSField = 255
)

// readSOCKSUsers reads one NAME:PASSWORD a line. Empty lines and lines that begin with # are comments.
func readSOCKSUsers(path string) (map[string]string, error) {
	data, err := readBounded(path, maxSOCKSUserFile)
	if err != nil {
		return nil, err
	}
	users := make(map[string]string)
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxSOCKSUserFile+1)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSuffix(lines.Text(), "\r")
		if text == "" || text[0] == '#' {
			continue
		}
		name, password, ok := strings.Cut(text, ":")
		switch {
		case !ok || name == "" || password == "":
			return nil, usagef("%s line %d: write NAME:PASSWORD", path, number)
		case len(name) > maxSOCKSField || len(password) > maxSOCKSField:
			return nil, usagef("%s line %d: a name or a password is longer than %d bytes", path, number, maxSOCKSField)
		}
		if _, twice := users[name]; twice {
			return nil, usagef("%s line %d: a second password of %q: keep one", path, number, name)
		}
		users[name] = password
	}
	if err := lines.Err(); err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	if len(users) == 0 {
		return nil, usagef("%s: holds no user; write NAME:PASSWORD, one a line", path)
	}
	return users, nil
}
