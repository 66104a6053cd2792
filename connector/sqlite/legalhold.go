package sqlite

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Keeper = (*Driver)(nil)
	_ connector.Needer = (*Driver)(nil)
)

// Loose says that a column takes values of every kind, whatever its type says.
func (dialect) Loose() bool { return true }

// withhold keeps what holds keep out of what goes. Two files have nothing of each other's.
func (e *estate) withhold(keep []connector.Kept) error {
	var own []connector.Kept
	for _, k := range keep {
		if k.Place == "" || !e.whole && k.Type == "rows" {
			own = append(own, k)
		}
	}
	return e.Withhold(own)
}

// Held is described at connector.Keeper.
func (d *Driver) Held(ctx context.Context, r connector.Ref, keep []connector.Kept) (out []connector.Held, err error) {
	err = d.withheld(ctx, r, keep, func(s *session, e *estate) (err error) {
		out, err = e.Held(ctx, s, "")
		return err
	})
	return out, err
}

// Needed is described at connector.Needer: rows that are kept refer to the row's table.
func (d *Driver) Needed(ctx context.Context, r, in connector.Ref, keep []connector.Kept) (says string, err error) {
	if !relational.IsRecord(r.Type) {
		return "", nil
	}
	err = d.withheld(ctx, in, keep, func(s *session, e *estate) error {
		n, ok := e.Graph.Find("", relational.RecordTable(r, "").Name)
		if e.whole || !ok || !e.Needs(n) {
			return nil
		}
		held, err := e.Held(ctx, s, "")
		says = connector.HeldSays(held)
		return err
	})
	return says, err
}

// withheld runs f on what a resource holds, with what holds keep of it.
func (d *Driver) withheld(ctx context.Context, r connector.Ref, keep []connector.Kept, f func(s *session, e *estate) error) error {
	k, err := d.holder(r, "held in part")
	if err != nil {
		return err
	}
	if shared, ok := k.(pools); ok {
		shared.gone = true
		k = shared
	}
	_, err = k.reach(ctx, r, reading, func(s *session, of estateOf, _ string) error {
		e, err := s.held(ctx, of)
		if err != nil {
			return err
		}
		if err := e.withhold(keep); err != nil {
			return err
		}
		return f(s, e)
	})
	return coded(err)
}

// followed is what a hold that can't be understood is to an erasure: it blocks it.
func followed(err error) error {
	if err == nil {
		return nil
	}
	return tenure.Errorf(tenure.Blocked, "a hold on rows can't be followed: %w", err)
}
