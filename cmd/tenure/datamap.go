package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/register"
)

func (a *app) datamap() *cobra.Command {
	return group(&cobra.Command{
		Use:   "datamap",
		Short: "Say what the systems' columns hold, and keep the record of processing",
		Long:  "A scan proposes a data class for each column; people decide in a file under review; the record follows from both.",
	}, a.datamapScan(), a.datamapRecord())
}

// scan is what a scan printed.
type scan struct {
	Systems []client.SystemScan `json:"systems"`
	File    string              `json:"file,omitempty"`
	Changes []scanChange        `json:"changes,omitempty"`
	Dead    map[string]string   `json:"dead,omitempty"` // systems that couldn't be scanned, and why
}

// scanChange is what a scan made of the file under review.
type scanChange struct {
	System    string   `json:"system"`
	New       []string `json:"new"`
	Open      []string `json:"undecided"`
	Missing   []string `json:"missing"`
	Differing []string `json:"differing"`
}

func (a *app) datamapScan() *cobra.Command {
	var p client.ScanParams
	var systems []string
	file, check, every := "", false, false
	cmd := command("scan", "Propose a data class for each column, from names, types and some values",
		"Values are looked at in memory, shown as shapes (x for a letter, 9 for a digit) and kept nowhere. With --file the\nproposals go into a file under review, in which people decide: what was decided stays, what is new is added, what\ndisappeared is marked. With --check the file is left as it is, and the command ends with exit code 7 if a column\nthat is there isn't decided.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if check && file == "" {
				return tenure.Errorf(tenure.Invalid, "--check needs the file in which people decide").WithHint("--file FILE")
			}
			f, err := a.readRegister(file, !check)
			if err != nil {
				return err
			}
			out := scan{File: file}
			if err := a.scanAll(cmd.Context(), p, systems, &out); err != nil {
				return err
			}
			if file != "" {
				for _, s := range out.Systems {
					c := f.Merge(s.System, found(s), p.Tables)
					out.Changes = append(out.Changes, scanChange{s.System, c.New, c.Open, c.Missing, c.Differing})
				}
				if !check {
					if err := writeFile(file, f.YAML()); err != nil {
						return err
					}
				}
			}
			if err := a.show(out, func(o *page) { printScan(o, out, every, check) }); err != nil {
				return err
			}
			return verdictOfScan(out, check)
		})
	fl := cmd.Flags()
	fl.StringSliceVar(&systems, "system", nil, "the system; may be repeated (default every added one that can be scanned)")
	fl.StringVar(&file, "file", "", "the file under review; made if it isn't there")
	fl.BoolVar(&check, "check", false, "change nothing, and end with exit code 7 if something isn't decided")
	fl.BoolVar(&every, "all", false, "print the columns too in which nothing was recognised")
	fl.StringSliceVar(&p.Tables, "table", nil, "only this table; may be repeated")
	fl.IntVar(&p.Rows, "rows", 200, "how many rows of each table are read, at most 2000")
	fl.IntVar(&p.For, "seconds", 20, "how long a system's scan may take, at most 25")
	return cmd
}

// readRegister reads the file under review. One that isn't there yet is empty.
func (a *app) readRegister(path string, fresh bool) (*register.File, error) {
	if path == "" {
		return &register.File{}, nil
	}
	b, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err) && fresh:
		return register.Parse(nil, filepath.Base(path))
	case os.IsNotExist(err):
		return nil, tenure.Errorf(tenure.NotFound, "there is no file %s", path).WithHint("make it: tenure datamap scan --file %s", path)
	case err != nil:
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
	}
	return register.Parse(b, filepath.Base(path))
}

// scanAll scans the named systems, or all that can be scanned. Among all, one that can't be
// reached is noted in out.Dead, and the others are scanned.
func (a *app) scanAll(ctx context.Context, p client.ScanParams, names []string, out *scan) error {
	every := len(names) == 0
	if every {
		all, err := ask(ctx, a, client.ListSystems, client.None{})
		if err != nil {
			return err
		}
		for _, s := range all.Items {
			names = append(names, s.Name)
		}
	}
	out.Dead = map[string]string{}
	for _, name := range names {
		p.System = name
		one, err := ask(ctx, a, client.ScanSystem, p)
		code := tenure.CodeOf(err)
		switch {
		case err == nil:
			out.Systems = append(out.Systems, one)
		case every && code == tenure.Invalid && len(p.Tables) == 0: // its connector has no columns
		case every && (code == tenure.Unavailable || code == tenure.Blocked) && ctx.Err() == nil:
			out.Dead[name] = err.Error()
		default:
			return err
		}
	}
	if len(out.Systems) == 0 && len(out.Dead) == 0 {
		return tenure.Errorf(tenure.NotFound, "no system was added whose columns can be scanned").WithHint("add it: tenure system add NAME")
	}
	return nil
}

func found(s client.SystemScan) []register.Found {
	out := make([]register.Found, len(s.Columns))
	for i, c := range s.Columns {
		out[i] = register.Found{Table: c.Table, Column: c.Column, Path: c.Path, Class: c.Class, Personal: c.Personal, Confidence: c.Confidence, Reason: c.Reason, Unread: c.Unread != ""}
	}
	return out
}

// mostNamed is how many columns are named one by one.
const mostNamed = 50

func printScan(o *page, out scan, every, check bool) {
	for i, s := range out.Systems {
		if i > 0 {
			o.print("\n")
		}
		o.title("System %s", s.System)
		var rows [][]string
		rest := 0
		for _, c := range s.Columns {
			if c.Class == "none" && !every {
				rest++
				continue
			}
			name := register.Found{Table: c.Table, Column: c.Column, Path: c.Path}.Name()
			reason := c.Reason
			if c.Unread != "" {
				reason += "; not read: " + c.Unread
			}
			rows = append(rows, []string{name, c.Class, fmt.Sprintf("%.2f", c.Confidence), reason, strings.Join(c.Samples, " · ")})
		}
		if len(rows) > 0 {
			o.table([]string{"column", "class", "confidence", "reason", "shapes"}, rows)
		}
		if rest > 0 {
			o.line("Columns in which nothing was recognised: %d", rest)
		}
		for _, says := range append(slices.Clone(s.Says), s.Partial) {
			if says != "" {
				o.loud("note: %s", says)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out.Dead)) {
		o.loud("not scanned: %s: %s", name, out.Dead[name])
	}
	for _, c := range out.Changes {
		for _, list := range []struct {
			what string
			all  []string
		}{{"new", c.New}, {"disappeared", c.Missing}, {"look otherwise", c.Differing}} {
			for i, name := range list.all {
				if i == mostNamed {
					o.line("%s in %s: %d more", list.what, c.System, len(list.all)-i)
					break
				}
				o.line("%s in %s: %s", list.what, c.System, name)
			}
		}
		o.line("Not decided in %s: %d", c.System, len(c.Open))
	}
	if out.File != "" && !check {
		o.next("decide in " + out.File + ", then: tenure datamap scan --file " + out.File + " --check")
	}
}

// verdictOfScan is Unavailable if a system couldn't be scanned; where that is checked, it
// is Blocked while a column that is there isn't decided.
func verdictOfScan(out scan, check bool) error {
	if len(out.Dead) > 0 {
		return tenure.Errorf(tenure.Unavailable, "these systems couldn't be scanned: %s", strings.Join(slices.Sorted(maps.Keys(out.Dead)), ", ")).WithHint("see why: tenure system list")
	}
	if !check {
		return nil
	}
	var open []string
	for _, c := range out.Changes {
		for _, name := range c.Open {
			open = append(open, c.System+" "+name)
		}
	}
	if len(open) == 0 {
		return nil
	}
	first := strings.Join(open[:min(len(open), 5)], ", ")
	if len(open) > 5 {
		first += fmt.Sprintf(" and %d more", len(open)-5)
	}
	return tenure.Errorf(tenure.Blocked, "columns that nobody has decided on: %d (%s)", len(open), first).
		WithHint("add what is new to the file: tenure datamap scan --file %s", out.File).
		WithHint("then give each its decision in the file: confirmed or dismissed")
}
