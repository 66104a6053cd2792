// Package expression turns what a CEL expression gives into plain data, for whatever reads
// expressions from files.
package expression

import (
	"fmt"
	"math"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tenurehq/tenure/internal/source"
)

// Reading says what is taken.
type Reading struct {
	Max int // bytes of texts, and values, in all

	// Portable refuses whole numbers that some readers of JSON don't keep (RFC 8259, section
	// 6). A system's own ids may be larger.
	Portable bool
}

// Plain is a value as JSON would have it: string, int64, float64, bool, nil, []any or
// map[string]any. An absent optional value is nil. What JSON can't hold is an error that
// completes "the expression …".
func (r Reading) Plain(v ref.Val) (any, error) {
	left := r.Max
	return r.plain(v, &left)
}

func (r Reading) plain(v ref.Val, left *int) (any, error) {
	*left--
	if s, ok := v.(types.String); ok {
		*left -= len(s)
	}
	if *left < 0 {
		return nil, fmt.Errorf("gives more than %d bytes", r.Max)
	}
	switch v := v.(type) {
	case types.String:
		if !utf8.ValidString(string(v)) {
			return nil, fmt.Errorf("gives a text that isn't valid UTF-8")
		}
		return string(v), nil
	case types.Int:
		return r.whole(int64(v))
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("gives %d, which is too large", v)
		}
		return r.whole(int64(v))
	case types.Double:
		if f := float64(v); f-f != 0 {
			return nil, fmt.Errorf("gives a number that isn't finite")
		}
		return float64(v), nil
	case types.Bool:
		return bool(v), nil
	case types.Null:
		return nil, nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return r.plain(v.GetValue(), left)
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, fmt.Errorf("gives a map with a key that isn't a text")
			}
			e, err := r.plain(v.Get(key), left)
			if err != nil {
				return nil, err
			}
			out[string(name)] = e
			*left -= len(name)
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e, err := r.plain(it.Next(), left)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	}
	return nil, fmt.Errorf("gives a %s, which can't be stored", v.Type().TypeName())
}

func (r Reading) whole(n int64) (any, error) {
	if why := source.Misnumbered(n); r.Portable && why != "" {
		return nil, fmt.Errorf("gives %d: %s", n, why)
	}
	return n, nil
}
