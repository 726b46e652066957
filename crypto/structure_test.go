package crypto

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sources of this package and of the handshake are read here, so that nobody compares a secret in
// a time that depends on it. A comparison of byte arrays or strings made of bytes that is harmless
// says so on its line: "// not secret: reason". Public keys and IDs, which travel in the clear, may be
// compared as they are.

const notSecretMark = "// not secret:"

// publicFiles handle nothing but what came over the wire and is ciphertext to this end as well.
var publicFiles = map[string]string{
	"handshake/fragment.go": "reassembles sealed bytes, each fragment under a MAC that is checked elsewhere",
}

// variableTime are the functions that stop at the first difference.
var variableTime = map[string]bool{
	"bytes.Equal": true, "bytes.Compare": true, "bytes.EqualFold": true, "bytes.HasPrefix": true, "bytes.HasSuffix": true, "bytes.Contains": true, "bytes.Index": true,
	"slices.Equal": true, "slices.Compare": true, "slices.Contains": true, "slices.Index": true,
	"reflect.DeepEqual": true, "strings.Compare": true,
}

// sourceDirs are checked in this order, since the second imports the first.
var sourceDirs = []struct{ dir, path string }{
	{".", "github.com/godwit-net/godwit/crypto"},
	{"handshake", "github.com/godwit-net/godwit/crypto/handshake"},
}

// spec: PROT-30
func TestAttack21NoSecretIsComparedInVariableTime(t *testing.T) {
	checked := checkedPackages{}
	for _, d := range sourceDirs {
		names, err := filepath.Glob(filepath.Join(d.dir, "*.go"))
		require.NoError(t, err)
		found := comparisons(t, checked, d.path, names)
		require.Empty(t, found, "compare in constant time (crypto/subtle, hmac.Equal)")
	}
}

// The check itself must find what it is there to find.
//
// spec: PROT-30
func TestAttack21TheCheckFindsEveryForm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.go")
	require.NoError(t, os.WriteFile(file, []byte(`package bad
import ("bytes"; "slices")
type tag [16]byte
type holder struct { t tag }
type PublicKey struct { b [32]byte }
func f(a, b []byte, x, y tag, h, i holder, p, q PublicKey, n, m int, k, l *tag) bool {
	_ = bytes.Equal(a, b)
	_ = slices.Equal(a, b)
	_ = x == y
	_ = h != i
	_ = string(a) == string(b)
	_ = [2]byte(a) == [2]byte(b)
	switch x { case y: }
	_ = x == y // not secret: waived
	return p == q && n == m && k == l && len(a) == 3
}
`), 0o600))
	found := comparisons(t, checkedPackages{}, "bad", []string{file})
	require.Len(t, found, 7, strings.Join(found, "\n"))
}

// comparisons returns a line for each comparison in variable time in the given files of a package.
func comparisons(t *testing.T, checked checkedPackages, pkgPath string, names []string) (found []string) {
	fset := token.NewFileSet()
	var files []*ast.File
	lines := make(map[string][]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || publicFiles[filepath.ToSlash(name)] != "" {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		lines[name] = strings.Split(string(source), "\n")
		file, err := parser.ParseFile(fset, name, source, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	// Types of other modules stay unknown, and so do not count; that is enough for arrays of bytes.
	config := types.Config{Importer: checked, Error: func(error) {}}
	checked[pkgPath], _ = config.Check(pkgPath, fset, files, info)

	report := func(at token.Pos, what string) {
		p := fset.Position(at)
		if !strings.Contains(lines[p.Filename][p.Line-1], notSecretMark) {
			found = append(found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, what))
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := calledFunction(n)
				if variableTime[name] && (!strings.HasPrefix(name, "slices.") || len(n.Args) > 0 && holdsBytes(info, n.Args[0])) {
					report(n.Pos(), name)
				}
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && (holdsBytes(info, n.X) || holdsBytes(info, n.Y)) && !isNil(n.X) && !isNil(n.Y) {
					report(n.OpPos, "== on bytes")
				}
			case *ast.SwitchStmt:
				if n.Tag != nil && holdsBytes(info, n.Tag) {
					report(n.Pos(), "switch on bytes")
				}
			}
			return true
		})
	}
	return found
}

// calledFunction returns "package.Function" for a call of that form.
func calledFunction(call *ast.CallExpr) string {
	if s, ok := call.Fun.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}

// holdsBytes reports whether comparing an expression compares bytes: arrays of bytes, structures with
// such arrays, and strings converted from bytes.
func holdsBytes(info *types.Info, e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 {
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "string" {
			return true
		}
	}
	if s, ok := e.(*ast.SelectorExpr); ok && strings.EqualFold(s.Sel.Name, "id") {
		return false
	}
	if name, ok := e.(*ast.Ident); ok && strings.EqualFold(name.Name, "id") {
		return false
	}
	t := info.TypeOf(e)
	if named, ok := t.(*types.Named); ok && named.Obj().Name() == "PublicKey" {
		return false
	}
	return t != nil && holdsByteArray(t)
}

func holdsByteArray(t types.Type) bool {
	switch t := t.Underlying().(type) {
	case *types.Array:
		return isByte(t.Elem()) || holdsByteArray(t.Elem())
	case *types.Slice: // as the argument of a function, since slices have no ==
		return isByte(t.Elem()) || holdsByteArray(t.Elem())
	case *types.Struct:
		for i := range t.NumFields() {
			if holdsByteArray(t.Field(i).Type()) {
				return true
			}
		}
	}
	return false
}

// isByte leaves out types of their own that have a byte beneath, such as Suite.
func isByte(t types.Type) bool { return types.Identical(t, types.Typ[types.Uint8]) }

func isNil(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "nil"
}

// checkedPackages imports what was checked before and an empty package for everything else.
type checkedPackages map[string]*types.Package

func (c checkedPackages) Import(importPath string) (*types.Package, error) {
	if pkg := c[importPath]; pkg != nil {
		return pkg, nil
	}
	pkg := types.NewPackage(importPath, path.Base(importPath))
	pkg.MarkComplete()
	return pkg, nil
}
