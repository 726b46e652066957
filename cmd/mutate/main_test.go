package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAListHasRequirementsFilesAndChanges(t *testing.T) {
	all, err := parseList("# why\n\nREL-1 a/b.go\n- \tif x {\n- \t}\n\nHS-2 c.go\n- old\n+ new\n")
	require.NoError(t, err)
	require.Equal(t, []mutation{
		{"REL-1", "a/b.go", "\tif x {\n\t}", ""},
		{"HS-2", "c.go", "old", "new"},
	}, all)

	for _, bad := range []string{"", "REL-1", "REL-1 a.go\n+ new", "REL-1 a.go b c\n- old", "- old"} {
		_, err := parseList(bad)
		require.Error(t, err, bad)
	}
}

func TestAChangeIsMadeWhereItsTextOccursOnce(t *testing.T) {
	m := mutation{old: "a", new: "b"}
	text, err := m.apply("xax")
	require.NoError(t, err)
	require.Equal(t, "xbx", text)
	for _, stale := range []string{"", "aa"} {
		_, err := m.apply(stale)
		require.Error(t, err)
	}
}

func TestCitationsBelongToTheTestAroundOrBelowThem(t *testing.T) {
	// The word is put together here, so that nobody takes these for citations of this package.
	cite := "// spe" + "c: "
	text := "package x\n" +
		cite + "A-1\nfunc TestAbove() {}\n\n" +
		"func TestInside() {\n\t" + cite + "A-1, A-2\n}\n\n" +
		"func TestBehind() {} " + cite + "A-1 B-7\n\n" +
		"func TestOther() {} " + cite + "A-11\n\n" +
		"func helper() {} " + cite + "A-3\n"
	for requirement, want := range map[string][]string{
		"A-1": {"TestAbove", "TestInside", "TestBehind"}, "A-2": {"TestInside"}, "B-7": {"TestBehind"}, "A-3": {""}, "A-4": nil,
	} {
		got, err := citingIn("x_test.go", []byte(text), requirement)
		require.NoError(t, err)
		require.Equal(t, want, got, requirement)
	}
}

func TestTheReportSaysWhoNoticed(t *testing.T) {
	page := table([]result{
		{mutation: mutation{"A-1", "a.go", "x ||\n\ty", "y"}, tests: []string{"a.TestX"}},
		{mutation: mutation{"A-2", "a.go", "z", ""}},
		{mutation: mutation{"A-3", "a.go", "w", ""}, slow: true},
	}, "abc1234", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	require.Contains(t, page, "2 January 2026, commit abc1234: 2 of 3 changes noticed.")
	require.Contains(t, page, "| A-1 | `a.go` | `x \\|\\| y` becomes `y` | `a.TestX` |\n")
	require.Contains(t, page, "| A-2 | `a.go` | `z` taken out | **nobody** |\n")
	require.Contains(t, page, "| A-3 | `a.go` | `w` taken out | tests that do not end |\n")
}

func TestEachChangeOfTheListFitsTheCode(t *testing.T) {
	text, err := os.ReadFile("../../spec/mutations.txt")
	require.NoError(t, err)
	all, err := parseList(string(text))
	require.NoError(t, err)
	for _, m := range all {
		file, err := os.ReadFile(filepath.Join("../..", m.file))
		require.NoError(t, err, m.requirement)
		_, err = m.apply(string(file))
		require.NoError(t, err, "%s in %s", m.requirement, m.file)
	}
}
