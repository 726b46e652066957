package congestion

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// errMoved says that figures are not those of the golden tables.
var errMoved = errors.New("figures moved: read the differences, then -update")

// Command is the program that evaluates controllers, with the arguments after its name. It returns the
// exit status: 0 all is well, 1 it failed or figures moved, 2 wrong usage. A program that puts a
// controller into Controllers and then calls it can evaluate that one too.
func Command(args []string, stdout, stderr io.Writer) int {
	var c command
	flags := flag.NewFlagSet("congestion", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.controllers, "controllers", "adaptive,bbr,cubic", "names of `controllers`, with commas between them")
	flags.IntVar(&c.Seeds, "seeds", 1, "play each scenario under this many seeds, from 1 up; some costly ones have fewer")
	flags.StringVar(&c.only, "only", "", "play only scenarios whose name matches this regular `expression`")
	flags.BoolVar(&c.Short, "short", false, "play a fifth of the time, at least five seconds")
	flags.StringVar(&c.traces, "trace", "", "play these `files` in the mahimahi format too, with commas between them")
	flags.StringVar(&c.TraceLink, "trace-link", DefaultTraceLink, "delay, queue and loss for -trace, as a `link`")
	flags.StringVar(&c.out, "out", "", "write the tables and index.html into this `folder`")
	flags.StringVar(&c.golden, "golden", "", "compare with the tables in this `folder`")
	flags.BoolVar(&c.update, "update", false, "write the tables of -golden anew, with what is played and nothing else")
	flags.StringVar(&c.note, "note", "", "stands at the head of tables and page: commit and machine")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := c.prepare(flags.NArg()); err != nil {
		fmt.Fprintln(stderr, "congestion:", err)
		return 2
	}
	c.Log = stderr
	if err := c.run(stdout); err != nil {
		fmt.Fprintln(stderr, "congestion:", err)
		return 1
	}
	return 0
}

type command struct {
	Options
	controllers, only, traces, out, golden, note string
	update                                       bool
}

// prepare makes options of what was typed.
func (c *command) prepare(rest int) error {
	if rest > 0 {
		return errors.New("nothing but flags is expected: see -h")
	}
	if c.update && c.golden == "" {
		return errors.New("-update needs -golden, the folder to write to")
	}
	c.Controllers = strings.Split(c.controllers, ",")
	for _, name := range c.Controllers {
		if _, err := controller(name); err != nil {
			return err
		}
	}
	if c.traces != "" {
		c.Traces = strings.Split(c.traces, ",")
	}
	var err error
	c.Only, err = regexp.Compile(c.only)
	return err
}

func (c *command) run(stdout io.Writer) error {
	all, err := Evaluate(c.Options)
	if err != nil {
		return err
	}
	moved := false
	for _, j := range all {
		table := Table(j.Rows)
		fmt.Fprintf(stdout, "%s\n%s\n", j.Controller, table)
		if c.out != "" {
			if err := c.write(c.out, j.Controller, table); err != nil {
				return err
			}
		}
		same, err := c.compare(stdout, j.Controller, table)
		if err != nil {
			return err
		}
		moved = moved || !same
	}
	if c.out != "" {
		if err := c.page(all); err != nil {
			return err
		}
	}
	if moved {
		return errMoved
	}
	return nil
}

// write puts a table into a folder.
func (c *command) write(folder, name, table string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if c.note != "" {
		table = "# " + c.note + "\n" + table
	}
	return os.WriteFile(filepath.Join(folder, name+".txt"), []byte(table), 0o644)
}

// compare holds a table against the golden one, and prints what is different.
func (c *command) compare(stdout io.Writer, name, table string) (same bool, err error) {
	if c.golden == "" {
		return true, nil
	}
	if c.update {
		return true, c.write(c.golden, name, table)
	}
	text, err := os.ReadFile(filepath.Join(c.golden, name+".txt"))
	if err != nil {
		return false, err
	}
	differences := diff(string(text), table, c.only == "")
	for _, line := range differences {
		fmt.Fprintln(stdout, line)
	}
	return len(differences) == 0, nil
}

// rows returns the lines of a table by what stands in their first column. Lines that begin with # say where
// a table comes from and do not count.
func rows(table string) (names []string, lines map[string]string) {
	lines = make(map[string]string)
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSuffix(line, "\n")
		name := line[:min(nameWidth, len(line))]
		names, lines[name] = append(names, name), line
	}
	return names, lines
}

// diff returns the rows that are not the same in two tables, with - and + before them. Unless all rows were
// played, those that the second one lacks do not count.
func diff(old, now string, all bool) []string {
	names, before := rows(old)
	played, after := rows(now)
	var list []string
	for _, name := range names {
		line, ok := after[name]
		switch {
		case !ok && all:
			list = append(list, "- "+before[name])
		case ok && line != before[name]:
			list = append(list, "- "+before[name], "+ "+line)
		}
	}
	for _, name := range played {
		if _, ok := before[name]; !ok {
			list = append(list, "+ "+after[name])
		}
	}
	return list
}

// page writes index.html.
func (c *command) page(all []Judged) error {
	f, err := os.Create(filepath.Join(c.out, "index.html"))
	if err != nil {
		return err
	}
	return errors.Join(WriteHTML(f, c.note, all), f.Close())
}
