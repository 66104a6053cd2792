package blueprint

import (
	"cmp"
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
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
