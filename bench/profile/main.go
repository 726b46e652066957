// Command profile says where the time goes: it runs the standard workloads over loopback, both ends in this process,
// writes a processor and an allocation profile of each, and prints how the time divides among the layers, beside a
// bare loop of datagrams. PROFILE.md in bench has such tables and what they say.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// workload is a named run.
type workload struct {
	name        string
	options     bench.Options
	maxDatagram int // 0: what the path carries
}

// standard are the workloads of which profiles are made.
var standard = []workload{
	{"bulk-1452", bench.Options{Workload: bench.Bulk}, 1452},
	{"bulk", bench.Options{Workload: bench.Bulk}, 0},
	{"request", bench.Options{Workload: bench.Request, Streams: 100}, 0},
	{"message", bench.Options{Workload: bench.Message, Sessions: 100, Hz: 100}, 0},
	{"game", bench.Options{Workload: bench.Game, Sessions: 500}, 0},
	{"media", bench.Options{Workload: bench.Media, Sessions: 20}, 0},
}

func main() {
	out := flag.String("out", "bin/profile", "directory for the profiles")
	duration := flag.Duration("duration", 3*time.Second, "of each run")
	runs := flag.Int("runs", 5, "interleaved runs beside the bare loop; 0: none")
	only := flag.String("workloads", "", "of these workloads only, separated by commas")
	cpu := flag.String("cpu", "", "make the processor profile of this workload only")
	allocs := flag.String("allocs", "", "make the allocation profile of this workload only")
	flag.Parse()
	ctx, err := context.Background(), error(nil)
	switch {
	case *cpu != "":
		err = profileCPU(ctx, *cpu, *out, *duration)
	case *allocs != "":
		err = profileAllocations(ctx, *allocs, *out, *duration)
	default:
		err = run(ctx, *out, *only, *duration, *runs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only string, d time.Duration, runs int) error {
	chosen := standard
	if only != "" {
		chosen = nil
		for name := range strings.SplitSeq(only, ",") {
			w, err := find(name)
			if err != nil {
				return err
			}
			chosen = append(chosen, w)
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if runs > 0 {
		if err := compare(ctx, os.Stdout, d, runs); err != nil {
			return err
		}
	}
	var all []divided
	for _, w := range chosen {
		for _, kind := range []string{"-cpu", "-allocs"} {
			if err := inChild(ctx, kind, w.name, out, d); err != nil {
				return fmt.Errorf("%s %s: %w", kind, w.name, err)
			}
		}
		traces, err := tracesOf(ctx, w.cpuFile(out))
		if err != nil {
			return err
		}
		all = append(all, divide(w.name, traces))
	}
	if err := writeLayers(os.Stdout, all); err != nil {
		return err
	}
	fmt.Printf("\nprofiles are in %s; look at one with: go tool pprof -http : %s\n", out, chosen[0].cpuFile(out))
	return nil
}

func (w workload) cpuFile(out string) string    { return filepath.Join(out, w.name+".cpu.pprof") }
func (w workload) allocsFile(out string) string { return filepath.Join(out, w.name+".allocs.pprof") }

// inChild makes a profile in a process of its own: allocations before it cannot be forgotten, and every one is
// counted only if that is said at the start.
func inChild(ctx context.Context, kind, name, out string, d time.Duration) error {
	child := exec.CommandContext(ctx, os.Args[0], kind, name, "-out", out, "-duration", d.String())
	child.Env = append(os.Environ(), "GODEBUG=memprofilerate=0")
	if kind == "-allocs" {
		child.Env = append(os.Environ(), "GODEBUG=memprofilerate=1")
	}
	child.Stderr = os.Stderr
	return child.Run()
}

func find(name string) (workload, error) {
	for _, w := range standard {
		if w.name == name {
			return w, nil
		}
	}
	return workload{}, fmt.Errorf("no workload is called %q", name)
}

// perform runs a workload against a server in this process.
func perform(ctx context.Context, w workload, d time.Duration) (*bench.Result, error) {
	config := conn.Config{PresharedKey: crypto.GeneratePresharedKey(), MaxDatagram: w.maxDatagram}
	server, err := bench.NewServer(bench.ServerConfig{Listen: "127.0.0.1:0", Conn: config})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	w.options.Duration = d
	result := bench.NewClient(server.Addr().String(), config).Run(ctx, nil, w.options)
	cancel()
	if err := <-ended; err != nil {
		return nil, err
	}
	if result.Error != "" {
		return nil, errors.New(result.Error)
	}
	return result, nil
}

func profileCPU(ctx context.Context, name, out string, d time.Duration) error {
	w, err := find(name)
	if err != nil {
		return err
	}
	f, err := os.Create(w.cpuFile(out))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	_, err = perform(ctx, w, d)
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

func profileAllocations(ctx context.Context, name, out string, d time.Duration) error {
	w, err := find(name)
	if err != nil {
		return err
	}
	if _, err := perform(ctx, w, d); err != nil {
		return err
	}
	f, err := os.Create(w.allocsFile(out))
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
