package register

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const kind = "DataMap"

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// quoted is a text as YAML takes it for one.
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plain.MatchString(s) {
			return s
		}
	}
	b, _ := json.Marshal(s)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

var head = []string{
	"# What the columns of the systems hold: proposed by tenure datamap scan, decided by people. The next scan keeps what",
	"# was decided. Each needs a decision: confirmed (class and personal are right as they stand here; change them first",
	"# where they aren't), or dismissed (it holds nothing of the kind). An entry table.* decides for those columns of a",
	"# table that aren't named and in which nothing is recognised. No value of any column stands here.",
	"kind: " + kind,
	"version: 1",
	"systems:",
}

// YAML is the file as a text. What a person wrote stays as it was written, comments
// included, where entries stand on lines of their own.
func (f *File) YAML() []byte {
	text := f.text()
	if again, err := Parse(text, f.Name); !f.loose && (err != nil || !f.same(again)) {
		f.loose = true // lines that can't be told apart
		text = f.text()
	}
	return text
}

// same says that two files say the same of every column.
func (f *File) same(o *File) bool {
	return slices.EqualFunc(f.Systems, o.Systems, func(a, b System) bool {
		return a.Name == b.Name && slices.EqualFunc(a.Entries, b.Entries, func(a, b Entry) bool {
			a.line, a.raw, b.line, b.raw = 0, nil, 0, nil
			a.Confidence, b.Confidence = math.Round(a.Confidence*100), math.Round(b.Confidence*100)
			return fmt.Sprint(a) == fmt.Sprint(b)
		})
	})
}

func (f *File) text() []byte {
	var lines []string
	switch {
	case len(f.head) > 0 && !f.loose:
		lines = append(lines, f.head...)
	default:
		lines = append(lines, head[:len(head)-1]...)
		if f.loose {
			lines = append(lines, f.Record.lines()...)
		}
		lines = append(lines, head[len(head)-1])
	}
	for _, s := range f.Systems {
		if len(s.head) > 0 && !f.loose {
			lines = append(lines, s.head...)
		} else {
			lines = append(lines, "  "+quoted(s.Name)+":")
		}
		indent := s.indent
		if indent == "" || f.loose {
			indent = "    "
		}
		for _, e := range s.Entries {
			if len(e.raw) > 0 && !f.loose {
				lines = append(lines, e.raw...)
			} else {
				lines = append(lines, e.lines(indent)...)
			}
		}
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	if !f.loose {
		lines = append(lines, f.tail...)
		for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
			lines = lines[:len(lines)-1]
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (e Entry) lines(indent string) []string {
	out := []string{
		indent + quoted(e.Name) + ":",
		indent + "  class: " + quoted(e.Class),
		indent + "  personal: " + strconv.FormatBool(e.Personal),
		indent + "  reason: " + quoted(e.Reason),
		indent + "  confidence: " + strconv.FormatFloat(e.Confidence, 'f', 2, 64),
		indent + "  decision: " + string(e.Decision),
	}
	if e.Note != "" {
		out = append(out, indent+"  note: "+quoted(e.Note))
	}
	if e.Missing {
		out = append(out, indent+"  missing: true")
	}
	return out
}

// Found is one column as a scan proposes it.
type Found struct {
	Table, Column, Path string
	Class               string
	Personal            bool
	Confidence          float64
	Reason              string
	Unread              bool // its values weren't looked at
}

// Name is the entry's name.
func (c Found) Name() string {
	name := c.Table + "." + c.Column
	if c.Path != "" {
		name += "->" + c.Path
	}
	return name
}

// Change is what a scan made of a file.
type Change struct {
	New       []string // columns that nobody has decided on yet and that the file didn't have
	Open      []string // all that nobody has decided on
	Missing   []string // entries of which the scan didn't find the column
	Differing []string // decided ones that look otherwise now, in words
}

// Merge adds what a scan of a system found, in all its tables or in some. What was decided
// stays as it is.
func (f *File) Merge(system string, found []Found, tables []string) (c Change) {
	s := f.system(system)
	if s == nil {
		f.Systems = append(f.Systems, System{Name: system})
		slices.SortStableFunc(f.Systems, func(a, b System) int { return strings.Compare(a.Name, b.Name) })
		s = f.system(system)
	}
	have := map[string]int{}
	for i, e := range s.Entries {
		have[e.Name] = i
	}
	seen, columns := map[string]bool{}, map[string]bool{}
	for _, one := range found {
		name := one.Name()
		seen[name], columns[one.Table+"."+one.Column] = true, true
		i, ok := have[name]
		if !ok {
			if w, wild := have[one.Table+Every]; wild && s.Entries[w].Decided() && one.Class == "none" {
				continue
			}
			s.Entries = append(s.Entries, Entry{Name: name, Class: one.Class, Personal: one.Personal, Reason: one.Reason, Confidence: one.Confidence, Decision: Proposed})
			c.New = append(c.New, name)
			continue
		}
		e := &s.Entries[i]
		if e.Missing {
			e.Missing, e.raw = false, nil
		}
		switch {
		case !e.Decided() && !(one.Unread && e.Confidence > one.Confidence):
			if e.Class != one.Class || e.Reason != one.Reason || e.Confidence != one.Confidence || e.Personal != one.Personal {
				e.raw = nil
			}
			e.Class, e.Personal, e.Reason, e.Confidence = one.Class, one.Personal, one.Reason, one.Confidence
		case e.Decided() && one.Confidence >= 0.8 && one.Class != "none" && (e.Class == "none" || e.Decision == Dismissed && one.Class != e.Class):
			c.Differing = append(c.Differing, fmt.Sprintf("%s was decided as %s, %s, and looks like %s now: %s", name, e.Decision, e.Class, one.Class, one.Reason))
		}
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		if !seen[e.Name] && !there(e.Name, found, columns) && within(e.Name, tables) {
			if !e.Missing {
				e.Missing, e.raw = true, nil
			}
			c.Missing = append(c.Missing, e.Name)
		}
		if !e.Decided() && !e.Missing {
			c.Open = append(c.Open, e.Name)
		}
	}
	slices.SortStableFunc(s.Entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(c.New)
	slices.Sort(c.Open)
	slices.Sort(c.Missing)
	return c
}

// there says that what an entry names is still there though the scan has no such line: a
// path in a column that is there, or a table with all its columns.
func there(name string, found []Found, columns map[string]bool) bool {
	if at, _, path := strings.Cut(name, "->"); path {
		return columns[at]
	}
	table, every := strings.CutSuffix(name, Every)
	return every && slices.ContainsFunc(found, func(c Found) bool { return c.Table == table })
}

// within says that an entry is of one of the tables; none is all.
func within(name string, tables []string) bool {
	return len(tables) == 0 || slices.ContainsFunc(tables, func(t string) bool { return strings.HasPrefix(name, t+".") })
}

// Undecided are the entries of a system that nobody has decided on and whose column the
// last scan found.
func (f *File) Undecided() (out []string) {
	for _, s := range f.Systems {
		for _, e := range s.Entries {
			if !e.Decided() && !e.Missing {
				out = append(out, s.Name+": "+e.Name)
			}
		}
	}
	return out
}
