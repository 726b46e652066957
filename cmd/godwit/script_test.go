package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/godwit-net/godwit/cmd/godwit/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"godwit": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "udpecho": udpEcho, "udpports": udpPorts, "udpask": udpAsk,
		},
	})
}

// fails runs a command line that must exit with a status, print nothing on stdout and one line on
// stderr that matches a pattern:
//
//	fails 2 '--to is missing' godwit link
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fails status pattern command [args...]")
	}
	err := ts.Exec(args[2], args[3:]...)
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s (%v)", status, args[0], err)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout: %q", out)
	}
	stderr := ts.ReadFile("stderr")
	if strings.Count(stderr, "\n") != 1 {
		ts.Fatalf("stderr is not one line: %q", stderr)
	}
	if !regexp.MustCompile(args[1]).MatchString(stderr) {
		ts.Fatalf("no match for %q in stderr: %s", args[1], stderr)
	}
}
