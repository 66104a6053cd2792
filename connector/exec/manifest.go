package exec

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// Manifest is a program and what it makes, as a file says it. The file's JSON Schema
// (manifest.schema.json) says what each field means and may be.
type Manifest struct {
	Name    string
	Version string
	Summary string
	Tested  connector.Tested
	How     string
	Rights  string
	Leaves  string

	Program programSpec
	Limits  limitSpec
	Options []optionSpec
	Types   []*typeSpec
	Probes  []probeSpec

	dir    string // where the manifest stands
	digest string
}

type programSpec struct {
	Path        string
	SHA256      string
	Arguments   []string
	Environment map[string]string
	Files       []fileSpec
}

type fileSpec struct {
	Path   string
	SHA256 string
}

// limitSpec is what one call may use; memory, output and export are in MiB.
type limitSpec struct {
	Time   tenure.Period
	Memory int64
	Output int64
	Export int64
}

const (
	usualTime   = time.Minute
	longest     = 24 * time.Hour
	usualMemory = 1024
	usualOutput = 64
	usualExport = 10240
	mebibyte    = 1 << 20
)

func (l limitSpec) time() time.Duration {
	if l.Time.IsZero() {
		return usualTime
	}
	return span(l.Time)
}

// span is how long a period without months is.
func span(p tenure.Period) time.Duration {
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	return p.After(start).Sub(start)
}

func mib(n, usual int64) int64 {
	if n == 0 {
		n = usual
	}
	return n * mebibyte
}

type optionSpec struct {
	Name     string
	Help     string
	Default  string
	Required bool
	Secret   bool
}

type probeSpec struct {
	Name  string
	Help  string
	Types []string
}

type typeSpec struct {
	Name         string
	Summary      string
	Layer        string
	Names        nameSpec
	Holds        string
	Can          []string
	Deletion     string
	Verification string
	Recovery     string
	Whole        bool
	Credential   bool
	Lag          tenure.Period
	Cost         []tenure.CostTerm
	Isolation    []string
	Attributes   json.RawMessage // JSON Schema: {properties, required}; once compiled the whole schema
	Exposed      []exposedSpec
	Try          *trySpec

	pattern  *regexp.Regexp
	shape    *source.Shape
	defaults map[string]any
	sets     map[string]bool // the attributes that are lists whose order doesn't count
	seen     map[string]bool // all attributes; true for those that are observed
}

type nameSpec struct {
	Pattern string
	Max     int
	Says    string
}

type exposedSpec struct {
	Attribute string
	Is        any
	Says      string
}

// trySpec is a sample that the program is tried with.
type trySpec struct {
	Name       string
	Attributes map[string]any
}

func (m *Manifest) typ(name string) *typeSpec {
	i := slices.IndexFunc(m.Types, func(t *typeSpec) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return m.Types[i]
}

// can says whether the program answers an optional call for the type.
func (t *typeSpec) can(call string) bool {
	switch call {
	case "resume":
		call = "suspend"
	case "unquarantine":
		call = "quarantine"
	}
	return slices.Contains(t.Can, call)
}

func (t *typeSpec) has(attribute string) bool { _, ok := t.seen[attribute]; return ok }

func (t *typeSpec) holds() tenure.DataHeld {
	if t.Holds == "data" {
		return tenure.HoldsData
	}
	return tenure.HoldsNothing
}

// compile makes the schema of the attributes.
func (t *typeSpec) compile() error {
	var given struct {
		Properties map[string]map[string]any `json:"properties"`
		Required   []string                  `json:"required"`
	}
	if err := json.Unmarshal(t.Attributes, &given); err != nil {
		return err
	}
	if given.Required == nil {
		given.Required = []string{}
	}
	raw, err := tenure.Canonical(map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "properties": given.Properties, "required": given.Required})
	if err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	if t.shape, err = source.CompileShape(doc); err != nil {
		return err
	}
	t.Attributes = raw
	t.defaults, t.sets, t.seen = map[string]any{}, map[string]bool{}, map[string]bool{}
	for name, p := range given.Properties {
		if v, ok := p["default"]; ok && v != nil {
			t.defaults[name] = plain(v)
		}
		t.sets[name], t.seen[name] = p["uniqueItems"] == true, p["writeOnly"] != true
	}
	return nil
}

// desired is what is asked for, with the defaults.
func (t *typeSpec) desired(given map[string]any) map[string]any {
	out := maps.Clone(t.defaults)
	for name, v := range given {
		out[name] = plain(v)
	}
	return out
}

// check holds attributes against their schema.
func (t *typeSpec) check(attributes map[string]any) error {
	for _, m := range t.shape.Check(attributes, nil) {
		return tenure.Errorf(tenure.Invalid, "%s: attribute %s %s", t.Name, strings.TrimPrefix(strings.TrimPrefix(m.At.String(), "$"), "."), m.Message)
	}
	return nil
}

// normal is what of the attributes is observed, as canonical JSON: without what is null, and
// sets in one order.
func (t *typeSpec) normal(attributes map[string]any) (json.RawMessage, error) {
	out := map[string]any{}
	for name, v := range attributes {
		if v = plain(v); v == nil || !t.seen[name] {
			continue
		}
		if list, ok := v.([]any); ok && t.sets[name] {
			v = sorted(list)
		}
		out[name] = v
	}
	raw, err := tenure.Canonical(out)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: its attributes can't be written as JSON: %w", t.Name, err)
	}
	return raw, nil
}

func sorted(list []any) []any {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b any) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return strings.Compare(string(x), string(y))
	})
	return out
}

// plain has values as JSON's are read here: numbers are int64 where they are whole, and
// float64 otherwise.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return plain(f)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v)
		}
	case int:
		return int64(v)
	case []string:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = e
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}

// checkName refuses names that the program isn't asked about.
func (t *typeSpec) checkName(name string) error {
	bad := func(format string, args ...any) error {
		return tenure.Errorf(tenure.Invalid, "%s: name %q "+format, append([]any{t.Name, source.Clip(strings.ToValidUTF8(name, "\ufffd"))}, args...)...)
	}
	switch why := connector.Misnamed(name, t.Names.Max); {
	case why != "":
		return bad("%s", why)
	case t.pattern != nil && !t.pattern.MatchString(name):
		return bad("isn't one: %s", t.Names.Says)
	}
	return nil
}
