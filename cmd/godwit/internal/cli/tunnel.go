package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	report  reporting
	files   []string // that were read
}

// addReportFlags adds the flags of reports, which both ends have.
func addReportFlags(flags *pflag.FlagSet, status *duration, stats *string) {
	flags.Var(status, "status", "how often to report the state, such as 10s; on a terminal in a line that is renewed")
	flags.StringVar(stats, "stats", "", "file that statistics are appended to, one JSON object a line; - is stdout")
}

// newReporting checks the values of these flags.
func newReporting(file *configFile, status duration, stats string) (reporting, error) {
	if status != 0 && time.Duration(status) < shortestStatus {
		return reporting{}, usagef("%s %v: write a time of at least %v such as 10s", file.where("status"), status, shortestStatus)
	}
	if stats != "-" {
		stats = file.relative("stats", stats)
	}
	return reporting{status: time.Duration(status), stats: stats}, nil
}

// tunnelEnd is a client or a server of a tunnel.
type tunnelEnd[C any] interface{ Apply(config C) error }

// runTunnel opens an end of a tunnel and runs it until ctx ends, with its reports, and takes its files again when they
// change.
func runTunnel[C any, E tunnelEnd[C]](cmd *cobra.Command, load func(*slog.Logger) (*loaded[C], error),
	open func(C, *slog.Logger) (E, error), snapshot func(E) statsSnapshot, serve func(E, context.Context) error) error {
	console := newConsole(cmd.ErrOrStderr())
	log, level := newLogger(console)
	now, err := load(log)
	if err != nil {
		return err
	}
	seen := fingerprint(now.files)
	level.Set(logLevel(now.verbose))
	var end E
	report := newReporter(func() statsSnapshot { return snapshot(end) }, console, cmd.OutOrStdout(), log)
	defer report.close()
	if err := report.configure(now.report); err != nil {
		return usageError{err}
	}
	watch := newReloader(log, now.files, seen, func() ([]string, error) {
		now, err := load(log)
		if err != nil {
			return nil, err
		}
		if err := end.Apply(now.config); err != nil {
			return nil, err
		}
		level.Set(logLevel(now.verbose))
		if err := report.configure(now.report); err != nil {
			log.Error("statistics go on as before", "reason", err)
		}
		return now.files, nil
	})
	defer watch.close()
	if end, err = open(now.config, log); err != nil { // it says that it listens: a SIGHUP after that is for us
		return err
	}
	go watch.run(cmd.Context())
	return report.beside(cmd.Context(), func(ctx context.Context) error { return serve(end, ctx) })
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
