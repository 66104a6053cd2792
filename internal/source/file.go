// Package source reads YAML files that people write: each value with its place, held against
// a JSON Schema, texts taken apart at their expressions, and problems told with their line.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/tenurehq/tenure"
)

// File is a YAML file that was read: its values, and where each of them stands.
type File struct {
	Name string

	kind  Kind
	lines []string
	root  *node
}

// Kind is what sort of file is read, for messages.
type Kind struct {
	Noun   string // such as blueprint
	Begins string // its first line, such as "apiVersion: tenure.dev/v1"; "" where any value will do
	Then   string // what has to follow, such as "kind: Blueprint"; told of an empty file alone
}

// Read reads a file of YAML 1.2. Keys that are given twice, aliases without an anchor,
// numbers that can't be kept as they are written and values that JSON doesn't have are
// Problems; the file stands beside them, so that its shape can be checked too. It may have at
// most 256 KiB, 10,000 lines and 20,000 values, counting what aliases repeat, and be nested 32
// deep. What exceeds that, is empty, isn't UTF-8 or YAML, holds more than one document or has
// problems and is no mapping, gives no file: the error is Invalid, and wraps Problems where it
// has a place.
func Read(src []byte, name string, kind Kind) (*File, Problems, error) {
	s := &File{Name: name, kind: kind}
	found, err := s.read(src)
	if err != nil {
		return nil, nil, err
	}
	return s, found, nil
}

// Value is the whole file as JSON would have it: string, int64, float64, bool, nil, []any or
// map[string]any.
func (s *File) Value() any { return s.root.value() }

// Check holds the file against a schema, and gives every misfit with its place. A file that is
// no mapping is one problem.
func (s *File) Check(shape *Shape) Problems {
	if !s.root.isMap {
		hint := ""
		if s.kind.Begins != "" {
			hint = "it begins with " + s.kind.Begins
		}
		return Problems{s.problem(s.root.pos, nil, "a "+s.kind.Noun+" must be a mapping", hint)}
	}
	var out Problems
	for _, m := range shape.Check(s.root.value(), nil) {
		out = append(out, s.Problem(m.At, m.Key, m.Message, m.Hint))
	}
	return out
}

// Problem is one at a place of the file: at its value, or at its key. Where the file hasn't got
// the place, it is at the nearest part around it that there is. A nil file, as of a stored
// revision, gives a problem without a line.
func (s *File) Problem(p Path, key bool, message, hint string) Problem {
	return s.problem(s.locate(p, key), p, message, hint)
}

// ProblemIn is one at a byte of the text that stands at a place. An offset beyond the text is
// its end. A nil file gives a problem without a line.
func (s *File) ProblemIn(p Path, text string, offset int, message, hint string) Problem {
	return s.problem(s.within(p, text, offset), p, message, hint)
}

// Line is the line, from 1, on which the value at a place stands, or the nearest part around it;
// 0 without a file.
func (s *File) Line(p Path) int { return s.locate(p, false).line }

// read makes the tree of the file's values, and says what is wrong with any.
func (s *File) read(src []byte) (found Problems, err error) {
	file := s.Name
	report := func(pos position, p Path, message, hint string) {
		found = append(found, s.problem(pos, p, message, hint))
	}
	switch {
	case len(src) > maxBytes:
		return nil, tenure.Errorf(tenure.Invalid, "%s is %d bytes long, at most %d are allowed", file, len(src), maxBytes)
	case !utf8.Valid(src):
		return nil, tenure.Errorf(tenure.Invalid, "%s is not valid UTF-8", file)
	}
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	s.lines = strings.Split(string(src), "\n")
	if len(s.lines) > maxLines {
		return nil, tenure.Errorf(tenure.Invalid, "%s has %d lines, at most %d are allowed", file, len(s.lines), maxLines)
	}
	found = s.betrayed()
	body, err := s.syntax(src)
	if err != nil {
		return nil, err
	}
	r := &reader{anchors: map[string]ast.Node{}, open: map[string]bool{}, report: report}
	s.root = r.read(body, nil)
	if r.full || len(found) > 0 && !s.root.isMap {
		return nil, found.Err()
	}
	return found, nil
}

// syntax parses the YAML to its one document.
func (s *File) syntax(src []byte) (ast.Node, error) {
	if pos, deep := tooDeep(s.lines); deep {
		return nil, Problems{s.problem(pos, nil, fmt.Sprintf("values are nested deeper than %d", maxDepth), "")}.Err()
	}
	tokens := lexer.Tokenize(string(src))
	if bad := tokens.InvalidToken(); bad != nil {
		return nil, Problems{s.problem(at(bad), nil, "this isn't YAML: "+bad.Error, "")}.Err()
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			hint := ""
			if strings.HasPrefix(syntax.Message, "mapping value is not allowed") {
				hint = "put a text that holds a colon and a space in quotes"
			}
			return nil, Problems{s.problem(at(syntax.Token), nil, "this isn't YAML: "+syntax.Message, hint)}.Err()
		}
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't YAML: %w", s.Name, err)
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case body != nil:
			return nil, Problems{s.problem(at(d.Body.GetToken()), nil, "the file holds more than one document", "write one "+s.kind.Noun+" to a file")}.Err()
		default:
			body = d.Body
		}
	}
	if body == nil {
		err := tenure.Errorf(tenure.Invalid, "%s is empty", s.Name)
		if s.kind.Begins != "" {
			begins := s.kind.Begins
			if s.kind.Then != "" {
				begins += " and " + s.kind.Then
			}
			err = err.WithHint("a %s begins with %s", s.kind.Noun, begins)
		}
		return nil, err
	}
	return body, nil
}

// tooDeep looks for nesting that the parser needn't try: brackets, and
// sequences within sequences on one line. Brackets in texts count too, which is
// why the bound is generous.
func tooDeep(lines []string) (position, bool) {
	depth := 0
	for i, line := range lines {
		dashes := 0
		for j := 0; j < len(line); j++ {
			switch c := line[j]; {
			case c == '[' || c == '{':
				depth++
			case c == ']' || c == '}':
				depth = max(depth-1, 0)
			case (c == '-' || c == '?') && (j+1 == len(line) || line[j+1] == ' '):
				dashes++
			}
			if depth > 4*maxDepth || dashes > 16*maxDepth {
				return position{i + 1, j + 1}, true
			}
		}
	}
	return position{}, false
}

// problem makes a problem at a place in the file.
func (s *File) problem(pos position, p Path, message, hint string) Problem {
	out := Problem{Path: p.String(), Message: message, Hint: hint}
	if s == nil || s.lines == nil {
		return out
	}
	pos.line = min(max(pos.line, 1), len(s.lines))
	pos.column = min(max(pos.column, 1), utf8.RuneCountInString(s.lines[pos.line-1])+1)
	out.File, out.Line, out.Column = s.Name, pos.line, pos.column
	out.Excerpt = s.excerpt(pos)
	return out
}

// locate is the place of p: of its value, of its key where key is set, or of
// the nearest thing above that there is.
func (s *File) locate(p Path, key bool) position {
	if s == nil || s.root == nil {
		return position{}
	}
	n, exact := s.root.find(p)
	if (key || !exact) && n.keyPos != (position{}) {
		return n.keyPos
	}
	return n.pos
}

// excerpt is the line of pos between its neighbours, with a marker under it.
func (s *File) excerpt(pos position) string {
	var b strings.Builder
	for n := pos.line - 1; n <= pos.line+1; n++ {
		if n < 1 || n > len(s.lines) || n != pos.line && strings.TrimSpace(s.lines[n-1]) == "" {
			continue
		}
		mark := " "
		if n == pos.line {
			mark = ">"
		}
		from, line := window(s.lines[n-1], pos.column)
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s %4d | %s", mark, n, line), " ") + "\n")
		if n == pos.line {
			fmt.Fprintf(&b, "       | %s^\n", strings.Repeat(" ", pos.column-1-from))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// window is the part of a line that an excerpt shows, and how many characters
// it leaves out on the left.
func window(line string, column int) (from int, part string) {
	r := []rune(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, line))
	if from = max(0, column-90); from > len(r) {
		from = len(r)
	}
	return from, string(r[from:min(len(r), from+120)])
}

// within is the place of a byte of the text that stands at p. It looks for the
// text's line in the file, since quoting and indentation move it.
func (s *File) within(p Path, text string, offset int) position {
	pos := s.locate(p, false)
	if s == nil || s.lines == nil {
		return pos
	}
	offset = min(offset, len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	for n := pos.line; n <= min(len(s.lines), pos.line+strings.Count(text, "\n")+1); n++ {
		from := 0
		if n == pos.line {
			from = len(string([]rune(s.lines[n-1])[:min(pos.column-1, utf8.RuneCountInString(s.lines[n-1]))]))
		}
		if i := strings.Index(s.lines[n-1][from:], line); i >= 0 && line != "" {
			return position{n, utf8.RuneCountInString(s.lines[n-1][:from+i]) + utf8.RuneCountInString(text[start:offset]) + 1}
		}
	}
	return pos
}

// Where says where in the file the key of a value stands, or the nearest part around
// it that the file has: file:line:column. Keys and indexes from the root lead to it.
func (s *File) Where(steps ...string) string {
	pos := s.locate(steps, true)
	return fmt.Sprintf("%s:%d:%d", s.Name, pos.line, pos.column)
}

// Has says whether the file has what keys and indexes from the root lead to.
func (s *File) Has(steps ...string) bool {
	_, exact := s.root.find(steps)
	return exact
}

// Steps are the keys and indexes of a JSON pointer (RFC 6901); none for "", the whole value.
func Steps(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, step := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return steps
}
