//go:build linux

// Command kernel measures Godwit against the kernel's own TCP, in real time: both send through one
// emulated bottleneck between two network namespaces. It also measures how near real sockets come to
// the simulator. It needs root, /dev/net/tun and the ip command, and leaves nothing behind.
//
// What it is: the simulated rival of bench/congestion checked against a real one. What it is not: a test;
// its figures are recorded in RESULTS.md and compared by people. `make kernel` runs it.
package main

import (
	"bytes"
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
	out := flag.String("out", "", "write the tables to this `file` too, at the end")
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
	var tables bytes.Buffer
	if err := runAll(ctx, io.MultiWriter(os.Stdout, &tables), selected); err != nil || out == "" {
		return err
	}
	return os.WriteFile(out, tables.Bytes(), 0o644)
}

func runAll(ctx context.Context, w io.Writer, selected *regexp.Regexp) error {
	if err := writeIntro(w); err != nil {
		return err
	}
	if err := runComparisons(ctx, w, selected); err != nil {
		return err
	}
	for i := range sectionList {
		if err := runSection(ctx, w, &sectionList[i], selected); err != nil {
			return err
		}
	}
	return nil
}

func listAll(w io.Writer) error {
	for _, c := range comparisons {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return err
		}
	}
	for _, section := range sectionList {
		for i := range section.scenarios {
			if _, err := fmt.Fprintln(w, section.scenarios[i].name); err != nil {
				return err
			}
		}
	}
	return nil
}

func runComparisons(ctx context.Context, w io.Writer, selected *regexp.Regexp) error {
	begun := false
	for _, c := range comparisons {
		if !selected.MatchString(c.String()) {
			continue
		}
		if !begun {
			begun = true
			if err := writeCompareIntro(w); err != nil {
				return err
			}
		}
		a, err := c.run(ctx)
		if err != nil {
			return err
		}
		if err := writeAgreement(w, &a); err != nil {
			return err
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
