package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-net/godwit/conn/tunnel"
	"github.com/godwit-net/godwit/crypto"
)

// tunnelServerOptions are the flags of the server, and the keys of its config file.
type tunnelServerOptions struct {
	Listen         string         `toml:"listen"`
	Key            string         `toml:"key"`
	Authorized     string         `toml:"authorized"`
	PSK            string         `toml:"psk"`
	Open           bool           `toml:"open"`
	Allow          []string       `toml:"allow"`
	AllowListen    []string       `toml:"allow-listen"`
	MaxConnections int            `toml:"max-connections"`
	Status         duration       `toml:"status"`
	Stats          string         `toml:"stats"`
	Verbose        bool           `toml:"verbose"`
	Clients        []clientOption `toml:"client"` // in the file only
}

// clientOption is one client in the server's config file.
type clientOption struct {
	Name        string   `toml:"name"`
	Key         string   `toml:"key"`
	Allow       []string `toml:"allow"`
	AllowListen []string `toml:"allow-listen"`
}

func newTunnelServerCommand() *cobra.Command {
	var o tunnelServerOptions
	var config string
	cmd := &cobra.Command{
		Use:   "server --listen :4433 --key FILE (--authorized FILE | --psk FILE | --open) --allow tcp://HOST:PORT ...",
		Short: "Connect the clients of a tunnel to the targets that are allowed",
		Long: `Takes sessions of tunnel clients and connects their connections and datagrams to TCP and UDP targets.

Clients are told apart by their key (--authorized: one gwpub1… a line, then optionally a name and a
comment), or admitted by a pre-shared key (--psk). Without either the server refuses to start,
unless --open says that it serves anyone who knows its public key.

--allow names a target: an address, a range of addresses (10.0.0.0/8, [fd00::/8]) or a host name,
and a port or a range of ports. Host names that clients ask for are resolved here, and the address
that is dialled must be allowed, unless a rule names that very host.

--allow-listen names an address of the server, or a range of them, and ports where clients may have it
listen for them (--reverse); without an address (tcp://:8000-8099) it stands for all of them together.

A client has rules of its own, in place of these, when options stand before its key in the authorized file:
  allow="tcp://127.0.0.1:22",allow="udp://127.0.0.1:53" gwpub1… laptop
  restrict,allow-listen="tcp://:8080" gwpub1… camera
restrict takes away what the options do not give. In a config file each client has a table:
  [[client]]
  name = "laptop"
  key = "gwpub1…"
  allow = ["tcp://127.0.0.1:22"]

The config file, and every file that it or a flag names, is read again when it changes, and on SIGHUP. What
the new configuration still allows goes on; a client that is no longer listed is closed. A file with an error
changes nothing.`,
		Example: `  godwit tunnel server --listen :4433 --key server.key --authorized clients --allow tcp://127.0.0.1:22
  godwit tunnel server --listen :4433 --psk tunnel.psk --allow tcp://10.0.0.0/8:1-65535 --allow udp://10.0.0.0/8:1-65535
  godwit tunnel server --config server.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTunnel(cmd, func(log *slog.Logger) (*loaded[tunnel.ServerConfig], error) {
				return o.load(config, cmd.Flags(), log)
			}, openServer, func(s *tunnel.Server) statsSnapshot { return serverSnapshot(s.Stats()) }, (*tunnel.Server).Serve)
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
	flags.StringArrayVar(&o.AllowListen, "allow-listen", nil, "address of the server where it may listen for clients, tcp://ADDRESS:PORT; several")
	flags.IntVar(&o.MaxConnections, "max-connections", tunnel.DefaultMaxConnections, "connections of one client at once")
	addReportFlags(flags, &o.Status, &o.Stats)
	flags.StringVar(&config, "config", "", "TOML file with the names of these flags as keys; flags win")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "report every connection")
	return cmd
}

func openServer(c tunnel.ServerConfig, log *slog.Logger) (*tunnel.Server, error) {
	server, err := tunnel.NewServer(c)
	if err == nil {
		log.Info("listening", "on", server.Addr(), "public-key", server.PublicKey())
	}
	return server, err
}

// load reads the config file beside the flags, which stay as they are.
func (o tunnelServerOptions) load(path string, flags *pflag.FlagSet, log *slog.Logger) (*loaded[tunnel.ServerConfig], error) {
	file, err := readConfigFile(path, &o, flags)
	if err != nil {
		return nil, err
	}
	now := &loaded[tunnel.ServerConfig]{verbose: o.Verbose}
	if now.report, err = newReporting(file, o.Status, o.Stats); err != nil {
		return nil, err
	}
	now.config, err = o.config(file)
	now.config.Logger, now.files = log, file.used
	return now, err
}

// config puts the server's configuration together. Every error is one of usage.
func (o *tunnelServerOptions) config(file *configFile) (c tunnel.ServerConfig, err error) {
	if err := file.checkHostPort("listen", o.Listen, ":4433"); err != nil {
		return c, err
	}
	if o.Open && (o.Authorized != "" || o.PSK != "" || len(o.Clients) > 0) {
		return c, usagef("%s serves anyone: leave out --authorized, --psk and clients, or leave it out", file.where("open"))
	}
	if o.MaxConnections <= 0 {
		return c, usagef("%s %d: write a number above 0 such as %d", file.where("max-connections"), o.MaxConnections, tunnel.DefaultMaxConnections)
	}
	c = tunnel.ServerConfig{Listen: o.Listen, Open: o.Open, MaxConnections: o.MaxConnections}
	if c.Identity, c.PresharedKey, err = readKeys(file, o.Key, o.PSK); err != nil {
		return c, err
	}
	if c.Authorized, err = o.authorized(file); err != nil {
		return c, err
	}
	if c.Allow, err = parseList(file, "allow", o.Allow, tunnel.ParseRules); err != nil {
		return c, err
	}
	if c.AllowListen, err = parseList(file, "allow-listen", o.AllowListen, tunnel.ParseListenRules); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, file.wrap(err)
	}
	return c, nil
}

// authorized puts the list of clients together: those of the authorized file and those of the config file.
func (o *tunnelServerOptions) authorized(file *configFile) (a *tunnel.Authorized, err error) {
	if o.Authorized != "" {
		if a, err = tunnel.ReadAuthorized(file.file("authorized", o.Authorized)); err != nil {
			return nil, usagef("%s: %w", file.where("authorized"), err)
		}
	}
	for i, client := range o.Clients {
		if a == nil {
			a = new(tunnel.Authorized)
		}
		at := fmt.Sprintf("client[%d]", i)
		entry, err := client.parse(file, at)
		if err != nil {
			return nil, err
		}
		if err := a.Add(entry); err != nil {
			return nil, usagef("%s: %w", file.where(at), err)
		}
	}
	return a, nil
}

func (o *clientOption) parse(file *configFile, at string) (c tunnel.AuthorizedClient, err error) {
	c.Name = o.Name
	if o.Key == "" {
		return c, usagef("%s: a client without a key: add key = \"gwpub1…\" (godwit pubkey prints it)", file.where(at))
	}
	if c.Key, err = crypto.ParsePublicKey(o.Key); err != nil {
		return c, usagef("%s: %w", file.where(at+".key"), err)
	}
	if o.Allow != nil {
		if c.Allow, err = parseList(file, at+".allow", o.Allow, tunnel.ParseRules); err != nil {
			return c, err
		}
	}
	if o.AllowListen != nil {
		c.AllowListen, err = parseList(file, at+".allow-listen", o.AllowListen, tunnel.ParseListenRules)
	}
	return c, err
}
