package main

import (
	"fmt"
	"strings"
	"time"
)

// table gives the results as a page of the specification.
func table(results []result, commit string, now time.Time) string {
	var b strings.Builder
	killed := 0
	for _, r := range results {
		if r.killed() {
			killed++
		}
	}
	b.WriteString("# Checks that were taken out\n\n")
	b.WriteString("A citation in a test claims that the test fails without the code that the requirement asks for. Each row\n")
	b.WriteString("is a change of `mutations.txt` that breaks a requirement, made alone, and the first test citing the\n")
	b.WriteString("requirement that failed then. `make mutate` writes this page.\n\n")
	fmt.Fprintf(&b, "%s, commit %s: %d of %d changes noticed.\n\n", now.Format("2 January 2006"), commit, killed, len(results))
	b.WriteString("| requirement | file | change | noticed by |\n|---|---|---|---|\n")
	for _, r := range results {
		by := "**nobody**"
		switch {
		case r.slow:
			by = "tests that do not end"
		case r.killed():
			by = "`" + strings.Join(r.tests, "` `") + "`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", r.requirement, r.file, change(r.mutation), by)
	}
	return b.String()
}

// change describes a mutation in one line.
func change(m mutation) string {
	if m.new == "" {
		return code(m.old) + " taken out"
	}
	return code(m.old) + " becomes " + code(m.new)
}

// code puts text on one line of a table.
func code(text string) string {
	fields := strings.Fields(text)
	return "`" + strings.ReplaceAll(strings.Join(fields, " "), "|", "\\|") + "`"
}
