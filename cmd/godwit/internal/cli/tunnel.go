package cli

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/godwit-net/godwit/crypto"
)

func newTunnelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tunnel",
		Short: "Carry TCP connections and UDP datagrams through one session",
		Long: `Carries TCP connections and UDP datagrams between two machines through one encrypted session over UDP.

The client listens on ports, the server connects to the targets that it allows. The client
reconnects by itself; connections that were open when the session was lost are reset.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which end? Run 'godwit tunnel server --help' or 'godwit tunnel client --help'")
			}
			return usagef("a tunnel has no end named %q: run 'godwit tunnel server' or 'godwit tunnel client'", args[0])
		},
	}
	cmd.AddCommand(newTunnelServerCommand(), newTunnelClientCommand())
	return cmd
}

// newLogger is how a command that runs on reports: one line each, on stderr. The level may change meanwhile.
func newLogger(w io.Writer) (log *slog.Logger, level *slog.LevelVar) {
	level = new(slog.LevelVar)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), level
}

// logLevel is that of --verbose.
func logLevel(verbose bool) slog.Level {
	if verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// loaded is what a command makes of its flags and files at one time.
type loaded[C any] struct {
	config  C
	verbose bool
	files   []string // that were read
}

// readKeys reads the key files that are named.
func readKeys(file *configFile, key, psk string) (k crypto.PrivateKey, p crypto.PresharedKey, err error) {
	if key != "" {
		if k, err = openPrivateKey(file.file("key", key)); err != nil {
			return k, p, err
		}
	}
	if psk != "" {
		p, err = openPresharedKey(file.file("psk", psk))
	}
	return k, p, err
}

// parseList parses a list that may come from the config file, where it stands at a place. Each entry is tried alone
// first, so that an error can name its line.
func parseList[T any](file *configFile, place string, list []string, parse func([]string) (T, error)) (all T, err error) {
	for i, entry := range list {
		if _, err := parse([]string{entry}); err != nil {
			return all, usagef("%s: %w", file.where(fmt.Sprintf("%s[%d]", place, i)), err)
		}
	}
	if all, err = parse(list); err != nil {
		return all, usagef("%s: %w", file.where(place), err)
	}
	return all, nil
}
