package compare

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// Where the memory or the queues of a server are measured, it is a process of its own: this program with -serve. It
// writes its target in one line and then answers one line of JSON, a question, with another one.

// question is what a server is asked.
type question struct {
	Play *play `json:"play,omitempty"` // play a game; without it: what is used
}

// answer is what a server tells.
type answer struct {
	RSS      int           `json:"rss"`      // bytes
	Heap     uint64        `json:"heap"`     // bytes that live, after a collection
	CPU      time.Duration `json:"cpu"`      // until now
	Sessions int           `json:"sessions"` // that are kept
	Played   *played       `json:"played,omitempty"`
}

// serve is the whole life of a server process.
func serve(ctx context.Context, t transport.Transport, s *settings, game bool) error {
	server, err := t.Listen(transport.Options{Host: "127.0.0.1", KeepAlive: s.keepAlive})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Target())
	var h house
	if game {
		go h.welcome(ctx, server)
	} else {
		go echoFirst(ctx, server, h.keep)
	}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		var a answer
		if q.Play != nil {
			a.Played = h.play(ctx, server, q.Play)
		}
		h.usage(&a)
		if err := answers.Encode(&a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// house is the sessions of a server.
type house struct {
	mu       sync.Mutex
	sessions []transport.Session
}

func (h *house) keep(s transport.Session) {
	h.mu.Lock()
	h.sessions = append(h.sessions, s)
	h.mu.Unlock()
}

func (h *house) usage(a *answer) {
	a.RSS, a.CPU = rssOf(os.Getpid()), ownCPU()
	runtime.GC()
	runtime.GC() // what pools keep lives through one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.mu.Lock()
	a.Heap, a.Sessions = m.HeapAlloc, len(h.sessions)
	h.mu.Unlock()
}

// child is a server process, seen from the one that started it.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	target string
}

// startChild starts a server of the rival with this name.
func startChild(ctx context.Context, name string, s *settings, game bool) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "-serve", name, "-keepalive", s.keepAlive.String(), fmt.Sprintf("-game=%t", game))}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.end()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	c.target = line[:len(line)-1]
	return c, nil
}

// childEnv is set for a process that is to be a server: the tests' binary then is one, too.
const childEnv = "RIVALS_SERVER"

// IsServer reports whether this process was started to be a server: then Main is all it does.
func IsServer() bool { return os.Getenv(childEnv) != "" }

// say asks without waiting for the answer; hear waits.
func (c *child) say(q question) error { return json.NewEncoder(c.in).Encode(&q) }

func (c *child) hear() (*answer, error) {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the server is gone: %w", err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, err
	}
	return &a, nil
}

func (c *child) ask(q question) (*answer, error) {
	if err := c.say(q); err != nil {
		return nil, err
	}
	return c.hear()
}

// end has the server end.
func (c *child) end() {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill() // it has nothing to tidy up
	_ = c.cmd.Wait()
}
