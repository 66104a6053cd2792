package store

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed migrations/columns.txt
var columnsText string

// Table is what migrations/columns.txt declares of a table.
type Table struct {
	Name, Help string
	Tenant     []string // the columns by which a tenant's rows are found
	Remove     bool     // a closed tenant's rows are removed
	Only       string   // rows for which this doesn't hold are left alone
	Key        string   // what tells rows apart
	Old        string   // the column whose age removes a row
	Age        time.Duration
	Columns    []Column
}

// Column is what is declared of a column: its class, whose it is, when it goes.
type Column struct {
	Name, Class, Whose, Goes, Note string
}

// When a column goes.
const (
	Stays   = "stays"
	Closing = "closing"
	Sealed  = "sealed"
	Digest  = "digest"
)

// Declared are the tables of the store, as migrations/columns.txt declares them.
var Declared = sync.OnceValue(func() (out []Table) {
	for line := range strings.Lines(columnsText) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			out = append(out, Table{Name: words[0], Help: strings.Join(words[1:], " "), Key: "id"})
		case words[0] == "-":
			out[len(out)-1].direct(words[1], words[2:])
		default:
			words = append(words, make([]string, max(0, 4-len(words)))...)
			t := &out[len(out)-1]
			t.Columns = append(t.Columns, Column{words[0], words[1], words[2], words[3], strings.Join(words[4:], " ")})
		}
	}
	return out
})

// direct reads a line that says how a table's rows are found or go.
func (t *Table) direct(word string, rest []string) {
	switch text := strings.Join(rest, " "); word {
	case "tenant":
		t.Tenant = rest
	case "remove":
		t.Remove = true
	case "only":
		t.Only = text
	case "key":
		t.Key = text
	case "old":
		days, _ := strconv.Atoi(rest[1])
		t.Old, t.Age = rest[0], time.Duration(days)*24*time.Hour
	}
}

// that are the names of the columns that go in one of these ways.
func (t *Table) that(goes ...string) (out []string) {
	for _, c := range t.Columns {
		if slices.Contains(goes, c.Goes) {
			out = append(out, c.Name)
		}
	}
	return out
}

// of is the condition that a row is the tenant's of whom $1 is the id.
func (t *Table) of() string {
	var any []string
	for _, by := range t.Tenant {
		switch by {
		case "operation", "resource":
			any = append(any, by+" in (select id from "+by+" where tenant = $1)")
		case "tenants":
			any = append(any, "tenants like '%' || $1 || '%'")
		default:
			any = append(any, by+" = $1")
		}
	}
	out := "(" + strings.Join(any, " or ") + ")"
	if t.Only != "" {
		out += " and " + t.Only
	}
	return out
}

// filled is the condition that a row has something in one of these columns.
func filled(columns []string) string {
	return "(" + strings.Join(columns, " <> '' or ") + " <> '')"
}
