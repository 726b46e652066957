package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// command is a command that runs on.
type command struct {
	t      *testing.T
	stop   func()
	mu     sync.Mutex
	output bytes.Buffer // stdout and stderr
}

func (c *command) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output.Write(p)
}

func (c *command) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output.String()
}

// start runs a command line until the test ends.
func start(t *testing.T, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &command{t: t}
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), c, c) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		require.Equal(t, statusWorked, <-ended, c.text())
		if t.Failed() {
			t.Log(strings.Join(args, " "), "\n", c.text())
		}
	})
	t.Cleanup(c.stop)
	return c
}

// wait waits until the output matches a pattern n times, and returns the last match of its first group.
func (c *command) wait(n int, pattern string) (group string) {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(c.t, func() bool {
		all := re.FindAllStringSubmatch(c.text(), -1)
		if len(all) < n {
			return false
		}
		group = all[len(all)-1][len(all[0])-1]
		return true
	}, patience, 5*time.Millisecond, "not %d times %q", n, pattern)
	return group
}

// echoing answers every TCP connection with what it says.
func echoing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// say sends a text and wants it back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// wantRefused wants a connection to a forward to be reset.
func wantRefused(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Read(make([]byte, 1))
	}
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// folder is a folder of configuration files.
type folder struct {
	t    *testing.T
	path string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) name(file string) string { return filepath.Join(f.path, file) }

// write writes a file as a program does that opens and truncates it.
func (f folder) write(file, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(f.name(file), []byte(text), 0o600))
}

// replace saves as many editors do: the new file beside the old one, then renamed over it.
func (f folder) replace(file, text string) {
	f.t.Helper()
	f.write(file+".new", text)
	require.NoError(f.t, os.Rename(f.name(file+".new"), f.name(file)))
}

// backup saves as other editors do: the old file is renamed, a new one written, the old one removed.
func (f folder) backup(file, text string) {
	f.t.Helper()
	require.NoError(f.t, os.Rename(f.name(file), f.name(file+"~")))
	f.write(file, text)
	require.NoError(f.t, os.Remove(f.name(file+"~")))
}

// key writes a new private key and returns its public key.
func (f folder) key(file string) string {
	f.t.Helper()
	k := crypto.GeneratePrivateKey()
	f.write(file, k.Text()+"\n")
	return k.Public().String()
}

// pair is a server with a config file and two clients, each of which has rights of its own.
type pair struct {
	folder
	serverKey, laptop, camera string
	server                    *command
	address                   string
	a, b                      string // services
}

func startPair(t *testing.T) *pair {
	p := &pair{folder: newFolder(t), a: echoing(t), b: echoing(t)}
	p.serverKey, p.laptop, p.camera = p.key("server.key"), p.key("laptop.key"), p.key("camera.key")
	p.write("server.toml", p.config("127.0.0.1:0", p.a, p.b))
	p.server = start(t, "tunnel", "server", "--config", p.name("server.toml"))
	p.address = p.server.wait(1, `msg=listening on=(\S+)`)
	return p
}

// config is a config file of the server, with what the two clients may reach.
func (p *pair) config(listen, laptop, camera string) string {
	return fmt.Sprintf(`listen = %q
key = "server.key"

[[client]]
name = "laptop"
key = %q
allow = ["tcp://%s"]

[[client]]
name = "camera"
key = %q
allow = ["tcp://%s"]
`, listen, p.laptop, laptop, p.camera, camera)
}

// client starts a client with a forward to each service and returns their local addresses.
func (p *pair) client(name string) (c *command, toA, toB string) {
	p.t.Helper()
	c = start(p.t, "tunnel", "client", "--server", p.address, "--peer-key", p.serverKey, "--key", p.name(name+".key"),
		"--forward", "tcp://127.0.0.1:0=tcp://"+p.a, "--forward", "tcp://127.0.0.1:0=tcp://"+p.b)
	c.wait(1, "msg=connected")
	toA, toB = c.wait(1, `listening on=(\S+) for=tcp://`+p.a), c.wait(1, `listening on=(\S+) for=tcp://`+p.b)
	return c, toA, toB
}

func TestTwoClientsHaveTheirOwnRightsAndNames(t *testing.T) {
	p := startPair(t)
	_, laptopA, laptopB := p.client("laptop")
	_, cameraA, cameraB := p.client("camera")
	say(t, dial(t, laptopA), "the laptop may")
	wantRefused(t, laptopB)
	say(t, dial(t, cameraB), "the camera may")
	wantRefused(t, cameraA)
	p.server.wait(1, `client connected" client=laptop`)
	p.server.wait(1, `client connected" client=camera`)
	p.server.wait(1, `connection refused" client=laptop target=tcp://`+p.b)
	p.server.wait(1, `connection refused" client=camera target=tcp://`+p.a)
}

func TestAServersFileIsTakenAgainHoweverItIsSaved(t *testing.T) {
	p := startPair(t)
	c, toA, toB := p.client("laptop")
	goesOn := dial(t, toA)
	say(t, goesOn, "before")
	both := p.a + `", "tcp://` + p.b
	for i, save := range []func(file, text string){p.write, p.replace, p.backup} {
		save("server.toml", p.config("127.0.0.1:0", both, p.b))
		p.server.wait(2*i+1, "configuration changed")
		say(t, dial(t, toB), "allowed now")
		save("server.toml", p.config("127.0.0.1:0", p.a, p.b))
		p.server.wait(2*i+2, "configuration changed")
		wantRefused(t, toB)
	}
	say(t, goesOn, "never touched")
	require.Equal(t, 1, strings.Count(c.text(), "msg=connected"))
}

func TestAFileWithAnErrorChangesNothingAndSaysSoOnce(t *testing.T) {
	p := startPair(t)
	_, toA, _ := p.client("laptop")
	goesOn := dial(t, toA)
	say(t, goesOn, "before")
	bad := strings.Replace(p.config("127.0.0.1:0", p.a, p.b), "allow =", "alow =", 1)
	p.replace("server.toml", bad) // as a whole: a file that is cut short for a moment is reported, too
	p.server.wait(1, `configuration not changed: .*server.toml line 7: unknown key \\"client.alow\\": use name, key, allow, allow-listen`)
	p.write("unrelated", "a change beside it")
	p.replace("server.toml", "listen = \n")
	p.server.wait(1, `configuration not changed: .*server.toml line 1: `)
	require.Equal(t, 2, strings.Count(p.server.text(), "configuration not changed"))
	say(t, goesOn, "after")
	say(t, dial(t, toA), "new ones too")
	p.write("server.toml", p.config("127.0.0.1:0", p.b, p.a))
	p.server.wait(1, "configuration changed")
	wantRefused(t, toA)
}

func TestAClientThatIsTakenOutOfAFileIsClosed(t *testing.T) {
	p := startPair(t)
	c, toA, _ := p.client("laptop")
	say(t, dial(t, toA), "before")
	text := p.config("127.0.0.1:0", p.a, p.b)
	p.replace("server.toml", strings.Replace(text, p.laptop, p.serverKey, 1))
	c.wait(1, "this key is no longer authorized")
	p.replace("server.toml", text)
	p.server.wait(2, "client connected")
	say(t, dial(t, toA), "after")
}

func TestAnAuthorizedFileIsTakenAgainWithoutAConfigFile(t *testing.T) {
	f := newFolder(t)
	serverKey, laptop := f.key("server.key"), f.key("laptop.key")
	service := echoing(t)
	f.write("clients", laptop+" laptop\n")
	// The folder of a deployment tool: a link to a link that is exchanged.
	require.NoError(t, os.Mkdir(f.name("v1"), 0o700))
	require.NoError(t, os.Rename(f.name("clients"), f.name("v1/clients")))
	require.NoError(t, os.Symlink("v1", f.name("now")))
	require.NoError(t, os.Symlink("now/clients", f.name("clients")))
	server := start(t, "tunnel", "server", "--listen", "127.0.0.1:0", "--key", f.name("server.key"),
		"--authorized", f.name("clients"), "--allow", "tcp://"+service)
	client := start(t, "tunnel", "client", "--server", server.wait(1, `msg=listening on=(\S+)`), "--peer-key", serverKey,
		"--key", f.name("laptop.key"), "--forward", "tcp://127.0.0.1:0=tcp://"+service)
	at := client.wait(1, `listening on=(\S+)`)
	say(t, dial(t, at), "before")

	require.NoError(t, os.Mkdir(f.name("v2"), 0o700))
	f.write("v2/clients", "restrict "+laptop+" laptop\n")
	require.NoError(t, os.Symlink("v2", f.name("now.new")))
	require.NoError(t, os.Rename(f.name("now.new"), f.name("now")))
	server.wait(1, "configuration changed")
	wantRefused(t, at)
	f.write("v2/clients", laptop+" laptop\n")
	server.wait(2, "configuration changed")
	say(t, dial(t, at), "after")
}

func TestAClientsFileIsTakenAgain(t *testing.T) {
	p := startPair(t)
	p.write("server.toml", p.config("127.0.0.1:0", p.a+`", "tcp://`+p.b, p.b))
	p.server.wait(1, "configuration changed")
	text := fmt.Sprintf("server = %q\npeer-key = %q\nkey = \"laptop.key\"\nforward = [\"tcp://127.0.0.1:0=tcp://%s\"]\n", p.address, p.serverKey, p.a)
	p.write("client.toml", text)
	c := start(t, "tunnel", "client", "--config", p.name("client.toml"))
	goesOn := dial(t, c.wait(1, `listening on=(\S+)`))
	say(t, goesOn, "before")
	p.replace("client.toml", strings.Replace(text, "forward = [", `forward = [ "tcp://127.0.0.1:0=tcp://`+p.b+`", `, 1))
	toB := c.wait(1, `listening on=(\S+) for=tcp://`+p.b)
	say(t, dial(t, toB), "the new forward")
	p.replace("client.toml", text)
	c.wait(1, "no longer listening")
	say(t, goesOn, "the old one, all the time")
	_, err := net.Dial("tcp", toB)
	require.Error(t, err)

	p.replace("client.toml", strings.Replace(text, "tcp://127.0.0.1:0", "udp:/", 1))
	c.wait(1, `configuration not changed: .*client.toml line 4: `)
	say(t, goesOn, "still")
	require.Equal(t, 1, strings.Count(c.text(), "msg=connected"))
}

func TestTheConfigFilesOfTheReadmeAreRead(t *testing.T) {
	readme, err := os.ReadFile("../../../../README.md")
	require.NoError(t, err)
	f := newFolder(t)
	files := regexp.MustCompile("(?s)```toml\n# (\\w+\\.toml): godwit tunnel (\\w+) .*?```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, files, 3)
	for _, file := range files {
		text := strings.TrimSuffix(strings.TrimPrefix(file[0], "```toml\n"), "```")
		for strings.Contains(text, "gwpub1…") {
			text = strings.Replace(text, "gwpub1…", f.key(strings.TrimSuffix(file[1], ".toml")+".key"), 1)
		}
		f.write(file[1], text)
		if file[2] == "server" {
			_, err = tunnelServerOptions{MaxConnections: 1}.load(f.name(file[1]), pflag.NewFlagSet("", pflag.ContinueOnError), nil)
		} else {
			_, err = tunnelClientOptions{Wait: 1}.load(f.name(file[1]), pflag.NewFlagSet("", pflag.ContinueOnError), nil)
		}
		require.NoError(t, err, file[1])
	}
}
