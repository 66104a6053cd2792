package blueprint

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tenurehq/tenure/internal/source"
)

// sortedAdapter gives maps that are walked in the order of their keys, so that
// the same input gives the same bytes.
type sortedAdapter struct{ ref.TypeAdapter }

func (a sortedAdapter) NativeToValue(v any) ref.Val {
	switch m := v.(type) {
	case map[string]any:
		return sortedMap{types.NewStringInterfaceMap(a, m)}
	case map[ref.Val]ref.Val:
		return sortedMap{types.NewRefValMap(a, m)}
	case []any:
		return types.NewDynamicList(a, m)
	}
	return a.TypeAdapter.NativeToValue(v)
}

// sortedMap hides a map's own, random walk behind a sorted one.
type sortedMap struct{ traits.Mapper }

func (m sortedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		return cmp.Or(cmp.Compare(a.Type().TypeName(), b.Type().TypeName()), cmp.Compare(fmt.Sprint(a.Value()), fmt.Sprint(b.Value())))
	})
	return types.NewRefValList(types.DefaultTypeAdapter, keys).Iterator()
}

// native is a CEL value as JSON would have it: string, int64, float64, bool,
// nil, []any or map[string]any.
func native(v ref.Val) (any, error) {
	budget := maxResult
	return nativeWithin(v, &budget)
}

func nativeWithin(v ref.Val, budget *int) (any, error) {
	*budget--
	if s, ok := v.(types.String); ok {
		*budget -= len(s)
	}
	if *budget < 0 {
		return nil, fmt.Errorf("gives more than %d bytes", maxResult)
	}
	switch v := v.(type) {
	case types.String:
		if !utf8.ValidString(string(v)) {
			return nil, fmt.Errorf("gives a text that isn't valid UTF-8")
		}
		return string(v), nil
	case types.Int:
		return whole(int64(v))
	case types.Uint:
		return whole(int64(min(v, math.MaxInt64)))
	case types.Double:
		if f := float64(v); f-f != 0 {
			return nil, fmt.Errorf("gives a number that isn't finite")
		}
		return float64(v), nil
	case types.Bool:
		return bool(v), nil
	case types.Null:
		return nil, nil
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, fmt.Errorf("gives a map with a key that isn't a text")
			}
			e, err := nativeWithin(v.Get(key), budget)
			if err != nil {
				return nil, err
			}
			out[string(name)] = e
			*budget -= len(name)
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e, err := nativeWithin(it.Next(), budget)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	}
	return nil, fmt.Errorf("gives a %s, which can't be stored", v.Type().TypeName())
}

func whole(n int64) (any, error) {
	if why := source.Misnumbered(n); why != "" {
		return nil, fmt.Errorf("gives %d: %s", n, why)
	}
	return n, nil
}
