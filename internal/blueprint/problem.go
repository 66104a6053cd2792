package blueprint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// Problem is one thing that is wrong with a blueprint, and where.
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

// Problems is all that is wrong with a blueprint, in the order of the file.
type Problems []Problem

func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

// maxProblems bounds what one report says.
const maxProblems = 50

// err is nil for no problem, and otherwise an Invalid error that wraps all.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	ps = slices.CompactFunc(ps, func(a, b Problem) bool { return a.String() == b.String() })
	if n := len(ps); n > maxProblems {
		ps = append(ps[:maxProblems:maxProblems], Problem{Message: fmt.Sprintf("%d more problems", n-maxProblems)})
	}
	return &tenure.Error{Code: tenure.Invalid, Err: ps}
}

// path is a place in a blueprint: keys and indexes from the root.
type path []string

func (p path) with(steps ...string) path { return append(slices.Clone(p), steps...) }

func (p path) index(i int) path { return p.with(strconv.Itoa(i)) }

func (p path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range p {
		switch {
		case isIndex(s):
			b.WriteString("[" + s + "]")
		case plainKey(s):
			b.WriteString("." + s)
		default:
			b.WriteString("[" + strconv.Quote(clip(s)) + "]")
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

// clip shortens what the file says for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// invalid is an Invalid error with a hint, if there is one.
func invalid(message, hint string) error {
	e := tenure.Errorf(tenure.Invalid, "%s", message)
	if hint != "" {
		e = e.WithHint("%s", hint)
	}
	return e
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
