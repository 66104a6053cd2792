package mysql

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Keeper = (*Driver)(nil)
	_ connector.Needer = (*Driver)(nil)
)

// Wide is described at package relational: a recursive query's columns are as wide here as
// in its first part.
func (dialect) Wide(address string) string { return "cast(" + address + " as char(2000))" }

// Moment writes a moment as this server reads it, in UTC.
func (dialect) Moment(s string) string {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC().Format("2006-01-02 15:04:05.999999")
	}
	return s
}

// withhold keeps what holds keep out of what goes.
func (e *estate) withhold(keep []connector.Kept) error {
	return e.Withhold(nowPlaced(e.Holding, keep))
}

// nowPlaced gives the places of other resources' holds the names that they have now: a
// database may have been set aside.
func nowPlaced(h *relational.Holding, keep []connector.Kept) []connector.Kept {
	out := slices.Clone(keep)
	for i, k := range out {
		schema, table, ok := strings.Cut(k.Place, ".")
		if !ok {
			continue
		}
		if _, there := h.Graph.Table(relational.TableName{Schema: schema, Name: table}); !there {
			out[i].Place = asideOf(k.Resource) + "." + table
		}
	}
	return out
}

// estateThere is what a resource holds, whether or not a mark is left on its share of
// what others use too; not there if its own store is gone.
func estateThere(ctx context.Context, s *session, k holder, r connector.Ref) (e *estate, there bool, err error) {
	if _, shared := k.(pools); !shared {
		if there, err = k.there(ctx, s, r); err != nil || !there {
			return nil, false, err
		}
	}
	e, err = k.estate(ctx, s, r)
	return e, err == nil, err
}

// Held is described at connector.Keeper.
func (d *Driver) Held(ctx context.Context, r connector.Ref, keep []connector.Kept) (out []connector.Held, err error) {
	k, err := d.holder(r, "held in part")
	if err != nil {
		return nil, err
	}
	err = d.with(ctx, func(s *session) error {
		e, there, err := estateThere(ctx, s, k, r)
		if err != nil || !there {
			return err
		}
		if err := e.withhold(keep); err != nil {
			return err
		}
		out, err = e.Held(ctx, s, "")
		return err
	})
	if isNumber(err, 1292, 1366, 1525, 4078) && !isCoded(err) { // a value that the column's type doesn't have
		err = tenure.Errorf(tenure.Invalid, "the hold's conditions can't be for these columns: %w", coded(err))
	}
	return out, coded(err)
}

// Needed is described at connector.Needer: rows that are kept refer to the row's table.
func (d *Driver) Needed(ctx context.Context, r, in connector.Ref, keep []connector.Kept) (says string, err error) {
	if !relational.IsRecord(r.Type) {
		return "", nil
	}
	k, err := d.holder(in, "held in part")
	if err != nil {
		return "", err
	}
	err = d.with(ctx, func(s *session) error {
		e, there, err := estateThere(ctx, s, k, in)
		if err != nil || !there {
			return err
		}
		if err := e.withhold(keep); err != nil {
			return err
		}
		n := relational.RecordTable(r, d.home)
		if !e.Needs(n) {
			return nil
		}
		held, err := e.Held(ctx, s, "")
		says = connector.HeldSays(held)
		return err
	})
	return says, coded(err)
}
