package main

import (
	"errors"
	"fmt"
	"strings"
)

// mutation is one change that breaks one requirement.
type mutation struct {
	requirement string
	file        string // from the top of the repository
	old, new    string // old occurs once in the file
}

// parseList reads a list of changes. Each has a line "REQUIREMENT FILE", lines of old text that begin
// with "- ", and lines of new text that begin with "+ ". Empty lines and lines that begin with "#" may
// stand between changes. Without new text the old is taken out.
func parseList(text string) ([]mutation, error) {
	var all []mutation
	var before, after []string
	end := func() error {
		if len(all) == 0 {
			return nil
		}
		if len(before) == 0 {
			return fmt.Errorf("%s has no old text", all[len(all)-1].requirement)
		}
		m := &all[len(all)-1]
		m.old, m.new = strings.Join(before, "\n"), strings.Join(after, "\n")
		before, after = nil, nil
		return nil
	}
	for i, l := range strings.Split(text, "\n") {
		fields := strings.Fields(l)
		switch {
		case strings.HasPrefix(l, "- ") && len(all) > 0:
			before = append(before, l[2:])
		case strings.HasPrefix(l, "+ ") && len(all) > 0:
			after = append(after, l[2:])
		case len(fields) == 0 || fields[0] == "#":
		case len(fields) == 2:
			if err := end(); err != nil {
				return nil, err
			}
			all = append(all, mutation{requirement: fields[0], file: fields[1]})
		default:
			return nil, fmt.Errorf("line %d: want a requirement and a file, or a line that begins with \"- \" or \"+ \"", i+1)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no change in it")
	}
	return all, end()
}

// apply makes the change in the text of its file.
func (m mutation) apply(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("the old text occurs %d times: the code has changed, bring the list up to date:\n%s", n, m.old)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}
