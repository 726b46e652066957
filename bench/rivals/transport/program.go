package transport

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// program is an outside program that runs as long as one end exists.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program where an end belongs.
func (o *Options) start(name string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(name, args...), done: make(chan struct{})}
	if o.Logf != nil {
		p.cmd.Stdout, p.cmd.Stderr = logWriter(o.Logf), logWriter(o.Logf)
	}
	if err := o.Open(p.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // it is killed
		close(p.done)
	}()
	return p, nil
}

// end kills the program and waits until it is gone.
func (p *program) end() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Processes makes whatever embeds a program an Outside.
func (p *program) Processes() []*os.Process { return []*os.Process{p.cmd.Process} }

// logWriter is a function as a writer.
type logWriter func(format string, v ...any)

func (l logWriter) Write(b []byte) (int, error) {
	l("%s", b)
	return len(b), nil
}

// missing says which of some programs is not installed, and how to install them.
func missing(debian string, names ...string) string {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Sprintf("%s is not installed: apt-get install --no-install-recommends %s", name, debian)
		}
	}
	return ""
}

// packageVersion is the version of a Debian package, if dpkg knows it.
func packageVersion(name string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out)) + " (Debian)"
}

// freePort returns a port that was free a moment ago, for programs that must be told one.
func (o *Options) freePort(network string) (port int, err error) {
	addr := net.JoinHostPort(o.Host, "0")
	err = o.Open(func() error {
		if network == "tcp" {
			l, err := net.Listen(network, addr)
			if err != nil {
				return err
			}
			port = l.Addr().(*net.TCPAddr).Port
			return l.Close()
		}
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			return err
		}
		port = c.LocalAddr().(*net.UDPAddr).Port
		return c.Close()
	})
	return port, err
}

// retryPause is between two tries to reach a program that is starting.
const retryPause = 20 * time.Millisecond

// eventually calls f until it succeeds.
func eventually(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(retryPause):
		}
	}
}
