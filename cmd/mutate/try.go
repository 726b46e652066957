package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// patience is how long the tests of a folder may take with a change in the code. A change may well make
// a test wait for ever, which counts as noticed.
const patience = "120s"

// result says what the tests did about a change.
type result struct {
	mutation
	tests []string // that failed, "folder.Test", or nil
	slow  bool     // the tests did not end
}

func (r result) killed() bool { return len(r.tests) > 0 || r.slow }

func (r result) String() string {
	switch {
	case r.slow:
		return "noticed: the tests did not end"
	case r.killed():
		return "noticed by " + strings.Join(r.tests, ", ")
	default:
		return "SURVIVED"
	}
}

// try makes a change in the copy, runs the tests that cite the requirement, and takes the change back.
func try(root string, m mutation) (result, error) {
	path := filepath.Join(root, filepath.FromSlash(m.file))
	text, err := os.ReadFile(path)
	if err != nil {
		return result{}, err
	}
	changed, err := m.apply(string(text))
	if err != nil {
		return result{}, err
	}
	folders, err := citing(root, m.requirement)
	if err != nil {
		return result{}, err
	}
	if len(folders) == 0 {
		return result{}, errors.New("no test cites the requirement")
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		return result{}, err
	}
	defer os.WriteFile(path, text, 0o644)

	r := result{mutation: m}
	dirs := make([]string, 0, len(folders))
	for dir := range folders {
		dirs = append(dirs, dir)
	}
	// The folder of the change first: it is the most likely to notice, and one is enough.
	own := filepath.Dir(filepath.FromSlash(m.file))
	slices.SortFunc(dirs, func(a, b string) int {
		if (a == own) != (b == own) {
			if a == own {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, dir := range dirs {
		if err := r.test(root, dir, folders[dir]); err != nil || r.killed() {
			return r, err
		}
	}
	return r, nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// test runs tests of a folder and notes which failed.
func (r *result) test(root, dir string, names []string) error {
	pattern := "."
	if !slices.Contains(names, "") {
		pattern = "^(" + strings.Join(names, "|") + ")$"
	}
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-failfast", "-timeout", patience, "-run", pattern, "./"+filepath.ToSlash(dir))
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	text := string(out)
	if strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]") {
		return fmt.Errorf("does not build with the change:\n%s", text)
	}
	for _, m := range failed.FindAllStringSubmatch(text, -1) {
		r.tests = append(r.tests, filepath.ToSlash(dir)+"."+m[1])
	}
	switch {
	case strings.Contains(text, "panic: test timed out"):
		r.slow = true
	case len(r.tests) == 0 && strings.Contains(text, "panic:"): // on a goroutine that is no test's
		r.tests = append(r.tests, filepath.ToSlash(dir)+" (panic)")
	case len(r.tests) == 0:
		return fmt.Errorf("the tests failed for another reason:\n%s", text)
	}
	return nil
}

// copyRepository puts a copy of the files that git knows, as they are now, into a folder.
func copyRepository(to string) error {
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return fmt.Errorf("list the files: %w", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // taken out, not yet committed
		}
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// describe names the commit whose files are tried.
func describe() (string, error) {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("name the commit: %w", err)
	}
	commit := strings.TrimSpace(string(out))
	changes, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	if len(changes) > 0 {
		commit += " and later changes"
	}
	return commit, err
}
