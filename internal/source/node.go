package source

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// What one file may be; everything beyond is refused before it is read further.
const (
	maxBytes = 256 << 10
	maxLines = 10_000 // the parser's time grows with the square of a mapping's length
	maxDepth = 32
	maxNodes = 20_000 // after aliases are followed, so that they can't multiply
)

// node is one YAML value with its place.
type node struct {
	pos    position
	scalar any // string, int64, float64, bool or nil, for a leaf
	isMap  bool
	isList bool
	fields []field // in the order of the file
	items  []*node
	keyPos position // of the key that leads to it
	quoted bool     // a text in quotes, or a block
}

type field struct {
	name string
	node *node
}

type position struct{ line, column int }

func at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// reader turns the YAML syntax tree into nodes, within the limits.
type reader struct {
	anchors map[string]ast.Node
	open    map[string]bool // anchors that are being followed
	nodes   int
	report  func(pos position, p Path, message, hint string)
	full    bool // a limit was met, and nothing more is read
}

func (r *reader) read(n ast.Node, p Path) *node {
	r.nodes++
	switch {
	case r.full:
		return &node{}
	case r.nodes > maxNodes:
		r.full = true
		r.report(at(n.GetToken()), p, fmt.Sprintf("the file has more than %d values, counting those that aliases repeat", maxNodes), "")
		return &node{}
	case len(p) > maxDepth:
		r.full = true
		r.report(at(n.GetToken()), p[:3], fmt.Sprintf("values are nested deeper than %d", maxDepth), "")
		return &node{}
	}
	switch n := n.(type) {
	case nil:
		return &node{}
	case *ast.MappingNode:
		return r.mapping(n.GetToken(), n.Values, p)
	case *ast.MappingValueNode:
		return r.mapping(n.Key.GetToken(), []*ast.MappingValueNode{n}, p)
	case *ast.SequenceNode:
		out := &node{pos: at(n.Start), isList: true}
		for i, v := range n.Values {
			item := r.read(v, p.Index(i))
			item.keyPos = item.pos
			out.items = append(out.items, item)
		}
		return out
	case *ast.AnchorNode:
		if name := n.Name.GetToken().Value; r.anchors[name] == nil {
			r.anchors[name] = n.Value
		}
		return r.read(n.Value, p)
	case *ast.AliasNode:
		return r.alias(n, p)
	default:
		return r.leaf(n, p)
	}
}

func (r *reader) alias(n *ast.AliasNode, p Path) *node {
	name := n.Value.GetToken().Value
	target := r.anchors[name]
	switch {
	case target == nil:
		r.report(at(n.Start), p, fmt.Sprintf("alias *%s has no anchor before it", Clip(name)), "")
	case r.open[name]:
		r.report(at(n.Start), p, fmt.Sprintf("alias *%s contains itself", Clip(name)), "")
	default:
		r.open[name] = true
		out := r.read(target, p)
		delete(r.open, name)
		return out
	}
	return &node{pos: at(n.Start)}
}

func (r *reader) mapping(start *token.Token, values []*ast.MappingValueNode, p Path) *node {
	out := &node{pos: at(start), isMap: true}
	if len(values) > 0 {
		out.pos = at(values[0].Key.GetToken())
	}
	first := map[string]position{}
	for _, v := range values {
		name, ok := r.key(v.Key, p)
		if !ok {
			continue
		}
		keyPos := at(v.Key.GetToken())
		if was, twice := first[name]; twice {
			r.report(keyPos, p.With(name), fmt.Sprintf("key %q is given twice; the first is on line %d", Clip(name), was.line), "")
			continue
		}
		first[name] = keyPos
		child := r.read(v.Value, p.With(name))
		child.keyPos = keyPos
		if child.pos == (position{}) {
			child.pos = keyPos
		}
		out.fields = append(out.fields, field{name, child})
	}
	return out
}

func (r *reader) key(n ast.MapKeyNode, p Path) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.MergeKeyNode:
		r.report(at(n.Token), p, "merge keys (<<) aren't allowed", "write the keys out")
	default:
		r.report(at(n.GetToken()), p, fmt.Sprintf("key %s isn't a text", Clip(n.GetToken().Value)), "put it in quotes")
	}
	return "", false
}

func (r *reader) leaf(n ast.Node, p Path) *node {
	out := &node{pos: at(n.GetToken())}
	switch n := n.(type) {
	case *ast.StringNode:
		out.scalar = n.Value
		out.quoted = n.Token.Type == token.DoubleQuoteType || n.Token.Type == token.SingleQuoteType
	case *ast.LiteralNode:
		out.scalar, out.quoted = n.Value.Value, true
	case *ast.BoolNode:
		out.scalar = n.Value
	case *ast.NullNode:
		out.scalar = nil
	case *ast.IntegerNode:
		if why := Misnumbered(n.Value); why != "" {
			r.report(out.pos, p, why, "")
			break
		}
		if written := strings.ReplaceAll(n.Token.Value, "_", ""); decimal(written) != decimal(fmt.Sprint(n.Value)) {
			r.report(out.pos, p, fmt.Sprintf("%s isn't written in decimal digits, and would mean %v", n.Token.Value, n.Value), "write the digits of the number that is meant, or put a text in quotes")
			break
		}
		switch v := n.Value.(type) {
		case int64:
			out.scalar = v
		case uint64:
			out.scalar = int64(v)
		default:
			r.report(out.pos, p, "the number is too large", "")
		}
	case *ast.FloatNode:
		if why := Misnumbered(json.Number(strings.ReplaceAll(n.Token.Value, "_", ""))); why != "" {
			r.report(out.pos, p, why, "")
			break
		}
		out.scalar = n.Value
	case *ast.InfinityNode, *ast.NanNode:
		r.report(out.pos, p, "infinity and not-a-number aren't allowed", "")
	default:
		r.report(out.pos, p, fmt.Sprintf("%s values aren't allowed", n.Type()), "")
	}
	return out
}

// value is the node as JSON would have it.
func (n *node) value() any {
	switch {
	case n.isMap:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.name] = f.node.value()
		}
		return m
	case n.isList:
		l := make([]any, len(n.items))
		for i, item := range n.items {
			l[i] = item.value()
		}
		return l
	}
	return n.scalar
}

// find is the node at p, or the nearest above it, and whether it is p's own.
func (n *node) find(p Path) (found *node, exact bool) {
	for _, step := range p {
		next := n.child(step)
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

func (n *node) child(step string) *node {
	if n.isList {
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(n.items) {
			return nil
		}
		return n.items[i]
	}
	for _, f := range n.fields {
		if f.name == step {
			return f.node
		}
	}
	return nil
}
