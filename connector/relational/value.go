package relational

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Decode reads a resource's attributes into a struct. Unknown attributes and
// wrong types are Invalid.
func Decode(r connector.Ref, into any) error {
	raw, err := tenure.Canonical(r.Attributes)
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "%s %q: %w", r.Type, r.Name, err)
	}
	if r.Attributes == nil {
		raw = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return tenure.Errorf(tenure.Invalid, "%s %q: attributes: %s", r.Type, r.Name, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// Normal is a JSON value in the one form in which desired and observed values
// are compared: numbers without superfluous digits, moments (RFC 3339) in UTC.
func Normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case float64:
		return number(strconv.FormatFloat(v, 'g', -1, 64))
	case int:
		return json.Number(strconv.Itoa(v))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case uint64:
		return json.Number(strconv.FormatUint(v, 10))
	case string:
		return moment(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Normal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = Normal(v[k])
		}
		return out
	}
	return v
}

func number(s string) json.Number {
	if strings.ContainsAny(s, "eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return json.Number(s)
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" || s == "" {
		s = "0"
	}
	return json.Number(s)
}

func moment(s string) string {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' {
		return s
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// decodeRow reads a row's JSON into normal values.
func decodeRow(text string) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var row map[string]any
	if err := dec.Decode(&row); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "a row's json: %w", err)
	}
	for c, v := range row {
		row[c] = Normal(v)
	}
	return row, nil
}
