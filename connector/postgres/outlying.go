package postgres

import (
	"context"
	"fmt"

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
