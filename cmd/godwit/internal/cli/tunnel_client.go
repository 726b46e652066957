package cli

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-net/godwit/conn/tunnel"
	"github.com/godwit-net/godwit/crypto"
)

// tunnelClientOptions are the flags of the client, and the keys of its config file.
type tunnelClientOptions struct {
	Server   string   `toml:"server"`
	PeerKey  string   `toml:"peer-key"`
	PSK      string   `toml:"psk"`
	Key      string   `toml:"key"`
	Forward  []string `toml:"forward"`
	Reverse  []string `toml:"reverse"`
	Redirect string   `toml:"redirect"`
	SOCKS5   string   `toml:"socks5"`
	Users    string   `toml:"socks5-users"`
	Wait     duration `toml:"wait"`
	Status   duration `toml:"status"`
	Stats    string   `toml:"stats"`
	Verbose  bool     `toml:"verbose"`
}

// duration is a time.Duration that a config file writes as text, such as "10s".
type duration time.Duration

func (d duration) String() string { return time.Duration(d).String() }
func (d *duration) Type() string  { return "duration" }

// Set reads the value of a flag.
func (d *duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	*d = duration(v)
	return err
}

// UnmarshalText reads the value of a config file.
func (d *duration) UnmarshalText(b []byte) error { return d.Set(string(b)) }

func newTunnelClientCommand() *cobra.Command {
	o := tunnelClientOptions{Wait: duration(tunnel.DefaultWait)}
	var config string
	cmd := &cobra.Command{
		Use:   "client --server HOST:4433 (--peer-key KEY [--key FILE] | --psk FILE) --forward tcp://LISTEN=tcp://TARGET ...",
		Short: "Listen on TCP and UDP ports and carry what comes to a tunnel server",
		Long: `Keeps one session to a tunnel server and carries the connections of local TCP ports, and the datagrams
of local UDP ports, to targets behind the server.

The server is recognised by its public key (--peer-key) or by a pre-shared key (--psk). --key is the
client's own key, which the server may ask for. Host names of targets are resolved by the server.

UDP forwards are written udp://LISTEN:PORT=udp://TARGET:PORT?OPTIONS, with ranges of ports of one length as
5004-5005 where ports belong together: RTP and RTCP leave from neighbouring ports again. Each local program has a flow of its own and gets its own answers. As it
is, a datagram that is lost stays lost, as programs for UDP expect. With options, joined by &:
  deadline=150ms  lost datagrams are sent again for so long beyond the delay of the path, and given out in order
  playout=200ms   each is given out so long after it came in, beyond the delay of the path: no jitter
  overhead=50%    repair may add so much to what they take without loss; 30% unless set, 0% to 300%, where 0% has them
                  sent again and no more
  ordered=false   they are given out as they come

--reverse has the server listen, where it allows that, and carries the connections to a target that the
client reaches: tcp://:8080=tcp://127.0.0.1:80.

--socks5 serves programs that speak SOCKS 5 (RFC 1928): CONNECT and UDP ASSOCIATE, with names or addresses
that the server resolves and must allow.

--redirect takes connections that the packet filter of Linux redirects to one port, and carries each
to where it was going:
  nft add rule ip nat output ip daddr 10.0.0.0/8 tcp dport 1-65535 redirect to :12345

The config file, and every file that it or a flag names, is read again when it changes, and on SIGHUP.
Forwards that stay as they are keep their connections. A file with an error changes nothing.`,
		Example: `  godwit tunnel client --server gw.example.net:4433 --peer-key gwpub1… --key laptop.key --forward tcp://127.0.0.1:2222=tcp://127.0.0.1:22
  godwit tunnel client --server gw.example.net:4433 --psk tunnel.psk --forward 'udp://127.0.0.1:5004-5005=udp://10.0.0.7:5004-5005?deadline=150ms'
  godwit tunnel client --server gw.example.net:4433 --psk tunnel.psk --redirect :12345
  godwit tunnel client --server gw.example.net:4433 --psk tunnel.psk --socks5 127.0.0.1:1080
  godwit tunnel client --config client.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTunnel(cmd, func(log *slog.Logger) (*loaded[tunnel.ClientConfig], error) {
				return o.load(config, cmd.Flags(), log)
			}, openClient, func(c *tunnel.Client) statsSnapshot { return clientSnapshot(c.Stats()) }, (*tunnel.Client).Run)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Server, "server", "", "UDP address of the server, HOST:PORT")
	flags.StringVar(&o.PeerKey, "peer-key", "", "public key of the server, gwpub1…")
	flags.StringVar(&o.PSK, "psk", "", "file of the pre-shared key (godwit keygen --psk)")
	flags.StringVar(&o.Key, "key", "", "file of the client's private key (godwit keygen)")
	flags.StringArrayVar(&o.Forward, "forward", nil, "port to listen on and its target, tcp://LISTEN:PORT=tcp://TARGET:PORT or udp://…; several")
	flags.StringArrayVar(&o.Reverse, "reverse", nil, "port of the server and its target here, tcp://LISTEN:PORT=tcp://TARGET:PORT; several")
	flags.StringVar(&o.Redirect, "redirect", "", "TCP address of redirected connections, such as :12345; Linux only")
	flags.StringVar(&o.SOCKS5, "socks5", "", "TCP address for SOCKS 5 clients, such as 127.0.0.1:1080")
	flags.StringVar(&o.Users, "socks5-users", "", "file of SOCKS users, one NAME:PASSWORD a line; without it nobody needs a password")
	flags.Var(&o.Wait, "wait", "how long a connection waits for a session before it is reset")
	addReportFlags(flags, &o.Status, &o.Stats)
	flags.StringVar(&config, "config", "", "TOML file with the names of these flags as keys; flags win")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "report every connection")
	return cmd
}

func openClient(c tunnel.ClientConfig, _ *slog.Logger) (*tunnel.Client, error) {
	return tunnel.NewClient(c)
}

// load reads the config file beside the flags, which stay as they are.
func (o tunnelClientOptions) load(path string, flags *pflag.FlagSet, log *slog.Logger) (*loaded[tunnel.ClientConfig], error) {
	file, err := readConfigFile(path, &o, flags)
	if err != nil {
		return nil, err
	}
	now := &loaded[tunnel.ClientConfig]{verbose: o.Verbose}
	if now.report, err = newReporting(file, o.Status, o.Stats); err != nil {
		return nil, err
	}
	now.config, err = o.config(file)
	now.config.Logger, now.files = log, file.used
	return now, err
}

// config puts the client's configuration together. Every error is one of usage.
func (o *tunnelClientOptions) config(file *configFile) (c tunnel.ClientConfig, err error) {
	if err := file.checkHostPort("server", o.Server, "gw.example.net:4433"); err != nil {
		return c, err
	}
	if o.Redirect != "" {
		if err := file.checkHostPort("redirect", o.Redirect, ":12345"); err != nil {
			return c, err
		}
	}
	if o.SOCKS5 != "" {
		if err := file.checkHostPort("socks5", o.SOCKS5, "127.0.0.1:1080"); err != nil {
			return c, err
		}
	}
	if o.Users != "" && o.SOCKS5 == "" {
		return c, usagef("%s without --socks5: add --socks5 127.0.0.1:1080, or leave it out", file.where("socks5-users"))
	}
	if o.Wait <= 0 {
		return c, usagef("%s %v: write a time above 0 such as 10s", file.where("wait"), o.Wait)
	}
	c = tunnel.ClientConfig{Server: o.Server, Redirect: o.Redirect, SOCKS5: o.SOCKS5, Wait: time.Duration(o.Wait)}
	if o.PeerKey != "" {
		if c.PeerKey, err = crypto.ParsePublicKey(o.PeerKey); err != nil {
			return c, usagef("%s: %w", file.where("peer-key"), err)
		}
	}
	if c.Identity, c.PresharedKey, err = readKeys(file, o.Key, o.PSK); err != nil {
		return c, err
	}
	if o.Users != "" {
		if c.SOCKS5Users, err = readSOCKSUsers(file.file("socks5-users", o.Users)); err != nil {
			return c, usagef("%s: %w", file.where("socks5-users"), err)
		}
	}
	if c.Forwards, err = parseList(file, "forward", o.Forward, tunnel.ParseForwards); err != nil {
		return c, err
	}
	if c.Reverse, err = parseList(file, "reverse", o.Reverse, tunnel.ParseForwards); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, file.wrap(err)
	}
	return c, nil
}
