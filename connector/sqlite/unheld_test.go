package sqlite

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestRowsThatAreThere: rows that were there before the tenant are somebody's, by its key
// or by a reference to its place in the list of tenants; a taken-back onboarding would
// erase them.
func TestRowsThatAreThere(t *testing.T) {
	t.Parallel()
	const list = "create table tenants (id text primary key); insert into tenants values ('acme'), ('birch'); create table p (school text references tenants);"
	for what, c := range map[string]struct {
		sql  string
		more map[string]any
		free bool
	}{
		"the column":          {sql: "create table d (school text); insert into d values ('acme')"},
		"another name":        {sql: "create table d (org text); insert into d values ('acme')", more: map[string]any{"columns": map[string]any{"d": "org"}}},
		"an alias":            {sql: "create table d (org text); insert into d values ('acme')", more: map[string]any{"aliases": []any{"org"}}},
		"a link to the list":  {sql: list + "create table d (who text references tenants); insert into d values ('acme')", more: map[string]any{"links": map[string]any{"d.who": "follow"}}},
		"a child of the list": {sql: list + "create table d (who text not null references tenants); insert into d values ('acme')"},
		"a neighbour's":       {sql: list + "create table d (who text not null references tenants); insert into d values ('birch')", free: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "1s")
			exec(t, w.shared, "create table other (school text);"+c.sql)
			own := pool("school", "acme", tablesOf("first", "d"))
			for k, v := range c.more {
				own.Attributes[k] = v
			}
			_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: own})
			if c.free {
				must(t, err)
				exec(t, w.shared, "insert into d values ('acme')")
				_, _, err = d.Ensure(t.Context(), connector.Desired{Ref: own})
				must(t, err)
			} else if tenure.CodeOf(err) != tenure.Conflict {
				t.Errorf("made over rows that are there: %v", err)
			}
		})
	}
}
