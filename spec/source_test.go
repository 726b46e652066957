package spec

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/godwit-net/godwit"

// sourceFile is one Go file of the repository. The tests open the files themselves, so that the test
// cache notices when they change.
type sourceFile struct {
	path string // from the top of the repository, with slashes
	pkg  string // its folder
	test bool
	fset *token.FileSet
	tree *ast.File
	text []byte
}

// sources reads all Go files of the root module.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(path, ".."), string(filepath.Separator)))
		if d.IsDir() {
			nested, _ := os.Stat(filepath.Join(path, "go.mod"))
			if rel != "" && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || nested != nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f := sourceFile{path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go"), fset: token.NewFileSet(), text: text}
		f.tree, err = parser.ParseFile(f.fset, path, text, parser.ParseComments)
		files = append(files, f)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// lines gives the lines of a file with their numbers, from 1.
func lines(t *testing.T, path string, each func(n int, line string)) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		each(n, in.Text())
	}
	require.NoError(t, in.Err())
}
