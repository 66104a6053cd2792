package memory

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// form is what an attribute may be.
type form int

const (
	text form = iota + 1
	texts
	flag
	whole
	scalar
	period
)

func formOf(typ, attribute string) form {
	switch typ + "." + attribute {
	case "session.account", "account.email", "integration.url", "store.region", "rows.region", "backup.of", "setting.feature", "record.status", "record.environment", "record.date", "record.note":
		return text
	case "api_key.scopes", "account.roles", "integration.events":
		return texts
	case "store.public":
		return flag
	case "cache.entries":
		return whole
	case "setting.value":
		return scalar
	case "backup.keep":
		return period
	}
	return 0
}

func required(typ string) string {
	switch typ {
	case "setting":
		return "value"
	case "backup":
		return "keep"
	}
	return ""
}

// check refuses a type, a name or attributes that the world can't have.
func check(r connector.Ref) error {
	switch r.Type {
	case "api_key", "session", "account", "integration", "store", "rows", "cache", "backup", "setting", "record":
	default:
		return tenure.Errorf(tenure.Invalid, "memory has no resource type %q", r.Type)
	}
	if err := checkName(r.Name); err != nil {
		return err
	}
	if need := required(r.Type); need != "" && r.Attributes[need] == nil {
		return tenure.Errorf(tenure.Invalid, "%s %q needs attribute %s", r.Type, r.Name, need)
	}
	for name, v := range r.Attributes {
		if !fits(formOf(r.Type, name), v) {
			return tenure.Errorf(tenure.Invalid, "%s %q: attribute %q is unknown or has a wrong value", r.Type, r.Name, name)
		}
	}
	return nil
}

const maxName = 1024

func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return tenure.Errorf(tenure.Invalid, "the name is blank")
	case len(name) > maxName:
		return tenure.Errorf(tenure.Invalid, "the name has %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return tenure.Errorf(tenure.Invalid, "the name %q has control characters or isn't valid UTF-8", name)
	}
	return nil
}

func fits(f form, v any) bool {
	switch f {
	case text:
		return isText(v)
	case texts:
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(e any) bool { return !isText(e) })
	case flag:
		_, ok := v.(bool)
		return ok
	case whole:
		n, ok := number(v)
		return ok && n >= 0 && n == math.Trunc(n)
	case scalar:
		_, isFlag := v.(bool)
		_, isNumber := number(v)
		return isFlag || isNumber || isText(v)
	case period:
		s, ok := v.(string)
		_, err := tenure.ParsePeriod(s)
		return ok && err == nil
	}
	return false
}

func isText(v any) bool { s, ok := v.(string); return ok && utf8.ValidString(s) }

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// normalise is the attributes as canonical JSON, as tenure.Canonical writes
// it, with the flags that are unset written out.
func normalise(r connector.Ref) (json.RawMessage, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	var keep [8]string
	names := keep[:0]
	for name := range r.Attributes {
		names = append(names, name)
	}
	if r.Type == "store" && r.Attributes["public"] == nil {
		names = append(names, "public")
	}
	slices.Sort(names)
	out := make([]byte, 1, 64)
	out[0] = '{'
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), '"', ':')
		v, ok := r.Attributes[name]
		if !ok {
			v = false
		}
		var err error
		if out, err = appendValue(out, v); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// appendValue writes the common values by hand, the others the long way.
func appendValue(out []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if simple(v) {
			return append(append(append(out, '"'), v...), '"'), nil
		}
	case bool:
		return strconv.AppendBool(out, v), nil
	case int:
		return strconv.AppendInt(out, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(out, v, 10), nil
	case float64:
		if v == math.Trunc(v) && v != 0 && math.Abs(v) < 1<<53 {
			return strconv.AppendInt(out, int64(v), 10), nil
		}
	}
	raw, err := tenure.Canonical(v)
	return append(out, raw...), err
}

// simple says whether a JSON string needs no escape.
func simple(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
