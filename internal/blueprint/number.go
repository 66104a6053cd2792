package blueprint

import (
	"github.com/tenurehq/tenure/internal/source"
)

// eachLeaf walks the values in v that aren't lists or maps.
func eachLeaf(p source.Path, v any, f func(source.Path, any)) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			eachLeaf(p.Index(i), e, f)
		}
	case map[string]any:
		for _, name := range source.Keys(v) {
			eachLeaf(p.With(name), v[name], f)
		}
	default:
		f(p, v)
	}
}
