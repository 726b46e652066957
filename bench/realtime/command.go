package realtime

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"

	"github.com/godwit-net/godwit/bench/golden"
)

// errMoved says that figures are not those of the golden table.
var errMoved = errors.New("figures moved: read the differences, then -update")

// Command is the program that measures, with the arguments after its name. It returns the exit status: 0 all
// is well, 1 it failed or figures moved, 2 wrong usage.
func Command(args []string, stdout, stderr io.Writer) int {
	var c command
	flags := flag.NewFlagSet("realtime", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.seeds, "seeds", 1, "play each scenario under this many seeds, from 1 up; some costly ones have fewer")
	flags.StringVar(&c.only, "only", "", "play only scenarios whose name matches this regular `expression`")
	flags.BoolVar(&c.short, "short", false, "a tenth of the samples")
	flags.StringVar(&c.golden, "golden", "", "compare with the table in this `file`")
	flags.BoolVar(&c.update, "update", false, "write the table of -golden anew, with what is played and nothing else")
	flags.StringVar(&c.note, "note", "", "stands at the head of the table: commit and machine")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := c.prepare(flags.NArg()); err != nil {
		fmt.Fprintln(stderr, "realtime:", err)
		return 2
	}
	if err := c.run(stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "realtime:", err)
		return 1
	}
	return 0
}

type command struct {
	seeds              int
	only, golden, note string
	short, update      bool
	names              *regexp.Regexp
}

// prepare makes options of what was typed.
func (c *command) prepare(rest int) error {
	if rest > 0 {
		return errors.New("nothing but flags is expected: see -h")
	}
	if c.update && c.golden == "" {
		return errors.New("-update needs -golden, the file to write")
	}
	var err error
	c.names, err = regexp.Compile(c.only)
	return err
}

func (c *command) scenarios() (list []Scenario) {
	for _, s := range Grid() {
		if !c.names.MatchString(s.Name) {
			continue
		}
		if c.short {
			s = s.Short()
		}
		list = append(list, s)
	}
	return list
}

func (c *command) run(stdout, log io.Writer) error {
	rows, err := MeasureAll(c.scenarios(), c.seeds, func(done, of int, row *Row) {
		fmt.Fprintf(log, "%d/%d %s\n", done, of, row.Scenario.Name)
	})
	if err != nil {
		return err
	}
	table := Table(rows)
	fmt.Fprint(stdout, table)
	if c.golden == "" {
		return nil
	}
	g := golden.Table{File: c.golden, NameWidth: nameWidth}
	if c.update {
		return g.Write(c.note, table)
	}
	differences, err := g.Compare(table, c.only == "")
	for _, line := range differences {
		fmt.Fprintln(stdout, line)
	}
	if err == nil && len(differences) > 0 {
		err = errMoved
	}
	return err
}
