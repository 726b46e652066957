package tunnel

import (
	"fmt"
	"strings"
)

// maxOptionsText is for people who wrote something else: an option list of one client that is longer than this is
// cut in the error.
const maxOptionsText = 40

// readOptions reads the options before the key of a line and returns what follows them.
func (c *AuthorizedClient) readOptions(line string) (rest string, err error) {
	var allow, listen []string
	restrict := false
	for rest = line; ; {
		name, value, quoted, after, err := cutOption(rest)
		switch {
		case err != nil:
			return "", err
		case name == "restrict" && !quoted:
			restrict = true
		case name == "allow" && quoted:
			allow = append(allow, value)
		case name == "allow-listen" && quoted:
			listen = append(listen, value)
		default:
			return "", fmt.Errorf(`%.*q is no key and no option; write one gwpub1… a line, before it allow="RULE", allow-listen="RULE" or restrict`, maxOptionsText, name)
		}
		next, more := strings.CutPrefix(after, ",")
		if rest = next; !more {
			break
		}
	}
	if c.Allow, err = ownRules(allow, restrict, ParseRules); err != nil {
		return "", fmt.Errorf("allow: %w", err)
	}
	if c.AllowListen, err = ownRules(listen, restrict, ParseListenRules); err != nil {
		return "", fmt.Errorf("allow-listen: %w", err)
	}
	return rest, nil
}

// ownRules parses the rules of one client: nil without any, unless it is restricted to what it has.
func ownRules(list []string, restrict bool, parse func([]string) (Rules, error)) (Rules, error) {
	if len(list) == 0 && !restrict {
		return nil, nil
	}
	rules, err := parse(list)
	if err == nil && rules == nil {
		rules = Rules{}
	}
	return rules, err
}

// cutOption cuts name or name="value" off the beginning of s. A value has no quotation mark in it, since no rule has.
func cutOption(s string) (name, value string, quoted bool, rest string, err error) {
	end := strings.IndexAny(s, ",= \t")
	if end < 0 {
		return s, "", false, "", nil
	}
	name, rest = s[:end], s[end:]
	if rest[0] != '=' {
		return name, "", false, rest, nil
	}
	opened, ok := strings.CutPrefix(rest, `="`)
	if !ok {
		return "", "", false, "", fmt.Errorf(`%s= lacks the quotation marks; write %s="…"`, name, name)
	}
	value, rest, ok = strings.Cut(opened, `"`)
	if !ok {
		return "", "", false, "", fmt.Errorf(`%s=" lacks the closing quotation mark`, name)
	}
	return name, value, true, rest, nil
}
