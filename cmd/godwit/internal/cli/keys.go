package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/godwit-net/godwit/crypto"
)

// maxKeyFile bounds what is read of a key file: a key is 64 characters, comments may stand around it.
const maxKeyFile = 64 << 10

// readKey reads the one key of a file with parse. Empty lines and lines that begin with # are
// comments. An error names the file, the line and the fix.
func readKey[K any](r io.Reader, name, command string, parse func(string) (K, error)) (key K, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return key, usagef("%s: %w", name, err)
	}
	if len(data) > maxKeyFile {
		return key, usagef("%s: larger than %d bytes, so not a key file: make one with '%s'", name, maxKeyFile, command)
	}
	found := 0
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, maxKeyFile+1)
	for line := 1; scanner.Scan(); line++ {
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		if found > 0 {
			return key, usagef("%s line %d: a second key after line %d: keep one", name, line, found)
		}
		if key, err = parse(string(text)); err != nil {
			return key, usagef("%s line %d: %w", name, line, err)
		}
		found = line
	}
	if err := scanner.Err(); err != nil {
		return key, usagef("%s: %w", name, err)
	}
	if found == 0 {
		return key, usagef("%s: no key in it: make one with '%s'", name, command)
	}
	return key, nil
}

// openKey reads the key of the file at path.
func openKey[K any](path, command string, parse func(string) (K, error)) (key K, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, usagef("%w: make the file with '%s > FILE'", err, command)
	}
	defer func() { _ = f.Close() }()
	return readKey(f, path, command, parse)
}

const (
	keygenCommand    = "godwit keygen"
	keygenPSKCommand = "godwit keygen --psk"
)

// openPrivateKey reads the private key file of --key.
func openPrivateKey(path string) (crypto.PrivateKey, error) {
	return openKey(path, keygenCommand, crypto.ParsePrivateKey)
}

// openPresharedKey reads the pre-shared key file of --psk.
func openPresharedKey(path string) (crypto.PresharedKey, error) {
	return openKey(path, keygenPSKCommand, crypto.ParsePresharedKey)
}

// printKey writes a secret. A new file on stdout becomes readable for its owner alone, whatever the
// umask.
func printKey(w io.Writer, text string) error {
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			if err := f.Chmod(0o600); err != nil {
				return fmt.Errorf("the key would be readable for others: %w: write to a file that you own", err)
			}
		}
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
