package relational

import (
	"encoding/json"
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

func (plain) Name(t TableName) string { return Quote(t.Name) }
func (plain) Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func table(name string, columns ...string) Table {
	return Table{TableName: TableName{Name: name}, Columns: columns, Key: []string{"id"}}
}

func key(child, column, parent string) ForeignKey {
	return ForeignKey{Name: child + "_" + column, Child: TableName{Name: child}, Parent: TableName{Name: parent}, Columns: []string{column}, Parents: []string{"id"}}
}

func tenantRoot(name string) Root {
	return Root{Table: TableName{Name: name}, Where: `"tenant" = 'a'`, Via: "column tenant"}
}

func TestReachFollowsReferences(t *testing.T) {
	t.Parallel()
	g := NewGraph(
		[]Table{table("a", "id", "tenant"), table("b", "id", "a"), table("c", "id", "b", "a"), table("plans", "id"), table("free", "id")},
		[]ForeignKey{key("b", "a", "a"), key("c", "b", "b"), key("c", "a", "a"), key("a", "plan", "plans")},
	)
	got := map[string]string{}
	for _, r := range g.Reach(plain{}, []Root{tenantRoot("a"), tenantRoot("nowhere")}) {
		got[r.Table.Name] = r.Where
	}
	inA := `"a" in (select "id" from "a" where "tenant" = 'a')`
	want := map[string]string{
		"a": `"tenant" = 'a'`,
		"b": inA,
		"c": "(" + inA + ` or "b" in (select "id" from "b" where ` + inA + "))",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is reached, and by which condition (-want +got):\n%s", diff)
	}
}

// TestOrderPutsChildrenFirst draws graphs and checks that no step deletes a row
// that a table still to come refers to, and that an opened cycle was opened by a
// reference that may be null and isn't needed to find its rows.
func TestOrderPutsChildrenFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "tables")
		var tables []Table
		for i := range n {
			tables = append(tables, table(fmt.Sprint("t", i), "id"))
		}
		var keys []ForeignKey
		for i := range rapid.IntRange(0, 14).Draw(t, "keys") {
			at := func(what string) string { return fmt.Sprint("t", rapid.IntRange(0, n-1).Draw(t, what)) }
			k := key(at("child"), fmt.Sprint("c", i), at("parent"))
			k.Nullable, k.Deferrable = rapid.Bool().Draw(t, "nullable"), rapid.Bool().Draw(t, "deferrable")
			keys = append(keys, k)
		}
		g := NewGraph(tables, keys)
		reached := g.Reach(plain{}, []Root{tenantRoot("t0")})
		steps, err := g.Order(reached)
		if err != nil {
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "cycle") {
				t.Fatalf("error %v", err)
			}
			return
		}
		depth := map[string]int{}
		for _, r := range reached {
			depth[r.Table.Name] = r.depth
		}
		gone, open, seen := map[string]bool{}, map[string]bool{}, 0
		for _, s := range steps {
			if s.Kind == StepNull {
				k := s.Keys[0]
				if !k.Nullable || len(gone) > 0 || k.Child.Name != "t0" && depth[k.Child.Name] > depth[k.Parent.Name] {
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
				if _, in := depth[k.Child.Name]; in && gone[k.Parent.Name] && !gone[k.Child.Name] && !open[k.Name] {
					t.Fatalf("%s goes before %s, which refers to it by %s", k.Parent, k.Child, k.Name)
				}
			}
			for _, k := range keys {
				if s.Kind == StepWhole && !k.self() && inside(s, k) && !k.Deferrable && !open[k.Name] {
					t.Fatalf("%s is checked at once within one transaction", k.Name)
				}
			}
		}
		if seen != len(reached) {
			t.Fatalf("%d of %d reached tables are in the order", seen, len(reached))
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
	tables := []Table{table("a", "id"), table("b", "id"), table("c", "id"), table("d", "id")}
	keys := []ForeignKey{key("b", "a", "a"), key("c", "a", "a"), key("d", "b", "b"), key("d", "c", "c")}
	order := func() string {
		g := NewGraph(tables, keys)
		steps, err := g.Order(g.Reach(plain{}, []Root{tenantRoot("a")}))
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

func FuzzNote(f *testing.F) {
	f.Add("tenure:1:ins:res:mac", "role", "ac me", "key", "va lue=%+&\n")
	f.Fuzz(func(t *testing.T, mark, typ, name, k, v string) {
		for _, s := range []string{mark, typ, name, k} {
			if strings.ContainsAny(s, "\n") || s == "" || strings.ContainsAny(typ+k, " =\n") {
				return
			}
		}
		n := Note{Mark: mark, Type: typ, Name: name}.With(k, v).With("other"+k, "x")
		got := ParseNote(n.String())
		if got.Mark != mark || got.Type != typ || got.Name != name || got.Get(k) != v || got.Get("other"+k) != "x" {
			t.Errorf("%q reads back as %+v", n.String(), got)
		}
		if again := got.With(k, "").Get(k); again != "" {
			t.Errorf("a key that was taken away reads %q", again)
		}
	})
}

// TestClaim lets a resource be touched by its own note alone.
func TestClaim(t *testing.T) {
	t.Parallel()
	m := connector.Marker{Installation: "ins_a", System: "db", Key: []byte("key")}
	r := connector.Ref{Resource: "res_1", Type: "role", Name: "acme"}
	own := NewNote(m, r)
	elsewhere := m
	elsewhere.System = "other"
	other := r
	other.Resource = "res_2"
	stranger := m
	stranger.Installation = "ins_b"
	for name, c := range map[string]struct {
		note Note
		ok   bool
	}{
		"own":                       {own, true},
		"read back":                 {ParseNote(own.String()), true},
		"none":                      {Note{}, false},
		"another resource's":        {NewNote(m, other), false},
		"another system's":          {NewNote(elsewhere, r), false},
		"another installation's":    {NewNote(stranger, r), false},
		"another type's":            {Note{Mark: m.Mark("schema", r.Resource)}, false},
		"own, said to be another's": {own.With("system", "other"), true},
	} {
		if err := Claim(m, c.note, r); (err == nil) != c.ok || err != nil && tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("%s: error %v, want allowed %t", name, err, c.ok)
		}
	}
}

func TestNormalValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]any{
		json.Number("1.00"): json.Number("1"), json.Number("-0.0"): json.Number("0"), json.Number("1e3"): json.Number("1000"), json.Number("0.50"): json.Number("0.5"),
		json.Number("100"): json.Number("100"), float64(5): json.Number("5"), 7: json.Number("7"), true: true,
		"2027-01-01T01:00:00+01:00": "2027-01-01T00:00:00Z", "2027-01-01": "2027-01-01", "text": "text",
	} {
		if got := Normal(in); got != want {
			t.Errorf("%v becomes %v, want %v", in, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"acme": true, "ünï-名": true, `q"uo'te`: true, strings.Repeat("n", 63): true,
		"": false, " ": false, " x": false, "x\n": false, "a\x00b": false, "\xff": false, strings.Repeat("n", 64): false, strings.Repeat("é", 32): false,
	} {
		if err := CheckName("schema", name, 63); (err == nil) != ok || err != nil && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q: error %v, want accepted %t", name, err, ok)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add(`a"b`, `"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		q := Quote(a, b)
		inner := strings.ReplaceAll(q, `""`, "")
		if strings.Count(inner, `"`)%2 != 0 || len(q) < 5 || strings.ReplaceAll(q[1:len(q)-1], `""`, `"`) != a+`"."`+b {
			t.Errorf("%q and %q are quoted as %s", a, b, q)
		}
	})
}
