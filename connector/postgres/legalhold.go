package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Keeper = (*Driver)(nil)
	_ connector.Needer = (*Driver)(nil)
)

// withholding is the same reading, with what holds keep left out of what goes. What is
// kept on premises may need rows outside of them, and the other way round: neither session
// reads both, so all rows of such tables stay.
func (at reading) withholding(ctx context.Context, s *session, keep []connector.Kept) (reading, error) {
	if len(keep) == 0 {
		return at, nil
	}
	all, err := at.all(ctx, s)
	if err != nil {
		return at, err
	}
	keep = placed(all, keep)
	if err := all.Withhold(keep); err != nil {
		return at, misheld(err)
	}
	reached := all.Withheld()
	here := at.here
	at.here = func(ctx context.Context, s *session) (*relational.Holding, error) {
		h, err := here(ctx, s)
		if err != nil {
			return nil, err
		}
		read := slices.DeleteFunc(slices.Clone(keep), func(k connector.Kept) bool {
			n, _ := all.KeptTable(k)
			_, there := h.Graph.Table(n)
			return !there
		})
		if err := h.Withhold(read); err != nil {
			return nil, misheld(err)
		}
		h.WithholdAll(slices.DeleteFunc(slices.Clone(reached), h.Needs))
		return h, nil
	}
	return at, nil
}

// placed gives the places of other resources' holds the names that they have now: a
// schema may have been set aside.
func placed(all *relational.Holding, keep []connector.Kept) []connector.Kept {
	out := slices.Clone(keep)
	for i, k := range out {
		schema, table, ok := strings.Cut(k.Place, ".")
		if !ok {
			continue
		}
		_, there := all.Graph.Table(relational.TableName{Schema: schema, Name: table})
		if aside := quarantined(k.Resource); !there {
			out[i].Place = aside + "." + table
		}
	}
	return out
}

// misheld is what a hold that can't be understood is to an erasure: it blocks it.
func misheld(err error) error {
	return tenure.Errorf(tenure.Blocked, "a hold on rows can't be followed: %w", err)
}

// keepKey tells plans apart by what holds keep.
func keepKey(keep []connector.Kept) string { return fmt.Sprintf("%+v", keep) }

// Held is described at connector.Keeper. On a tenant's own premises a deputy counts.
func (d *Driver) Held(ctx context.Context, r connector.Ref, keep []connector.Kept) (out []connector.Held, err error) {
	h, err := d.holder(r, "be held in part")
	if err != nil {
		return nil, err
	}
	if shared, ok := h.(pools); ok {
		shared.gone = true // what stands there is counted, whether or not the mark is there
		h = shared
	}
	_, err = h.reach(ctx, r, false, func(s *session, at reading) (err error) {
		out, err = d.heldOf(ctx, s, r, at, "", keep)
		return err
	})
	if st := state(err); strings.HasPrefix(st, "22") || st == "42883" || st == "42804" {
		err = tenure.Errorf(tenure.Invalid, "the hold's conditions can't be for these columns: %w", coded(err))
	}
	return out, coded(err)
}

// heldOf counts what is kept of a class, each table by the session that may read it.
func (d *Driver) heldOf(ctx context.Context, s *session, r connector.Ref, at reading, class string, keep []connector.Kept) (out []connector.Held, err error) {
	all, err := at.all(ctx, s)
	if err != nil {
		return nil, err
	}
	keep = placed(all, keep)
	if err := all.Withhold(keep); err != nil {
		return nil, err
	}
	err = at.each(ctx, s, func(ctx context.Context, s *session) error {
		here, err := at.here(ctx, s)
		if err != nil {
			return err
		}
		if err := here.Withhold(slices.DeleteFunc(slices.Clone(keep), func(k connector.Kept) bool {
			n, _ := all.KeptTable(k)
			_, there := here.Graph.Table(n)
			return !there
		})); err != nil {
			return err
		}
		more, err := here.Held(ctx, s, class)
		out = append(out, more...)
		return err
	})
	for i := range out {
		out[i].Place, out[i].Named = known(r, out[i].Place), known(r, out[i].Named)
	}
	return out, err
}

// Needed is described at connector.Needer: rows that are kept refer to the row's table.
func (d *Driver) Needed(ctx context.Context, r, in connector.Ref, keep []connector.Kept) (says string, err error) {
	if !relational.IsRecord(r.Type) {
		return "", nil
	}
	table := relational.RecordTable(r, "public")
	held, err := d.Held(ctx, in, keep)
	if err != nil || connector.Total(held) == 0 {
		return "", err
	}
	h, err := d.holder(in, "be held in part")
	if err != nil {
		return "", err
	}
	_, err = h.reach(ctx, in, false, func(s *session, at reading) error {
		all, err := at.all(ctx, s)
		if err != nil {
			return err
		}
		if err := all.Withhold(placed(all, keep)); err != nil {
			return err
		}
		if n, ok := all.Graph.Find(table.Schema, table.Name); ok && all.Needs(n) {
			says = connector.HeldSays(held)
		}
		return nil
	})
	return says, coded(err)
}
