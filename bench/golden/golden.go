// Package golden keeps tables of figures in files and shows what moved.
//
// A table is lines of text. Those that begin with # are headings and say where the table comes from; all others
// begin with a name, padded to one width, that no other line has.
//
// What it does not know: what the figures mean. Who calls it: bench/congestion and bench/realtime.
package golden

import (
	"os"
	"path/filepath"
	"strings"
)

// Table is a file with a table.
type Table struct {
	File string
	// NameWidth is the width of the first column, in bytes.
	NameWidth int
}

// Write puts a table into the file, which is made, with its folder, if there is none. A note stands at its head.
func (t Table) Write(note, table string) error {
	if err := os.MkdirAll(filepath.Dir(t.File), 0o755); err != nil {
		return err
	}
	if note != "" {
		table = "# " + note + "\n" + table
	}
	return os.WriteFile(t.File, []byte(table), 0o644)
}

// Compare returns the rows that are not the same in the file and in a table, with - and + before them. Unless
// all rows were played, those that the table lacks do not count. Headings never do.
func (t Table) Compare(table string, all bool) ([]string, error) {
	text, err := os.ReadFile(t.File)
	if err != nil {
		return nil, err
	}
	return t.diff(string(text), table, all), nil
}

// rows returns the lines of a table by what stands in their first column.
func (t Table) rows(table string) (names []string, lines map[string]string) {
	lines = make(map[string]string)
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSuffix(line, "\n")
		name := line[:min(t.NameWidth, len(line))]
		names, lines[name] = append(names, name), line
	}
	return names, lines
}

func (t Table) diff(old, now string, all bool) []string {
	names, before := t.rows(old)
	played, after := t.rows(now)
	var list []string
	for _, name := range names {
		line, ok := after[name]
		switch {
		case !ok && all:
			list = append(list, "- "+before[name])
		case ok && line != before[name]:
			list = append(list, "- "+before[name], "+ "+line)
		}
	}
	for _, name := range played {
		if _, ok := before[name]; !ok {
			list = append(list, "+ "+after[name])
		}
	}
	return list
}
