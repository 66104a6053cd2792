package sqlite

import (
	"fmt"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// pool is a rows resource of the shared file.
func pool(column, key string, tables map[string]any) connector.Ref {
	return connector.Ref{Type: "rows", Name: "rows of " + key, Resource: tenure.DeriveID[tenure.ResourceID](epoch, key), Tenant: tenure.DeriveID[tenure.TenantID](epoch, key),
		Classes: []string{"all"}, Attributes: map[string]any{"column": column, "key": key, "tables": tables}}
}

// erased takes a class in batches of a few rows.
func (d *Driver) erased(t testing.TB, r connector.Ref, class string) (counts map[string]int64) {
	t.Helper()
	counts = map[string]int64{}
	cursor := ""
	for range 1000 {
		e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: class, Limit: 3, Cursor: cursor})
		must(t, err)
		for table, n := range e.Counts {
			counts[table] += n
		}
		if cursor = e.Cursor; e.Done {
			return counts
		}
	}
	t.Fatal("it doesn't end")
	return nil
}

// A key that can't be a value as it is written isn't taken, taking it back works,
// and a look at it doesn't spoil the look at its neighbour.
func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table a (school integer); create table b (school integer)")
	tables := tablesOf("a", "a", "b")
	good, other, none := pool("school", "11", tables), pool("school", "011", tables), pool("class", "11a", tables)
	d.made(t, good)
	exec(t, w.shared, "insert into a values (11)")
	for _, bad := range []connector.Ref{other, none} {
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: bad})
		wants(t, "ensure", err, tenure.Invalid, false)
		rec, err := d.Delete(t.Context(), bad)
		if err != nil || rec.Changed {
			t.Errorf("taking %s back: %+v, error %v", bad.Name, rec, err)
		}
	}
	found := map[string]bool{}
	_, err := d.Observe(t.Context(), []connector.Ref{good, other, none}, func(o connector.Observed) error {
		found[o.Name] = o.Found
		return nil
	})
	if must(t, err); !found[good.Name] || found[other.Name] || found[none.Name] {
		t.Errorf("found: %v", found)
	}
}

// A key that means the same is stored and compared in several forms. A form that
// is left behind is a row of a tenant that is said to be gone; a form that is
// taken for another's is a neighbour's row that is lost.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		column string
		strict string
		key    string
		own    []string
		others []string
	}{
		"untyped":         {"tenant", "", "7", []string{"7", "'7'", "x'37'", "7.0"}, []string{"'07'", "70", "'7a'", "x'3037'", "-7", "7.5", "null", "'8'"}},
		"integer":         {"tenant integer", "", "7", []string{"7", "'7'", "x'37'", "7.0", "' 7 '"}, []string{"70", "'7a'", "x'3037'", "null"}},
		"leading nought":  {"tenant integer", "", "x07", []string{"'x07'", "x'783037'"}, []string{"7", "'07'"}},
		"text":            {"tenant text", "", "7", []string{"7", "'7'", "x'37'"}, []string{"'07'", "7.5", "'77'"}},
		"nought in text":  {"tenant text", "", "07", []string{"'07'", "x'3037'"}, []string{"7", "'7'", "x'37'"}},
		"real":            {"tenant real", "", "7", []string{"7", "'7'", "7.0", "x'37'"}, []string{"7.5", "70"}},
		"numeric":         {"tenant decimal(10,2)", "", "7.5", []string{"7.5", "'7.50'", "x'372e35'"}, []string{"7", "75"}},
		"blob":            {"tenant blob", "", "acme", []string{"'acme'", "x'61636d65'"}, []string{"'ACME'", "x'41434d45'", "'acme2'"}},
		"nocase":          {"tenant text collate nocase", "", "acme", []string{"'acme'", "x'61636d65'"}, []string{"'Acme'", "'acme '", "'acm'"}},
		"rtrim":           {"tenant text collate rtrim", "", "acme", []string{"'acme'"}, []string{"'acme '", "'ACME'"}},
		"strict any":      {"tenant any", "strict", "7", []string{"7", "'7'", "x'37'", "7.0"}, []string{"'07'", "70", "x'3037'"}},
		"strict text":     {"tenant text", "strict", "7", []string{"7", "'7'"}, []string{"'07'", "'70'"}},
		"strict integer":  {"tenant integer", "strict", "7", []string{"7", "'7'", "7.0"}, []string{"70"}},
		"large":           {"tenant", "", "9007199254740993", []string{"9007199254740993", "'9007199254740993'"}, []string{"9007199254740992", "9007199254740992.0", "9007199254740994"}},
		"generated":       {"body text, tenant as (json_extract(body, '$.t'))", "", "7", []string{`'{"t":7}'`, `'{"t":"7"}'`}, []string{`'{"t":70}'`, `'{}'`}},
		"quote in it":     {"tenant", "", "o'neil", []string{"'o''neil'"}, []string{"'o'"}},
		"no number to us": {"tenant numeric", "", "0x7", []string{"'0x7'"}, []string{"7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "1s")
			exec(t, w.shared, "create table log (n integer primary key, "+c.column+") "+c.strict+"; create index log_tenant on log (tenant)")
			r := d.made(t, pool("tenant", c.key, map[string]any{"log": "all"}))
			into := "tenant"
			if name == "generated" {
				into = "body"
			}
			for _, v := range append(append([]string{}, c.own...), c.others...) {
				exec(t, w.shared, fmt.Sprintf("insert into log (%s) values (%s)", into, v))
			}
			others := "select count(*) from log where n > " + fmt.Sprint(len(c.own))
			if n := d.one(t, r).Metrics["rows"]; n != int64(len(c.own)) {
				t.Errorf("%d rows are observed, want %d", n, len(c.own))
			}
			if n := d.erased(t, r, "all")["log"]; n != int64(len(c.own)) {
				t.Errorf("%d rows are erased, want %d", n, len(c.own))
			}
			if left := number(t, w.shared, "select count(*) from log") - number(t, w.shared, others); left != 0 {
				t.Errorf("%d rows of the tenant are left", left)
			}
			if n := number(t, w.shared, others); n != len(c.others) {
				t.Errorf("%d rows of neighbours are left, want %d", n, len(c.others))
			}
			_, err := d.Delete(t.Context(), r)
			must(t, err)
		})
	}
}

// A key that a numeric column can't show as it is written finds nothing, which
// must not pass for an empty tenant.
func TestKeyThatCannotBe(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table log (tenant integer)")
	for _, key := range []string{"07", "7.0", "7e0", "+7"} {
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: pool("tenant", key, map[string]any{"log": "all"})})
		wants(t, key, err, tenure.Invalid, false)
	}
}

// What the database can't do is refused rather than taken and passed over.
func TestDerivedIsRefused(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines"))
	r.Attributes["derived"] = map[string]any{"sums": "refresh"}
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	wants(t, "derived", err, tenure.Invalid, false)
}
