package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/godwit-net/godwit/conn/tunnel"
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

// newLogger is how a command that runs on reports: one line each, on stderr.
func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// tunnelServerOptions are the flags of the server, and the keys of its config file.
type tunnelServerOptions struct {
	Listen         string   `toml:"listen"`
	Key            string   `toml:"key"`
	Authorized     string   `toml:"authorized"`
	PSK            string   `toml:"psk"`
	Open           bool     `toml:"open"`
	Allow          []string `toml:"allow"`
	MaxConnections int      `toml:"max-connections"`
	Verbose        bool     `toml:"verbose"`
}

func newTunnelServerCommand() *cobra.Command {
	var o tunnelServerOptions
	var config string
	cmd := &cobra.Command{
		Use:   "server --listen :4433 --key FILE (--authorized FILE | --psk FILE | --open) --allow tcp://HOST:PORT ...",
		Short: "Connect the clients of a tunnel to the targets that are allowed",
		Long: `Takes sessions of tunnel clients and connects their connections to TCP targets.

Clients are told apart by their key (--authorized: one gwpub1… a line, then optionally a name and a
comment), or admitted by a pre-shared key (--psk). Without either the server refuses to start,
unless --open says that it serves anyone who knows its public key.

--allow names a target: an address, a range of addresses (10.0.0.0/8, [fd00::/8]) or a host name,
and a port or a range of ports. Host names that clients ask for are resolved here, and the address
that is dialled must be allowed, unless a rule names that very host.`,
		Example: `  godwit tunnel server --listen :4433 --key server.key --authorized clients --allow tcp://127.0.0.1:22
  godwit tunnel server --listen :4433 --psk tunnel.psk --allow tcp://10.0.0.0/8:1-65535
  godwit tunnel server --config server.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := readConfigFile(config, &o, cmd.Flags())
			if err != nil {
				return err
			}
			return runTunnelServer(cmd, &o, file)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Listen, "listen", "", "UDP address for clients, such as :4433")
	flags.StringVar(&o.Key, "key", "", "file of the server's private key (godwit keygen)")
	flags.StringVar(&o.Authorized, "authorized", "", "file of the public keys of clients")
	flags.StringVar(&o.PSK, "psk", "", "file of the pre-shared key (godwit keygen --psk)")
	flags.BoolVar(&o.Open, "open", false, "serve anyone who knows the server's public key")
	flags.StringArrayVar(&o.Allow, "allow", nil, "target that clients may reach, tcp://HOST:PORT or udp://HOST:PORT; several")
	flags.IntVar(&o.MaxConnections, "max-connections", tunnel.DefaultMaxConnections, "connections of one client at once")
	flags.StringVar(&config, "config", "", "TOML file with the names of these flags as keys; flags win")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "report every connection")
	return cmd
}

func runTunnelServer(cmd *cobra.Command, o *tunnelServerOptions, file *configFile) error {
	log := newLogger(cmd.ErrOrStderr(), o.Verbose)
	c, err := o.config(file)
	if err != nil {
		return err
	}
	c.Logger = log
	server, err := tunnel.NewServer(c)
	if err != nil {
		return err
	}
	log.Info("listening", "on", server.Addr(), "public-key", server.PublicKey())
	return server.Serve(cmd.Context())
}

// config puts the server's configuration together. Every error is one of usage.
func (o *tunnelServerOptions) config(file *configFile) (c tunnel.ServerConfig, err error) {
	if err := checkHostPort("listen", o.Listen, ":4433"); err != nil {
		return c, err
	}
	if o.Open && (o.Authorized != "" || o.PSK != "") {
		return c, usagef("--open serves anyone: leave out --authorized and --psk, or leave out --open")
	}
	if o.MaxConnections <= 0 {
		return c, usagef("--max-connections %d: write a number above 0 such as %d", o.MaxConnections, tunnel.DefaultMaxConnections)
	}
	c = tunnel.ServerConfig{Listen: o.Listen, Open: o.Open, MaxConnections: o.MaxConnections}
	if c.Identity, c.PresharedKey, err = readKeys(file, o.Key, o.PSK); err != nil {
		return c, err
	}
	if o.Authorized != "" {
		if c.Authorized, err = tunnel.ReadAuthorized(file.file("authorized", o.Authorized)); err != nil {
			return c, usagef("%s: %w", file.where("authorized", o.Authorized), err)
		}
	}
	if c.Allow, err = parseList(file, "allow", o.Allow, tunnel.ParseRules); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
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

// parseList parses a list that may come from the config file. Each entry is tried alone first, so that
// an error can name its line.
func parseList[T any](file *configFile, key string, list []string, parse func([]string) (T, error)) (all T, err error) {
	for _, entry := range list {
		if _, err := parse([]string{entry}); err != nil {
			return all, usagef("%s: %w", file.where(key, entry), err)
		}
	}
	if all, err = parse(list); err != nil {
		return all, usagef("%s: %w", file.where(key, ""), err)
	}
	return all, nil
}
