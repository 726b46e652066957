package sim

import (
	"fmt"
	"strings"
)

// maxLinkText bounds the text that ParseLink looks at: every key once with room to spare, and a script.
const maxLinkText = 1024 + maxScript

// ParseLink reads the link language: a named link, key=value pairs, or a name and then pairs that
// change it, separated by commas.
//
//	loss5
//	dsl,loss=1%,queue=4bdp
//	delay=25ms,loss=5%,rate=50mbit,jitter=2ms,dup=1%,reorder=1%,corrupt=0.1%,mtu=1400,seed=7
//
// [Profiles] lists the names and [LinkKeys] the keys. The empty text is a link that does nothing. An
// error is one line that says what to write. [Config.String] is the inverse.
func ParseLink(text string) (Config, error) {
	if len(text) > maxLinkText {
		return Config{}, fmt.Errorf("link description of %d characters: at most %d are read", len(text), maxLinkText)
	}
	c, err := parseLink(text)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return Config{}, fmt.Errorf("link %q: %w", text, err)
	}
	return c, nil
}

func parseLink(text string) (Config, error) {
	var c Config
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	seen := make(map[string]bool)
	for i, part := range strings.Split(text, ",") {
		name, value, pair := strings.Cut(strings.TrimSpace(part), "=")
		name = strings.ToLower(name)
		switch {
		case pair && seen[name]:
			return c, fmt.Errorf("%s is given twice: keep one", name)
		case pair:
			seen[name] = true
			if err := c.Set(name, value); err != nil {
				return c, err
			}
		case i > 0:
			return c, fmt.Errorf("%q needs a value, such as loss=5%%; a named link comes first", part)
		default:
			profile, ok := Profile(name)
			if !ok {
				return c, fmt.Errorf("no link is named %q: use one of %s, or pairs such as delay=25ms,loss=5%%",
					part, strings.Join(Profiles(), " "))
			}
			c = profile
		}
	}
	return c, nil
}

// Set changes one key of the link language, as if key=value stood in the text. It does not check how
// the keys fit together: call Validate after the last.
func (c *Config) Set(key, value string) error {
	k := findKey(key)
	if k == nil {
		names := make([]string, len(linkKeys))
		for i := range linkKeys {
			names[i] = linkKeys[i].name
		}
		return fmt.Errorf("unknown key %q: use one of %s", key, strings.Join(names, " "))
	}
	if !k.set(c, strings.TrimSpace(value)) {
		return fmt.Errorf("%s: write %s such as %s=%s, not %q", key, k.wants, k.name, k.example, value)
	}
	return nil
}

// String returns the link in the language of ParseLink: the name it began with and what differs from
// it. ParseLink of it gives the same Config. A CustomTrace has no text and is left out.
func (c Config) String() string {
	base, named := Profile(c.Name)
	var parts []string
	if named {
		parts = append(parts, c.Name)
	}
	for i := range linkKeys {
		k := &linkKeys[i]
		if v := k.get(&c); v != k.get(&base) {
			parts = append(parts, k.name+"="+v)
		}
	}
	if len(parts) == 0 {
		return "delay=0s"
	}
	return strings.Join(parts, ",")
}

// LinkKey describes one key of the link language.
type LinkKey struct {
	Name    string // "delay"
	Example string // "25ms"
	Help    string // what it does, one line
}

// LinkKeys returns all keys of the link language, for help texts and command line flags.
func LinkKeys() []LinkKey {
	keys := make([]LinkKey, len(linkKeys))
	for i, k := range linkKeys {
		keys[i] = LinkKey{Name: k.name, Example: k.example, Help: k.help}
	}
	return keys
}

func findKey(name string) *linkKey {
	for i := range linkKeys {
		if linkKeys[i].name == name {
			return &linkKeys[i]
		}
	}
	return nil
}

// check reports a value that the language could not have said: a negative one, or one out of range.
func (k *linkKey) check(c *Config) error {
	scratch := *c
	if k.set(&scratch, k.get(c)) && k.get(&scratch) == k.get(c) {
		return nil
	}
	return fmt.Errorf("%s: write %s such as %s=%s, not %q", k.name, k.wants, k.name, k.example, k.get(c))
}
