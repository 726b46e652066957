//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a program may take to say what is expected of it.
const patience = 30 * time.Second

// godwit is the command under test, built once.
var godwit string

// programs are what the tests run besides godwit.
var programs = []string{"curl", "ffmpeg", "ffprobe", "ip", "nft", "redis-benchmark", "redis-cli", "redis-server", "rsync", "wrk"}

func TestMain(m *testing.M) {
	if addr := os.Getenv(serveEnv); addr != "" {
		serveNumbers(addr)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			fmt.Fprintf(os.Stderr, "%v: run: apt-get install -y --no-install-recommends $(cat .ci/packages)\n", err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "godwit-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	godwit = filepath.Join(dir, "godwit")
	if out, err := exec.Command("go", "build", "-o", godwit, "..").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

// process is a program that runs on.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}

	mu  sync.Mutex
	log bytes.Buffer // stdout and stderr
}

// Write collects output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs a program until the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(p.cmd.Args, " "), p.output())
		}
	})
	return p
}

// stop ends the program with a signal and waits for it.
func (p *process) stop(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Errorf("%s did not end on %v", p.cmd.Args[0], signal)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// wait waits until the output matches a pattern, and returns its last group.
func (p *process) wait(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); ; {
		if m := re.FindStringSubmatch(p.output()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-p.exited:
			require.Fail(p.t, "it ended", "%s, without %q:\n%s", p.cmd.Args[0], pattern, p.output())
		case <-time.After(20 * time.Millisecond):
		}
		require.True(p.t, time.Now().Before(end), "%s says no %q:\n%s", p.cmd.Args[0], pattern, p.output())
	}
}

// must runs a program that has to succeed and returns its output.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// keyFile writes a new key to a file in dir.
func keyFile(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	key, err := exec.Command(godwit, append([]string{"keygen"}, args...)...).Output()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, key, 0o600))
	return path
}

// publicKey is the public key of a key file.
func publicKey(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command(godwit, "pubkey")
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	cmd.Stdin = io.Reader(f)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
