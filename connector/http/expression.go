package http

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/source"
)

// The names that expressions may read, by what they are about.
var (
	about   = []string{"options"}
	thing   = []string{"options", "name", "own", "attributes", "tenant", "environment", "resource", "mark", "credential", "item", "id", "parent", "omit", "classes", "now", "ids", "named"}
	answers = []string{"options", "status", "headers", "body", "count", "name", "own", "id", "item", "parent", "attributes"}
	items   = []string{"options", "item", "word", "parent", "resource", "named"}
	entries = []string{"options", "entry", "item", "id", "name", "own", "parent", "omit"}
	marking = []string{"options", "key", "mark", "entry", "id", "omit"}
	lookUp  = []string{"options", "id", "fields", "omit", "status", "headers", "body"}
)

// omitted as a value of a mapping leaves its key out.
const omitted = "\x00omit"

const (
	maxCost   = 50_000_000
	maxRun    = 2 * time.Second
	maxResult = 4 << 20
)

var environment = sync.OnceValue(func() *cel.Env {
	opts := []cel.EnvOption{cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), cel.CrossTypeNumericComparisons(true)}
	seen := map[string]bool{}
	for _, list := range [][]string{about, thing, answers, items, entries, marking, lookUp} {
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				opts = append(opts, cel.Variable(name, cel.DynType))
			}
		}
	}
	dyn := []*cel.Type{cel.DynType, cel.DynType}
	opts = append(opts,
		// merge(a, b) is a mapping of both; b's wins.
		cel.Function("merge", cel.Overload("merge_dyn_dyn", dyn, cel.DynType, cel.BinaryBinding(merge))),
		// scoped(v, p) puts p and a dot before the id of every mapping in the list v, and before
		// each text in it that is one of those ids; unscoped(v, p) takes it away.
		cel.Function("scoped", cel.Overload("scoped_dyn_dyn", dyn, cel.DynType, cel.BinaryBinding(scoped))),
		cel.Function("unscoped", cel.Overload("unscoped_dyn_dyn", dyn, cel.DynType, cel.BinaryBinding(unscoped))),
		// without(m, keys) is the mapping m without these keys.
		cel.Function("without", cel.Overload("without_dyn_dyn", dyn, cel.DynType, cel.BinaryBinding(without))),
	)
	env, err := cel.NewEnv(opts...)
	if err != nil {
		panic(err)
	}
	return env
})

func merge(a, b ref.Val) ref.Val {
	x, y, err := maps2(a, b)
	if err != nil {
		return types.NewErr("merge: %v", err)
	}
	out := make(map[string]any, len(x)+len(y))
	for _, m := range []map[string]any{x, y} {
		for k, v := range m {
			out[k] = v
		}
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}

func maps2(a, b ref.Val) (x, y map[string]any, err error) {
	av, err := plainOf(a)
	if err != nil {
		return nil, nil, err
	}
	bv, err := plainOf(b)
	if err != nil {
		return nil, nil, err
	}
	x, okx := av.(map[string]any)
	y, oky := bv.(map[string]any)
	if !okx || !oky {
		return nil, nil, fmt.Errorf("it takes two mappings")
	}
	return x, y, nil
}

func without(a, b ref.Val) ref.Val {
	m, err := plainOf(a)
	if err != nil {
		return types.NewErr("without: %v", err)
	}
	keys, err := plainOf(b)
	if err != nil {
		return types.NewErr("without: %v", err)
	}
	in, ok := m.(map[string]any)
	list, is := keys.([]any)
	if !ok || !is {
		return types.NewErr("without takes a mapping and a list")
	}
	out := map[string]any{}
	for k, v := range in {
		if !slices.Contains(list, any(k)) {
			out[k] = v
		}
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}

func scoped(a, b ref.Val) ref.Val {
	return rescope(a, b, func(ids map[string]bool, s, prefix string) string {
		if ids[s] {
			return prefix + "." + s
		}
		return s
	})
}

func unscoped(a, b ref.Val) ref.Val {
	return rescope(a, b, func(_ map[string]bool, s, prefix string) string { return strings.TrimPrefix(s, prefix+".") })
}

func rescope(a, b ref.Val, name func(ids map[string]bool, s, prefix string) string) ref.Val {
	v, err := plainOf(a)
	list, ok := v.([]any)
	prefix, is := b.Value().(string)
	if err != nil || !ok || !is {
		return types.NewErr("scoped takes a list and a text")
	}
	ids := map[string]bool{}
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			if id, ok := m["id"].(string); ok {
				ids[id] = true
			}
		}
	}
	renamed := eachLeaf(list, func(v any) any {
		if s, ok := v.(string); ok {
			return name(ids, s, prefix)
		}
		return v
	})
	return types.DefaultTypeAdapter.NativeToValue(renamed)
}

// dialect is how texts of descriptions are compiled and evaluated.
var dialect = sync.OnceValue(func() expression.Dialect {
	return expression.Dialect{Env: environment(), Names: slices.Concat(about, thing, answers, items, entries, marking), Cost: maxCost, Time: maxRun, Max: maxResult, Read: whole}
})

// eval evaluates a text: a whole expression's own value, or a string.
func (d *Description) eval(from string, vars map[string]any) (any, error) {
	t := d.texts[from]
	if t == nil {
		return nil, tenure.Errorf(tenure.Internal, "a text of %s wasn't compiled", d.Name)
	}
	v, err := dialect().Eval(t, vars)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", d.Name, err)
	}
	return v, nil
}

// is evaluates a condition; "" is what none means.
func (d *Description) is(from string, none bool, vars map[string]any) (bool, error) {
	if from == "" {
		return none, nil
	}
	v, err := d.eval(from, vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, tenure.Errorf(tenure.Invalid, "%s: %s gives neither true nor false", d.Name, source.Clip(from))
	}
	return b, nil
}

// plainOf is a CEL value as JSON would have it, with numbers as JSON's are read here.
func plainOf(v ref.Val) (any, error) {
	plain, err := expression.Reading{Max: maxResult}.Plain(v)
	return whole(plain), err
}
