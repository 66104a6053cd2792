package connectortest

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Declarations checks what a connector says of itself: everything that a
// blueprint, a plan or a page needs is there, and the schemas compile.
func Declarations(t *testing.T, info connector.Info) {
	t.Helper()
	word := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	if !word.MatchString(info.Name) || info.Version == "" || info.Summary == "" || info.Open == nil || info.Review == nil {
		t.Errorf("connector %q lacks a name, version, summary, Open or Review", info.Name)
	}
	if !slices.Contains([]connector.Tested{connector.Live, connector.Fake, connector.Unverified}, info.Tested) || info.How == "" {
		t.Errorf("connector %q doesn't say how it was tested", info.Name)
	}
	seen := map[string]bool{}
	once := func(kind, name string) {
		if seen[kind+" "+name] || name == "" {
			t.Errorf("%s %q is declared twice or has no name", kind, name)
		}
		seen[kind+" "+name] = true
	}
	for _, o := range info.Options {
		once("option", o.Name)
		if o.Help == "" || o.Secret && o.Default != "" || o.Required && o.Default != "" {
			t.Errorf("option %s: it needs a help text, and no default if it is secret or required", o.Name)
		}
	}
	for _, typ := range info.Types {
		once("type", typ.Name)
		if !word.MatchString(typ.Name) {
			t.Errorf("type %q isn't a lower-case word", typ.Name)
		}
		declaredType(t, typ)
		reviewed(t, info, typ)
	}
	for _, p := range info.Probes {
		once("probe", p.Name)
		if p.Help == "" {
			t.Errorf("probe %s has no help text", p.Name)
		}
		for _, name := range p.Types {
			if _, ok := info.Type(name); !ok {
				t.Errorf("probe %s runs on type %q, which isn't declared", p.Name, name)
			}
		}
	}
}

func declaredType(t *testing.T, typ tenure.ResourceType) {
	t.Helper()
	for what, text := range map[string]string{
		"summary": typ.Summary, "deletion": typ.Deletion, "verification": typ.Verification, "recovery": typ.Recovery.Says,
	} {
		if strings.TrimSpace(text) == "" {
			t.Errorf("type %s doesn't declare its %s", typ.Name, what)
		}
	}
	if !typ.Recovery.Declared {
		t.Errorf("type %s doesn't declare its recovery", typ.Name)
	}
	if typ.Layer < tenure.LayerKey || typ.Layer > tenure.LayerConfiguration {
		t.Errorf("type %s doesn't declare its layer", typ.Name)
	}
	if typ.Holds != tenure.HoldsData && typ.Holds != tenure.HoldsNothing {
		t.Errorf("type %s doesn't say whether it holds data", typ.Name)
	}
	for _, c := range typ.Cost {
		if c.Metric == "" || c.Per < 1 || c.Price == "" {
			t.Errorf("type %s: cost term %+v lacks a metric, a unit or a price key", typ.Name, c)
		}
	}
	s, err := Schema(typ)
	if err != nil {
		t.Errorf("type %s: %v", typ.Name, err)
		return
	}
	if err := s.Validate(map[string]any{"surely no attribute": true}); err == nil {
		t.Errorf("type %s: its schema lets unknown attributes pass", typ.Name)
	}
}

// reviewed fails if Review can't live with what a blueprint may hold.
func reviewed(t *testing.T, info connector.Info, typ tenure.ResourceType) {
	t.Helper()
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	_ = json.Unmarshal([]byte(typ.Attributes), &schema)
	for _, v := range []any{nil, "${params.x}", true, 1, 1.5, []any{nil, 1}, map[string]any{"a": nil}} {
		attributes := map[string]any{}
		for name := range schema.Properties {
			attributes[name] = v
		}
		info.Review(typ.Name, attributes)
	}
	info.Review(typ.Name, nil)
}

// Schema compiles a type's attribute schema (JSON Schema 2020-12).
func Schema(typ tenure.ResourceType) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(typ.Attributes))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "attribute schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("attributes.json", doc); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "attribute schema: %w", err)
	}
	s, err := c.Compile("attributes.json")
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "attribute schema: %w", err)
	}
	return s, nil
}

// accepts fails unless the type's schema accepts the attributes.
func accepts(t *testing.T, typ tenure.ResourceType, attributes map[string]any) {
	t.Helper()
	s, err := Schema(typ)
	if err != nil {
		return // declaredType says so
	}
	raw, err := json.Marshal(attributes)
	if err != nil {
		t.Fatal(err)
	}
	if attributes == nil {
		raw = []byte("{}")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("type %s: its schema refuses the sample %s: %v", typ.Name, raw, err)
	}
}

// covered fails if a type, a probe or a declared capability has no samples.
func covered(t *testing.T, w *World) {
	t.Helper()
	missing := map[string]bool{}
	for _, typ := range w.Info.Types {
		missing["type "+typ.Name] = true
	}
	for _, p := range w.Info.Probes {
		missing["probe "+p.Name] = true
	}
	for _, c := range w.Cases {
		delete(missing, "type "+c.Type)
		typ, ok := w.Info.Type(c.Type)
		switch {
		case !ok:
			t.Errorf("case %s is of a type that isn't declared", c.Type)
		case c.New == nil || c.Foreign == nil && c.Remark == nil:
			t.Errorf("case %s needs New, and Foreign or Remark", c.Type)
		case typ.Holds == tenure.HoldsData && !typ.Copies && (c.Fill == nil || c.Count == nil):
			t.Errorf("case %s holds data and needs Fill and Count", c.Type)
		case typ.Copies && c.AddCopy == nil:
			t.Errorf("case %s keeps copies and needs AddCopy", c.Type)
		}
	}
	for _, p := range w.Probes {
		delete(missing, "probe "+p.Kind)
	}
	for _, kind := range w.Untried {
		delete(missing, "probe "+kind)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s has no case", name)
	}
	if w.Look == nil || w.LoseSentinel == nil {
		t.Error("the world needs Look and LoseSentinel")
	}
}
