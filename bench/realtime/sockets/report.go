package main

import (
	"fmt"
	"io"
	"time"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/bench/machine"
	"github.com/godwit-net/godwit/bench/realtime"
)

const intro = `# Messages and media over real sockets

Written by ` + "`make realtime-sockets`" + `, in real time, one run for each line: none gives the same figures twice. Both ends and the
emulated link are in one process on one machine, as with ` + "`godwit bench --link`" + `; runs take %v after a second of warm-up.
What is measured is in [README.md](README.md). "sim" is the simulator, one seed; the target stands after ≤ and is
missed by what follows the +. "load" is the machine's load average of the last minute: above 1 or 2, other work was in
the way.

%s: %s, commit %s.
`

func writeIntro(w io.Writer, duration time.Duration) {
	fmt.Fprintf(w, intro, duration, time.Now().UTC().Format(time.DateOnly), machine.Text(), machine.Commit())
}

func writeHead(w io.Writer, load *workload) {
	fmt.Fprintf(w, "\n## %s\n\n"+
		"| link | p50 ms | p99 ms | sim | p99.9 ms | sim | missing | packets/message | bytes/message | overhead %% | values | load |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n", load.title)
}

func writeRow(w io.Writer, load *workload, link string, simulated *realtime.Row, r *bench.MessageResult) {
	l := &r.OneWay
	if r.Frames != nil {
		l = r.Frames
	}
	fmt.Fprintf(w, "| %s | %.1f | %s | %.1f | %s | %.1f | %.1e | %.2f | %.0f | %.1f | %d | %s |\n", link, l.P50MS,
		judged(l.P99MS, bound(simulated, load.p99)), simulated.Values[load.p99].Typical,
		judged(l.P999MS, bound(simulated, load.p999)), simulated.Values[load.p999].Typical,
		float64(r.Missing)/float64(max(r.Sent, 1)), r.Wire.Packets, r.Wire.Bytes, r.Wire.Overhead, l.Count, machine.Load())
}

// judged is a figure with its bound, and by how much it is missed.
func judged(v, bound float64) string {
	text := fmt.Sprintf("%.1f ≤%.0f", v, bound)
	if v > bound {
		text += fmt.Sprintf(" +%.1f", v-bound)
	}
	return text
}
