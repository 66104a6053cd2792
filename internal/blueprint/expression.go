package blueprint

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/source"
)

// text is a compiled text: literals and expressions in turn.
type text struct {
	source  string
	parts   []part
	refs    references
	write   connector.SQLText // of an SQL text with expressions
	refused []connector.Refusal
}

type part struct {
	literal string
	program cel.Program // nil for a literal
	source  string
	typ     *cel.Type
	offset  int
	own     bool // it gives a text that stands in the expression itself
}

// whole says whether the text is one expression, whose type it keeps.
func (t *text) whole() bool { return len(t.parts) == 1 && t.parts[0].program != nil }

// references are what a text's expressions read.
type references struct {
	names     map[string]bool            // tenant, env, …
	fields    map[string]map[string]bool // of tenant, params, features: the fields
	resources map[string]map[string]bool // by key: the fields; "" is the resource itself
	guarded   map[string]bool            // what has() asks for, such as params.x
	calls     map[string]bool            // functions
}

func newReferences() references {
	return references{map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]bool{}, map[string]bool{}}
}

// compileText compiles a text. The errors are fault, placed in the text.
func (l *dialect) compileText(s scope, from string) (*text, []fault) {
	pieces, err := source.Split(from)
	if err != nil {
		var bad *source.TextError
		errors.As(err, &bad)
		return nil, []fault{{bad.Offset, bad.Message, "a literal ${ is written $${"}}
	}
	t := &text{source: from, refs: newReferences()}
	var faults []fault
	for _, p := range pieces {
		if !p.IsExpr {
			t.parts = append(t.parts, part{literal: p.Literal})
			continue
		}
		compiled, f := l.compile(s, p.Expr, t.refs)
		for i := range f {
			f[i].offset += p.Offset
		}
		faults = append(faults, f...)
		compiled.offset = p.Offset
		t.parts = append(t.parts, compiled)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return t, nil
}

// checkMixed refuses what can't stand between literals.
func (l *dialect) checkMixed(t *text) []fault {
	if t.whole() {
		return nil
	}
	var faults []fault
	for _, p := range t.parts {
		if p.program == nil {
			continue
		}
		if t.refs.calls["credential"] {
			return []fault{{p.offset, onlyWhole, "write ${credential(resources.KEY)} and nothing else"}}
		}
		switch p.typ.Kind() {
		case cel.ListKind, cel.MapKind, cel.StructKind, cel.NullTypeKind:
			faults = append(faults, fault{p.offset, fmt.Sprintf("the expression gives %s, which can't be written into a text", p.typ), "let the expression be the whole text, or take one field of it"})
		}
	}
	return faults
}

// fault is what is wrong in a text, at a byte offset.
type fault struct {
	offset  int
	message string
	hint    string
}

// compile type-checks one expression and notes what it reads.
func (l *dialect) compile(s scope, expr string, refs references) (part, []fault) {
	if len(expr) > maxExpression {
		return part{}, []fault{{0, fmt.Sprintf("the expression is %d bytes long, at most %d are allowed", len(expr), maxExpression), ""}}
	}
	env := l.envs[s]
	parsed, issues := env.Parse(expr)
	if issues.Err() != nil {
		return part{}, l.faults(s, expr, issues, nil)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return part{}, l.faults(s, expr, issues, parsed.NativeRep())
	}
	switch kind := checked.OutputType().Kind(); kind {
	case cel.BytesKind, cel.DurationKind, cel.TimestampKind, cel.TypeKind, cel.StructKind:
		return part{}, []fault{{0, fmt.Sprintf("the expression gives %s, which can't be stored", checked.OutputType()), "take one field of it, or write string(…)"}}
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptTrackCost), cel.CostLimit(maxCost), cel.MemoryLimit(maxMemory), cel.InterruptCheckFrequency(64))
	if err != nil {
		return part{}, []fault{{0, firstLine(err.Error()), ""}}
	}
	refs.collect(checked.NativeRep().Expr())
	return part{program: program, source: expr, typ: checked.OutputType(), own: isOwn(checked.NativeRep().Expr())}, nil
}

// isOwn says whether an expression can give nothing but texts that stand in it.
func isOwn(e ast.Expr) bool {
	switch e.Kind() {
	case ast.LiteralKind:
		return e.AsLiteral().Type() == types.StringType
	case ast.CallKind:
		call := e.AsCall()
		return call.FunctionName() == operators.Conditional && isOwn(call.Args()[1]) && isOwn(call.Args()[2])
	}
	return false
}

// collect notes what an expression reads.
func (r references) collect(e ast.Expr) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			r.names[e.AsIdent()] = true
		case ast.CallKind:
			r.calls[e.AsCall().FunctionName()] = true
		case ast.SelectKind:
			r.selected(e.AsSelect())
		}
	}))
}

func (r references) selected(sel ast.SelectExpr) {
	switch of := sel.Operand(); of.Kind() {
	case ast.IdentKind:
		name := of.AsIdent()
		if sel.IsTestOnly() {
			r.guarded[name+"."+sel.FieldName()] = true
		}
		if name != "resources" {
			add(r.fields, name, sel.FieldName())
			return
		}
		add(r.resources, sel.FieldName(), "")
	case ast.SelectKind:
		if inner := of.AsSelect(); inner.Operand().Kind() == ast.IdentKind && inner.Operand().AsIdent() == "resources" {
			add(r.resources, inner.FieldName(), sel.FieldName())
		}
	}
}

func add(m map[string]map[string]bool, key, field string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][field] = true
}

// resources are the resources that the text reads, in order.
func (t *text) resources() []string { return source.Keys(t.refs.resources) }

var (
	undeclared     = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
)

// faults puts CEL's issues into our words.
func (l *dialect) faults(s scope, expr string, issues *cel.Issues, parsed *ast.AST) []fault {
	var out []fault
	for _, e := range issues.Errors() {
		f := fault{offset: expression.Offset(expr, e.Location.Line(), e.Location.Column()), message: firstLine(e.Message)}
		if m := undeclared.FindStringSubmatch(e.Message); m != nil {
			f.message, f.hint = l.unknownName(s, m[1])
		} else if m := undefinedField.FindStringSubmatch(e.Message); m != nil {
			f.message, f.hint = l.unknownField(m[1], e.ExprID, parsed)
		} else if m := noOverload.FindStringSubmatch(e.Message); m != nil {
			f.message = fmt.Sprintf("%s can't be applied to %s", displayOperator(m[1]), m[2])
		} else if parsed == nil {
			f.message = "this isn't CEL: " + syntax(f.message)
		}
		out = append(out, f)
	}
	return out
}

// syntax shortens what the parser says: it lists every token that could follow.
func syntax(message string) string {
	message, _, _ = strings.Cut(strings.TrimPrefix(message, "Syntax error: "), " expecting {")
	if strings.Contains(message, "'<EOF>'") {
		return "it ends too early"
	}
	return message
}

func displayOperator(name string) string {
	if shown, ok := operators.FindReverse(name); ok && shown != "" {
		return shown
	}
	return name
}

func (l *dialect) unknownName(s scope, name string) (message, hint string) {
	if name == "dates" {
		return "dates isn't known here", "only a record's stages know days"
	}
	if _, elsewhere := l.vars[name]; elsewhere {
		return name + " isn't known here", "notices and artifacts are for the whole tenant, not for one environment"
	}
	if name == "credential" {
		return "credential() isn't known here", "only an output may hand a credential over"
	}
	return fmt.Sprintf("unknown name %q", source.Clip(name)), source.DidYouMean(name, l.names(s))
}

func (l *dialect) unknownField(field string, id int64, parsed *ast.AST) (message, hint string) {
	object := ""
	if parsed != nil {
		ast.PreOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
			if e.ID() == id && e.Kind() == ast.SelectKind {
				object = dotted(e.AsSelect().Operand())
			}
		}))
	}
	switch fields, ok := l.objects[objectPrefix+object]; {
	case !ok:
		return fmt.Sprintf("unknown field %q", source.Clip(field)), ""
	case object == "features":
		return fmt.Sprintf("feature %q isn't declared", source.Clip(field)), source.DidYouMean(field, source.Keys(fields))
	case object == "resources":
		return fmt.Sprintf("unknown resource %q", source.Clip(field)), source.DidYouMean(field, source.Keys(fields))
	case object == "params":
		return fmt.Sprintf("unknown parameter %q", source.Clip(field)), source.DidYouMean(field, source.Keys(fields))
	default:
		return fmt.Sprintf("%s has no %q", object, source.Clip(field)), source.DidYouMean(field, source.Keys(fields))
	}
}

// dotted is a.b.c for a chain of fields, "" for anything else.
func dotted(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		if of := dotted(e.AsSelect().Operand()); of != "" {
			return of + "." + e.AsSelect().FieldName()
		}
	}
	return ""
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimSpace(s)
}

// maxRun bounds how long one expression may run, far above what its cost limit
// lets it; it is there for functions whose cost is underestimated.
const maxRun = 2 * time.Second

// run evaluates the text: a whole expression's own value, or a string.
func (t *text) run(vars map[string]any) (any, error) {
	if t.write != nil {
		return t.bound(vars)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.program == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := p.run(vars)
		if err != nil {
			return nil, fmt.Errorf("${%s} %w", source.Clip(p.source), err)
		}
		if t.whole() {
			return v, nil
		}
		s, err := connector.InText(v)
		if err != nil {
			return nil, fmt.Errorf("${%s} %w", source.Clip(p.source), err)
		}
		b.WriteString(s)
		if b.Len() > maxResult {
			return nil, fmt.Errorf("the text grows over %d bytes", maxResult)
		}
	}
	return b.String(), nil
}

func (p part) run(vars map[string]any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxRun)
	defer cancel()
	v, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return nil, fmt.Errorf("can't be evaluated: %w", err)
	}
	return expression.Reading{Max: maxResult, Portable: true}.Plain(v)
}
