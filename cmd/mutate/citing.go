package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	citation = regexp.MustCompile(`spec: ((?:[A-Z]+-[0-9]+[ ,]*)+)`)
	number   = regexp.MustCompile(`[A-Z]+-[0-9]+`)
)

// citing maps each folder that has a test citing a requirement to the names of those tests.
// A citation belongs to the test function around it or directly below it. Where it belongs to none, the
// folder has the empty name: all its tests are meant.
func citing(root, requirement string) (map[string][]string, error) {
	found := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), requirement) {
			return err
		}
		names, err := citingIn(path, text, requirement)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, name := range names {
			if !slices.Contains(found[dir], name) {
				found[dir] = append(found[dir], name)
			}
		}
		return err
	})
	delete(found, "spec") // its tests read the text of citations
	return found, err
}

// citingIn returns the names of the tests in a file that cite a requirement.
func citingIn(path string, text []byte, requirement string) ([]string, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, group := range tree.Comments {
		for _, c := range group.List {
			m := citation.FindStringSubmatch(c.Text)
			if m == nil || !slices.Contains(number.FindAllString(m[1], -1), requirement) {
				continue
			}
			if name := testAt(files, tree, c); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// testAt returns the name of the test that a comment stands in, behind, or directly above.
func testAt(files *token.FileSet, tree *ast.File, c *ast.Comment) string {
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Fuzz") {
			continue
		}
		from := fn.Pos()
		if fn.Doc != nil {
			from = fn.Doc.Pos()
		}
		line := files.Position(c.Pos()).Line
		if line >= files.Position(from).Line && line <= files.Position(fn.End()).Line {
			return fn.Name.Name
		}
	}
	return ""
}
