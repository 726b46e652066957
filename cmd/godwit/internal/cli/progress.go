package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// progressInterval is how often the line of a command that runs on is renewed.
	progressInterval = time.Second

	// progressWidth keeps a line that is renewed in place from wrapping on a narrow terminal.
	progressWidth = 79
)

// progress shows what a command that runs on is doing: in place on a terminal, line by line when asked
// for, not at all in a pipe.
type progress struct {
	w       io.Writer
	inPlace bool
	lines   bool
}

func newProgress(w io.Writer, lines bool) progress {
	return progress{w: w, inPlace: isTerminal(w) && !lines, lines: lines}
}

// watch shows state every second until the context ends.
func (p progress) watch(ctx context.Context, state func() string) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch {
		case p.inPlace:
			_, _ = fmt.Fprintf(p.w, "\r%.*s%s", progressWidth, state(), clearToEnd)
		case p.lines:
			_, _ = fmt.Fprintln(p.w, state())
		}
	}
}

// end shows the last state, whole.
func (p progress) end(state string) {
	switch {
	case p.inPlace:
		_, _ = fmt.Fprintf(p.w, "\r%s%s\n", state, clearToEnd)
	case p.lines:
		_, _ = fmt.Fprintln(p.w, state)
	}
}

// clearToEnd is the terminal's order to clear the rest of the line (ECMA-48, EL).
const clearToEnd = "\x1b[K"

// isTerminal reports whether w is a terminal rather than a file or a pipe.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
