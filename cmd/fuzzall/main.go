// Command fuzzall runs every fuzz target of the module, one after the other, for a while each.
// It is for contributors and for CI: go run ./cmd/fuzzall -time 10s.
//
// Each package is built once, whatever the number of its targets. What a run finds interesting is
// forgotten at its end; an input that fails is left in testdata/fuzz of its package, as go test does.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// toolexecVerb as the first argument makes the command stand between the go command and the compiler.
const toolexecVerb = "toolexec"

func main() {
	if len(os.Args) > 2 && os.Args[1] == toolexecVerb {
		if err := toolexec(os.Args[2], os.Args[3:]); err != nil {
			os.Exit(1) // the tool has said why
		}
		return
	}
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	only := flag.String("only", "", "run only targets whose package and name, as in protocol/wire.FuzzAck, contain this")
	flag.Parse()
	if err := run(*each, *only); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

func run(each time.Duration, only string) error {
	packages, err := list(only)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "fuzzall")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	passed := 0
	for _, p := range packages {
		binary := filepath.Join(work, "fuzz.test")
		// The name only switches the instrumentation on: the binary has all targets of the package.
		build := exec.Command("go", "test", "-c", "-toolexec", self+" "+toolexecVerb, "-fuzz", p.targets[0], "-o", binary, p.path)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.path, err, out)
		}
		for _, target := range p.targets {
			if err := fuzz(p, target, binary, filepath.Join(work, "cache"), each); err != nil {
				return err
			}
			passed++
		}
	}
	if passed == 0 {
		return errors.New("no target matches")
	}
	fmt.Printf("%d targets passed\n", passed)
	return nil
}

// fuzz runs one target and prints its last count of executions.
func fuzz(p fuzzed, target, binary, cache string, each time.Duration) error {
	// Minimizing sits still for most of a short run (golang/go#48820).
	cmd := exec.Command(binary, "-test.run", "^$", "-test.fuzz", "^"+target+"$",
		"-test.fuzzminimizetime", "1x", "-test.fuzzcachedir", cache)
	cmd.Dir = p.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	// The end comes as an interrupt. With -test.fuzztime the fuzzer races with its own deadline and now
	// and then reports "context deadline exceeded" as a failure (golang/go#75804, mended in Go 1.27).
	end := time.AfterFunc(each, func() { _ = cmd.Process.Signal(os.Interrupt) })
	err := cmd.Wait()
	end.Stop()
	if err != nil {
		return fmt.Errorf("%s.%s: %w\n%s", p.path, target, err, out.Bytes())
	}
	fmt.Printf("%s.%s %s\n", p.path, target, executions(out.String()))
	return nil
}

// executions returns the last count that a run printed, as "12345 execs".
func executions(out string) string {
	_, count, found := strings.Cut(out[max(0, strings.LastIndex(out, "execs: ")):], "execs: ")
	if !found {
		return "seeds only"
	}
	return strings.Fields(count)[0] + " execs"
}

// fuzzed is a package that has fuzz targets.
type fuzzed struct {
	path    string // import path
	dir     string
	targets []string
}

// list finds the targets in the sources, which is faster than to build every package and ask it.
func list(only string) ([]fuzzed, error) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}|{{.Dir}}|{{join .TestGoFiles ","}},{{join .XTestGoFiles ","}}`, "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	var packages []fuzzed
	for line := range strings.Lines(string(out)) {
		part := strings.Split(strings.TrimSpace(line), "|")
		p := fuzzed{path: part[0], dir: part[1]}
		for _, name := range strings.FieldsFunc(part[2], func(r rune) bool { return r == ',' }) {
			names, err := targetsOf(filepath.Join(p.dir, name))
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				if strings.Contains(p.path+"."+n, only) {
					p.targets = append(p.targets, n)
				}
			}
		}
		if len(p.targets) > 0 {
			packages = append(packages, p)
		}
	}
	return packages, nil
}

// targetsOf returns the fuzz targets that a file declares.
func targetsOf(file string) ([]string, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}
