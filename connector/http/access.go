package http

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// cut takes access off or puts it on, and writes down which of the two.
func (d *described) cut(ctx context.Context, r connector.Ref, call string, of func(*typeSpec) steps, state string, to tenure.ResourceState, from ...tenure.ResourceState) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	do := of(t)
	if len(do) == 0 {
		return rec, tenure.Errorf(tenure.Invalid, "%s can't %s a %s", d.Name, call, t.Name)
	}
	p := d.pass()
	at, err := p.lookup(ctx, t, r)
	if err != nil {
		return rec, err
	}
	f, err := at.owned(t, r)
	switch {
	case err != nil:
		return rec, err
	case f == nil && call == "revoke":
		return rec, p.gone(t, r, at)
	case f == nil:
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	}
	if f.note.begun == "revoke" && call != "revoke" {
		if call == "suspend" {
			return rec, nil
		}
		return rec, tenure.Errorf(tenure.Conflict, "%s %q is being revoked and can't be resumed", t.Name, r.Name)
	}
	// What a kill left between the deed and its note is done once more.
	need := slices.Contains(from, f.state) || f.note.state != state && call != "revoke" && f.state == to && (d.Marks != nil || t.Item.Mark != nil)
	if !need {
		if call == "resume" && f.state == tenure.ResourceRevoked {
			return rec, tenure.Errorf(tenure.Conflict, "%s %q is revoked and can't be resumed", t.Name, r.Name)
		}
		return rec, nil
	}
	n := f.note
	n.mark, n.state, n.begun = d.marker.Mark(t.Name, r.Resource), state, ""
	if writes := d.Marks != nil || t.Item.Mark != nil && len(t.Item.Mark.Write) > 0; writes && (len(do) > 1 || do[0].Each != nil) {
		n.begun = call // until the last step is done
	}
	n = d.bound(t, f, n)
	v := d.vars(t, r, f).with("mark", n.String())
	if call == "revoke" && t.Credential {
		v["credential"] = d.marker.Seal("nobody's " + string(r.Resource) + d.now().String()) // what nobody knows takes the place of the old one
	}
	rec.Changed = true
	if call == "revoke" { // what is told of it first is what a kill leaves
		if err := d.annotate(ctx, t, r, f, n); err != nil {
			return rec, err
		}
	}
	if _, _, err = d.act(ctx, do, v); err != nil {
		return rec, err
	}
	n.begun = ""
	return rec, d.annotate(ctx, t, r, f, n)
}

// Suspend is described at connector.Suspender.
func (d *described) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.cut(ctx, r, "suspend", func(t *typeSpec) steps { return t.Suspend }, "suspended", tenure.ResourceSuspended, tenure.ResourcePresent)
}

// Resume is described at connector.Suspender.
func (d *described) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.cut(ctx, r, "resume", func(t *typeSpec) steps { return t.Resume }, "", tenure.ResourcePresent, tenure.ResourceSuspended)
}

// Revoke is described at connector.Revoker.
func (d *described) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.cut(ctx, r, "revoke", func(t *typeSpec) steps { return t.Revoke }, "revoked", tenure.ResourceRevoked, tenure.ResourcePresent, tenure.ResourceSuspended)
}

// Adopt is described at connector.Adopter.
func (d *described) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	if d.Marks == nil && (t.Item.Mark == nil || len(t.Item.Mark.Write) == 0) {
		return rec, tenure.Errorf(tenure.Invalid, "the mark of a %s can't be written without changing it in %s", t.Name, d.Name)
	}
	at, err := d.pass().lookup(ctx, t, r)
	if err != nil {
		return rec, err
	}
	f := at.namesake
	switch {
	case len(at.mine) > 0:
		return rec, nil
	case f == nil:
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	case f.owner != connector.Unmarked:
		_, err := at.owned(t, r)
		return rec, err
	}
	n := note{mark: d.marker.Mark(t.Name, r.Resource)}
	if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
		n.state = string(as)
	}
	rec.Changed = true
	return rec, d.annotate(ctx, t, r, f, n)
}
