package relational

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

func rulesOf(t *testing.T, text string) (out map[string]transform.Rule) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestChangedRow: what a rule takes away stands nowhere else in the row, and what only
// looks like it stops nobody.
func TestChangedRow(t *testing.T) {
	for name, x := range map[string]struct {
		columns []Column
		rules   string
		row     map[string]any
		want    string // the row's JSON, "" if it blocks
	}{
		"dates that are the same": {[]Column{{Name: "a", Type: "date", Required: true}, {Name: "b", Type: "date", Required: true}}, `{"a": "year", "b": "year"}`,
			map[string]any{"a": "2024-01-01", "b": "2024-03-05"}, `{"a":"2024-01-01","b":"2024-01-01"}`},
		"a date that is another's first": {[]Column{{Name: "a", Type: "date", Required: true}, {Name: "b", Type: "date", Required: true}}, `{"a": "year", "b": "month"}`,
			map[string]any{"a": "2024-03-01", "b": "2024-03-05"}, `{"a":"2024-01-01","b":"0001-01-01"}`},
		"a constant that somebody wrote": {[]Column{{Name: "a", Type: "text"}, {Name: "b", Type: "text"}}, `{"a": "clear", "b": {"constant": "nobody at all"}}`,
			map[string]any{"a": "Nobody at all", "b": "x"}, `{"a":null,"b":"nobody at all"}`},
		"a member that is kept": {[]Column{{Name: "a", Type: "json"}, {Name: "b", Type: "text"}}, `{"a": {"members": {"plan": "keep"}}, "b": "keep"}`,
			map[string]any{"a": map[string]any{"plan": "enterprise"}, "b": "enterprise"}, `{"a":{"plan":"enterprise"},"b":"enterprise"}`},
		"a member that goes": {[]Column{{Name: "a", Type: "json"}, {Name: "b", Type: "text"}}, `{"a": {"members": {"plan": "keep"}}, "b": "keep"}`,
			map[string]any{"a": map[string]any{"name": "Johnson"}, "b": "of Johnson"}, `{"a":{},"b":null}`},
		"a document that is kept": {[]Column{{Name: "a", Type: "text"}, {Name: "b", Type: "json"}}, `{"a": "clear", "b": "keep"}`,
			map[string]any{"a": "Johnson", "b": map[string]any{"by": "Johnson"}}, ``},
		"a column that is worked out": {[]Column{{Name: "a", Type: "text"}, {Name: "b", Type: "text", Computed: true}}, `{"a": "clear", "b": "keep"}`,
			map[string]any{"a": "Johnson", "b": "johnson"}, `{"a":null,"b":"johnson"}`},
	} {
		h := &Holding{claims: &claims{}}
		out, err := h.changed(Reached{Table: Table{Columns: x.columns}}, Transform{Columns: rulesOf(t, x.rules)}, x.row, nil)
		raw, _ := tenure.Canonical(out)
		if x.want == "" && tenure.CodeOf(err) != tenure.Blocked || x.want != "" && (err != nil || string(raw) != x.want) {
			t.Errorf("%s: %s, %v; want %s", name, raw, err, x.want)
		}
	}
}

// TestShuffledKeepsNothing: a value that repeats what was taken away doesn't come back
// with the values of another row.
func TestShuffledKeepsNothing(t *testing.T) {
	h := &Holding{claims: &claims{}}
	table := Reached{Table: Table{Columns: []Column{{Name: "name", Type: "text"}, {Name: "born", Type: "date"}, {Name: "remark", Type: "text"}}}}
	given := Transform{Columns: rulesOf(t, `{"name": "clear", "born": "year", "remark": "permute"}`), Identifying: []string{"born"}, AtLeast: 2}
	rows := []stored{{"1", map[string]any{"name": "Johnson", "born": "1970-02-03", "remark": "owed by Johnson"}}, {"2", map[string]any{"name": "Meyering", "born": "1970-05-03", "remark": "owes nothing"}}}
	results := make([]map[string]any, len(rows))
	for i, r := range rows {
		var err error
		if results[i], err = h.changed(table, given, r.values, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, made, err := shuffled(table, given, rows, results, []string{"remark"}, 10)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tenure.Canonical([]any{made[0], made[1]})
	if strings.Contains(string(raw), "Johnson") || made[0]["remark"] != "owes nothing" || made[1]["remark"] != nil {
		t.Errorf("the rows are %s", raw)
	}
}

// TestSumsOfNoNumber: what is beyond all numbers isn't added to what other tenants left.
func TestSumsOfNoNumber(t *testing.T) {
	a := sums{Aggregate: Aggregate{Sums: map[string]string{"revenue": "total"}}}
	for _, v := range []any{json.Number("9.0e+999"), json.Number("-9.0e+999"), "Infinity", "NaN", "1e999999", "0x10", "1_000", "1p4", "2/3", "", true, map[string]any{"hex": "31"}} {
		if err := a.add(Table{}, map[string]any{"total": v}, map[string]*addition{}, nil); tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("%v: %v, want it Blocked", v, err)
		}
	}
	for _, v := range []any{nil, json.Number("-0.0"), json.Number("1.5e+300"), json.Number("12345678901234567890.12"), "12.50"} {
		if err := a.add(Table{}, map[string]any{"total": v}, map[string]*addition{}, nil); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// TestStaysUnique: null is like nothing else, wherever it stands among the columns.
func TestStaysUnique(t *testing.T) {
	h := &Holding{claims: &claims{}}
	table := Table{Columns: []Column{{Name: "a", Type: "text"}, {Name: "b", Type: "text"}, {Name: "c", Type: "text", Required: true}}}
	given := Transform{Columns: rulesOf(t, `{"a": {"prefix": 1}, "b": "clear", "c": "clear"}`)}
	for columns, want := range map[string]bool{"a b": true, "b a": true, "a c": false, "c": false, "c b": true} {
		if got := h.staysUnique(table, given, strings.Fields(columns)); got != want {
			t.Errorf("%s: %v, want %v", columns, got, want)
		}
	}
}
