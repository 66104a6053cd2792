package sqlite

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// A draft and a scan rest on what these say; a file is full of what no type holds.
func TestCatalogueAndSample(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("#", "%23", "?", "%3f").Replace(w.shared))
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`create table people (id integer primary key, tenant text, email, n int, "odd ""name" text, twice text generated always as (email || email) virtual, rare text);
create table visits (id integer primary key, person integer not null references people(id) on delete cascade);
with recursive s(n) as (select 1 union all select n + 1 from s where n < 500) insert into people (tenant, email, n, "odd ""name") select case when n < 400 then 'acme' else 'birch' end, 'quux' || n || '@b.example', n, 'odd' from s;
insert into people (id, email, rare) values (250, x'00ff', 'here') on conflict do update set email = x'00ff', rare = 'here'`)
	must(t, err)
	c, err := d.Catalogue(t.Context())
	must(t, err)
	if !slices.ContainsFunc(c.Tables, func(i connector.TableInfo) bool {
		return i.String() == "people" && i.Has(`odd "name`) && i.Closed == ""
	}) {
		t.Errorf("people isn't as it is: %+v", c.Tables)
	}
	if !slices.ContainsFunc(c.Links, func(l connector.LinkInfo) bool {
		return l.Child == "visits" && l.Parent == "people" && l.OnDelete == "cascade"
	}) {
		t.Errorf("the reference isn't there: %+v", c.Links)
	}
	got := map[string]connector.ColumnSample{}
	partial, err := d.Sample(t.Context(), connector.Sampling{Tables: []string{"people"}, Rows: 100, For: time.Minute}, func(s connector.ColumnSample) error { got[s.Column.Name] = s; return nil })
	if must(t, err); partial != "" {
		t.Fatal(partial)
	}
	for name, want := range map[string]string{"email": "quux", "n": "1", `odd "name`: "odd", "rare": "here"} {
		if s := got[name]; !s.Read || !strings.Contains(strings.Join(s.Values, " "), want) {
			t.Errorf("%s wasn't read: %+v", name, s)
		}
	}
	if v := got["tenant"].Values; !slices.Contains(v, "acme") || !slices.Contains(v, "birch") || len(v) != 100 {
		t.Errorf("the first and the last rows are to be looked at: %v", v)
	}
	if s := got["twice"]; s.Read || s.Says == "" {
		t.Errorf("what is worked out was read: %+v", s)
	}
	if _, err := d.Sample(t.Context(), connector.Sampling{Tables: []string{"nothing"}, Rows: 1}, nil); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a table that isn't there: %v", err)
	}
}
