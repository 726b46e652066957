package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/protocol/sim"
)

type linkOptions struct {
	link  linkFlags
	proxy emulator.Config
	trace string
	stats bool
}

func newLinkCommand() *cobra.Command {
	var o linkOptions
	cmd := &cobra.Command{
		Use:   "link --listen :5000 --to HOST:PORT [--link NAME] [--delay 25ms --loss 5% ...]",
		Short: "Run a UDP proxy that behaves like a bad link",
		Long: `Listens for UDP datagrams and forwards them to a server and back, delayed, dropped, reordered and
limited like on the link that is described. Both directions have the same properties; all clients
share the link.

The link is a name (--link loss5), a description (--link dsl,loss=1%,queue=4bdp), flags, or both:
flags change what --link says. Names: ` + strings.Join(sim.Profiles(), " ") + `.

On a terminal, and anywhere with --stats, statistics go to stderr every second and at the end.`,
		Example: `  godwit link --listen :5000 --to 192.0.2.7:4433 --delay 25ms --loss 5%
  godwit link --listen :5000 --to 192.0.2.7:4433 --link starlink --seed 7`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLink(cmd, &o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false // the order of the link language reads better
	flags.StringVar(&o.proxy.Listen, "listen", "", "address for clients, such as :5000")
	flags.StringVar(&o.proxy.To, "to", "", "address of the server, HOST:PORT")
	flags.StringVar(&o.trace, "trace-file", "", "delivery opportunities from a file in the mahimahi format")
	flags.BoolVar(&o.stats, "stats", false, "print statistics every second")
	flags.DurationVar(&o.proxy.Idle, "idle", emulator.DefaultIdle, "forget a client after this silence")
	flags.IntVar(&o.proxy.MaxFlows, "flows", emulator.DefaultMaxFlows, "clients at once; datagrams of more are dropped")
	o.link.register(flags)
	return cmd
}

func runLink(cmd *cobra.Command, o *linkOptions) error {
	if err := checkHostPort("listen", o.proxy.Listen, ":5000"); err != nil {
		return err
	}
	if err := checkHostPort("to", o.proxy.To, "192.0.2.7:4433"); err != nil {
		return err
	}
	switch {
	case o.proxy.Idle <= 0:
		return usagef("--idle %v: write a time above 0 such as 2m", o.proxy.Idle)
	case o.proxy.MaxFlows <= 0:
		return usagef("--flows %d: write a number above 0 such as 1024", o.proxy.MaxFlows)
	}
	var err error
	if o.proxy.Link, err = o.describe(); err != nil {
		return err
	}
	proxy, err := emulator.New(o.proxy)
	if err != nil {
		return err
	}
	status := cmd.ErrOrStderr()
	_, _ = fmt.Fprintf(status, "link %s, listening on %s, to %s\n", o.proxy.Link, proxy.Addr(), o.proxy.To)
	progress := newProgress(status, o.stats)
	progress.watch(cmd.Context(), func() string {
		stats := proxy.Stats()
		return stats.String()
	})
	err = proxy.Close()
	stats := proxy.Stats()
	progress.end(stats.String())
	return err
}

// describe puts the link together from flags and the trace file.
func (o *linkOptions) describe() (sim.Config, error) {
	c, err := o.link.config()
	if err != nil || o.trace == "" {
		return c, err
	}
	f, err := os.Open(o.trace)
	if err != nil {
		return c, usagef("%w: name a file of one time in ms a line", err)
	}
	defer func() { _ = f.Close() }()
	trace, err := sim.ParseTrace(f)
	if err != nil {
		return c, usagef("%s: %w", o.trace, err)
	}
	c.Trace, c.CustomTrace = "", trace
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// linkFlags is the link language as flags: --link for the whole, and one flag for each key.
type linkFlags struct {
	text string
	sets []keyFlag
}

// keyFlag collects the value of one key. Its type in help texts is an example.
type keyFlag struct {
	sim.LinkKey
	value string
	given bool
}

func (f *keyFlag) String() string     { return f.value }
func (f *keyFlag) Type() string       { return f.Example }
func (f *keyFlag) Set(v string) error { f.value, f.given = v, true; return nil }

// register adds the flags. Every command that takes a link uses the same.
func (l *linkFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&l.text, "link", "", "link by name or description, such as loss5 or dsl,loss=1%")
	keys := sim.LinkKeys()
	l.sets = make([]keyFlag, len(keys))
	for i, k := range keys {
		l.sets[i].LinkKey = k
		flags.Var(&l.sets[i], k.Name, k.Help)
	}
}

// config returns the link that the flags describe. Flags override --link.
func (l *linkFlags) config() (sim.Config, error) {
	c, err := sim.ParseLink(l.text)
	if err != nil {
		return c, usageError{err}
	}
	for i := range l.sets {
		if f := &l.sets[i]; f.given {
			if err := c.Set(f.Name, f.value); err != nil {
				return c, usagef("--%w", err)
			}
		}
	}
	if err := c.Validate(); err != nil {
		return c, usagef("link flags: %w", err)
	}
	return c, nil
}
