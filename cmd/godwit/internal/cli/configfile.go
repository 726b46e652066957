package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

// maxConfigFile bounds what is read of a config file.
const maxConfigFile = 1 << 20

// configFile is a TOML file whose keys are the names of a command's flags.
type configFile struct {
	path string // empty: there is none
	data []byte
	keys map[string]bool // what the file sets and no flag overrides
}

// readConfigFile reads a file into options, a pointer to a struct whose fields carry the names of the
// flags as toml tags. A flag that was given wins over the file. Unknown keys are errors.
func readConfigFile(path string, options any, flags *pflag.FlagSet) (*configFile, error) {
	c := &configFile{path: path, keys: make(map[string]bool)}
	if path == "" {
		return c, nil
	}
	var err error
	if c.data, err = readBounded(path, maxConfigFile); err != nil {
		return nil, err
	}
	given := reflect.ValueOf(options).Elem()
	fromFile := reflect.New(given.Type())
	fromFile.Elem().Set(given)
	decoder := toml.NewDecoder(bytes.NewReader(c.data)).DisallowUnknownFields()
	if err := decoder.Decode(fromFile.Interface()); err != nil {
		return nil, c.decodeError(err, given.Type())
	}
	var present map[string]any
	if err := toml.Unmarshal(c.data, &present); err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	for i := range given.NumField() {
		key := given.Type().Field(i).Tag.Get("toml")
		if _, ok := present[key]; ok && !flags.Changed(key) {
			c.keys[key] = true
			given.Field(i).Set(fromFile.Elem().Field(i))
		}
	}
	return c, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("--config: %w: name a TOML file", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, usagef("--config: %w: name a TOML file", err)
	}
	if int64(len(data)) > limit {
		return nil, usagef("%s: larger than %d bytes, so not a config file", path, limit)
	}
	return data, nil
}

// decodeError says in one line where a file is wrong and what it may hold.
func (c *configFile) decodeError(err error, options reflect.Type) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return usagef("%s line %d: unknown key %q: use %s", c.path, line, strings.Join(first.Key(), "."), tomlKeys(options))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		text := strings.TrimPrefix(bad.Error(), "toml: ")
		return usagef("%s line %d: %s: write keys as KEY = \"text\", lists as KEY = [\"text\", \"text\"]", c.path, line, text)
	}
	return usagef("%s: %w", c.path, err)
}

func tomlKeys(options reflect.Type) string {
	var keys []string
	for i := range options.NumField() {
		keys = append(keys, options.Field(i).Tag.Get("toml"))
	}
	return strings.Join(keys, ", ")
}

// where says where the value of a key came from: the file and its line, or the flag.
func (c *configFile) where(key, value string) string {
	if !c.keys[key] {
		return "--" + key
	}
	return c.path + " line " + strconv.Itoa(c.line(key, value))
}

// line finds the line of a value: where the value stands behind its key, else where the key does.
func (c *configFile) line(key, value string) int {
	keyLine := 0
	for i, text := range strings.Split(string(c.data), "\n") {
		name, _, isPair := strings.Cut(text, "=")
		if keyLine == 0 && isPair && strings.Trim(strings.TrimSpace(name), `"'`) == key {
			keyLine = i + 1
		}
		if keyLine > 0 && value != "" && (strings.Contains(text, `"`+value+`"`) || strings.Contains(text, "'"+value+"'")) {
			return i + 1
		}
	}
	return max(keyLine, 1)
}

// file makes a path absolute that stands in the config file, where it is relative to that file.
func (c *configFile) file(key, path string) string {
	if !c.keys[key] || path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}
