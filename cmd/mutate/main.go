// Command mutate takes checks out of the code, one by one, and reports whether the tests notice.
//
// A test that cites a requirement claims that it fails when the code no longer does what the requirement
// says. The list (spec/mutations.txt) has, for a sample of requirements, a change of
// the code that breaks it. Each change is made alone, in a copy of the repository, and the tests that cite
// the requirement are run there. A change that they survive is a claim that is not true.
//
//	go run ./cmd/mutate -list spec/mutations.txt -report spec/mutations.md
//
// It is for contributors: make mutate.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	list := flag.String("list", "spec/mutations.txt", "the file with the changes")
	report := flag.String("report", "", "write the result to this file, as a table")
	only := flag.String("only", "", "try only requirements that begin with this, as in REL-1 or HS")
	flag.Parse()
	survived, err := run(*list, *report, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if survived > 0 {
		os.Exit(1)
	}
}

func run(list, report, only string) (survived int, err error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return 0, err
	}
	all, err := parseList(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", list, err)
	}
	commit, err := describe()
	if err != nil {
		return 0, err
	}
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	if err := copyRepository(work); err != nil {
		return 0, err
	}
	var results []result
	var broken []error
	for _, m := range all {
		if !strings.HasPrefix(m.requirement, only) {
			continue
		}
		start := time.Now()
		r, err := try(work, m)
		if err != nil {
			broken = append(broken, fmt.Errorf("%s in %s: %w", m.requirement, m.file, err))
			continue
		}
		fmt.Printf("%-8s %-40s %s, %.0f s\n", m.requirement, m.file, r, time.Since(start).Seconds())
		results = append(results, r)
		if !r.killed() {
			survived++
		}
	}
	fmt.Printf("%d of %d noticed\n", len(results)-survived, len(results))
	if report == "" || len(broken) > 0 {
		return survived, errors.Join(broken...)
	}
	return survived, os.WriteFile(report, []byte(table(results, commit, time.Now())), 0o644)
}
