package recogniser

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what is read of documents: deeper and wider ones are read as far as that.
const (
	deepest   = 8
	mostPaths = 200
	mostEach  = 200
)

// Paths takes JSON documents apart: by path, such as contact.email or phones[].number,
// the texts, numbers and truths that stand there. A key that could itself be a value (an
// address, a number, a name that few documents have) stands as *, so that no path tells
// anything of anybody. What isn't a JSON object or list has no paths.
func Paths(documents []string) map[string][]string {
	var all []any
	for _, d := range documents {
		d = strings.TrimSpace(d)
		if len(d) < 2 || d[0] != '{' && d[0] != '[' {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(d))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) == nil {
			all = append(all, v)
		}
	}
	out := map[string][]string{}
	gather(out, "", all, 0)
	return out
}

var plainKey = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]{0,39}$`)

// gather adds what stands below a path in values of one place.
func gather(out map[string][]string, path string, values []any, depth int) {
	if depth > deepest || len(out) >= mostPaths {
		return
	}
	var items []any
	below, objects := map[string][]any{}, 0
	for _, v := range values {
		switch v := v.(type) {
		case map[string]any:
			objects++
			for k, one := range v {
				below[k] = append(below[k], one)
			}
		case []any:
			items = append(items, v...)
		case nil:
		default:
			if path != "" && len(out[path]) < mostEach {
				out[path] = append(out[path], scalar(v))
			}
		}
	}
	if len(items) > 0 {
		gather(out, path+"[]", items[:min(len(items), mostEach)], depth+1)
	}
	keys := make([]string, 0, len(below))
	for k := range below {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	keyed := func(k string) bool { return isKey(k, len(below[k]), objects, len(keys)) }
	if objects > 1 && !slices.ContainsFunc(keys, func(k string) bool { return len(below[k]) > 1 }) {
		keyed = func(string) bool { return false } // each document has keys of its own
	}
	var any []any
	for _, k := range keys {
		at := k
		if path != "" {
			at = path + "." + k
		}
		if !keyed(k) {
			any = append(any, below[k]...)
			continue
		}
		gather(out, at, below[k], depth+1)
	}
	if len(any) > 0 {
		at := "*"
		if path != "" {
			at = path + ".*"
		}
		gather(out, at, any[:min(len(any), mostEach)], depth+1)
		var named []string
		for _, k := range keys {
			if !keyed(k) {
				named = append(named, k)
			}
		}
		out[at+"#"] = named[:min(len(named), mostEach)] // the keys themselves
	}
}

// isKey says that a key is a word of the program's and no value.
func isKey(k string, times, objects, keys int) bool {
	if !plainKey.MatchString(k) || keys > 100 {
		return false
	}
	if objects >= 5 && times*10 < objects {
		return false
	}
	return !given[strings.ToLower(k)] || wordsToo[strings.ToLower(k)]
}

// wordsToo are words of programs that are also given names.
var wordsToo = set("mark max per will grace jack")

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}
