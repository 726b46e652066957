package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

// trace is a stack, innermost function first, and the time that was spent in it.
type trace struct {
	time  time.Duration
	stack []string
}

// layer is a share of the time: that of stacks with a function that fits.
type layer struct {
	name string
	fits *regexp.Regexp
}

// layers are asked in this order, each for all functions of a stack, so that what is within something else stands
// before it.
var layers = []layer{
	{"kernel: send", regexp.MustCompile(`udp\.\(\*writeBatch\)\.sendmmsg|UDPConn\)\.Write`)},
	{"kernel: receive", regexp.MustCompile(`udp\.\(\*fastRead\)\.recvmmsg|UDPConn\)\.Read`)},
	{"AEAD: seal", regexp.MustCompile(`crypto\.\(\*PacketKey\)\.Seal|gcm\.\(\*GCM\)\.Seal`)},
	{"AEAD: open", regexp.MustCompile(`crypto\.\(\*PacketKey\)\.Open|gcm\.\(\*GCM\)\.Open`)},
	{"header masks", regexp.MustCompile(`crypto\.\(\*HeaderKey\)`)},
	{"handshakes", regexp.MustCompile(`crypto/handshake|handshakeWorker`)},
	{"copy: application to stream", regexp.MustCompile(`protocol\.\(\*Stream\)\.Write`)},
	{"copy: stream to packet", regexp.MustCompile(`protocol\.\(\*pipe\)\.appendTo`)},
	{"copy: packet to stream", regexp.MustCompile(`protocol\.\(\*Stream\)\.store`)},
	{"copy: stream to application", regexp.MustCompile(`protocol\.\(\*Stream\)\.Read`)},
	{"messages", regexp.MustCompile(`protocol\.\(\*(messagesState|sendChannel|recvChannel)\)|conn\.\(\*mailbox\)`)},
	{"acknowledgements taken", regexp.MustCompile(`protocol\.\(\*lossState\)\.(handleAck|handleTimeout)`)},
	{"sent packets noted", regexp.MustCompile(`protocol\.\(\*lossState\)\.(begin|commit)`)},
	{"acknowledgements made", regexp.MustCompile(`protocol\.\(\*ackState\)|protocol\.\(\*Session\)\.appendAcks`)},
	{"congestion, pacing", regexp.MustCompile(`protocol\.\(\*lossState\)\.canSend|protocol/congestion|protocol\.\(\*pacer\)`)},
	{"packets built", regexp.MustCompile(`protocol\.\(\*Session\)\.Append`)},
	{"packets taken", regexp.MustCompile(`protocol\.\(\*Session\)\.(Receive|HandleDatagram)`)},
	{"sessions found", regexp.MustCompile(`protocol\.\(\*Endpoint\)|conn\.\(\*shard\)\.dispatch`)},
	{"timers", regexp.MustCompile(`conn\.\(\*(timers|wheel)\)|HandleTimeout|NextTimeout`)},
	{"sockets, without the kernel", regexp.MustCompile(`godwit/conn/udp`)},
	{"package conn", regexp.MustCompile(`godwit/conn\.`)},
	{"goroutines: wake, wait, switch", regexp.MustCompile(`runtime\.(futex|schedule|mcall|findRunnable|notewakeup|ready|goready|netpoll|park_m|usleep|osyield|gopark|morestack|goexit0|mstart)`)},
	{"garbage collection, allocation", regexp.MustCompile(`runtime\.(gc|mallocgc|bgsweep|newobject|makeslice)`)},
	{"the workload itself", regexp.MustCompile(`godwit/bench`)},
}

const rest = "the rest"

// divided is the time of a workload by layer.
type divided struct {
	name   string
	total  time.Duration
	layers map[string]time.Duration
}

func divide(name string, traces []trace) divided {
	d := divided{name: name, layers: make(map[string]time.Duration)}
	for _, t := range traces {
		d.total += t.time
		d.layers[layerOf(t.stack)] += t.time
	}
	return d
}

func layerOf(stack []string) string {
	for _, l := range layers {
		for _, f := range stack {
			if l.fits.MatchString(f) {
				return l.name
			}
		}
	}
	return rest
}

// tracesOf has the tools of the language read a profile.
func tracesOf(ctx context.Context, name string) ([]trace, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", name).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof %s: %w", name, err)
	}
	return parseTraces(bytes.NewReader(out))
}

// parseTraces reads what pprof -traces writes: stacks between lines of dashes, the first line of each with its time.
func parseTraces(r io.Reader) (traces []trace, err error) {
	begins, inside := false, false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "-----------+"):
			begins, inside = true, false
		case len(fields) == 0 || strings.HasSuffix(fields[0], ":"): // a label
		case begins:
			took, err := time.ParseDuration(fields[0])
			if err != nil || len(fields) < 2 {
				return nil, fmt.Errorf("pprof wrote %q", line)
			}
			traces = append(traces, trace{time: took, stack: []string{fields[1]}})
			begins, inside = false, true
		case inside:
			last := &traces[len(traces)-1]
			last.stack = append(last.stack, fields[0])
		}
	}
	return traces, lines.Err()
}

// writeLayers writes a table with a column for each workload, in percent of its time.
func writeLayers(w io.Writer, all []divided) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.TabIndent)
	fmt.Fprint(table, "% of the time\t")
	for _, d := range all {
		fmt.Fprintf(table, "%s\t", d.name)
	}
	fmt.Fprintln(table)
	row := func(name string) {
		fmt.Fprintf(table, "%s\t", name)
		for _, d := range all {
			fmt.Fprintf(table, "%.1f\t", 100*d.layers[name].Seconds()/max(d.total.Seconds(), 1e-9))
		}
		fmt.Fprintln(table)
	}
	for _, l := range layers {
		row(l.name)
	}
	row(rest)
	fmt.Fprint(table, "CPU s\t")
	for _, d := range all {
		fmt.Fprintf(table, "%.1f\t", d.total.Seconds())
	}
	fmt.Fprintln(table)
	return table.Flush()
}
