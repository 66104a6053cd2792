package relational

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// plain quotes and does nothing else: orders and conditions need no database.
type plain struct{ Dialect }

func (plain) Address(_ Table, alias string) string { return Quote(alias, "rowid") }

func (plain) Name(t TableName) string { return Quote(t.Name) }
func (plain) Keyed(_ Table, alias, column, key string) (ours, theirs, nobodys string) {
	at := Quote(alias, column)
	return at + " = '" + key + "'", at + " <> '" + key + "'", at + " is null"
}

// table makes a table; a column whose name ends in ? may be null.
func table(name string, columns ...string) Table {
	t := Table{TableName: TableName{Name: name}, Key: []string{"id"}}
	for _, c := range append([]string{"id"}, columns...) {
		plain := strings.TrimSuffix(c, "?")
		t.Columns = append(t.Columns, Column{Name: plain, Required: plain == c})
	}
	return t
}

func key(child, column, parent string) ForeignKey {
	return ForeignKey{Name: child + "_" + column, Child: TableName{Name: child}, Parent: TableName{Name: parent}, Columns: []string{column}, Parents: []string{"id"}, OnDelete: NoAction}
}

func hold(t interface{ Fatal(...any) }, g *Graph, c Coverage) *Holding {
	h, err := NewHolding(plain{}, g, Tenancy{Column: "tenant", Key: "a"}, c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestReach follows references that can't be null, and no others: a row that is
// found wrongly is deleted wrongly.
func TestReach(t *testing.T) {
	t.Parallel()
	maybe := key("maybe", "a", "a")
	nulled := key("nulled", "a", "a")
	nulled.OnDelete = SetNull
	g := NewGraph(
		[]Table{table("a", "tenant", "plan"), table("b", "a"), table("c", "b", "a"), table("maybe", "a?"), table("nulled", "a"), table("followed", "a?"), table("plans"), table("free"), table("keyed", "tenant?", "a")},
		[]ForeignKey{key("b", "a", "a"), key("c", "b", "b"), key("c", "a", "a"), maybe, nulled, key("followed", "a", "a"), key("a", "plan", "plans"), key("keyed", "a", "a")},
	)
	got := map[string]string{}
	for _, r := range hold(t, g, Coverage{Links: map[string]Link{"followed.a": Follow}, Shared: []string{"plans"}}).Tables {
		got[r.Table.Name] = r.Where()
	}
	in := func(a, inner string) string {
		return fmt.Sprintf(`%s."a" in (select %s."id" from "a" %s where %s."tenant" = 'a')`, a, inner, inner, inner)
	}
	want := map[string]string{
		"a": `"t"."tenant" = 'a'`, "keyed": `"t"."tenant" = 'a'`,
		"b": in(`"t"`, `"t1"`), "followed": in(`"t"`, `"t1"`),
		"c": "(" + in(`"t"`, `"t1"`) + ` or "t"."b" in (select "t1"."id" from "b" "t1" where ` + in(`"t1"`, `"t11"`) + "))",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is reached, and by which condition (-want +got):\n%s", diff)
	}
}

// TestOrderPutsChildrenFirst draws graphs and checks that no step deletes a row
// that a table still to come refers to, and that an opened cycle was opened by a
// reference that may be null and by which no row is found.
func TestOrderPutsChildrenFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "tables")
		columns := make([][]string, n)
		var keys []ForeignKey
		cover := Coverage{Tables: map[string]string{}}
		for i := range rapid.IntRange(0, 14).Draw(t, "keys") {
			child, parent := rapid.IntRange(0, n-1).Draw(t, "child"), rapid.IntRange(0, n-1).Draw(t, "parent")
			column := fmt.Sprint("c", i)
			k := key(fmt.Sprint("t", child), column, fmt.Sprint("t", parent))
			k.Deferrable = rapid.Bool().Draw(t, "deferrable")
			if rapid.Bool().Draw(t, "nullable") {
				column += "?"
			}
			columns[child] = append(columns[child], column)
			keys = append(keys, k)
		}
		var tables []Table
		for i := range n {
			if i == 0 || rapid.Bool().Draw(t, "keyed") {
				columns[i] = append(columns[i], "tenant")
			}
			tables = append(tables, table(fmt.Sprint("t", i), columns[i]...))
			cover.Tables[fmt.Sprint("t", i)] = "data"
		}
		g := NewGraph(tables, keys)
		h := hold(t, g, cover)
		steps, err := h.Plan("data")
		if err != nil {
			if tenure.CodeOf(err) != tenure.Blocked {
				t.Fatalf("error %v", err)
			}
			return
		}
		gone, open, seen := map[string]bool{}, map[string]bool{}, 0
		for _, s := range steps {
			if s.Kind == StepNull {
				k := s.Keys[0]
				if c, _ := g.tables[k.Child].Column(k.Columns[0]); c.Required || len(gone) > 0 || h.claims.claiming(k) {
					t.Fatalf("%s opens a cycle and may not", k.Name)
				}
				open[k.Name] = true
				continue
			}
			for _, r := range s.Tables {
				gone[r.Table.Name] = true
				seen++
			}
			for _, k := range keys {
				if _, in := h.at[k.Child]; in && gone[k.Parent.Name] && !gone[k.Child.Name] && !open[k.Name] {
					t.Fatalf("%s goes before %s, which refers to it by %s", k.Parent, k.Child, k.Name)
				}
				if s.Kind == StepWhole && !k.self() && inside(s, k) && !k.Deferrable && !open[k.Name] {
					t.Fatalf("%s is checked at once within one transaction", k.Name)
				}
			}
		}
		if seen != len(h.Tables) {
			t.Fatalf("%d of %d reached tables are in the order", seen, len(h.Tables))
		}
	})
}

func inside(s EraseStep, k ForeignKey) bool {
	has := func(n TableName) bool {
		return slices.ContainsFunc(s.Tables, func(r Reached) bool { return r.Table.TableName == n })
	}
	return has(k.Child) && has(k.Parent)
}

// TestOrderDependsOnNamesAlone shuffles what the catalog gave.
func TestOrderDependsOnNamesAlone(t *testing.T) {
	t.Parallel()
	tables := []Table{table("a", "tenant"), table("b", "a"), table("c", "a"), table("d", "b", "c")}
	keys := []ForeignKey{key("b", "a", "a"), key("c", "a", "a"), key("d", "b", "b"), key("d", "c", "c")}
	order := func() string {
		steps, err := hold(t, NewGraph(tables, keys), Coverage{Tables: map[string]string{"a": "x", "b": "x", "c": "x", "d": "x"}}).Plan("x")
		if err != nil {
			t.Fatal(err)
		}
		return shape(steps)
	}
	want := order()
	slices.Reverse(tables)
	slices.Reverse(keys)
	if got := order(); got != want {
		t.Errorf("another order of the catalog gives other steps: %s and %s", want, got)
	}
}

// TestOrderOfClasses judges which class may go before which, by the keys alone.
func TestOrderOfClasses(t *testing.T) {
	t.Parallel()
	to := func(action OnDelete, columns ...string) ForeignKey {
		k := key("late", "early_id", "early")
		k.OnDelete, k.Sets = action, columns
		return k
	}
	composite := ForeignKey{Name: "pair", Child: TableName{Name: "late"}, Parent: TableName{Name: "early"}, Columns: []string{"tenant", "early_id"}, Parents: []string{"tenant", "id"}, OnDelete: SetNull}
	only := composite
	only.Sets = []string{"early_id"}
	for name, c := range map[string]struct {
		late Table
		key  ForeignKey
		link Link
		says string // "" is no objection
	}{
		"no action":                        {table("late", "tenant", "early_id?"), to(NoAction), "", "refer to"},
		"no action, detached":              {table("late", "tenant", "early_id?"), to(NoAction), Detach, ""},
		"restrict":                         {table("late", "tenant", "early_id"), to(Restrict), "", "refer to"},
		"cascade":                          {table("late", "tenant", "early_id"), to(Cascade), "", "along"},
		"set null, own key":                {table("late", "tenant", "early_id?"), to(SetNull), "", ""},
		"set null, can't be null":          {table("late", "tenant", "early_id"), to(SetNull), "", "lose columns"},
		"set null, found through it":       {table("late", "early_id?"), to(SetNull), Follow, "found only through"},
		"set null of the tenant column":    {table("late", "tenant?", "early_id?"), composite, "", "lose columns"},
		"set null of the other column":     {table("late", "tenant?", "early_id?"), only, "", ""},
		"claims its rows and is no action": {table("late", "early_id"), to(NoAction), "", "found only through"},
	} {
		cover := Coverage{Tables: map[string]string{"early": "first", "late": "second"}}
		if c.link != "" {
			cover.Links = map[string]Link{"late.early_id": c.link}
		}
		h := hold(t, NewGraph([]Table{table("early", "tenant"), c.late}, []ForeignKey{c.key}), cover)
		got := h.Objections([]string{"first", "second"})
		switch {
		case c.says == "" && len(got) > 0:
			t.Errorf("%s: refused: %s", name, got[0].Says)
		case c.says != "" && (len(got) != 1 || got[0].Class != "first" || !got[0].Blocks || got[0].Kind != connector.PlaceOrder || !strings.Contains(got[0].Says, c.says)):
			t.Errorf("%s: got %+v, want first kept back since rows would %s", name, got, c.says)
		}
		if again := h.Objections([]string{"second", "first"}); len(again) > 0 {
			t.Errorf("%s: children first is refused: %s", name, again[0].Says)
		}
	}
}

// TestCoverageIsChecked refuses words that would be read as something else.
func TestCoverageIsChecked(t *testing.T) {
	t.Parallel()
	r := connector.Ref{Type: "rows", Name: "acme"}
	for name, c := range map[string]struct {
		Coverage
		whole bool
	}{
		"everything of shared tables": {Coverage: Coverage{Tables: map[string]string{"*": "x"}}},
		"no class":                    {Coverage: Coverage{Tables: map[string]string{"a": ""}}},
		"unknown word":                {Coverage: Coverage{Links: map[string]Link{"a.b": "cascade"}}},
		"link without a column":       {Coverage: Coverage{Links: map[string]Link{"a": Follow}}},
		"both shared and covered":     {Coverage: Coverage{Tables: map[string]string{"a": "x"}, Shared: []string{"a"}}},
		"path without a key":          {Coverage: Coverage{Columns: map[string]string{"a": "body->>"}}},
		"view that isn't refreshed":   {Coverage: Coverage{Derived: map[string]string{"a": "drop"}}, whole: true},
	} {
		if err := c.Check(r, c.whole); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v, want it invalid", name, err)
		}
	}
	fine := Coverage{Tables: map[string]string{"a": "x", "extra.notes": "y", "*": "z"}, Columns: map[string]string{"a": "body->>tenant_key", "b": ""}, Links: map[string]Link{"a.b, c": Block}, Aliases: []string{"org"}}
	if err := fine.Check(r, true); err != nil {
		t.Errorf("a right coverage is refused: %v", err)
	}
}

func TestCursorStartsOverWhenStepsChange(t *testing.T) {
	t.Parallel()
	steps := []EraseStep{{Kind: StepDelete, Tables: []Reached{{Table: table("a")}}}, {Kind: StepDelete, Tables: []Reached{{Table: table("b")}}}}
	cursor := "1." + shape(steps)
	if at := position(cursor, steps); at != 1 {
		t.Errorf("a cursor of these steps goes on at %d, want 1", at)
	}
	for _, bad := range []string{"", "1", "x." + shape(steps), "-1." + shape(steps), "9." + shape(steps)} {
		if at := position(bad, steps); at != 0 {
			t.Errorf("cursor %q goes on at %d, want 0", bad, at)
		}
	}
	if at := position(cursor, steps[1:]); at != 0 {
		t.Errorf("a cursor of other steps goes on at %d, want 0", at)
	}
}
