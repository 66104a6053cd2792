package blueprint

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

func schemaDoc(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// resolve follows a schema's $ref; what stands beside it wins.
func resolve(doc, schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	defs, _ := doc["$defs"].(map[string]any)
	target, _ := defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	out := maps.Clone(resolve(doc, target))
	maps.Copy(out, schema)
	return out
}

// The file's schema names what the domain's types have, and nothing else, so
// that a field added to one is missed in the other here and not by a user.
func TestSchemaIsTheDomain(t *testing.T) {
	t.Parallel()
	doc := schemaDoc(t)
	sameFields(t, doc, "", doc, reflect.TypeFor[tenure.Blueprint](), "apiVersion", "kind")
}

func sameFields(t *testing.T, doc map[string]any, where string, schema map[string]any, typ reflect.Type, extra ...string) {
	t.Helper()
	properties, _ := resolve(doc, schema)["properties"].(map[string]any)
	want := slices.Clone(extra)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if typ == reflect.TypeFor[tenure.DataClass]() && name == "name" {
			continue // the key of dataClasses
		}
		want = append(want, name)
		sub, _ := properties[name].(map[string]any)
		if sub == nil || name == "approvals" || name == "parameters" {
			continue
		}
		if inner, s := element(doc, f.Type, sub); inner != nil {
			sameFields(t, doc, where+"/"+name, s, inner)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(properties))); diff != "" {
		t.Errorf("%s/ (-domain +schema):\n%s", where, diff)
	}
}

// element is the struct in a field, and its schema.
func element(doc map[string]any, typ reflect.Type, schema map[string]any) (reflect.Type, map[string]any) {
	schema = resolve(doc, schema)
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
		if items, ok := schema["items"].(map[string]any); ok {
			schema = resolve(doc, items)
		} else if rest, ok := schema["additionalProperties"].(map[string]any); ok {
			schema = resolve(doc, rest)
		}
	}
	for _, way := range anyList(schema["anyOf"]) { // a text, or what says more
		if way, ok := way.(map[string]any); ok && way["properties"] != nil {
			schema = way
		}
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[tenure.Period]() {
		return nil, nil
	}
	return typ, schema
}

// Every kind of thing that the domain knows can be written in a blueprint.
func TestSchemaEnums(t *testing.T) {
	t.Parallel()
	doc := schemaDoc(t)
	defs, _ := doc["$defs"].(map[string]any)
	class, _ := defs["dataClass"].(map[string]any)
	properties, _ := class["properties"].(map[string]any)
	disposition, _ := properties["disposition"].(map[string]any)
	if diff := cmp.Diff(fmt.Sprint(tenure.Dispositions), fmt.Sprint(resolve(doc, disposition)["enum"])); diff != "" {
		t.Errorf("dispositions (-domain +schema):\n%s", diff)
	}
	top, _ := doc["properties"].(map[string]any)
	approvals, _ := top["approvals"].(map[string]any)
	kinds, _ := approvals["properties"].(map[string]any)
	var want []string
	for kind := range tenure.OperationKinds {
		want = append(want, string(kind))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(kinds))); diff != "" {
		t.Errorf("operation kinds (-domain +schema):\n%s", diff)
	}
}

// docs/blueprint-reference.md is the schema in prose; -update writes it.
func TestReference(t *testing.T) {
	t.Parallel()
	golden(t, "../../docs/blueprint-reference.md", []byte(reference(t)))
}

func reference(t *testing.T) string {
	doc := schemaDoc(t)
	head, err := os.ReadFile("testdata/reference.head.md")
	if err != nil {
		t.Fatal(err)
	}
	tail, err := os.ReadFile("testdata/reference.tail.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(string(head) + "\n## The file\n\n")
	properties, _ := doc["properties"].(map[string]any)
	order := []string{"apiVersion", "kind", "name", "version", "title", "parameters", "environments", "systems", "encryption", "features", "jurisdiction", "contract", "dataClasses", "pseudonyms", "resources", "probes", "outputs", "notices", "failure", "approvals", "onboarding", "lease", "offboarding"}
	if diff := cmp.Diff(slices.Sorted(slices.Values(order)), slices.Sorted(maps.Keys(properties))); diff != "" {
		t.Errorf("the reference's order (-order +schema):\n%s", diff)
	}
	writeTable(&b, doc, doc, order)
	for _, name := range order {
		schema, _ := properties[name].(map[string]any)
		writeSection(&b, doc, name, schema)
	}
	return b.String() + string(tail)
}

func writeSection(b *strings.Builder, doc map[string]any, title string, schema map[string]any) {
	schema = resolve(doc, schema)
	says, _ := schema["description"].(string)
	suffix := ""
	if items, ok := schema["items"].(map[string]any); ok {
		schema, suffix = resolve(doc, items), "[]"
	} else if rest, ok := schema["additionalProperties"].(map[string]any); ok {
		schema, suffix = resolve(doc, rest), ".NAME"
	}
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		return
	}
	fmt.Fprintf(b, "\n## %s%s\n\n%s\n\n", title, suffix, says)
	names := slices.Sorted(maps.Keys(properties))
	required := texts(anyList(schema["required"]))
	names = orderRequired(names, required)
	writeTable(b, doc, schema, names)
	for _, name := range names {
		sub, _ := properties[name].(map[string]any)
		if items, ok := resolve(doc, sub)["items"].(map[string]any); ok && resolve(doc, items)["properties"] != nil {
			writeSection(b, doc, title+suffix+"."+name, sub)
		}
	}
}

// orderRequired puts what is required first, in the schema's order.
func orderRequired(names, required []string) []string {
	out := slices.Clone(required)
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return slices.DeleteFunc(out, func(n string) bool { return !slices.Contains(names, n) })
}

func anyList(v any) []any { l, _ := v.([]any); return l }

func writeTable(b *strings.Builder, doc, schema map[string]any, names []string) {
	properties, _ := schema["properties"].(map[string]any)
	required := texts(anyList(schema["required"]))
	b.WriteString("| key | | what it is | says |\n|---|---|---|---|\n")
	for _, name := range names {
		p, _ := properties[name].(map[string]any)
		p = resolve(doc, p)
		must := ""
		if slices.Contains(required, name) {
			must = "required"
		}
		says, _ := p["description"].(string)
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, must, kindOf(doc, p), strings.ReplaceAll(says, "|", "\\|"))
	}
}

func kindOf(doc, schema map[string]any) string {
	switch {
	case schema["const"] != nil:
		return fmt.Sprintf("`%v`", schema["const"])
	case schema["enum"] != nil:
		return "`" + strings.Join(texts(anyList(schema["enum"])), "`, `") + "`"
	case schema["format"] == "period":
		return "a period"
	case schema["anyOf"] != nil:
		return "a text, or a mapping"
	}
	word, _ := schema["type"].(string)
	switch word {
	case "array":
		items, _ := schema["items"].(map[string]any)
		items = resolve(doc, items)
		if items["type"] == "string" {
			return "a list of texts"
		}
		return "a list"
	case "object":
		return "a mapping"
	}
	return source.Words(word)
}

func texts(vs []any) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = fmt.Sprint(v)
	}
	return out
}
