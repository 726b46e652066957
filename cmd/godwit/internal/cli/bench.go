package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/protocol/sim"
)

// benchOutput says where results go besides the table.
type benchOutput struct {
	json   string
	report string
}

func (o *benchOutput) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.json, "json", "", "write the results as JSON to a file, or to stdout with -")
	flags.StringVar(&o.report, "report", "", "write an HTML report to a file")
}

// write writes the table, unless JSON goes to stdout, and the files that were asked for.
func (o *benchOutput) write(cmd *cobra.Command, r *bench.Report) error {
	if o.json == "-" {
		if err := r.WriteJSON(cmd.OutOrStdout()); err != nil {
			return err
		}
	} else if err := r.WriteTable(cmd.OutOrStdout()); err != nil {
		return err
	}
	if o.json != "" && o.json != "-" {
		if err := writeFile(o.json, r.WriteJSON); err != nil {
			return err
		}
	}
	if o.report != "" {
		return writeFile(o.report, r.WriteHTML)
	}
	return nil
}

// check creates the files before anything is measured, so that a bad path costs no time.
func (o *benchOutput) check() error {
	for _, path := range []string{o.json, o.report} {
		if path == "" || path == "-" {
			continue
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return usagef("%w: name a file that can be written", err)
		}
		_ = f.Close()
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// benchRun are the flags of runs.
type benchRun struct {
	workloads []string
	options   bench.Options
}

func (o *benchRun) register(flags *pflag.FlagSet, workloads []string, duration time.Duration) {
	flags.StringSliceVar(&o.workloads, "workload", workloads, "what to measure, of "+strings.Join(bench.Workloads(), ", "))
	flags.DurationVar(&o.options.Duration, "duration", duration, "how long each run takes")
	flags.IntVar(&o.options.Streams, "streams", 0, "bulk, request: streams at once in a session (default 1)")
	flags.StringVar(&o.options.Direction, "direction", bench.Up, "bulk: up, down or both")
	flags.IntVar(&o.options.Size, "size", 0, "messages: bytes (default: that of the workload)")
	flags.Float64Var(&o.options.Hz, "hz", 0, "messages: messages or frames a second in each session (default: that of the workload)")
	flags.DurationVar(&o.options.Deadline, "deadline", 0, "media: beyond the one-way delay (default 150ms)")
	flags.BoolVar(&o.options.Twice, "twice", false, "message, worldload, game: send one more packet 3 ms after each message")
	flags.IntVar(&o.options.Overhead, "overhead-cap", 0, "media: cap of what repair adds, in percent; negative: no repair but sending again (default 30)")
	flags.IntVar(&o.options.Sessions, "sessions", 0, "all but bulk: sessions at once (default: 100 for game and idle)")
}

// check refuses wrong options by name.
func (o *benchRun) check() error {
	if len(o.workloads) == 0 {
		return usagef("--workload: name at least one of %s", strings.Join(bench.Workloads(), ", "))
	}
	for _, w := range o.workloads {
		options := o.options
		options.Workload = w
		if err := options.Validate(); err != nil {
			return usagef("%w: run 'godwit bench --help' for what runs take", err)
		}
	}
	return nil
}

func newBenchCommand() *cobra.Command {
	var out benchOutput
	var run benchRun
	var links []string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure sessions: rates, latencies, handshakes",
		Long: `Without a subcommand: both ends and emulated links in this process, a tour of half a minute with
nothing to set up.

  handshake  new sessions, one after the other: time to the first byte of the server
  message    64 bytes 60 times a second, reliable, in order: one-way latency from sending to receipt
  snapshot   300 to 1200 bytes 30 times a second, the newest wins: latency, and what never came
  media      6 Mbit/s in 60 frames a second, 10 messages each, deadline 150 ms: latency of whole frames
  worldload  message, and from half time 3 MB after the other on a stream: by how much the p99 moves
  game       100 sessions, message up and snapshot down, 20 times a second each
  request    100 bytes up and 4 kB down on a stream of their own: time to the end of the answer
  bulk       streams, as fast as possible: Mbit/s
  idle       100 sessions with nothing to do: memory, processor time, packets

Packets are those that the sender put on the wire, of any kind, for each message; missing is in parts of
all messages. 'bench server' and 'bench client' measure between two hosts. In --json durations are in ms and rates
in bit/s; the fields are documented with package bench.`,
		Example: `  godwit bench
  godwit bench --link loss5 --link dsl,loss=1% --workload bulk --duration 10s --report bulk.html
  godwit bench --link loss5 --link wifi --workload message,media --sessions 8 --duration 20s
  godwit bench server --listen :4434 --psk bench.psk
  godwit bench client gw.example.net:4434 --psk bench.psk --workload message --json -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTour(cmd, &run, links, &out) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&links, "link", bench.DefaultLinks(), "link by name or description, or direct; several")
	run.register(flags, bench.DefaultWorkloads(), 0)
	flags.Lookup("duration").Usage += " (default: 30 s for all)"
	out.register(flags)
	cmd.AddCommand(newBenchServerCommand(), newBenchClientCommand())
	return cmd
}

func runTour(cmd *cobra.Command, run *benchRun, links []string, out *benchOutput) error {
	if err := run.check(); err != nil {
		return err
	}
	for _, text := range links {
		if text == bench.Direct {
			continue
		}
		if _, err := sim.ParseLink(text); err != nil {
			return usageError{err}
		}
	}
	if err := out.check(); err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr(), false)
	report, err := bench.Tour(cmd.Context(), bench.TourConfig{
		Links: links, Workloads: run.workloads, Duration: run.options.Duration, Options: run.options,
		Progress: bar.step,
	}, buildVersion())
	bar.clear()
	if err != nil {
		return fmt.Errorf("the tour did not end: %w", err)
	}
	if err := out.write(cmd, report); err != nil {
		return err
	}
	return failures(report)
}

// failures makes an error of runs that failed, so that scripts notice.
func failures(r *bench.Report) error {
	failed := 0
	last := ""
	for _, result := range r.Results {
		if result.Error != "" {
			failed++
			last = result.Error
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d runs failed: %s", failed, len(r.Results), last)
}
