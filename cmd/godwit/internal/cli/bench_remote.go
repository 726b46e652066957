package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/conn/tunnel"
	"github.com/godwit-net/godwit/crypto"
)

type benchServerOptions struct {
	listen, key, authorized, psk string
	open                         bool
}

func newBenchServerCommand() *cobra.Command {
	var o benchServerOptions
	cmd := &cobra.Command{
		Use:   "server --listen :4434 (--psk FILE | --key FILE --authorized FILE | --key FILE --open)",
		Short: "Serve the other end of measurements, to many clients at once",
		Long: `Takes sessions of bench clients and is the other end of what they measure.

A measurement costs bandwidth: the server asks for a pre-shared key (--psk) or for keys that it knows
(--authorized), and refuses to start without either, unless --open says that it serves anyone who knows
its public key.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchServer(cmd, &o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.listen, "listen", "", "UDP address for clients, such as :4434")
	flags.StringVar(&o.psk, "psk", "", "file of the pre-shared key (godwit keygen --psk)")
	flags.StringVar(&o.key, "key", "", "file of the server's private key (godwit keygen)")
	flags.StringVar(&o.authorized, "authorized", "", "file of the public keys of clients")
	flags.BoolVar(&o.open, "open", false, "serve anyone who knows the server's public key")
	return cmd
}

func runBenchServer(cmd *cobra.Command, o *benchServerOptions) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	log, _ := newLogger(cmd.ErrOrStderr())
	config.Logger = log
	server, err := bench.NewServer(bench.ServerConfig{Listen: o.listen, Conn: config, Logger: log})
	if err != nil {
		return err
	}
	log.Info("listening", "on", server.Addr(), "public-key", server.PublicKey())
	return server.Serve(cmd.Context())
}

// config puts the server's keys together. Every error is one of usage.
func (o *benchServerOptions) config() (c conn.Config, err error) {
	if err := checkHostPort("listen", o.listen, ":4434"); err != nil {
		return c, err
	}
	switch {
	case o.psk == "" && o.authorized == "" && !o.open:
		return c, usageError{tunnel.ErrNoClients}
	case o.open && (o.authorized != "" || o.psk != ""):
		return c, usagef("--open serves anyone: leave out --authorized and --psk, or leave out --open")
	case o.key == "" && o.psk == "":
		return c, usageError{tunnel.ErrNoIdentity}
	}
	if c.Identity, c.PresharedKey, err = readKeys(&configFile{}, o.key, o.psk); err != nil {
		return c, err
	}
	if o.authorized != "" {
		authorized, err := tunnel.ReadAuthorized(o.authorized)
		if err != nil {
			return c, usagef("--authorized: %w", err)
		}
		c.Authorize = authorized.Authorize
	}
	return c, nil
}

type benchClientOptions struct {
	peerKey, key, psk string
	link              linkFlags
	run               benchRun
	out               benchOutput
}

func newBenchClientCommand() *cobra.Command {
	var o benchClientOptions
	cmd := &cobra.Command{
		Use:   "client HOST:PORT (--psk FILE | --peer-key KEY [--key FILE]) [--workload bulk] [--duration 10s] [--link loss5]",
		Short: "Measure against a bench server",
		Long: `Runs workloads against a bench server, one after the other.

With --link, or the flags of a link, the datagrams pass an emulated link in this process before they go
out, so that a good path can be made bad.`,
		Example: `  godwit bench client gw.example.net:4434 --psk bench.psk --workload bulk,message --duration 30s --report path.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one server: godwit bench client HOST:PORT --psk FILE")
			}
			return checkHostPort("server", args[0], "gw.example.net:4434")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBenchClient(cmd, args[0], &o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.psk, "psk", "", "file of the pre-shared key (godwit keygen --psk)")
	flags.StringVar(&o.peerKey, "peer-key", "", "public key of the server, gwpub1…")
	flags.StringVar(&o.key, "key", "", "file of the client's private key (godwit keygen)")
	const usual = 10 * time.Second
	o.run.register(flags, []string{bench.Bulk}, usual)
	o.out.register(flags)
	o.link.register(flags)
	return cmd
}

func runBenchClient(cmd *cobra.Command, server string, o *benchClientOptions) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	if err := o.run.check(); err != nil {
		return err
	}
	link, err := o.link.config()
	if err != nil {
		return err
	}
	if err := o.out.check(); err != nil {
		return err
	}
	emulated := &link
	if !o.link.given() {
		emulated = nil
	}
	bar := newProgress(cmd.ErrOrStderr(), false)
	client := bench.NewClient(server, config)
	report := bench.NewReport("client", server, buildVersion())
	for i, w := range o.run.workloads {
		bar.step(w, float64(i)/float64(len(o.run.workloads)))
		options := o.run.options
		options.Workload = w
		report.Results = append(report.Results, client.Run(cmd.Context(), emulated, options))
	}
	bar.clear()
	if err := o.out.write(cmd, report); err != nil {
		return err
	}
	return failures(report)
}

// config puts the client's keys together. Every error is one of usage.
func (o *benchClientOptions) config() (c conn.Config, err error) {
	if o.psk == "" && o.peerKey == "" {
		return c, usageError{tunnel.ErrNoServerKey}
	}
	if o.peerKey != "" {
		if c.PeerKey, err = crypto.ParsePublicKey(o.peerKey); err != nil {
			return c, usagef("--peer-key: %w", err)
		}
	}
	c.Identity, c.PresharedKey, err = readKeys(&configFile{}, o.key, o.psk)
	return c, err
}

// given tells whether any flag describes a link.
func (l *linkFlags) given() bool {
	for i := range l.sets {
		if l.sets[i].given {
			return true
		}
	}
	return l.text != ""
}
