package spec

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link      = regexp.MustCompile(`\[[^\]\n]*\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	chapterNo = regexp.MustCompile(`^([0-9]{2})-[a-z]+\.md$`)
)

// outside are texts that make sense on one machine only.
var outside = []struct {
	text *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`\.\./` + `shared\b`), "a folder beside the repository that a clone does not have"},
	{regexp.MustCompile(`(^|[^A-Za-z0-9_./-])/(home|root|work|Users)/[A-Za-z0-9_]`), "an absolute path of one machine"},
}

// textFiles calls each for every text file of the repository, nested modules and hidden folders that
// belong to it included.
func textFiles(t *testing.T, each func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(path, ".."), string(filepath.Separator)))
		if d.IsDir() {
			if rel == ".git" || rel == "bin" || rel == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text[:min(len(text), 8000)]), "\x00") {
			each(rel, string(text))
		}
		return err
	})
	require.NoError(t, err)
}

func TestEveryRelativeLinkLeadsSomewhere(t *testing.T) {
	textFiles(t, func(path, text string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join("..", filepath.Dir(path), file)
			if file == "" {
				target = filepath.Join("..", path)
			}
			info, err := os.Stat(target)
			if err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
				continue
			}
			if anchor != "" && !info.IsDir() && !hasAnchor(t, target, anchor) {
				t.Errorf("%s links to %s: the file has no such heading", path, m[1])
			}
		}
	})
}

// hasAnchor reports whether a file has the heading that an anchor names, by the rules of the usual
// viewers: lower case, punctuation left out, hyphens for spaces.
func hasAnchor(t *testing.T, path, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func TestNothingPointsOutsideTheRepository(t *testing.T) {
	textFiles(t, func(path, text string) {
		for n, l := range strings.Split(text, "\n") {
			for _, o := range outside {
				if o.text.MatchString(l) {
					t.Errorf("%s:%d mentions %s: %s", path, n+1, o.why, strings.TrimSpace(l))
				}
			}
		}
	})
}

func TestTheIndexNamesEveryChapterAndDecision(t *testing.T) {
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, pattern := range []string{"[0-9]*.md", "decisions/*.md", "vectors/*.json"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, f := range files {
			if !strings.Contains(string(index), "("+filepath.ToSlash(f)+")") {
				t.Errorf("spec/README.md has no link to %s", f)
			}
		}
	}
}

// TestChaptersThatAreNamedExist follows words such as "chapter 5" in the texts of the specification and
// in comments.
func TestChaptersThatAreNamedExist(t *testing.T) {
	files, err := filepath.Glob("[0-9]*.md")
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, f := range files {
		m := chapterNo.FindStringSubmatch(f)
		require.NotNil(t, m, "%s: name chapters 01-word.md", f)
		known[strings.TrimPrefix(m[1], "0")] = true
	}
	named := regexp.MustCompile(`\b[Cc]hapter ([0-9]+)\b`)
	textFiles(t, func(path, text string) {
		if !strings.HasSuffix(path, ".md") && !strings.HasSuffix(path, ".go") {
			return
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				t.Errorf("%s names chapter %s, which does not exist", path, m[1])
			}
		}
	})
}

// TestTheCodeOfTheREADMEIsAnExampleThatRuns finds the Go lines of README.md in an example of conn.
func TestTheCodeOfTheREADMEIsAnExampleThatRuns(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("../conn/example_test.go")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	indented := "\t" + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n\t") + "\n"
	require.Contains(t, string(example), indented, "README.md and Example_readme in conn/example_test.go differ")
}
