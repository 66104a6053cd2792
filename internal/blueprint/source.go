package blueprint

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

// Source is a blueprint file that was read: its meaning, and where in the file
// each part of it stands.
type Source struct {
	File      string
	Blueprint tenure.Blueprint

	lines []string
	root  *node
}

// Parse reads a blueprint from YAML 1.2. Keys that are unknown or given twice,
// values of the wrong type, blank names, periods that aren't ISO 8601 and
// everything else that the file's schema refuses are Invalid; the error wraps
// Problems. A file may have at most 256 KiB, 10,000 lines and 20,000 values,
// counting what aliases repeat, and be nested 32 deep.
func Parse(src []byte, file string) (*Source, error) {
	s := &Source{File: file}
	found, err := s.read(src)
	if err != nil {
		return nil, err
	}
	found = append(found, s.checkShape()...)
	if err := found.err(); err != nil {
		return nil, err
	}
	s.Blueprint, err = fromFile(s.root.value())
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	return s, nil
}

// Values reads parameters' values from YAML 1.2 or JSON, as strictly as Parse: what is
// given twice, and numbers that can't be kept as they are written, are Invalid.
func Values(src []byte, file string) (map[string]any, error) {
	s := &Source{File: file}
	found, err := s.read(src)
	if err == nil {
		err = found.err()
	}
	if err != nil {
		return nil, err
	}
	values, ok := s.root.value().(map[string]any)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "%s doesn't map names to values", file)
	}
	return values, nil
}

// read makes the tree of the file's values, and says what is wrong with any.
func (s *Source) read(src []byte) (found Problems, err error) {
	file := s.File
	report := func(pos position, p path, message, hint string) {
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
	body, err := s.syntax(src)
	if err != nil {
		return nil, err
	}
	r := &reader{anchors: map[string]ast.Node{}, open: map[string]bool{}, report: report}
	s.root = r.read(body, nil)
	if r.full || len(found) > 0 && !s.root.isMap {
		return nil, found.err()
	}
	return found, nil
}

// syntax parses the YAML to its one document.
func (s *Source) syntax(src []byte) (ast.Node, error) {
	if pos, deep := tooDeep(s.lines); deep {
		return nil, Problems{s.problem(pos, nil, fmt.Sprintf("values are nested deeper than %d", maxDepth), "")}.err()
	}
	tokens := lexer.Tokenize(string(src))
	if bad := tokens.InvalidToken(); bad != nil {
		return nil, Problems{s.problem(at(bad), nil, "this isn't YAML: "+bad.Error, "")}.err()
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			hint := ""
			if strings.HasPrefix(syntax.Message, "mapping value is not allowed") {
				hint = "put a text that holds a colon and a space in quotes"
			}
			return nil, Problems{s.problem(at(syntax.Token), nil, "this isn't YAML: "+syntax.Message, hint)}.err()
		}
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't YAML: %w", s.File, err)
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case body != nil:
			return nil, Problems{s.problem(at(d.Body.GetToken()), nil, "the file holds more than one document", "write one blueprint to a file")}.err()
		default:
			body = d.Body
		}
	}
	if body == nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s is empty", s.File).WithHint("a blueprint begins with apiVersion: %s and kind: Blueprint", apiVersion)
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
func (s *Source) problem(pos position, p path, message, hint string) Problem {
	out := Problem{Path: p.String(), Message: message, Hint: hint}
	if s == nil || s.lines == nil {
		return out
	}
	pos.line = min(max(pos.line, 1), len(s.lines))
	pos.column = min(max(pos.column, 1), utf8.RuneCountInString(s.lines[pos.line-1])+1)
	out.File, out.Line, out.Column = s.File, pos.line, pos.column
	out.Excerpt = s.excerpt(pos)
	return out
}

// locate is the place of p: of its value, of its key where key is set, or of
// the nearest thing above that there is.
func (s *Source) locate(p path, key bool) position {
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
func (s *Source) excerpt(pos position) string {
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
