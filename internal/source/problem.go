package source

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// Problem is one thing that is wrong with a file, and where.
type Problem struct {
	File    string
	Line    int    // from 1; 0 where there is no source, as in a stored revision
	Column  int    // from 1, in characters
	Path    string // such as $.resources[2].name
	Message string
	Hint    string
	Excerpt string // the line with its neighbours, and a marker under the place
}

// String is the problem with its excerpt, over several lines.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	}
	if p.Path != "" && p.Path != "$" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	return b.String()
}

// Problems is all that is wrong with a file.
type Problems []Problem

// Error is each problem with its excerpt, one below the other.
func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

// MaxProblems bounds what one report says.
const MaxProblems = 50

// Err is nil for no problem, and otherwise an Invalid error that wraps Problems in
// the order of the file: MaxProblems at most, and how many there are beyond. It reorders ps.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	ps = slices.CompactFunc(ps, func(a, b Problem) bool { return a.String() == b.String() })
	if n := len(ps); n > MaxProblems {
		ps = append(ps[:MaxProblems:MaxProblems], Problem{Message: fmt.Sprintf("%d more problems", n-MaxProblems)})
	}
	return &tenure.Error{Code: tenure.Invalid, Err: ps}
}

// Path is a place in a file or a value: keys and indexes from the root, which is the empty one.
type Path []string

// With is the path to what the steps lead to from here. It shares nothing with p.
func (p Path) With(steps ...string) Path { return append(slices.Clone(p), steps...) }

// Index is the path to an item of the list here, from 0.
func (p Path) Index(i int) Path { return p.With(strconv.Itoa(i)) }

// String is the path as messages show it, such as $.resources[2].name; the root is $.
func (p Path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range p {
		switch {
		case isIndex(s):
			b.WriteString("[" + s + "]")
		case plainKey(s):
			b.WriteString("." + s)
		default:
			b.WriteString("[" + strconv.Quote(Clip(s)) + "]")
		}
	}
	return b.String()
}

func isIndex(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

func plainKey(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r == '_' || r == '-' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) < 0
}

// Clip shortens what the file says for a message, to 80 characters.
func Clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
