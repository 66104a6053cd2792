package schematest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// heldFor is a hold on rows of one table that comes after some batches.
type heldFor struct {
	kept  connector.Kept
	after int          // batches
	rows  map[int]bool // that it names, whether or not they are still there
}

// holdOn makes up a hold on rows that the erasure would take; nil for none.
func holdOn(s *Schema, v Verdict, rnd *rand.Rand) *heldFor {
	if len(v.Refusals)+len(v.Either) > 0 || v.Late || rnd.IntN(3) == 0 {
		return nil
	}
	var of []*Table
	for _, t := range s.Tables {
		if t.Name != History && slices.ContainsFunc(t.Rows, func(r *Row) bool { return v.Gone[r.ID] }) {
			of = append(of, t)
		}
	}
	if len(of) == 0 {
		return nil
	}
	t := of[rnd.IntN(len(of))]
	h := &heldFor{after: rnd.IntN(6), rows: map[int]bool{}}
	ids := []int{}
	for _, r := range t.Rows {
		ids = append(ids, r.ID)
	}
	pivot := ids[rnd.IntN(len(ids))]
	some := ids[:1+rnd.IntN(len(ids))]
	list, _ := json.Marshal(some)
	cond := tenure.RowCondition{Column: "id", Value: json.RawMessage(fmt.Sprint(pivot))}
	holds := map[tenure.RowOperator]func(id int) bool{
		tenure.RowEqual:   func(id int) bool { return id == pivot },
		tenure.RowUnequal: func(id int) bool { return id != pivot },
		tenure.RowLess:    func(id int) bool { return id < pivot },
		tenure.RowAtLeast: func(id int) bool { return id >= pivot },
		tenure.RowIn:      func(id int) bool { return slices.Contains(some, id) },
		tenure.RowPrefix:  func(id int) bool { return true },
	}
	ops := []tenure.RowOperator{tenure.RowEqual, tenure.RowUnequal, tenure.RowLess, tenure.RowAtLeast, tenure.RowIn, tenure.RowPrefix}
	cond.Operator = ops[rnd.IntN(len(ops))]
	h.kept = connector.Kept{Hold: "hld_0", Table: t.Name, Rows: []tenure.RowCondition{cond}}
	if t.Elsewhere && s.Dialect != SQLite {
		h.kept.Table = "extra." + t.Name
	}
	switch cond.Operator {
	case tenure.RowIn:
		h.kept.Rows[0].Value = list
	case tenure.RowPrefix: // the whole table
		h.kept.Rows = nil
	}
	for _, id := range ids {
		if v.Gone[id] && holds[cond.Operator](id) {
			h.rows[id] = true
		}
	}
	return h
}

// stay are the rows that are there and stay: those that the hold names, and what they
// refer to as they are, however far.
func (h *heldFor) stay(s *Schema, there Rows) map[int]bool {
	out := map[int]bool{}
	var queue []int
	for id := range h.rows {
		if there[id] != nil {
			queue = append(queue, id)
		}
	}
	rows, in := s.rows()
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if out[id] {
			continue
		}
		out[id] = true
		for _, l := range s.Links {
			if to := rows[id].Refs[l.Name]; l.From == in[id].Name && to != 0 && there[to] != nil {
				queue = append(queue, to)
			}
		}
	}
	return out
}

// eraseHeld erases all classes with a hold that comes in the middle, and compares what is
// left: exactly what the hold names and needs. Then the erasure goes on without it.
func (o *Outcome) eraseHeld(ctx context.Context, s *Schema, ref connector.Ref, v Verdict, on Target, rnd *rand.Rand, h *heldFor) error {
	var there Rows
	var keep []connector.Kept
	place := func() (err error) {
		keep = []connector.Kept{h.kept}
		there, err = on.Dump(s.Names())
		return err
	}
	batches := 0
	var held []connector.Held
	for _, class := range s.Classes {
		b := connector.Batch{Run: "run-of-acme", Class: class, Limit: 1 + rnd.IntN(6)}
		for n := 0; ; n++ {
			if batches == h.after {
				if err := place(); err != nil {
					return err
				}
			}
			batches++
			b.Keep = keep
			e, err := on.Driver.Erase(ctx, ref, b)
			if err != nil {
				return fmt.Errorf("held erasure: refused: %w", err)
			}
			if e.Done {
				held = append(held, e.Held...)
				break
			}
			if b.Cursor = e.Cursor; n > 300 {
				return fmt.Errorf("held erasure: class %q doesn't end", class)
			}
		}
	}
	if keep == nil {
		return nil // all had gone before it came
	}
	after, err := on.Dump(s.Names())
	if err != nil {
		return err
	}
	_, in := s.rows()
	want, got := map[int]string{}, map[int]string{}
	stay := h.stay(s, there)
	var total int64
	for id := range v.Gone {
		if in[id].Name == History {
			continue
		}
		if stay[id] {
			if total++; cmp.Diff(there[id], after[id]) != "" {
				return fmt.Errorf("held erasure: row %d changed, hold %+v after %d: was %v, is %v", id, h.kept, h.after, there[id], after[id])
			}
			want[id] = in[id].Name
		}
		if after[id] != nil {
			got[id] = in[id].Name
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("held erasure: rows of the tenant that are left (-want +got), with hold %+v after %d batches:\n%s", h.kept, h.after, diff)
	}
	if n := connector.Total(held); n != total && h.after == 0 {
		return fmt.Errorf("held erasure: %d rows stay, and it says %d: %s", total, n, connector.HeldSays(held))
	}
	keeper, ok := on.Driver.(connector.Keeper)
	if !ok {
		return fmt.Errorf("held erasure: the driver can't count what is held")
	}
	counted, err := keeper.Held(ctx, ref, keep)
	if err != nil {
		return fmt.Errorf("held erasure: count: %w", err)
	}
	if n := connector.Total(counted); n != total {
		return fmt.Errorf("held erasure: %d rows stay, and the count says %d: %s", total, n, connector.HeldSays(counted))
	}
	if total > 0 {
		if _, err := on.Driver.Delete(ctx, ref); err == nil {
			return fmt.Errorf("held erasure: the resource was deleted over what is held")
		}
	}
	return nil
}
