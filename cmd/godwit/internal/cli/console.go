package cli

import (
	"fmt"
	"io"
	"sync"
)

// console is stderr with a status line below the log, where it is a terminal.
type console struct {
	w        io.Writer
	terminal bool

	mu   sync.Mutex
	line string // that is shown
}

func newConsole(w io.Writer) *console { return &console{w: w, terminal: isTerminal(w)} }

// Write writes log lines above the status line.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line == "" {
		return c.w.Write(p)
	}
	_, _ = fmt.Fprintf(c.w, "\r%s", clearToEnd)
	n, err := c.w.Write(p)
	c.show()
	return n, err
}

// status replaces the status line; an empty one takes it away.
func (c *console) status(line string) {
	if !c.terminal {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line == "" && line == "" {
		return
	}
	c.line = line
	c.show()
}

func (c *console) show() {
	_, _ = fmt.Fprintf(c.w, "\r%.*s%s", progressWidth, c.line, clearToEnd)
}
