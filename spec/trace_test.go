package spec

import (
	"fmt"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	requirement = regexp.MustCompile(`^\*\*([A-Z]+-[0-9]+)\*\* `)
	citation    = regexp.MustCompile(`spec: ((?:[A-Z]+-[0-9]+[ ,]*)+)`)
	number      = regexp.MustCompile(`[A-Z]+-[0-9]+`)
	excuse      = regexp.MustCompile(`^\| ([A-Z]+-[0-9]+) \| (.{20,}) \|$`)
)

// chapterRequirements maps every numbered requirement of the chapters to the place where it stands.
func chapterRequirements(t *testing.T) map[string]string {
	t.Helper()
	chapters, err := filepath.Glob("[0-9]*.md")
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	found := make(map[string]string)
	for _, chapter := range chapters {
		lines(t, chapter, func(n int, text string) {
			m := requirement.FindStringSubmatch(text)
			if m == nil {
				return
			}
			where := fmt.Sprintf("%s:%d", chapter, n)
			if before, twice := found[m[1]]; twice {
				t.Errorf("%s: %s is numbered twice, before at %s", where, m[1], before)
			}
			found[m[1]] = where
		})
	}
	return found
}

// TestEveryRequirementIsEnforcedAndTested follows the requirements both ways: each is cited where
// code enforces it and in a test that fails without it, or is excused with a reason in excuses.md;
// and nothing cites a requirement that does not exist.
func TestEveryRequirementIsEnforcedAndTested(t *testing.T) {
	requirements := chapterRequirements(t)
	code, tests := make(map[string]string), make(map[string]string)
	for _, f := range sources(t) {
		for i, text := range strings.Split(string(f.text), "\n") {
			for _, m := range citation.FindAllStringSubmatch(text, -1) {
				for _, id := range number.FindAllString(m[1], -1) {
					where := fmt.Sprintf("%s:%d", f.path, i+1)
					if requirements[id] == "" && f.pkg != "spec" {
						t.Errorf("%s cites %s, which no chapter has", where, id)
					}
					if f.test {
						tests[id] = where
					} else {
						code[id] = where
					}
				}
			}
		}
	}
	excused := make(map[string]bool)
	lines(t, "excuses.md", func(n int, text string) {
		if m := excuse.FindStringSubmatch(text); m != nil {
			excused[m[1]] = true
			if requirements[m[1]] == "" {
				t.Errorf("excuses.md:%d excuses %s, which no chapter has", n, m[1])
			}
		}
	})
	ids := make([]string, 0, len(requirements))
	for id := range requirements {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		switch {
		case excused[id]:
		case code[id] == "":
			t.Errorf("%s: no code cites %s with \"// spec: %s\"", requirements[id], id, id)
		case tests[id] == "":
			t.Errorf("%s: no test cites %s with \"// spec: %s\"", requirements[id], id, id)
		}
	}
	t.Logf("%d requirements, %d excused", len(requirements), len(excused))
}
