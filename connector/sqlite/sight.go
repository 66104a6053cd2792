package sqlite

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure/connector/relational"
)

// sight is what was seen of the rows of one table.
type sight struct {
	table   relational.Table
	known   bool // it is a table of the platform's or the tenant's
	covered bool // by a data class
	going   bool // by one of this batch
	let     bool // the blueprint lets a trigger write there
	index   *indexed
	part    bool // of an index: it has a row for each of the index's

	upto    int // how many columns of a row that the erasure itself changes are read
	loses   []*lost
	parts   []*lost
	entries []entry

	deleted int64
	doubts  map[string]bool // addresses of rows that something else than the erasure deleted or changed
	added   map[string]bool
	fouls   [3]int64
}

// lost is a reference that a constraint takes from rows when what they refer to goes.
type lost struct {
	relational.ForeignKey
	columns, parents []int            // where they stand
	blind            bool             // the driver can't read them
	gone             map[string]bool  // the values of rows that went; nil if they can't be read
	cut              map[string]int64 // how many rows lost it, by its values
}

// entry says which column of a table numbers the rows of an index; -1 is the rowid.
type entry struct {
	index  *indexed
	column int
}

// read gives the row's values before and after. The driver can't read a first
// column that is virtual, and then nothing is read; of other generated columns it
// may give what isn't so, and nobody looks at those.
func (s *sight) read(d sqlite.SQLitePreUpdateData, own bool) (before, after []any) {
	n := len(s.table.Columns)
	if n == 0 || s.table.Columns[0].Generated {
		return nil, nil
	}
	if own {
		n = s.upto
	}
	if before = make([]any, n); d.Op == sqlite3.SQLITE_INSERT || d.Old(before...) != nil {
		before = nil
	}
	if after = make([]any, n); d.Op == sqlite3.SQLITE_DELETE || d.New(after...) != nil {
		after = nil
	}
	return before, after
}

// stands notes by what indexes know a row. One that they don't know by anything
// stands for what can't be told, unless the index is built anew.
func (s *sight) stands(how int, rowid int64, values []any) {
	for _, en := range s.entries {
		switch {
		case en.column < 0:
			en.index.stand[how][strconv.FormatInt(rowid, 10)] = true
		case values == nil: // there is no such row, or it can't be read
		case values[en.column] != nil:
			en.index.stand[how][plainText(values[en.column])] = true
		case !en.index.anew && how == wasDeleted:
			en.index.wrong = "rows of " + s.table.Name + " have no value in " + s.table.Columns[en.column].Name
		}
	}
}

// address is a row's, as the dialect gives it; "" if it can't be told.
func (s *sight) address(id int64, values []any) string {
	if rowid(s.table) != "" {
		return strconv.FormatInt(id, 10)
	}
	if values == nil {
		return ""
	}
	columns, _ := telling(s.table)
	out := make([]string, len(columns))
	for i, at := range places(s.table, columns) {
		out[i] = written(values[at])
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// written is a value as SQL writes it.
func written(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return "cast(x'" + hex.EncodeToString([]byte(v)) + "' as text)"
	case []byte:
		return "x'" + hex.EncodeToString(v) + "'"
	}
	return "null"
}

// same says that two values are one.
func same(a, b any) bool {
	x, isX := a.([]byte)
	y, isY := b.([]byte)
	if isX || isY {
		return isX && isY && bytes.Equal(x, y)
	}
	return a == b
}

// lost says that a row changed in nothing but a reference, which a constraint takes
// from rows whose parent goes.
func (s *sight) lost(before, after []any) bool {
	if before == nil || after == nil {
		return false
	}
	var changed []int
	for i, c := range s.table.Columns {
		if !c.Generated && !same(before[i], after[i]) {
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 {
		return true
	}
	return slices.ContainsFunc(s.loses, func(l *lost) bool {
		for _, i := range changed {
			if !slices.Contains(l.columns, i) || l.OnDelete == relational.SetNull && after[i] != nil {
				return false
			}
		}
		l.cut[loose(before, l.columns)]++ // what it refers to may be about to go
		return true
	})
}

// kept counts the rows that lost the reference though what it refers to stays.
func (l *lost) kept() (n int64) {
	for values, rows := range l.cut {
		if l.gone != nil && !l.gone[values] {
			n += rows
		}
	}
	return n
}

// went notes what rows refer to a row by that goes.
func (l *lost) went(before []any) {
	if before == nil {
		l.gone = nil
	}
	if l.gone != nil {
		l.gone[loose(before, l.parents)] = true
	}
}

// loose are values as what may refer to them has them: without regard to their
// type, to case and to blanks.
func loose(values []any, at []int) string {
	var out strings.Builder
	for _, i := range at {
		if i < 0 {
			continue
		}
		text := strings.ToLower(strings.TrimSpace(plainText(values[i])))
		if f, err := strconv.ParseFloat(text, 64); err == nil && f != math.Trunc(f) || err == nil && strings.ContainsAny(text, ".e+") {
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
		out.WriteString(text + "\x00")
	}
	return out.String()
}

// plainText is a value as a text, "" for null.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}
