package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure"
)

// Facts makes an entry's Data of texts; nil for no facts. A name that is empty
// or needs an escape, and text that isn't UTF-8, are refused by Encode.
func Facts(facts map[string]string) json.RawMessage {
	if len(facts) == 0 {
		return nil
	}
	var few [16]string
	n := 2
	names := slices.AppendSeq(few[:0], maps.Keys(facts))
	for name, value := range facts {
		n += len(name) + len(value) + 6
	}
	slices.Sort(names)
	b := append(make([]byte, 0, n), '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = appendString(b, facts[name])
	}
	return append(b, '}')
}

// Object makes an entry's Data of any value that encoding/json writes as an
// object; nil for an empty one. Numbers that aren't integers within ±(2⁵³−1)
// are Invalid: readers disagree on how to write them.
func Object(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "audit data: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "audit data is not an object: %w", err)
	}
	if len(m) == 0 {
		return nil, nil
	}
	b := appendValue(nil, m)
	if !canonicalObject(b) {
		return nil, tenure.Errorf(tenure.Invalid, "audit data has no canonical form: a name is not plain, or a number is not an integer within ±(2⁵³−1)")
	}
	return b, nil
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, e)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(append(appendString(b, name), ':'), v[name])
		}
		return append(b, '}')
	}
	return b
}
