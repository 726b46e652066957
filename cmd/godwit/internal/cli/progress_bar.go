package cli

import (
	"fmt"
	"strings"
)

// barWidth is the length of the bar of a command whose end is known.
const barWidth = 24

// step shows, on a terminal, what begins now and which share of the command is done, 0 to 1.
func (p progress) step(what string, done float64) {
	if !p.inPlace {
		return
	}
	full := int(min(max(done, 0), 1) * barWidth)
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	_, _ = fmt.Fprintf(p.w, "\r%.*s%s", progressWidth, fmt.Sprintf("[%s] %3.0f %%  %s", bar, 100*done, what), clearToEnd)
}

// clear takes the line away, for what follows it.
func (p progress) clear() {
	if p.inPlace {
		_, _ = fmt.Fprintf(p.w, "\r%s", clearToEnd)
	}
}
