//go:build linux

// Command kernel measures Godwit against the kernel's own TCP, in real time: both send through one
// emulated bottleneck between two network namespaces. It also measures how near real sockets come to
// the simulator. It needs root, /dev/net/tun and the ip command, and leaves nothing behind.
//
// What it is: the simulated rival of bench/congestion checked against a real one. What it is not: a test;
// its figures are recorded in RESULTS.md and compared by people. `make kernel` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	only := flag.String("run", "", "run scenarios that match this `regexp` only; see -list")
	list := flag.Bool("list", false, "list the scenarios")
	out := flag.String("out", "", "write the tables to this `file` as well")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *list, *out); err != nil {
		fmt.Fprintln(os.Stderr, "kernel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, list bool, out string) error {
	selected, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if list {
		return listAll(os.Stdout)
	}
	w := io.Writer(os.Stdout)
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		w = io.MultiWriter(f, w)
	}
	if err := writeIntro(w); err != nil {
		return err
	}
	if err := runComparison(ctx, w, selected); err != nil {
		return err
	}
	for i := range sectionList {
		if err := runSection(ctx, w, &sectionList[i], selected); err != nil {
			return err
		}
	}
	return nil
}

// compareName is what -run matches for a line of the comparison with the simulator.
func compareName(link, controller string) string { return "simulator, " + controller + ", " + link }

func listAll(w io.Writer) error {
	for _, controller := range compareControllers {
		for _, link := range compareLinks {
			fmt.Fprintln(w, compareName(link, controller))
		}
	}
	for _, section := range sectionList {
		for _, s := range section.scenarios {
			fmt.Fprintln(w, s.name)
		}
	}
	return nil
}

func runComparison(ctx context.Context, w io.Writer, selected *regexp.Regexp) error {
	begun := false
	for _, controller := range compareControllers {
		for _, link := range compareLinks {
			if !selected.MatchString(compareName(link, controller)) {
				continue
			}
			if !begun {
				begun = true
				if err := writeCompareIntro(w); err != nil {
					return err
				}
			}
			a, err := compare(ctx, link, controller)
			if err != nil {
				return err
			}
			if err := writeAgreement(w, &a); err != nil {
				return err
			}
		}
	}
	return nil
}

func runSection(ctx context.Context, w io.Writer, section *section, selected *regexp.Regexp) error {
	begun := false
	for i := range section.scenarios {
		s := &section.scenarios[i]
		if !selected.MatchString(s.name) {
			continue
		}
		if !begun {
			begun = true
			if err := writeSection(w, section); err != nil {
				return err
			}
		}
		r, err := s.run(ctx)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeResult(w, s, r); err != nil {
			return err
		}
	}
	return nil
}
