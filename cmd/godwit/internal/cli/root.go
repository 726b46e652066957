// Package cli is the command line of godwit: one file for each subcommand, and what they share.
//
// A subcommand parses its flags, calls the package that does the work, and prints. It returns an
// error of one line that says what to do; a usageError ends the process with status 2, any other
// with 1.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses, part of the command contract.
const (
	statusWorked = 0
	statusFailed = 1
	statusUsage  = 2
)

// commands are the subcommands of the root, in the order of the help text.
var commands = []func() *cobra.Command{
	newBenchCommand,
	newTunnelCommand,
	newLinkCommand,
	newKeygenCommand,
	newPubkeyCommand,
	newVersionCommand,
}

// usageError is an error of the command line, a key file or a config file: nothing was started.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Main runs the command line args (without the program's name) and returns the exit status. SIGINT and
// SIGTERM end the command's context.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, args, stdin, stdout, stderr)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return statusWorked
	}
	_, _ = fmt.Fprintln(stderr, "godwit: "+oneLine(err))
	var usage usageError
	if errors.As(err, &usage) {
		return statusUsage
	}
	return statusFailed
}

// oneLine keeps the promise of one line whatever an error quotes.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "godwit",
		Short:         "Sessions over UDP: tunnel, measure, emulate",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which command? Run 'godwit --help' for the list")
			}
			return usagef("no command is named %q%s: run 'godwit --help' for the list", args[0], suggestion(cmd, args[0]))
		},
		DisableFlagsInUseLine: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w: run '%s --help' for its flags", err, cmd.CommandPath())
	})
	for _, command := range commands {
		root.AddCommand(command())
	}
	return root
}

// suggestion names the command that was perhaps meant.
func suggestion(cmd *cobra.Command, name string) string {
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2 // typing errors in a word that count as the same word
	}
	if names := cmd.SuggestionsFor(name); len(names) > 0 {
		return fmt.Sprintf(" (did you mean %s?)", names[0])
	}
	return ""
}

// checkHostPort refuses a flag that is missing or is no HOST:PORT, before anything is started.
func checkHostPort(flag, value, example string) error {
	if value == "" {
		return usagef("--%s is missing: add --%s %s", flag, flag, example)
	}
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return usagef("--%s %s: write HOST:PORT such as %s", flag, value, example)
	}
	return nil
}

// noArgs refuses arguments that are not flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q: run '%s --help'", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
