package compare

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"strings"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// What -short measures: less than a minute.
const (
	shortWorkloads = "bulk,bulk-1452,request"
	shortRivals    = "tls,quic-go,godwit"
	shortDuration  = 300 * time.Millisecond
)

// command is what the flags say.
type command struct {
	workloads, rivals, links string
	runs, sessions           int
	duration                 time.Duration
	short, list, verbose     bool
	out, json                string
	more                     bool

	said string // all of them

	serve     string // be a server for another process
	game      bool
	keepAlive time.Duration
}

// Main runs the command with these transports and ends the process if it fails.
func Main(transports []transport.Transport) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := runCommand(ctx, transports, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func runCommand(ctx context.Context, transports []transport.Transport, args []string, out, progress io.Writer) error {
	var c command
	flags := flag.NewFlagSet("rivals", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&c.workloads, "workloads", "", "measure these `names` alone, with commas between; * and ? stand for what is not said (default all)")
	flags.StringVar(&c.rivals, "rivals", "", "measure these `names` alone (default all)")
	flags.StringVar(&c.links, "links", "", "measure over these `links`, with spaces between, as in godwit link --link, or loopback (default those of the workloads); emulated ones need root")
	flags.IntVar(&c.runs, "runs", 5, "runs of each rival in each workload")
	flags.DurationVar(&c.duration, "duration", 0, "of each run (default the workload's)")
	flags.IntVar(&c.sessions, "sessions", 0, "sessions at once, in workloads with several (default the workload's)")
	flags.BoolVar(&c.short, "short", false, "in less than a minute: "+shortWorkloads+" with "+shortRivals)
	flags.BoolVar(&c.list, "list", false, "list the workloads and the rivals")
	flags.BoolVar(&c.verbose, "v", false, "show what outside programs print")
	flags.StringVar(&c.out, "out", "", "write the tables to this `file` too")
	flags.BoolVar(&c.more, "append", false, "write them behind what is in the file of -out, which another run has written")
	flags.StringVar(&c.json, "json", "", "write all figures to this `file` as JSON")
	flags.StringVar(&c.serve, "serve", "", "be the server of this `rival`; rivals starts itself so")
	flags.BoolVar(&c.game, "game", false, "be a game server, with -serve")
	flags.DurationVar(&c.keepAlive, "keepalive", 0, "of a server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	}
	c.said = said(args)
	return c.do(ctx, transports, out, progress)
}

func (c *command) do(ctx context.Context, transports []transport.Transport, out, progress io.Writer) error {
	if c.serve != "" {
		selected, err := pick(transports, c.serve, nameOf)
		if err != nil {
			return err
		}
		return serve(ctx, selected[0], &settings{keepAlive: c.keepAlive}, c.game)
	}
	if c.list {
		return list(out, transports)
	}
	o, err := c.options(transports, progress)
	if err != nil {
		return err
	}
	return c.report(ctx, o, out)
}

// said is the command as a user would type it, without where it writes.
func said(args []string) string {
	words := []string{"bin/rivals"}
	for i := 0; i < len(args); i++ {
		switch word := args[i]; {
		case word == "-append":
		case word == "-out" || word == "-json":
			i++ // its file
		case strings.ContainsAny(word, " *?"):
			words = append(words, "'"+word+"'")
		default:
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// options are what the flags ask for.
func (c *command) options(transports []transport.Transport, progress io.Writer) (o *Options, err error) {
	o = &Options{Runs: c.runs, Duration: c.duration, Sessions: c.sessions, Progress: progress}
	if c.short {
		c.workloads, c.rivals = or(c.workloads, shortWorkloads), or(c.rivals, shortRivals)
		o.Duration = or(c.duration, shortDuration)
		if c.links == "" {
			c.links = Loopback
		}
	}
	if c.runs < 1 || c.duration < 0 || c.sessions < 0 {
		return nil, errors.New("-runs, -duration and -sessions must be positive")
	}
	if c.verbose {
		o.Logf = func(format string, v ...any) { fmt.Fprintf(progress, format, v...) }
	}
	if c.links != "" {
		o.Links = strings.Fields(c.links)
	}
	if o.Transports, err = pick(transports, c.rivals, nameOf); err != nil {
		return nil, err
	}
	o.Workloads, err = pick(Workloads(), c.workloads, func(w *Workload) string { return w.Name })
	return o, err
}

func nameOf(t transport.Transport) string { return t.About().Name }

// pick takes those whose names match one of the patterns; none of them: all.
func pick[T any](all []T, patterns string, name func(T) string) (picked []T, err error) {
	if patterns == "" {
		return all, nil
	}
	used := make(map[string]bool)
	for _, one := range all {
		taken := false
		for pattern := range strings.SplitSeq(patterns, ",") {
			// A slash would divide what a star stands for.
			ok, err := path.Match(strings.ReplaceAll(pattern, "/", "-"), strings.ReplaceAll(name(one), "/", "-"))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", pattern, err)
			}
			used[pattern] = used[pattern] || ok
			taken = taken || ok
		}
		if taken {
			picked = append(picked, one)
		}
	}
	for pattern := range strings.SplitSeq(patterns, ",") {
		if !used[pattern] {
			return nil, fmt.Errorf("nothing is named %q: see -list", pattern)
		}
	}
	return picked, nil
}

func list(w io.Writer, transports []transport.Transport) error {
	for _, one := range Workloads() {
		if _, err := fmt.Fprintf(w, "%s over %s: %s\n", one.Name, strings.Join(one.Links, ", "), one.Text); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	for _, t := range transports {
		a := t.About()
		if _, err := fmt.Fprintf(w, "%s: %s. %s\n", a.Name, a.Settings, a.Missing); err != nil {
			return err
		}
	}
	return nil
}

// report measures and writes, after each table, so that what was measured is not lost with what was not.
func (c *command) report(ctx context.Context, o *Options, out io.Writer) error {
	var tables bytes.Buffer
	both := io.MultiWriter(out, &tables)
	r := NewReport(o.Transports, c.said)
	intro := r.WriteIntro
	if c.more {
		before, err := os.ReadFile(c.out)
		if err != nil {
			return fmt.Errorf("-append: %w", err)
		}
		tables.Write(before)
		intro = r.WriteMore
	}
	if err := intro(both); err != nil {
		return err
	}
	return Run(ctx, o, func(b *Block) error {
		r.Results = append(r.Results, b.Results...)
		if err := WriteBlock(both, b); err != nil {
			return err
		}
		return c.save(r, tables.Bytes())
	})
}

// save writes the files that were asked for.
func (c *command) save(r *Report, tables []byte) error {
	if c.out != "" {
		if err := os.WriteFile(c.out, tables, 0o644); err != nil {
			return err
		}
	}
	if c.json == "" {
		return nil
	}
	var figures bytes.Buffer
	if err := r.WriteJSON(&figures); err != nil {
		return err
	}
	return os.WriteFile(c.json, figures.Bytes(), 0o644)
}
