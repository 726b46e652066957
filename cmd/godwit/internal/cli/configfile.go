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
	path  string // empty: there is none
	data  []byte
	lines map[string]int  // of values, by their place in the file
	keys  map[string]bool // what the file sets and no flag overrides
	used  []string        // all files that were read, this one too
}

// readConfigFile reads a file into options, a pointer to a struct whose fields carry the names of the
// flags as toml tags. A flag that was given wins over the file. Unknown keys are errors.
func readConfigFile(path string, options any, flags *pflag.FlagSet) (*configFile, error) {
	c := &configFile{path: path, keys: make(map[string]bool)}
	if path == "" {
		return c, nil
	}
	c.used = append(c.used, path)
	var err error
	if c.data, err = readBounded(path, maxConfigFile); err != nil {
		return nil, usagef("--config: %w: name a TOML file", err)
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
	c.lines = configLines(c.data)
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
		return nil, usageError{err}
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, usageError{err}
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
		return usagef("%s line %d: unknown key %q: use %s", c.path, line, strings.Join(first.Key(), "."), tomlKeys(options, first.Key()))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		text := strings.TrimPrefix(bad.Error(), "toml: ")
		return usagef("%s line %d: %s: write keys as KEY = \"text\", lists as KEY = [\"text\", \"text\"]", c.path, line, text)
	}
	return usagef("%s: %w", c.path, err)
}

// tomlKeys lists the keys of the table that an unknown key stands in.
func tomlKeys(options reflect.Type, unknown []string) string {
	var keys []string
	for i := range options.NumField() {
		field := options.Field(i)
		name := field.Tag.Get("toml")
		if len(unknown) > 1 && name == unknown[0] && field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
			return tomlKeys(field.Type.Elem(), unknown[1:])
		}
		keys = append(keys, name)
	}
	return strings.Join(keys, ", ")
}

// where says where a value came from: the file and its line, or the flag. place is a key, or a place below it as in
// "allow[1]" or "client[0].key".
func (c *configFile) where(place string) string {
	key := place
	if i := strings.IndexAny(place, "[."); i >= 0 {
		key = place[:i]
	}
	if !c.keys[key] {
		return "--" + key
	}
	line, ok := c.lines[place]
	if !ok {
		line = max(c.lines[key], 1) // a list that is too long, a value of a table that is missing
	}
	return c.path + " line " + strconv.Itoa(line)
}

// file is the path of a file that is read, which is noted.
func (c *configFile) file(key, path string) string {
	path = c.relative(key, path)
	c.used = append(c.used, path)
	return path
}

// relative makes a path absolute that stands in the config file, where it is relative to that file.
func (c *configFile) relative(key, path string) string {
	if !c.keys[key] || path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}

// checkHostPort refuses a value that is missing or is no HOST:PORT.
func (c *configFile) checkHostPort(key, value, example string) error {
	err := checkHostPort(key, value, example)
	if err == nil || c.path == "" {
		return err
	}
	if value == "" {
		return usagef("%s: %s is missing: add %s = %q", c.path, key, key, example)
	}
	return usagef("%s: %q: write HOST:PORT such as %s", c.where(key), value, example)
}

// wrap makes a usage error of what is wrong with a configuration as a whole.
func (c *configFile) wrap(err error) error {
	if c.path == "" {
		return usageError{err}
	}
	return usagef("%s: %w", c.path, err)
}
