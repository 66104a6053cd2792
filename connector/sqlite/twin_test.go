package sqlite

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Each of a tenant's resources covers tables of its own under one key. Neither misses
// what the other covers, and each leaves by itself.
func TestTwoResourcesOverOneKey(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table p (id integer primary key, school text); create table c (p int not null references p); create table d (school text)")
	one, two, three := pool("school", "acme", tablesOf("first", "p")), pool("school", "acme", tablesOf("second", "c", "d")), pool("school", "acme", tablesOf("second", "d"))
	two.Name, two.Resource = "two", tenure.DeriveID[tenure.ResourceID](epoch, "two")
	three.Name, three.Resource, three.Tenant = "three", tenure.DeriveID[tenure.ResourceID](epoch, "three"), "ten_birch"
	d.made(t, one)
	exec(t, w.shared, "insert into d values ('acme')")
	d.made(t, two)
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: three})
	wants(t, "another tenant's resource over the same key", err, tenure.Conflict, false)
	exec(t, w.shared, "insert into p values (1, 'acme'), (2, 'birch'); insert into c values (1), (2); insert into d values ('birch')")
	for _, c := range []struct {
		r, beside connector.Ref
		order     []string
		want      []string
	}{
		{one, two, []string{"second", "first"}, nil},
		{two, one, []string{"second", "first"}, nil},
		{one, two, []string{"first", "second"}, []string{"c.p"}},
	} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: c.r, Beside: []connector.Ref{c.beside}, Order: c.order, Prove: true})
		must(t, err)
		var got []string
		for _, p := range m.Places {
			if p.Blocks {
				got = append(got, p.Name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s beside %s, %v: %q blocks, want %q", c.r.Name, c.beside.Name, c.order, got, c.want)
		}
	}
	for _, step := range []struct {
		r     connector.Ref
		class string
	}{{two, "second"}, {one, "first"}} {
		d.erased(t, step.r, step.class)
		for range 2 {
			_, err := d.Delete(t.Context(), step.r)
			must(t, err)
		}
		_, err := d.Observe(t.Context(), []connector.Ref{step.r}, func(o connector.Observed) error {
			if o.Found {
				t.Errorf("%s is seen after its deletion: %+v", step.r.Name, o)
			}
			return nil
		})
		must(t, err)
	}
}
