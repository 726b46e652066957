package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "github.com/godwit-net/godwit"
	// instrumentation is the argument by which the go command asks the compiler for coverage counters.
	instrumentation = "-d=libfuzzer"
)

// toolexec stands between the go command and its tools (go help build, -toolexec) and takes the coverage
// counters out of every package that is not ours. The engine looks at all counters after each execution,
// and the test library brings net/http with it: without them a target of protocol/wire runs 25,000 to
// 35,000 times a second on a busy machine of 2 cores, with them 4,000 times.
func toolexec(tool string, args []string) error {
	compiler := strings.TrimSuffix(filepath.Base(tool), ".exe") == "compile"
	if compiler && len(args) == 1 && args[0] == "-V=full" {
		out, err := exec.Command(tool, args...).Output()
		if err != nil {
			return err
		}
		// The go command takes this line for the name of the compiler: what we compile must have places
		// of its own in the build cache.
		fmt.Println(strings.TrimSpace(string(out)) + "+ours")
		return nil
	}
	if compiler && !ours(args) {
		args = slices.DeleteFunc(args, func(a string) bool { return a == instrumentation })
	}
	cmd := exec.Command(tool, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// ours reports whether the arguments of a compiler name a package of this module.
func ours(args []string) bool {
	i := slices.Index(args, "-p")
	return i >= 0 && i+1 < len(args) && (args[i+1] == module || strings.HasPrefix(args[i+1], module+"/"))
}
