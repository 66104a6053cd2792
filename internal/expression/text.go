package expression

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/tenurehq/tenure/internal/source"
)

// Text is a compiled text: literals and expressions in turn.
type Text struct {
	Parts []Part
	Reads map[string]bool // the names that its expressions read
}

// Part is a literal, or an expression with its source.
type Part struct {
	Literal string
	Source  string
	program cel.Program // nil for a literal
}

// IsExpression says which of the two it is.
func (p Part) IsExpression() bool { return p.program != nil }

// Whole says whether the text is one expression, whose value it keeps.
func (t *Text) Whole() bool { return len(t.Parts) == 1 && t.Parts[0].program != nil }

// Dialect is how texts are compiled whose values are known only as they are evaluated.
type Dialect struct {
	Env   *cel.Env
	Names []string // all that the environment declares
	Cost  uint64   // of one evaluation, as CEL counts it
	Time  time.Duration
	Max   int           // bytes of what an expression gives
	Read  func(any) any // what becomes of a plain value; nil: nothing
}

// Offset is the byte offset in an expression of a line (from 1) and a column (in characters).
func Offset(expr string, line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(expr[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	for i := range expr[offset:] {
		if column <= 0 {
			return offset + i
		}
		column--
	}
	return len(expr)
}

// Compile compiles a text whose expressions may read names. Bad is what is wrong with it,
// at a byte of the text.
func (d Dialect) Compile(from string, names []string) (t *Text, offset int, bad error) {
	pieces, err := source.Split(from)
	if err != nil {
		var bad *source.TextError
		if errors.As(err, &bad) {
			offset = bad.Offset
		}
		return nil, offset, err
	}
	t = &Text{Reads: map[string]bool{}}
	for _, p := range pieces {
		if !p.IsExpr {
			t.Parts = append(t.Parts, Part{Literal: p.Literal})
			continue
		}
		checked, issues := d.Env.Compile(p.Expr)
		if issues.Err() != nil {
			e := issues.Errors()[0]
			message, _, _ := strings.Cut(e.Message, " (in container")
			message, _, _ = strings.Cut(message, " expecting {")
			if parse, is := strings.CutPrefix(message, "Syntax error: "); is {
				message = "this isn't CEL: " + parse
				if strings.Contains(parse, "<EOF>") {
					message = "this isn't CEL: it ends too early"
				}
			}
			return nil, p.Offset + Offset(p.Expr, e.Location.Line(), e.Location.Column()), fmt.Errorf("%s", strings.TrimSpace(message))
		}
		program, err := d.Env.Program(checked, cel.EvalOptions(cel.OptTrackCost), cel.CostLimit(d.Cost), cel.InterruptCheckFrequency(64))
		if err != nil {
			return nil, p.Offset, err
		}
		for _, name := range d.identifiers(checked.NativeRep().Expr()) {
			if !slices.Contains(names, name) {
				return nil, p.Offset, fmt.Errorf("%s isn't known here: expressions may read %s", name, strings.Join(names, ", "))
			}
			t.Reads[name] = true
		}
		t.Parts = append(t.Parts, Part{Source: p.Expr, program: program})
	}
	return t, 0, nil
}

// identifiers are the variables that an expression reads.
func (d Dialect) identifiers(e ast.Expr) (out []string) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && slices.Contains(d.Names, e.AsIdent()) {
			out = append(out, e.AsIdent())
		}
	}))
	return out
}

// Missing says whether an expression couldn't be worked out for want of what it reads: a key
// that isn't there, or a value of another kind. CEL has no other way to tell than its words.
func Missing(err error) bool {
	for _, words := range []string{"no such key", "no such attribute", "no such overload"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// Run evaluates one expression to a plain value. An error completes "the expression …".
func (d Dialect) Run(p Part, vars map[string]any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d.Time)
	defer cancel()
	v, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return nil, fmt.Errorf("can't be evaluated: %w", err)
	}
	plain, err := Reading{Max: d.Max}.Plain(v)
	if err == nil && d.Read != nil {
		plain = d.Read(plain)
	}
	return plain, err
}

// Eval evaluates a text: a whole expression's own value, or a text. An error names the
// expression.
func (d Dialect) Eval(t *Text, vars map[string]any) (any, error) {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.program == nil {
			b.WriteString(p.Literal)
			continue
		}
		v, err := d.Run(p, vars)
		if err != nil {
			return nil, fmt.Errorf("${%s} %w", source.Clip(p.Source), err)
		}
		if t.Whole() {
			return v, nil
		}
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case bool, int64, float64:
			fmt.Fprint(&b, v)
		default:
			return nil, fmt.Errorf("${%s} gives what can't be written into a text", source.Clip(p.Source))
		}
	}
	return b.String(), nil
}
