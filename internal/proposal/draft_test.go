package proposal_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/proposal"
	"github.com/tenurehq/tenure/internal/scaffold"
	"github.com/tenurehq/tenure/internal/source"
	"github.com/tenurehq/tenure/internal/survey"
)

// hostile are texts that people, or attackers, name things with.
var hostile = []string{
	"${", "$${", "$", "}", "${params.slug}", "${tenant.id}", "$${x", "#", " # ", ": ", "- ", "'", `"`, "\\", "\n", "\r\n", "\t", "\x00", "\x7f", "\u0085", "\u2028", "\u202e", "\ufeff", "\uffff", "\U000e0001",
	"{", "[", "*", "&", "!", "|", ">", "%", "@", "`", "~", "null", "true", "no", "y", "---", "...", "=", "<<", "İ", "Ⱥ", "ß", "ſ", "株式会社", "é", "🦊", "in", "rows", "name", "0x1f", "1e3", ".inf", " ",
}

func hostileText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.StringN(0, 3, 9)), 0, 4).Draw(t, "parts"), "")
	})
}

// TestRandomDrafts: whatever tenants and their things are called, a draft is a blueprint that can be read, in
// which nothing that came from a name is an expression; and what it binds gives each tenant's things their
// own names back.
func TestRandomDrafts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, plain := hostileText(), rapid.Bool().Draw(t, "what a blueprint can name")
		typ, system := text, text
		if plain {
			typ, system = rapid.SampledFrom([]string{"schema", "role"}), rapid.Just("far")
		}
		r := &survey.Report{Systems: []survey.System{{Name: "main", Connector: "postgres"}, {Name: system.Draw(t, "system"), Connector: system.Draw(t, "connector")}}}
		types := map[string]connector.Info{"main": {Name: "postgres", Types: []tenure.ResourceType{{Name: "schema", Holds: tenure.HoldsData, Attributes: `{"properties":{"tables":{},"key":{},"column":{}}}`}}}}
		type form struct {
			system, kind, typ, before, after string
			upper                            bool
			attributes                       map[string]any
			in                               int
		}
		forms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) form {
			f := form{
				system: rapid.SampledFrom([]string{r.Systems[0].Name, r.Systems[1].Name}).Draw(t, "of"), kind: rapid.SampledFrom([]string{"place", "account", "group"}).Draw(t, "kind"),
				typ: rapid.OneOf(rapid.SampledFrom([]string{"schema", "role"}), typ).Draw(t, "type"), before: text.Draw(t, "before"), after: text.Draw(t, "after"),
				upper: rapid.Bool().Draw(t, "upper"), in: rapid.IntRange(0, 4).Draw(t, "in"),
			}
			f.attributes = rapid.MapOfN(rapid.OneOf(rapid.SampledFrom([]string{"owner", "tables", "column", "key"}), text), rapid.OneOf(
				rapid.Custom(func(t *rapid.T) any { return text.Draw(t, "text") }),
				rapid.Custom(func(t *rapid.T) any { return []any{text.Draw(t, "text"), true} }),
				rapid.Custom(func(t *rapid.T) any { return map[string]any{"a": text.Draw(t, "text"), text.Draw(t, "name"): 3} }),
			), 0, 3).Draw(t, "attributes")
			return f
		}), 1, 4).Draw(t, "forms")
		names := rapid.SliceOfNDistinct(rapid.OneOf(
			rapid.Map(text, func(s string) string { return "t" + s }),
			rapid.SampledFrom([]string{"acme", "acme-two", "acme_two", "two", "17", "c0ffee00-1111-4222-8333-000000000000", "Acme & Söhne GmbH", "$acme"}),
		), 1, 6, rapid.ID[string]).Draw(t, "names")
		table, tenantColumn, schema := text.Draw(t, "table"), rapid.OneOf(rapid.Just("tenant_id"), rapid.Map(text, func(s string) string { return "x" + s })).Draw(t, "tenant column"), rapid.OneOf(rapid.Just("public"), text).Draw(t, "schema")
		if rapid.Bool().Draw(t, "with a catalog") {
			columns := []connector.ColumnInfo{{Name: tenantColumn, Type: "text"}, {Name: "mail", Type: "text"}, {Name: text.Draw(t, "column"), Type: text.Draw(t, "type of a column")}}
			odd := connector.TableInfo{Schema: schema, Name: text.Draw(t, "another table"), Columns: columns[1:]}
			r.Catalogues = map[string]connector.Catalogue{"main": {
				Tables: []connector.TableInfo{{Schema: schema, Name: "orders", Columns: columns}, {Schema: schema, Name: table, Columns: columns}, odd, {Schema: schema, Name: text.Draw(t, "a table alone"), Columns: columns[2:]}},
				Links:  []connector.LinkInfo{{Child: odd.String(), Parent: schema + ".orders", Columns: []string{columns[2].Name}, Parents: []string{tenantColumn}, OnDelete: "no action"}},
				Says:   []string{text.Draw(t, "what isn't listed")},
			}}
		}
		for _, name := range names {
			one := survey.Tenant{Name: name, Listed: []string{"crm"}}
			for i, f := range forms {
				own := name
				if f.upper {
					own = strings.ToUpper(name)
				}
				th := survey.Thing{System: f.system, Kind: f.kind, Type: f.typ, Word: f.typ, Name: f.before + own + f.after, Attributes: maps.Clone(f.attributes)}
				if f.in < i {
					th.In = one.Things[f.in].Word + " " + one.Things[f.in].Name
				}
				if rapid.IntRange(0, 4).Draw(t, "its name in an attribute") == 0 {
					th.Attributes["owner"] = f.before + own
					th.Beside = []connector.Beside{{Type: "grant", Attributes: map[string]any{"to": th.Name, "on": []string{own, f.after}}}}
				}
				one.Things = append(one.Things, th)
			}
			for table, column := range map[string]string{"orders": tenantColumn, "lines": "org", table: tenantColumn} {
				key := name
				if column == "org" {
					key = "k" + name
				}
				one.Things = append(one.Things, survey.Thing{System: "main", Kind: "rows", Type: "rows", Word: "rows", Name: key, In: "table " + table, Attributes: map[string]any{"column": column, "key": key, "schema": schema}})
			}
			r.Tenants = append(r.Tenants, one)
		}
		p, err := proposal.Draft(r, system.Draw(t, "name"), types)
		if err != nil {
			if tenure.CodeOf(err) != tenure.NotFound {
				t.Fatal(err)
			}
			return
		}
		file := p.YAML([]string{text.Draw(t, "says")})
		src, err := blueprint.Parse(file, "the draft")
		if err != nil && plain {
			t.Fatalf("%v\n%s", err, file)
		}
		var tree map[string]any
		if wrong := yaml.Unmarshal(file, &tree); wrong != nil || tree["kind"] != "Blueprint" || tree["offboarding"] == nil {
			t.Fatalf("%v\n%s", wrong, file)
		}
		if err != nil {
			return // such as a system that no blueprint can name, which the command says
		}
		b := &src.Blueprint
		for _, s := range b.Resources {
			each(map[string]any{"name": s.Name, "attributes": s.Attributes}, func(text string) {
				pieces, err := source.Split(text)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				for _, piece := range pieces {
					if e := piece.Expr; piece.IsExpr && !drafted(p.Parameters, b, e) {
						t.Fatalf("a name made the expression %q\n%s", e, file)
					}
				}
			})
		}
		bound := proposal.Bind(r, b)
		for i, one := range bound.Tenants {
			if slices.ContainsFunc(one.Parameters, func(v proposal.Parameter) bool { return v.Value == proposal.Unknown }) {
				continue // two things tell it differently, and a person decides
			}
			values := map[string]string{}
			for _, v := range one.Parameters {
				values["params."+v.Name] = v.Value
			}
			for _, s := range b.Resources {
				if s.Type == "rows" || s.Type == "grant" {
					continue
				}
				pieces, _ := source.Split(s.Name)
				name := ""
				for _, piece := range pieces {
					switch name += piece.Literal; {
					case strings.HasPrefix(piece.Expr, `"$`):
						name += strings.Trim(piece.Expr, `"`)
					case piece.IsExpr:
						name += values[piece.Expr]
					}
				}
				if !slices.ContainsFunc(r.Tenants[i].Things, func(th survey.Thing) bool { return th.System == s.System && th.Type == s.Type && th.Name == name }) {
					t.Fatalf("%q has no %s %q:\n%+v\n%s", r.Tenants[i].Name, s.Type, name, one, file)
				}
			}
		}
	})
}

// What is inside a thing of a tenant's goes along with it, and an account inside needs it. Things whose names
// say each other are put in order, also where each would come after the other; a name that ends with the sign
// of an expression stays a name; and rows are told by their own column.
func TestDraft(t *testing.T) {
	t.Parallel()
	r := &survey.Report{Systems: []survey.System{{Name: "db", Connector: "postgres"}, {Name: "dir", Connector: "ldap"}, {Name: "s3", Connector: "s3"}}}
	for i, name := range []string{"acme", "acme-two", "birch", "cedar"} {
		thing := func(system, kind, typ, name, in string, attributes map[string]any) survey.Thing {
			return survey.Thing{System: system, Kind: kind, Type: typ, Word: typ, Name: name, In: in, Attributes: attributes}
		}
		login := thing("db", "account", "user", "u_"+name, "", nil)
		login.Beside = []connector.Beside{{Type: "grant", Attributes: map[string]any{"to": "u_" + name, "database": "of all", "privileges": []string{"drop"}}}, {Type: "grant", Attributes: map[string]any{"to": "u_" + name, "database": "d_" + name, "privileges": []string{"select"}}}}
		one := survey.Tenant{Name: name, Listed: []string{"crm"}, Things: []survey.Thing{
			login,
			thing("db", "place", "database", "d_"+name, "", map[string]any{"owner": "u_" + name, "collation": "acme_ci"}),
			thing("db", "group", "role", "$$"+name, "", map[string]any{"owner": "r_" + name}),
			thing("db", "group", "role", "r_"+name, "", map[string]any{"owner": "$$" + name}),
			thing("dir", "place", "unit", name, "", map[string]any{"seats": float64(i + 5), "hue": []string{"red", "blue", "green", "white"}[i]}),
			thing("dir", "account", "user", name+"/admin", "unit "+name, map[string]any{"cn": "admin of " + name + " ${x}"}),
			thing("s3", "place", "bucket", name+"-docs", "", nil),
			thing("s3", "place", "prefix", name+"-docs/orders", "bucket "+name+"-docs", nil),
			thing("db", "rows", "rows", name, "table orders", map[string]any{"column": "tenant", "key": name}),
			thing("db", "rows", "rows", fmt.Sprint(i+17), "table lines", map[string]any{"column": "org", "key": fmt.Sprint(i + 17)}),
		}}
		if i < 3 {
			one.Things = append(one.Things, thing("db", "place", "schema", "s_"+name, "", nil))
		}
		if i == 0 {
			one.Things[2].Attributes["limit"] = 5
		}
		r.Tenants = append(r.Tenants, one)
	}
	r.Findings = []survey.Finding{{Kind: survey.Wide, System: "db", Word: "role", Name: "of all"}, {Kind: survey.Wide, System: "db", Word: "role", Name: "boss"}}
	p, err := proposal.Draft(r, "drafted", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"of all": "the draft declares rights", "boss": "declare its rights"} {
		if !slices.ContainsFunc(p.Open, func(s string) bool { return strings.Contains(s, "role "+name+" in db") && strings.Contains(s, says) }) {
			t.Errorf("of %s it isn't said that %s: %q", name, says, p.Open)
		}
	}
	var got []string
	for _, x := range p.Resources {
		text := strings.Join(append([]string{x.Key, x.Name}, x.Needs...), " ")
		for _, a := range x.Attributes {
			text += fmt.Sprintf(" %s=%s %t", a.Name, a.Value, a.Out)
		}
		got = append(got, text)
	}
	want := []string{
		"user_u u_${params.name}",
		`database d_${params.name} collation="acme_ci" false owner="${resources.user_u.name}" false`,
		`role_r r_${params.name} owner="${\"$$\"}${params.name}" false`,
		`role ${"$$"}${params.name} limit=5 true owner="${resources.role_r.name}" false`,
		`user_u_grant u_${params.name} grant user_u database="${resources.database.name}" false privileges=["select"] false to="${resources.user_u.name}" false`,
		`user_u_grant_2 u_${params.name} grant 2 user_u database="of all" false privileges=["drop"] false to="${resources.user_u.name}" false`,
		`unit ${params.name} hue="${params.unit_hue}" false seats="${params.unit_seats}" false`,
		`user_admin ${params.name}/admin unit cn="admin of ${params.name} $${x}" false`,
		"bucket ${params.name}-docs",
		"schema s_${params.name}",
	}
	if same := slices.DeleteFunc(slices.Clone(p.Open), func(s string) bool {
		return !strings.Contains(s, "user_u_grant_2 gives each tenant a right on the same thing")
	}); len(same) != 1 {
		t.Errorf("a right that all have on one thing isn't said: %q", p.Open)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	src, err := blueprint.Parse(p.YAML(nil), "the draft")
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range proposal.Bind(r, &src.Blueprint).Tenants {
		name := r.Tenants[i].Name
		want := map[string]string{"name": name, "tenantKey": fmt.Sprint(i + 17), "unit_hue": []string{"red", "blue", "green", "white"}[i], "unit_seats": fmt.Sprint(i + 5)}
		got := map[string]string{}
		for _, v := range one.Parameters {
			got[v.Name] = v.Value
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if missing := slices.DeleteFunc(one.Missing, func(s string) bool {
			return strings.Contains(s, ": grant ") || name == "cedar" && strings.Contains(s, ": schema ")
		}); len(missing) > 0 {
			t.Errorf("%s has all that most have, and is said to lack %q", name, missing)
		}
	}
}

// Letters that are longer or shorter in lower case leave the others where they are.
func TestDraftOfOddLetters(t *testing.T) {
	t.Parallel()
	r := &survey.Report{Systems: []survey.System{{Name: "db", Connector: "postgres"}}, Tenants: []survey.Tenant{{Name: "tİ", Listed: []string{"crm"}, Things: []survey.Thing{{System: "db", Kind: "place", Type: "schema", Word: "schema", Name: "Ⱥ?tİ"}}}}}
	p, err := proposal.Draft(r, "drafted", nil)
	if err != nil || len(p.Resources) != 1 || p.Resources[0].Name != "Ⱥ?${params.name}" {
		t.Errorf("%+v, %v", p, err)
	}
}

// each gives every text in a value.
func each(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case []any:
		for _, one := range v {
			each(one, do)
		}
	case map[string]any:
		for _, one := range v {
			each(one, do)
		}
	}
}

// drafted says that an expression is one that a draft writes.
func drafted(parameters []scaffold.Parameter, b *tenure.Blueprint, expression string) bool {
	if strings.ReplaceAll(expression, "$", "") == `""` {
		return true
	}
	all := []string{"tenant.name", "tenant.organization", "env.name"}
	for _, p := range parameters {
		all = append(all, "params."+p.Name)
	}
	for _, s := range b.Resources {
		all = append(all, "resources."+s.Key+".name")
	}
	return slices.Contains(all, expression)
}
