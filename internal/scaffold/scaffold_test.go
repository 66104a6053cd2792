package scaffold

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// table reads "schema.name: column type!, …"; a sign ! says that the column can't be null.
func table(text string) connector.TableInfo {
	name, columns, _ := strings.Cut(text, ": ")
	t := connector.TableInfo{Name: name}
	if schema, rest, ok := strings.Cut(name, "."); ok {
		t.Schema, t.Name = schema, rest
	}
	for one := range strings.SplitSeq(columns, ", ") {
		one, required := strings.CutSuffix(one, "!")
		n, typ, _ := strings.Cut(one, " ")
		t.Columns = append(t.Columns, connector.ColumnInfo{Name: n, Type: typ, Required: required})
	}
	t.Key = []string{t.Columns[0].Name}
	return t
}

func link(text string) connector.LinkInfo {
	f := strings.SplitN(text, " ", 3)
	l := connector.LinkInfo{Parent: f[1], Parents: []string{"id"}, OnDelete: "no action"}
	at := strings.LastIndexByte(f[0], '.')
	l.Child, l.Columns = f[0][:at], []string{f[0][at+1:]}
	if len(f) == 3 {
		l.OnDelete = f[2]
	}
	return l
}

func drafted(t *testing.T, column string, tables, links []string) (*Draft, tenure.ResourceSpec, string) {
	t.Helper()
	var c connector.Catalogue
	for _, s := range tables {
		c.Tables = append(c.Tables, table(s))
	}
	for _, s := range links {
		c.Links = append(c.Links, link(s))
	}
	d, err := Make(Ask{Name: "shop", System: "main-db", Connector: "postgres", Column: column, Catalogue: c})
	if err != nil {
		t.Fatal(err)
	}
	text := string(d.YAML(nil))
	s, err := blueprint.Parse([]byte(text), "draft")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return d, s.Blueprint.Resources[0], text
}

// What a draft decides for a reference decides which rows go: each choice, and what it
// leaves to a person.
func TestChoices(t *testing.T) {
	t.Parallel()
	d, r, text := drafted(t, "org_id",
		[]string{"app.orgs: id int!", "app.users: id int!, org_id int!, email text!", "app.films: id int!", "app.orders: id int!, Org_Id int!, user_id int!, plan_id int, place_id int",
			"app.lines: id int!, order_id int!", "app.sublines: id int!, line_id int!", "app.reviews: id int!, film_id int!, moderated_by int", "app.drafts: id int!, order_id int", "app.files: id int!, order_id int",
			"app.notes: id int!, order_id int", "app.notes2: id int!, note_id int!", "app.likes: id int!, order_id int", "app.events: id int!, approved_by int", "app.plans: id int!, code text!", "app.places: id int!, street text, zip text, country text",
			"app.odd: id int!, x int", "audit.log: id int!, org_id int, body text", "app.towns: id int!, geo int"},
		[]string{"app.users.org_id app.orgs", "app.orders.user_id app.users", "app.orders.plan_id app.plans", "app.orders.place_id app.places", "app.lines.order_id app.orders", "app.sublines.line_id app.lines", "app.reviews.film_id app.films", "app.reviews.moderated_by app.users",
			"app.drafts.order_id app.orders", "app.files.order_id app.orders cascade", "app.notes.order_id app.orders set null", "app.notes2.note_id app.notes", "app.likes.order_id app.orders", "app.events.approved_by app.users", "app.places.country app.towns"})
	tables := r.Attributes["tables"].(map[string]any)
	for _, name := range []string{"orgs", "users", "orders", "lines", "sublines", "files", "places", "audit.log"} {
		if tables[name] == nil {
			t.Errorf("%s isn't covered", name)
		}
	}
	for _, name := range []string{"films", "reviews", "drafts", "notes", "notes2", "plans", "odd"} {
		if tables[name] != nil {
			t.Errorf("%s is covered, and nothing says that it is a tenant's", name)
		}
	}
	links := r.Attributes["links"].(map[string]any)
	for name, want := range map[string]string{"reviews.moderated_by": "detach", "drafts.order_id": "block", "files.order_id": "follow", "notes.order_id": "block", "likes.order_id": "block", "events.approved_by": "detach"} {
		if links[name] != want {
			t.Errorf("%s is %v, not %s", name, links[name], want)
		}
	}
	if columns := r.Attributes["columns"].(map[string]any); columns["orders"] != "Org_Id" {
		t.Errorf("the column of another case is lost: %v", columns)
	}
	shared := fmt.Sprint(r.Attributes["shared"])
	if !strings.Contains(shared, "plans") || !strings.Contains(shared, "towns") {
		t.Errorf("shared is %s", shared)
	}
	if r.Attributes["schema"] != "app" || r.Attributes["key"] != "${params.tenantKey}" {
		t.Errorf("%v", r.Attributes)
	}
	for _, part := range []string{"#   films", "#   odd", "which may be null", "TO DECIDE: links: {drafts.order_id"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q isn't said", part)
		}
	}
	if c := d.Counts(); c.Tables != len(tables) || c.Links != len(links) {
		t.Errorf("%+v", c)
	}
}

func TestTenantsThemselves(t *testing.T) {
	t.Parallel()
	for column, name := range map[string]string{"org_id": "organizations", "tenant_id": "tenants", "company_id": "companies", "account": "accounts"} {
		_, r, _ := drafted(t, column, []string{name + ": id text!, title text", "users: id int!, " + column + " text!"}, nil)
		if r.Attributes["tables"].(map[string]any)[name] == nil || r.Attributes["columns"].(map[string]any)[name] != "id" {
			t.Errorf("%s isn't taken for the tenants themselves: %v", name, r.Attributes)
		}
		if r.Attributes["key"] != "${tenant.name}" {
			t.Errorf("%v", r.Attributes["key"])
		}
	}
}

func TestNothingToDraft(t *testing.T) {
	t.Parallel()
	c := connector.Catalogue{Tables: []connector.TableInfo{table("a: id int!, org_id int!"), table("b: id int!, org_id int!, a_id int"), table("c: id int!, a_id int")}}
	for column, want := range map[string]tenure.Code{"": tenure.Invalid, "tenant": tenure.NotFound} {
		_, err := Make(Ask{Column: column, Catalogue: c})
		if tenure.CodeOf(err) != want || !strings.Contains(strings.Join(tenure.HintsOf(err), " "), "org_id, a_id") {
			t.Errorf("%q gives %v %q", column, err, tenure.HintsOf(err))
		}
	}
	if _, err := Make(Ask{Column: "x"}); tenure.CodeOf(err) != tenure.NotFound {
		t.Error(err)
	}
	closed := table("a: id int!, org_id int!")
	closed.Closed = "it is a tenant's"
	if _, err := Make(Ask{Column: "org_id", Catalogue: connector.Catalogue{Tables: []connector.TableInfo{closed}}}); tenure.CodeOf(err) != tenure.NotFound {
		t.Error(err)
	}
}

// Whatever a catalog holds, the draft is a blueprint that can be read, and covers every
// table with the tenant column; names are those of the catalog.
func TestRandomCatalogues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab_.:#'\"\\ {}[]&*!|>%@`$é\n\t\u2028\x00-?,")), 1, 8, -1)
		var c connector.Catalogue
		for i := range rapid.IntRange(1, 8).Draw(rt, "tables") {
			one := connector.TableInfo{Schema: rapid.SampledFrom([]string{"", "s", "o o"}).Draw(rt, "schema"), Name: fmt.Sprint(i) + name.Draw(rt, "table"), Columns: []connector.ColumnInfo{{Name: "id", Type: "int", Required: true}}, Key: []string{"id"}}
			for range rapid.IntRange(0, 3).Draw(rt, "columns") {
				one.Columns = append(one.Columns, connector.ColumnInfo{Name: name.Draw(rt, "column"), Type: "text", Required: rapid.Bool().Draw(rt, "required")})
			}
			if i == 0 || rapid.Bool().Draw(rt, "tenant's") {
				one.Columns = append(one.Columns, connector.ColumnInfo{Name: "org", Type: rapid.SampledFrom([]string{"text", "uuid", "bigint"}).Draw(rt, "type")})
			}
			c.Tables = append(c.Tables, one)
		}
		for range rapid.IntRange(0, 12).Draw(rt, "links") {
			child, parent := rapid.SampledFrom(c.Tables).Draw(rt, "child"), rapid.SampledFrom(c.Tables).Draw(rt, "parent")
			c.Links = append(c.Links, connector.LinkInfo{Child: child.String(), Parent: parent.String(), Columns: []string{rapid.SampledFrom(child.Columns).Draw(rt, "by").Name}, Parents: []string{"id"}, OnDelete: rapid.SampledFrom([]string{"no action", "cascade", "set null"}).Draw(rt, "on delete")})
		}
		d, err := Make(Ask{Name: "n", System: "main-db", Connector: "postgres", Column: "org", Catalogue: c})
		if err != nil {
			rt.Fatal(err)
		}
		text := d.YAML([]string{"a\nb"})
		s, err := blueprint.Parse(text, "draft")
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		a := s.Blueprint.Resources[0].Attributes
		tables := a["tables"].(map[string]any)
		for _, one := range c.Tables {
			if one.Has("org") && tables[d.short(one.String())] == nil {
				rt.Fatalf("%q isn't covered:\n%s", one, text)
			}
		}
		for n := range tables {
			if !slices.ContainsFunc(c.Tables, func(one connector.TableInfo) bool { return d.short(one.String()) == n }) {
				rt.Fatalf("%q is no table:\n%s", n, text)
			}
		}
		again, _ := Make(Ask{Name: "n", System: "main-db", Connector: "postgres", Column: "org", Catalogue: c})
		if string(again.YAML([]string{"a\nb"})) != string(text) {
			rt.Fatal("the same catalogue gives another draft")
		}
	})
}
