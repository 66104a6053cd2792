package postgres

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// regain writes the note of an object of the catalog that has lost it; n is what the
// note shall hold. What another note says of the object is dropped: it didn't hold.
func (d *Driver) regain(ctx context.Context, s *session, c class, r connector.Ref, have marked, n relational.Note) (rec connector.Receipt, err error) {
	lost, err := relational.Lost(d.marker, have.note, r)
	if err != nil || !lost {
		return rec, err
	}
	if have.name != r.Name && have.name != quarantined(r.Resource) {
		return rec, tenure.Errorf(tenure.Conflict, "%s %q: a note that can't be authenticated leads to %s %q", r.Type, r.Name, c.typ, have.name).
			WithHint("look at its row in tenure.mark, and delete it")
	}
	drop := "delete from tenure.mark where type = " + literal(c.typ) + " and " + siteSQL + " || ':' || object = " + literal(have.object)
	rec.Changed = true
	return rec, s.run(ctx, append([]string{drop}, d.mark(c, have.name, n.With(relational.ObjectKey, have.object))...), "", nil)
}

func absent(r connector.Ref) error {
	return tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
}

// standing gives a note the state that the inventory knows, and with it the owner that the
// thing is to have once it is back.
func (d *Driver) standing(n relational.Note, aside bool, as tenure.ResourceState, owner string) relational.Note {
	if as == tenure.ResourcePresent && !aside {
		return n
	}
	if owner == "" {
		owner = d.user
	}
	if aside || as == tenure.ResourceQuarantined {
		as = tenure.ResourceQuarantined
	}
	return n.With("state", string(as)).With("owner", owner)
}

func (k schemas) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.get(ctx, s, r)
		if err != nil {
			return err
		}
		if have == nil {
			return absent(r)
		}
		if as == tenure.ResourceQuarantined && !have.aside() {
			as = tenure.ResourceSuspended
		}
		// Without the digest of its ddl, which the next Ensure runs anew.
		n := relational.NewNote(k.marker, r).With("key", a.Key)
		rec, err = k.regain(ctx, s, schemaClass, r, have.marked, k.standing(n, have.aside(), as, a.Owner))
		return err
	})
	return rec, err
}

func (k databases) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, _, err := k.find(ctx, s, r)
		if err != nil {
			return err
		}
		if have == nil {
			return absent(r)
		}
		rec, err = k.regain(ctx, s, databaseClass, r, have.marked, k.standing(relational.NewNote(k.marker, r), have.aside(), as, a.Owner))
		return err
	})
	return rec, err
}

func (k roles) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.get(ctx, s, r)
		if err != nil {
			return err
		}
		if have == nil {
			return absent(r)
		}
		n := relational.NewNote(k.marker, r)
		if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
			n = n.With("state", string(as)).With("login", strconv.FormatBool(a.Login))
		}
		rec, err = k.regain(ctx, s, roleClass, r, have.marked, n)
		return err
	})
	return rec, err
}

// lost says whether the note of what stands in no catalog of its own is lost: it isn't
// there, though the thing is, or it can't be authenticated. Where neither is there, it
// is NotFound.
func (d *Driver) lost(ctx context.Context, s *session, r connector.Ref, there func() (bool, error)) (bool, error) {
	if err := relational.CheckName(r.Type, r.Name, 200); err != nil {
		return false, err
	}
	n, noted, err := marks.Get(ctx, s, r.Type, r.Name)
	if err != nil {
		return false, err
	}
	is, err := there()
	switch {
	case err != nil:
		return false, err
	case !noted && !is:
		return false, absent(r)
	}
	return relational.Lost(d.marker, n, r)
}

// writeNote writes such a note again, in the given state.
func (d *Driver) writeNote(ctx context.Context, s *session, n relational.Note, as tenure.ResourceState) (connector.Receipt, error) {
	if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
		n = n.With("state", string(as))
	}
	return connector.Receipt{Changed: true}, s.run(ctx, []string{d.putNote(n)}, "", nil)
}

func (k grants) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	g, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	spec, err := tenure.Canonical(g)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		specs := []grantSpec{g}
		if err := k.grouped(ctx, s, specs); err != nil {
			return err
		}
		note := k.noteBy(r, spec, g.object(), g.Role)
		lost, err := k.lost(ctx, s, r, func() (bool, error) {
			held, err := k.one(ctx, s, specs[0])
			if held.member {
				note = note.With(viaKey, specs[0].group)
			}
			return k.shown(r.Name, nil, specs[0], held, nil).Found, err
		})
		if err != nil || !lost {
			return err
		}
		rec, err = k.writeNote(ctx, s, note, as)
		return err
	})
	return rec, err
}

func (k policies) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	p, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	note, err := k.noteOn(r, p)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		lost, err := k.lost(ctx, s, r, func() (bool, error) {
			is, err := k.guarded(ctx, s, []string{r.Name}, []policySpec{p})
			return err == nil && k.shown(r.Name, nil, p, is[0]).Found, err
		})
		if err != nil || !lost {
			return err
		}
		rec, err = k.writeNote(ctx, s, note, as)
		return err
	})
	return rec, err
}

func (k pools) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	spec, err := tenure.Canonical(a.spec())
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		lost, err := k.lost(ctx, s, r, func() (bool, error) {
			n, err := k.has(ctx, s, a.spec())
			return n > 0, err
		})
		if err != nil || !lost {
			return err
		}
		n := k.noteBy(r, spec, a.spec().object(), a.spec().shared())
		if err := k.free(ctx, s, r, n.Get("on")); err != nil {
			return err
		}
		rec, err = k.writeNote(ctx, s, n, as)
		return err
	})
	return rec, err
}

func (k rowRecords) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) error {
		rec, err = k.records.Adopt(ctx, s, r, as)
		return err
	})
	return rec, err
}
