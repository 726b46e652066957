//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/godwit-net/godwit/bench/machine"
)

const intro = `# Against the kernel's TCP, and real sockets beside the simulator

Written by ` + "`make kernel`" + `, in real time, one run for each line: none gives the same figures twice. Two network namespaces, the
link of the simulator between their TUN devices: ` + "`dsl`" + ` is 50 Mbit/s, 20 ms one way. Everything runs at a
real-time priority, or other work on the machine would look like a queue; "late" tells how far behind the
link's time 99 % of the packets left at most, "load" is the machine's load average of the last minute.

Goodput is what the receiver's application read, in Mbit/s. "again" is the part of a flow's packets that
TCP sent again or Godwit declared lost, in percent, in the order of the flows. "queue" is the wait for the
bottleneck that was not exceeded 95 % of the time.

`

func writeIntro(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s%s: %s, commit %s.\n", intro, time.Now().UTC().Format(time.DateOnly), machine.Text(), machine.Commit())
	return err
}

func writeSection(w io.Writer, s *section) error {
	_, err := fmt.Fprintf(w, "\n## %s\n\n%s %v, of which the first %v are left out.\n\n"+
		"| flows | Mbit/s | share of the first | again %% | queue ms | late ms | load |\n|---|---|---|---|---|---|---|\n",
		s.title, s.text, s.scenarios[0].duration, s.scenarios[0].warmup)
	return err
}

func writeResult(w io.Writer, s *scenario, r *result) error {
	goodput, again := make([]string, len(r.flows)), make([]string, len(r.flows))
	for i, f := range r.flows {
		goodput[i], again[i] = mbit(f.goodput), fmt.Sprintf("%.2f", 100*f.lost)
	}
	share := "–"
	if len(r.flows) > 1 {
		share = fmt.Sprintf("%.2f", r.share(0))
	}
	late := fmt.Sprintf("%.1f", millis(r.stats.late))
	if r.stats.vanished > 0 {
		late += fmt.Sprintf(", %d packets vanished", r.stats.vanished)
	}
	_, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %.1f | %s | %s |\n", s.name, strings.Join(goodput, " + "), share,
		strings.Join(again, ", "), millis(r.queue.Quantile(0.95)), late, r.load)
	return err
}

func writeCompareIntro(w io.Writer) error {
	_, err := fmt.Fprintf(w, "\n## Real sockets beside the simulator\n\n"+
		"One session, one stream, %v with the start, medians of %d. In brackets the part of the simulator's figure.\n"+
		"\"proxy\" is what `godwit bench --link` does: both ends and a UDP proxy on one machine.\n\n"+
		"| link | controller | simulator | proxy | namespaces | load |\n|---|---|---|---|---|---|\n", compareDuration, compareTimes)
	return err
}

func writeAgreement(w io.Writer, a *agreement) error {
	_, err := fmt.Fprintf(w, "| %s | %s | %s | %s (%.2f) | %s (%.2f) | %s |\n", a.link, a.controller, mbit(a.simulated),
		mbit(a.proxied), a.proxied/a.simulated, mbit(a.bridged), a.bridged/a.simulated, a.load)
	return err
}

func mbit(bps float64) string { return fmt.Sprintf("%.1f", bps/1e6) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
