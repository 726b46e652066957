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

	"github.com/godwit-net/godwit/bench/golden"
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
		text := Table(j.Rows)
		fmt.Fprintf(stdout, "%s\n%s\n", j.Controller, text)
		if c.out != "" {
			if err := table(c.out, j.Controller).Write(c.note, text); err != nil {
				return err
			}
		}
		same, err := c.compare(stdout, j.Controller, text)
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

// table is the file of a table in a folder.
func table(folder, name string) golden.Table {
	return golden.Table{File: filepath.Join(folder, name+".txt"), NameWidth: nameWidth}
}

// compare holds a table against the golden one, and prints what is different.
func (c *command) compare(stdout io.Writer, name, text string) (same bool, err error) {
	if c.golden == "" {
		return true, nil
	}
	if c.update {
		return true, table(c.golden, name).Write(c.note, text)
	}
	differences, err := table(c.golden, name).Compare(text, c.only == "")
	for _, line := range differences {
		fmt.Fprintln(stdout, line)
	}
	return len(differences) == 0 && err == nil, err
}

// page writes index.html.
func (c *command) page(all []Judged) error {
	f, err := os.Create(filepath.Join(c.out, "index.html"))
	if err != nil {
		return err
	}
	return errors.Join(WriteHTML(f, c.note, all), f.Close())
}
