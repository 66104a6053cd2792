// Package sqltext reads SQL as a text with holes, and says of each hole what may
// stand there: the content of a literal, a literal, a number, a name. So a value that
// a tenant chose is written as a value, whatever is in it.
//
// It goes by tokens and by the words around a hole, not by a grammar. Where that
// doesn't tell, the hole is refused: whoever wrote the text can put it into quotes.
package sqltext

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// Dialect is what tells the SQL of two systems apart.
type Dialect struct {
	name     string
	prefixes string // letters that make a literal of another kind: e'…'
	dollars  bool   // $tag$…$tag$ is a literal
	nested   bool   // comments hold comments
	brackets bool   // [x] is a name
	ticks    bool   // `x` is a name
	longest  int    // bytes of a name; 0: any
	variable string // signs that make a variable of what follows
	hash     bool   // # begins a comment, -- does so before a blank alone, and /*! is code
}

// PostgreSQL is the SQL of PostgreSQL (§4.1). A backslash in '…' stands for itself:
// the setting standard_conforming_strings must be on.
func PostgreSQL() Dialect {
	return Dialect{name: "PostgreSQL", prefixes: "ebxnu", dollars: true, nested: true, longest: 63}
}

// SQLite is the SQL of SQLite (https://sqlite.org/lang.html).
func SQLite() Dialect {
	return Dialect{name: "SQLite", prefixes: "x", brackets: true, ticks: true, variable: ":@#?"}
}

// MariaDB is the SQL of MariaDB in a session whose sql_mode has ANSI_QUOTES and
// NO_BACKSLASH_ESCAPES: "x" is a name, and a backslash in '…' stands for itself.
func MariaDB() Dialect {
	return Dialect{name: "MariaDB", prefixes: "xbn", ticks: true, longest: 64, variable: "@:", hash: true}
}

// hole is the sign for a hole in a text. No SQL holds it.
const hole = 0

// Read is a connector.SQL.
func (d Dialect) Read(around []string, kinds []connector.ValueKind) (connector.SQLText, []connector.Refusal) {
	places := d.places(around, kinds)
	var refused []connector.Refusal
	for i, p := range places {
		if p.why != "" {
			refused = append(refused, connector.Refusal{Hole: i, Message: p.why, Hint: p.hint})
		}
	}
	return func(values []any) (string, *connector.Refusal) { return d.write(around, places, values) }, refused
}

// places judges the holes of a text.
func (d Dialect) places(around []string, kinds []connector.ValueKind) []place {
	if strings.ContainsRune(strings.Join(around, ""), hole) {
		return slices.Repeat([]place{refused(asNothing, "take it out", "the text holds a NUL")}, len(kinds))
	}
	return d.scan(around).places(kinds)
}
