package http

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

var _ connector.Leaver = (*described)(nil)

// take makes ours a record that is there and bears no mark, where the type has records that
// may stay; nil if it isn't such a case.
func (d *described) take(ctx context.Context, t *typeSpec, want connector.Desired, at place, goal json.RawMessage) (*found, error) {
	if !want.Take || len(t.Leave) == 0 || len(at.mine) > 0 || at.namesake == nil || at.namesake.owner != connector.Unmarked {
		return nil, nil
	}
	f := at.namesake
	if at.alike > 1 {
		return nil, tenure.Errorf(tenure.Conflict, "%d things are called %s %q, and which of them is meant nobody says", at.alike, t.Name, want.Name).
			WithHint("give all but one another name")
	}
	seen, err := d.observed(t, f, want.Name)
	if err != nil {
		return nil, err
	}
	var has, gets map[string]any
	if json.Unmarshal(seen.Attributes, &has) != nil || json.Unmarshal(goal, &gets) != nil {
		return nil, tenure.Errorf(tenure.Internal, "%s %q: its attributes can't be read", t.Name, want.Name)
	}
	if err := connector.Loses(t.Name, want.Name, has, gets); err != nil {
		return nil, err
	}
	n := d.bound(t, f, note{mark: d.marker.Mark(t.Name, want.Resource)})
	if _, _, err := d.act(ctx, t.Change, d.vars(t, want.Ref, f).with("mark", n.String())); err != nil {
		return nil, err
	}
	if err := d.annotate(ctx, t, want.Ref, f, n); err != nil {
		return nil, err
	}
	var now *found
	err = rest.Until(ctx, often, max(settle, 2*span(t.Lag, 0)), t.Name+" "+want.Name, func() (bool, error) {
		at, err := d.pass().lookup(ctx, t, want.Ref)
		if err != nil || len(at.mine) != 1 {
			return false, err
		}
		now = at.mine[0]
		return true, nil
	})
	return now, err
}

// Leave is described at connector.Leaver.
func (d *described) Leave(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	if len(t.Leave) == 0 {
		return rec, tenure.Errorf(tenure.Invalid, "a %s of %s can't stay when its tenant leaves", t.Name, d.Name)
	}
	if err := d.shapes[t.Name](t.desired(r.Attributes)); err != nil {
		return rec, err
	}
	end, err := d.turn(ctx, t)
	if err != nil {
		return rec, err
	}
	defer end()
	p := d.pass()
	at, err := p.lookup(ctx, t, r)
	if err != nil {
		return rec, err
	}
	if len(at.mine) == 0 {
		return rec, p.gone(t, r, at)
	}
	for _, f := range at.mine {
		if err := d.emptied(ctx, t, r, f); err != nil {
			return rec, err
		}
		if _, _, err := d.act(ctx, t.Leave, d.vars(t, r, f)); err != nil {
			return rec, err
		}
		rec.Changed = true
	}
	if !t.Lag.IsZero() { // the mark may be shown a while longer
		_ = rest.Until(ctx, often, 2*span(t.Lag, 0), "its end", func() (bool, error) {
			at, err := d.pass().glance(ctx, t, r)
			return len(at.mine) == 0, err
		})
	}
	return rec, nil
}

// emptied is Blocked if data still belongs to a thing that is about to go, or be let go.
func (d *described) emptied(ctx context.Context, t *typeSpec, r connector.Ref, f *found) error {
	if t.Data == nil || t.Whole || f.ending {
		return nil
	}
	all, err := d.entries(ctx, t, r, f, func(id, class string, _ any) error {
		return tenure.Errorf(tenure.Blocked, "%s %q still holds %s of the class %q", t.Name, r.Name, d.dataName(t), class).WithHint("erase them before")
	})
	if err == nil && !all {
		err = d.entriesUnseen(t, r)
	}
	return err
}
