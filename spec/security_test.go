package spec

import (
	"go/ast"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	securityChapter = "11-security.md"
	attacks         = 32 // rows of the table
)

var (
	attackRow  = regexp.MustCompile(`^\| ([0-9]+) \|.*\|([^|]*)\|([^|]*)\|$`)
	attackTest = regexp.MustCompile(`TestAttack([0-9]{2})[A-Za-z0-9]*`)
)

// attackTests maps the name of every test of an attack to its file.
func attackTests(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, f := range sources(t) {
		for _, d := range f.tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && attackTest.MatchString(fn.Name.Name) {
				found[fn.Name.Name] = f.path
			}
		}
	}
	return found
}

// TestEveryAttackHasItsTestsInTheTable reads the table of chapter 11: a row names requirements and
// tests that exist, and has a test unless it comes later; and the numbers in the tests' names are those of
// rows.
func TestEveryAttackHasItsTestsInTheTable(t *testing.T) {
	requirements, tests := chapterRequirements(t), attackTests(t)
	next := 1
	lines(t, securityChapter, func(n int, text string) {
		m := attackRow.FindStringSubmatch(text)
		if m == nil {
			return
		}
		row, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.Equal(t, next, row, "line %d: rows are in order", n)
		next++
		for _, id := range number.FindAllString(m[2], -1) {
			if requirements[id] == "" {
				t.Errorf("%s:%d: no chapter has %s", securityChapter, n, id)
			}
		}
		named := attackTest.FindAllStringSubmatch(m[3], -1)
		if len(named) == 0 && strings.TrimSpace(m[3]) != "later" {
			t.Errorf("%s:%d: attack %d has no test: write one named TestAttack%02d...", securityChapter, n, row, row)
		}
		for _, name := range named {
			if tests[name[0]] == "" {
				t.Errorf("%s:%d: there is no test %s", securityChapter, n, name[0])
			}
			if of, _ := strconv.Atoi(name[1]); of != row {
				t.Errorf("%s:%d: %s is about another attack", securityChapter, n, name[0])
			}
		}
	})
	require.Equal(t, attacks+1, next, "the table has all attacks")
	for name, file := range tests {
		if of, _ := strconv.Atoi(attackTest.FindStringSubmatch(name)[1]); of < 1 || of > attacks {
			t.Errorf("%s: %s has the number of no attack of chapter 11", file, name)
		}
	}
}
