package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// outlying seeks the key of a tenant with a whole store in what isn't of that
// store and adds to the map what it finds. A schema's neighbours were sought with
// the schema itself, in one snapshot; those of a database are in the platform's.
// Without a key nothing is sought: whoever publishes a blueprint is told.
func (d *Driver) outlying(ctx context.Context, v connector.Survey, m *connector.Map) error {
	r := v.Ref
	if r.Type != "schema" && r.Type != "database" {
		return nil
	}
	var a struct {
		relational.Elsewhere
		Aliases []string
	}
	if err := attributes(r, &a); err != nil {
		return err
	}
	switch {
	case a.Key == "" && r.Resource == "":
		m.Places = append(m.Places, relational.Unsought(r, map[string]string{"schema": "the other schemas of its database", "database": "the platform's database"}[r.Type]))
		return nil
	case a.Key == "" || r.Type == "schema":
		return nil
	}
	rows := v
	rows.Ref.Type = "rows"
	rows.Ref.Attributes = map[string]any{"schema": "public", "column": a.Column, "key": a.Key, "aliases": a.Aliases}
	return d.with(ctx, func(s *session) error {
		if err := s.simple(ctx, "begin isolation level repeatable read read only", nil); err != nil {
			return err
		}
		places, partial, err := d.platform(ctx, s, rows)
		if err == nil {
			err = s.simple(ctx, "commit", nil)
		}
		if err != nil {
			closeNow(s.conn)
			return err
		}
		for _, p := range places {
			p.Name += " of the platform's database"
			p.Fix = "add a resource of type rows, with key: " + fmt.Sprintf("%q", a.Key) + " and " + p.Fix
			m.Places = append(m.Places, p)
		}
		if m.Partial == "" {
			m.Partial = partial
		}
		return nil
	})
}

// platform are the places in the platform's database, where no table is the tenant's by what
// its whole store says.
func (d *Driver) platform(ctx context.Context, s *session, v connector.Survey) ([]connector.Place, string, error) {
	held, err := relational.NewHolding(dialect{}, relational.NewGraph(nil, nil), relational.Tenancy{Home: "public"}, relational.Coverage{})
	if err != nil {
		return nil, "", err
	}
	g, err := d.ground(ctx, s, v, held)
	if err != nil {
		return nil, "", err
	}
	return g.audit(ctx, s)
}

// unheld is Conflict if rows that a resource to be made covers are there already. Those
// in a schema and column that a resource of the same tenant's has under the same key, or
// that own names, have been looked at.
func (d *Driver) unheld(ctx context.Context, s *session, want connector.Desired, held *relational.Holding, key string, own []poolSpec) error {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return err
	}
	for _, n := range all {
		if p, ok := specOf(n); ok && p.Key == key && relational.Twin(d.marker, n, connector.Ref{Type: "rows", Tenant: want.Tenant}) {
			own = append(own, p)
		}
	}
	return held.Strange(ctx, s, d.records, want.Ref, func(t relational.TableName) bool {
		return slices.ContainsFunc(own, func(p poolSpec) bool { return p.Schema == t.Schema && p.Column == held.TenantColumn(t) })
	})
}

// keyed is an error if the rows that a schema covers outside of itself can't be told
// by its key: Invalid if a column can't hold it, Conflict if another tenant's
// resource has the same, or rows with it are there before the schema is made.
func (k schemas) keyed(ctx context.Context, s *session, d connector.Desired, a schemaAttributes) error {
	if a.Key == "" {
		return nil
	}
	held, err := k.byKey(ctx, s, d.Tenant, a.tenancy(d.Name), a.Within(d.Name))
	if err != nil {
		return err
	}
	whole := *held
	whole.Tables = slices.Clone(held.Tables)
	held.Tables = slices.DeleteFunc(held.Tables, func(t relational.Reached) bool { return held.TenantColumn(t.Table.TableName) == "" })
	if len(held.Tables) == 0 {
		return nil
	}
	if err := fits(ctx, s, held, a.Key); err != nil {
		return err
	}
	others := map[string]string{}
	all, err := marks.All(ctx, s, dialect{}, "rows")
	if err != nil {
		return err
	}
	for _, n := range all {
		p, _ := specOf(n)
		if h := slices.ContainsFunc(held.Tables, func(t relational.Reached) bool { return t.Table.Schema == p.Schema }); h && n.Get("tenant") != string(d.Tenant) {
			others[p.Key] = n.Name
		}
	}
	err = s.simple(ctx, strangersSQL, func(_ int, v [][]byte) error {
		b := k.marked(schemaClass, v)
		if owned, theirs := k.storeOf(b, d.Tenant); owned && theirs && b.note.Get("key") != "" {
			others[b.note.Get("key")] = b.note.Name
		}
		return nil
	})
	if err != nil {
		return err
	}
	if name, taken := others[a.Key]; taken {
		return tenure.Errorf(tenure.Conflict, "schema %q: the key %q is that of another tenant's %q, whose rows of %s would go with it", d.Name, a.Key, name, held.Tables[0].Table).
			WithHint("give each tenant a key of its own")
	}
	if err := alone(ctx, s, held, d.Ref, a.Key, func() (map[string]string, error) { return others, nil }); err != nil {
		return err
	}
	if note, err := k.noteOf(ctx, s, d.Ref); err != nil || note != nil {
		return err
	}
	return k.unheld(ctx, s, d, &whole, a.Key, nil)
}
