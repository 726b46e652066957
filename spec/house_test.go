package spec

import (
	"bytes"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	// maxFileLines keeps the tail short that every project regrets. A file beyond it has two subjects.
	maxFileLines = 600
	// maxTestFileLines is larger: tests of one subject read best in one place.
	maxTestFileLines = 1100
	// maxFunctionLines is what a function may have with a table in it; most have under 30.
	maxFunctionLines = 120
)

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, f := range sources(t) {
		limit := maxFileLines
		if f.test {
			limit = maxTestFileLines
		}
		if n := bytes.Count(f.text, []byte("\n")); n > limit {
			t.Errorf("%s has %d lines, more than %d: split it by subject", f.path, n, limit)
		}
		for _, d := range f.tree.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := line(f, fn.End()) - line(f, fn.Pos()) + 1; n > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, more than %d: give its parts names", f.path, line(f, fn.Pos()), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// unfinished are marks of work that was put off. They belong into the list of issues.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func TestNothingIsMarkedAsUnfinished(t *testing.T) {
	textFiles(t, func(path, text string) {
		if ext := path[strings.LastIndex(path, ".")+1:]; ext != "go" && ext != "md" && path != "Makefile" && path != ".ci/run" {
			return
		}
		for n, l := range strings.Split(text, "\n") {
			if unfinished.MatchString(l) {
				t.Errorf("%s:%d is unfinished: finish it or take it out: %s", path, n+1, strings.TrimSpace(l))
			}
		}
	})
}

// TestNoTestIsSkipped: a test that is skipped where it matters proves nothing. What needs root, programs
// or time has a build tag of its own, and CI sets it. (An action of a random model that does not apply is
// skipped with a rapid.T, which is something else.)
func TestNoTestIsSkipped(t *testing.T) {
	for _, f := range sources(t) {
		if !f.test {
			continue
		}
		for _, d := range f.tree.Decls {
			random := paramsOf(d, "rapid")
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				s, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || s.Sel.Name != "Skip" && s.Sel.Name != "Skipf" && s.Sel.Name != "SkipNow" {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && !random[x.Name] {
					t.Errorf("%s:%d skips a test: make it run everywhere, or give it a build tag that CI sets", f.path, line(f, n.Pos()))
				}
				return true
			})
		}
	}
}

// paramsOf returns the names of the parameters, in all functions of a declaration, that are pointers to
// types of a package.
func paramsOf(d ast.Decl, pkg string) map[string]bool {
	names := make(map[string]bool)
	ast.Inspect(d, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncType)
		if !ok {
			return true
		}
		for _, field := range f.Params.List {
			star, _ := field.Type.(*ast.StarExpr)
			if star == nil {
				continue
			}
			if s, ok := star.X.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
					for _, name := range field.Names {
						names[name.Name] = true
					}
				}
			}
		}
		return true
	})
	return names
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := make(map[string]bool)
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		said[f.pkg] = said[f.pkg] || f.tree.Doc != nil && len(strings.Fields(f.tree.Doc.Text())) >= 8
	}
	for pkg, ok := range said {
		if !ok {
			t.Errorf("%s has no comment before its package clause: say what it is, what it does not know, and who calls it", pkg)
		}
	}
}

// obvious are methods of interfaces that every reader of Go knows.
var obvious = map[string]bool{"String": true, "Error": true, "Unwrap": true}

func TestEveryExportedNameIsExplained(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.tree.Name.Name == "main" {
			continue
		}
		for i, d := range f.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				known := d.Doc != nil || d.Recv != nil && obvious[d.Name.Name] || i > 0 && sharesComment(f, f.tree.Decls[i-1], d)
				if d.Name.IsExported() && receiverIsExported(d) && !known {
					t.Errorf("%s:%d: %s has no comment", f.path, line(f, d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				unexplained(t, f, d)
			}
		}
	}
}

// sharesComment reports whether a function stands directly below one whose comment explains both.
func sharesComment(f sourceFile, above ast.Decl, d *ast.FuncDecl) bool {
	a, ok := above.(*ast.FuncDecl)
	return ok && a.Doc != nil && line(f, a.End())+1 == line(f, d.Pos()) && strings.Contains(a.Doc.Text(), d.Name.Name)
}

// unexplained reports the types, constants, variables and interface methods of a declaration that have
// no comment. In a group the comment of the group is enough for constants and variables.
func unexplained(t *testing.T, f sourceFile, d *ast.GenDecl) {
	t.Helper()
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				t.Errorf("%s:%d: type %s has no comment", f.path, line(f, s.Pos()), s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s:%d: %s has no comment", f.path, line(f, s.Pos()), name.Name)
				}
			}
		}
	}
}

func receiverIsExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// TestOwnMistakesPanicByName: input from the network never panics, and a broken invariant of ours does,
// with a message that says whose it is.
func TestOwnMistakesPanicByName(t *testing.T) {
	for _, f := range sources(t) {
		top, _, _ := strings.Cut(f.pkg, "/")
		if f.test || path.Base(f.pkg) == "sim" || top != "protocol" && top != "crypto" && top != "conn" {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			if x, ok := call.Fun.(*ast.Ident); ok && x.Name == "panic" && !saysBug(call.Args[0]) {
				t.Errorf("%s:%d panics without a text that begins with \"BUG\": return an error, or name the invariant", f.path, line(f, n.Pos()))
			}
			return true
		})
	}
}

// ownMistakes begin the texts of panics. Without randomness there is nothing that a program can do.
var ownMistakes = []string{"BUG", "crypto: the operating system has no randomness"}

// saysBug reports whether an expression has a string in it that begins as a panic of ours does.
func saysBug(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text := strings.Trim(l.Value, "`\"")
			found = found || slices.ContainsFunc(ownMistakes, func(m string) bool { return strings.HasPrefix(text, m) })
		}
		return true
	})
	return found
}
