package cli

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// configLines finds the line of every value of a TOML file: by its key, "allow", by its place in a list, "allow[1]",
// and in a table of a list, "client[0].key". data has no syntax errors.
func configLines(data []byte) map[string]int {
	lines := make(map[string]int)
	tables := make(map[string]int) // how many tables a list has so far
	prefix := ""
	var p unstable.Parser
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			addLines(lines, &p, prefix, e)
		case unstable.Table:
			name, line := keyOf(&p, e)
			lines[name], prefix = line, name+"."
		case unstable.ArrayTable:
			name, line := keyOf(&p, e)
			name, tables[name] = fmt.Sprintf("%s[%d]", name, tables[name]), tables[name]+1
			lines[name], prefix = line, name+"."
		}
	}
	return lines
}

// addLines adds a key with its value, and what the value has inside.
func addLines(lines map[string]int, p *unstable.Parser, prefix string, pair *unstable.Node) {
	name, line := keyOf(p, pair)
	name = prefix + name
	lines[name] = line
	value := pair.Value()
	if value.Kind == unstable.InlineTable {
		addTableLines(lines, p, name, value)
	}
	if value.Kind != unstable.Array {
		return
	}
	items := value.Children()
	for i := 0; items.Next(); i++ {
		item := items.Node()
		at := fmt.Sprintf("%s[%d]", name, i)
		lines[at] = p.Shape(item.Raw).Start.Line
		if item.Kind == unstable.InlineTable {
			addTableLines(lines, p, at, item)
		}
	}
}

func addTableLines(lines map[string]int, p *unstable.Parser, name string, table *unstable.Node) {
	pairs := table.Children()
	for pairs.Next() {
		addLines(lines, p, name+".", pairs.Node())
	}
}

// keyOf returns the dotted key of a node and its line.
func keyOf(p *unstable.Parser, n *unstable.Node) (name string, line int) {
	parts := n.Key()
	for parts.Next() {
		if name != "" {
			name += "."
		} else {
			line = p.Shape(parts.Node().Raw).Start.Line
		}
		name += string(parts.Node().Data)
	}
	return name, line
}
