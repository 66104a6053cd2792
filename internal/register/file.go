// Package register keeps what people decided of the data that a platform's systems hold:
// the file under review, in which each column has a data class and a decision, and the
// record of processing (GDPR, article 30) that follows from it and from a blueprint.
package register

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/tenurehq/tenure"
)

// Decision is what a person said of a proposal.
type Decision string

const (
	Proposed  Decision = "proposed"  // nobody has decided yet
	Confirmed Decision = "confirmed" // class and personal are right as they stand
	Dismissed Decision = "dismissed" // the column holds nothing of the kind
)

// Entry is one column, or one path in a column of JSON documents.
type Entry struct {
	Name       string // table.column, table.column->path, or table.* for what isn't named
	Class      string
	Personal   bool
	Reason     string
	Confidence float64
	Decision   Decision
	Missing    bool   // the last scan didn't find it
	Note       string // a person's own words

	line int // of its name in the file; 0 for a new one
	raw  []string
}

// Decided says whether a person has decided.
func (e Entry) Decided() bool { return e.Decision == Confirmed || e.Decision == Dismissed }

// Every ends the name of an entry for those columns of a table that aren't named and in
// which nothing is recognised.
const Every = ".*"

// File is the file under review.
type File struct {
	Name    string
	Systems []System
	Record  Details

	head  []string // lines before the first system
	tail  []string // lines after the last
	loose bool     // entries don't stand on lines of their own: it is written anew
}

// System are the entries of one system, in the order of their names.
type System struct {
	Name    string
	Entries []Entry

	head   []string
	indent string
}

// system returns the named one, nil if the file has none.
func (f *File) system(name string) *System {
	i := slices.IndexFunc(f.Systems, func(s System) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Systems[i]
}

// maxBytes bounds a file.
const maxBytes = 8 << 20

// Parse reads a file. What is unknown or given twice, a decision, class or confidence that
// can't be, is Invalid, with the line. An empty file is one without entries.
func Parse(src []byte, name string) (*File, error) {
	f := &File{Name: name}
	switch {
	case len(src) > maxBytes:
		return nil, tenure.Errorf(tenure.Invalid, "%s is longer than %d bytes", name, maxBytes)
	case !utf8.Valid(src):
		return nil, tenure.Errorf(tenure.Invalid, "%s is not valid UTF-8", name)
	}
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	if deep(text) {
		return nil, tenure.Errorf(tenure.Invalid, "%s is nested too deep", name)
	}
	doc, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't YAML: %s", name, strings.TrimSpace(firstLine(err.Error())))
	}
	r := &reader{file: f, lines: strings.Split(text, "\n")}
	if len(doc.Docs) > 1 {
		return nil, tenure.Errorf(tenure.Invalid, "%s holds more than one document", name)
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil {
		return f, nil
	}
	if r.read(doc.Docs[0].Body); len(r.problems) > 0 {
		err := tenure.Errorf(tenure.Invalid, "%s", strings.Join(r.problems[:min(len(r.problems), 20)], "\n"))
		return nil, err.WithHint("decisions: %s, %s, %s", Proposed, Confirmed, Dismissed)
	}
	r.cut()
	return f, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// deep says that brackets are nested further than any file of ours.
func deep(text string) bool {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			if depth++; depth > 64 {
				return true
			}
		case ']', '}', '\n':
			depth = max(depth-1, 0)
		}
	}
	return false
}

type reader struct {
	file     *File
	lines    []string
	problems []string
	starts   []start
	systems  int // the line of that key
}

// start is a line on which a part of the file begins.
type start struct {
	line          int
	system, entry int // indexes; entry -1 is the system itself, system -1 another part
}

func lineOf(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return t.Position.Line
}

func (r *reader) refuse(line int, format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("%s:%d: ", r.file.Name, line)+fmt.Sprintf(format, args...))
}

// pairs are a mapping's keys and values; a key that is given twice is refused.
func (r *reader) pairs(n ast.Node, what string) []*ast.MappingValueNode {
	var out []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		out = n.Values
	case *ast.MappingValueNode:
		out = []*ast.MappingValueNode{n}
	case *ast.NullNode, nil:
		return nil
	default:
		r.refuse(lineOf(n.GetToken()), "%s isn't a mapping", what)
		return nil
	}
	first := map[string]int{}
	for _, v := range out {
		key, line := keyOf(v), lineOf(v.Key.GetToken())
		if was, twice := first[key]; twice {
			r.refuse(line, "%s is given twice; the first is on line %d", key, was)
		}
		first[key] = line
	}
	return out
}

func keyOf(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.GetToken().Value
}

func (r *reader) read(body ast.Node) {
	for _, v := range r.pairs(body, "the file") {
		line := lineOf(v.Key.GetToken())
		switch key := keyOf(v); key {
		case "kind":
			if r.text(v) != kind {
				r.refuse(line, "kind isn't %s", kind)
			}
		case "version":
			if r.text(v) != "1" {
				r.refuse(line, "version isn't 1")
			}
		case "record":
			r.record(v.Value)
		case "systems":
			r.systems = line
			for _, s := range r.pairs(v.Value, "systems") {
				r.system(s)
			}
			continue
		default:
			r.refuse(line, "%q is unknown; a file has kind, version, record and systems", key)
		}
		r.starts = append(r.starts, start{line, -1, -1})
	}
}

func (r *reader) system(v *ast.MappingValueNode) {
	at := len(r.file.Systems)
	r.file.Systems = append(r.file.Systems, System{Name: keyOf(v)})
	r.starts = append(r.starts, start{lineOf(v.Key.GetToken()), at, -1})
	for i, one := range r.pairs(v.Value, "system "+keyOf(v)) {
		e := r.entry(one)
		r.file.Systems[at].Entries = append(r.file.Systems[at].Entries, e)
		r.starts = append(r.starts, start{e.line, at, i})
	}
}

func (r *reader) entry(v *ast.MappingValueNode) Entry {
	e := Entry{Name: keyOf(v), Decision: Proposed, line: lineOf(v.Key.GetToken())}
	if !strings.Contains(e.Name, ".") {
		r.refuse(e.line, "%q names no column as table.column", e.Name)
	}
	seen := map[string]bool{}
	for _, one := range r.pairs(v.Value, e.Name) {
		key, line := keyOf(one), lineOf(one.Key.GetToken())
		seen[key] = true
		switch key {
		case "class":
			if e.Class = r.text(one); strings.TrimSpace(e.Class) == "" {
				r.refuse(line, "the class of %s is blank", e.Name)
			}
		case "reason":
			e.Reason = r.text(one)
		case "note":
			e.Note = r.text(one)
		case "personal":
			e.Personal = r.truth(one)
		case "missing":
			e.Missing = r.truth(one)
		case "confidence":
			c, err := strconv.ParseFloat(r.text(one), 64)
			if err != nil || !(c >= 0 && c <= 1) {
				r.refuse(line, "the confidence of %s isn't a number from 0 to 1", e.Name)
			}
			e.Confidence = c
		case "decision":
			if e.Decision = Decision(r.text(one)); e.Decision != Proposed && !e.Decided() {
				r.refuse(line, "the decision of %s is %q, not %s, %s or %s", e.Name, e.Decision, Proposed, Confirmed, Dismissed)
			}
		default:
			r.refuse(line, "%s has an unknown key %q", e.Name, key)
		}
	}
	for _, need := range []string{"class", "decision"} {
		if !seen[need] {
			r.refuse(e.line, "%s has no %s", e.Name, need)
		}
	}
	if e.Decision == Confirmed && e.Class == "none" && e.Personal {
		r.refuse(e.line, "%s is of class none and personal: give it the class that it has", e.Name)
	}
	return e
}

func (r *reader) text(v *ast.MappingValueNode) string {
	switch n := v.Value.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return ""
	}
	r.refuse(lineOf(v.Key.GetToken()), "%s isn't a text", keyOf(v))
	return ""
}

func (r *reader) truth(v *ast.MappingValueNode) bool {
	if b, ok := v.Value.(*ast.BoolNode); ok {
		return b.Value
	}
	r.refuse(lineOf(v.Key.GetToken()), "%s isn't true or false", keyOf(v))
	return false
}

// cut gives every part its lines, with the comments right above it. Where parts share a
// line the file is written anew.
func (r *reader) cut() {
	f := r.file
	for i := 1; i < len(r.starts); i++ {
		if r.starts[i].line <= r.starts[i-1].line {
			f.loose = f.loose || r.starts[i].system >= 0 || r.starts[i-1].system >= 0
		}
	}
	var parts []start
	for _, s := range r.starts {
		if s.system >= 0 {
			parts = append(parts, s)
		}
	}
	if f.loose || len(parts) == 0 || parts[0].line <= r.systems {
		f.loose = true
		return
	}
	ends := len(r.lines)
	for _, s := range r.starts {
		if last := parts[len(parts)-1].line; s.system < 0 && s.line > last {
			ends = min(ends, r.above(s.line))
		}
	}
	f.head = r.lines[:r.above(parts[0].line)]
	for i, s := range parts {
		end := ends
		if i+1 < len(parts) {
			end = r.above(parts[i+1].line)
		}
		from := r.above(s.line)
		if end < from {
			f.loose = true
			return
		}
		raw := r.lines[from:end]
		sys := &f.Systems[s.system]
		if s.entry < 0 {
			sys.head = raw
			continue
		}
		line := r.lines[s.line-1]
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if sys.indent == "" {
			sys.indent = indent
		}
		if indent == "" || indent != sys.indent || !strings.HasPrefix(strings.TrimLeft(line, " "), firstOf(sys.Entries[s.entry].Name, line)) {
			f.loose = true
			return
		}
		sys.Entries[s.entry].raw = raw
	}
	f.tail = r.lines[ends:]
}

// firstOf is how a line with a name begins, in quotes or not.
func firstOf(name, line string) string {
	switch strings.TrimLeft(line, " ")[:1] {
	case `"`, `'`:
		return strings.TrimLeft(line, " ")[:1]
	}
	return name
}

// above is the index of the first line that belongs to what stands on a line: that of the
// comments right above it, or its own.
func (r *reader) above(line int) int {
	i := line - 1
	for i > 0 && strings.HasPrefix(strings.TrimSpace(r.lines[i-1]), "#") {
		i--
	}
	return i
}
