package installation

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/tenurehq/tenure"
)

// checkBlanks refuses what would mean the same as leaving it out, though it was
// written: a blank text or name, a list below the top with nothing in it, and a limit
// of zero; and texts with control characters or that turn the direction of writing. A rule that is meant to ask for more would ask everybody, or nobody.
func checkBlanks(file string, source []byte) error {
	doc, err := parser.ParseBytes(source, 0)
	if err != nil {
		return nil // it was read already
	}
	b := &blanks{}
	for _, d := range doc.Docs {
		if d.Body != nil {
			ast.Walk(b, d.Body)
		}
	}
	if b.what == "" {
		return nil
	}
	return tenure.Errorf(tenure.Invalid, "%s: line %d: %s", file, b.line, b.what).WithHint("leave it out for the default")
}

type blanks struct {
	what string
	line int
}

// Visit looks at a node; it ends at the first fault.
func (b *blanks) Visit(n ast.Node) ast.Visitor {
	if b.what != "" {
		return nil
	}
	switch n := n.(type) {
	case *ast.MappingValueNode:
		key := n.Key.GetToken().Value
		at := strings.TrimPrefix(n.GetPath(), "$.")
		switch v := n.Value.(type) {
		case *ast.IntegerNode:
			if v.GetToken().Value == "0" && key == "limit" {
				b.found(n, at+" is 0, and must be at least 1")
			}
		case *ast.SequenceNode:
			if len(v.Values) == 0 && strings.Contains(at, ".") {
				b.found(n, at+" lists nothing")
			}
		}
		if strings.TrimSpace(key) == "" {
			b.found(n, at+" has a blank name")
		}
		b.misleads(n, "the name", key)
	case *ast.LiteralNode:
		b.misleads(n, strings.TrimPrefix(n.GetPath(), "$."), strings.ReplaceAll(n.Value.Value, "\n", ""))
	case *ast.StringNode:
		b.misleads(n, strings.TrimPrefix(n.GetPath(), "$."), n.Value)
		if strings.TrimSpace(n.Value) == "" {
			b.found(n, strings.TrimPrefix(n.GetPath(), "$.")+" is blank")
		}
	}
	return b
}

// misleads refuses what people and terminals would read otherwise than it is.
func (b *blanks) misleads(n ast.Node, at, text string) {
	if i := strings.IndexFunc(text, tenure.Misleads); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		b.found(n, fmt.Sprintf("%s holds the character %U, which isn't allowed", strings.Map(func(r rune) rune {
			if tenure.Misleads(r) {
				return '?'
			}
			return r
		}, at), r))
	}
}

func (b *blanks) found(n ast.Node, what string) {
	if b.what == "" {
		b.what, b.line = what, n.GetToken().Position.Line
	}
}
