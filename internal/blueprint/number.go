package blueprint

import (
	"github.com/tenurehq/tenure/internal/source"
)

// eachNumber walks the values in v that aren't lists or maps.
func eachNumber(p source.Path, v any, f func(source.Path, any)) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			eachNumber(p.Index(i), e, f)
		}
	case map[string]any:
		for _, name := range source.Keys(v) {
			eachNumber(p.With(name), v[name], f)
		}
	default:
		f(p, v)
	}
}
