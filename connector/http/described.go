package http

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
	"github.com/tenurehq/tenure/internal/source"
)

var (
	_ connector.Driver    = (*described)(nil)
	_ connector.Suspender = (*described)(nil)
	_ connector.Revoker   = (*described)(nil)
	_ connector.Adopter   = (*described)(nil)
	_ connector.Exporter  = (*described)(nil)
	_ connector.Eraser    = (*described)(nil)
	_ connector.Mapper    = (*described)(nil)
	_ connector.Prober    = (*described)(nil)
	_ connector.Reader    = (*described)(nil)
	_ connector.Limited   = (*described)(nil)

	_ connector.Enumerator = (*described)(nil)
)

// Can is described at connector.Limited.
func (d *described) Can(capability string) bool {
	switch capability {
	case "leave":
		return slices.ContainsFunc(d.Types, func(t typeSpec) bool { return len(t.Leave) > 0 })
	case "probe":
		return len(d.Probes) > 0
	case "read":
		return len(d.Reads) > 0
	case "trace":
		return len(d.Types) > 0
	}
	return slices.ContainsFunc(d.Types, func(t typeSpec) bool {
		switch capability {
		case "suspend":
			return len(t.Suspend) > 0
		case "revoke":
			return len(t.Revoke) > 0
		case "adopt":
			return d.Marks != nil || t.Item.Mark != nil && len(t.Item.Mark.Write) > 0
		case "export", "erase", "map":
			return t.Data != nil
		}
		return false
	})
}

// settle is how long a change may take to be seen where no lag is declared, and how often
// it is looked for.
const (
	settle = 5 * time.Second
	often  = 250 * time.Millisecond
)

// Normalise is described at connector.Driver.
func (d *described) Normalise(want connector.Desired) (json.RawMessage, error) {
	t, err := d.typ(want.Type)
	if err != nil {
		return nil, err
	}
	attributes := t.desired(want.Attributes)
	if err := d.shapes[t.Name](attributes); err != nil {
		return nil, err
	}
	return d.normal(t, attributes)
}

// ready refuses what no system could be asked for.
func (d *described) ready(r connector.Ref) (*typeSpec, error) {
	t, err := d.typ(r.Type)
	if err != nil {
		return nil, err
	}
	return t, d.checkName(t, r.Name)
}

// owned gives the one thing that is the resource's; nil if there is none. A stranger in its
// place and two that bear its mark are Conflict.
func (at place) owned(t *typeSpec, r connector.Ref) (*found, error) {
	switch {
	case len(at.mine) > 1:
		return nil, tenure.Errorf(tenure.Conflict, "%d things bear the mark of %s %q", len(at.mine), t.Name, r.Name).WithHint("remove all but one by hand")
	case len(at.mine) == 1 && at.namesake != nil && at.mine[0].name != r.Name:
		return nil, tenure.Errorf(tenure.Conflict, "%s %q was given the name %q, and something else has its name", t.Name, r.Name, source.Clip(at.mine[0].own))
	case len(at.mine) == 1 && at.mine[0].name != r.Name && at.reused:
		return nil, tenure.Errorf(tenure.Blocked, "what has the id of %s %q is called %q, and the system may give ids again: it may be somebody else's", t.Name, r.Name, source.Clip(at.mine[0].own)).
			WithHint("see whose it is, and if it is the tenant's give it its name back; item.unique says in the description that no id is given again")
	case len(at.mine) == 1:
		return at.mine[0], nil
	case at.namesake == nil:
		return nil, nil
	case at.namesake.owner == connector.Ours:
		return nil, tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", t.Name, r.Name, at.namesake.of)
	}
	return nil, tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", t.Name, r.Name, at.namesake.owner).
		WithHint("choose another name, or have its owner remove it")
}

// Ensure creates the thing or brings it to desired. What is suspended stays so; what was
// revoked and has a credential comes back with a new one alone.
func (d *described) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	t, err := d.ready(want.Ref)
	if err != nil {
		return o, rec, err
	}
	goal, err := d.Normalise(want)
	if err != nil {
		return o, rec, err
	}
	end, err := d.turn(ctx, t)
	if err != nil {
		return o, rec, err
	}
	defer end()
	p := d.pass()
	at, err := p.look(ctx, t, want.Ref, true)
	if unsure := d.asked(want.Resource); err == nil && len(at.mine) == 0 && t.Find != nil && (unsure || !t.Find.Marked) {
		at, err = p.look(ctx, t, want.Ref, false) // somebody may have renamed it, or its making wasn't answered
	}
	if err != nil {
		return o, rec, err
	}
	f, err := d.take(ctx, t, want, at, goal)
	if rec.Changed = f != nil; err == nil && f == nil {
		f, err = at.owned(t, want.Ref)
	}
	if err != nil {
		return o, rec, err
	}
	if rec.Changed {
		o, err = d.observed(t, f, want.Name)
		return o, rec, err
	}
	if f == nil {
		if err := p.absent(t, want.Ref); err != nil {
			return o, rec, err
		}
		if t.In != "" && at.parent == nil {
			parent, _ := t.split(want.Name)
			return o, rec, tenure.Errorf(tenure.Blocked, "%s %q isn't there, in which %s %q is to lie", t.In, parent, t.Name, want.Name)
		}
		rec.Changed = true
		f, err = d.create(ctx, p, t, want, at.parent)
	} else {
		rec.Changed, f, err = d.bring(ctx, p, t, want, f, goal)
	}
	if err != nil {
		return o, rec, err
	}
	d.sent.Delete(want.Resource)
	o, err = d.observed(t, f, want.Name)
	return o, rec, err
}

// create makes a thing that isn't there and reads it back.
func (d *described) create(ctx context.Context, p *pass, t *typeSpec, want connector.Desired, parent *found) (*found, error) {
	n := note{mark: d.marker.Mark(t.Name, want.Resource)}
	if t.Credential {
		if want.Credential.IsZero() {
			return nil, tenure.Errorf(tenure.Invalid, "%s %q needs a credential", t.Name, want.Name)
		}
		n.key = d.sealOf(t.Name, want.Name, want.Credential)
	}
	if d.Marks != nil { // before the call goes out, so that a kill leaves nothing that nobody knows
		g, err := p.registry(ctx)
		if err != nil {
			return nil, err
		}
		if begun, ok := g.entries[d.key(t.Name, want.Name)]; ok && begun.note.of == "" && !t.Lag.IsZero() {
			// Its making was begun, and the system may show it late.
			if f, err := d.await(ctx, t, want.Ref, func(f *found) bool { return f != nil }); err == nil {
				return d.name(ctx, t, want.Ref, f, n)
			} else if tenure.CodeOf(err) != tenure.Unavailable || ctx.Err() != nil {
				return nil, err
			}
		}
		if err := d.write(ctx, g, t.Name, want.Name, n); err != nil {
			return nil, err
		}
	}
	refers, err := p.refers(ctx, t)
	if err != nil {
		return nil, err
	}
	v := d.vars(t, want.Ref, nil).with("parent", itemOf(parent), "credential", want.Credential.Reveal(), "mark", n.String())
	for name, value := range refers {
		v[name] = value
	}
	var f *found
	d.sent.Store(want.Resource, true)
	body, _, err := d.act(ctx, t.Create, v)
	if err != nil {
		if tenure.CanRetry(err) && !t.Lag.IsZero() && ctx.Err() == nil { // it may have been made, and is shown late
			f, _ = d.await(ctx, t, want.Ref, func(f *found) bool { return f != nil })
		}
		if f == nil {
			d.retract(ctx, t, want.Ref, err)
			return nil, err
		}
	}
	if f == nil && t.Get != nil && t.Created != "" {
		at, err := d.field(t.Created, body, v.with("body", body))
		if err != nil {
			return nil, err
		}
		id, err := d.word("", at, v)
		if err != nil || id == "" {
			if id, err = d.word(t.Item.ID, at, v.with("item", at)); err != nil {
				return nil, err
			}
		}
		if id != "" {
			if f, err = d.pass().get(ctx, t, want.Ref, id, parent); err != nil {
				return nil, err
			}
		}
	}
	if f == nil || !d.stands(f, want.Ref) {
		if f, err = d.await(ctx, t, want.Ref, func(f *found) bool { return f != nil }); err != nil {
			return nil, err
		}
	}
	if bound := d.bound(t, f, n); bound != n {
		if err := d.annotate(ctx, t, want.Ref, f, n); err != nil {
			return nil, err
		}
		f.note = bound
	}
	return d.name(ctx, t, want.Ref, f, n)
}

// retract takes back the note of a thing whose making was refused, so that what somebody
// else makes under its name isn't taken for it.
func (d *described) retract(ctx context.Context, t *typeSpec, r connector.Ref, refused error) {
	if d.Marks == nil || tenure.CanRetry(refused) || ctx.Err() != nil {
		return
	}
	p := d.pass()
	at, err := p.look(ctx, t, r, false)
	if err != nil || len(at.mine) > 0 || !p.complete {
		return // it may be there: the note stays for whoever looks next
	}
	_, _ = d.drop(ctx, p.marks, t.Name, r.Name)
}

// stands says whether a thing is seen as the resource's.
func (d *described) stands(f *found, r connector.Ref) bool {
	return f.owner == connector.Ours && f.of == r.Resource
}

// name writes down which thing the note is about, once the system has given it an id.
func (d *described) name(ctx context.Context, t *typeSpec, r connector.Ref, f *found, n note) (*found, error) {
	if d.Marks == nil || f.note.of == f.id {
		return f, nil
	}
	g, _, err := d.registered(ctx)
	if err != nil {
		return nil, err
	}
	n.of = f.id
	if err := d.write(ctx, g, t.Name, r.Name, n); err != nil {
		return nil, err
	}
	f.note, f.of, f.owner = n, r.Resource, connector.Ours
	return f, nil
}

// await looks until what stands for a resource is as wanted, for as long as the system may
// take to show it.
func (d *described) await(ctx context.Context, t *typeSpec, r connector.Ref, wanted func(*found) bool) (f *found, err error) {
	err = rest.Until(ctx, often, max(settle, 2*span(t.Lag, 0)), t.Name+" "+r.Name, func() (bool, error) {
		at, err := d.pass().lookup(ctx, t, r)
		if err != nil {
			return false, err
		}
		if f, err = at.owned(t, r); err != nil {
			return false, err
		}
		return wanted(f), nil
	})
	return f, err
}

// bring sets what differs.
func (d *described) bring(ctx context.Context, p *pass, t *typeSpec, want connector.Desired, f *found, goal json.RawMessage) (changed bool, now *found, err error) {
	n := f.note
	n.mark = d.marker.Mark(t.Name, want.Resource)
	if f.ending {
		return false, nil, tenure.Errorf(tenure.Conflict, "%s %q is being deleted", t.Name, want.Name).Retryable()
	}
	seal := d.sealOf(t.Name, want.Name, want.Credential)
	reissued := t.Credential && seal != "" && seal != n.key
	revoked := f.state == tenure.ResourceRevoked || f.note.begun == "revoke"
	if revoked && t.Credential && !reissued {
		return false, nil, tenure.Errorf(tenure.Conflict, "%s %q was revoked; it comes back only with a new credential", t.Name, want.Name)
	}
	seen, err := d.observed(t, f, want.Name)
	if err != nil {
		return false, nil, err
	}
	differs := !bytes.Equal(seen.Attributes, goal)
	if d.Marks != nil && f.note.of != f.id { // a kill came between its making and its note
		if f, err = d.name(ctx, t, want.Ref, f, n); err != nil {
			return false, nil, err
		}
		n, changed = f.note, true
	}
	// What is out of service although Tenure didn't take it out is to be in service: somebody
	// did, or a kill came before it was started.
	idle := f.state == tenure.ResourceSuspended && n.state == "" && len(t.Resume) > 0
	if !differs && !reissued && !revoked && !idle {
		if bound := d.bound(t, f, n); f.note.of == "" && bound.of != "" { // a kill came before it was tied
			return true, f, d.annotate(ctx, t, want.Ref, f, n)
		}
		return changed, f, nil
	}
	if reissued {
		n.key = seal
	}
	if revoked {
		n.state, n.begun = "", ""
	}
	n = d.bound(t, f, n)
	v := d.vars(t, want.Ref, f).with("mark", n.String())
	if reissued {
		v["credential"] = want.Credential.Reveal()
	}
	if differs || reissued {
		if len(t.Change) == 0 {
			return changed, nil, tenure.Errorf(tenure.Conflict, "%s %q differs from what it should be, and a %s can't be changed in %s", t.Name, want.Name, t.Name, d.Name).
				WithHint("delete it and have it made again")
		}
		if _, _, err := d.act(ctx, t.Change, v); err != nil {
			return true, nil, err
		}
	}
	if revoked || idle {
		if _, _, err := d.act(ctx, t.Resume, v); err != nil {
			return true, nil, err
		}
	}
	if err := d.annotate(ctx, t, want.Ref, f, n); err != nil {
		return true, nil, err
	}
	now, err = d.await(ctx, t, want.Ref, func(f *found) bool {
		if f == nil || revoked && f.state == tenure.ResourceRevoked || idle && f.state == tenure.ResourceSuspended {
			return false
		}
		o, err := d.observed(t, f, want.Name)
		return err == nil && bytes.Equal(o.Attributes, goal)
	})
	if tenure.CodeOf(err) == tenure.Unavailable && now != nil && ctx.Err() == nil {
		err = nil // it was read, and differs: that is for the caller to judge
	}
	return true, now, err
}

// annotate writes the note of a thing where the steps of a change don't.
func (d *described) annotate(ctx context.Context, t *typeSpec, r connector.Ref, f *found, n note) error {
	if d.Marks != nil {
		n.of = f.id
		g, _, err := d.registered(ctx)
		if err != nil {
			return err
		}
		return d.write(ctx, g, t.Name, r.Name, n)
	}
	if m := t.Item.Mark; m != nil && len(m.Write) > 0 {
		_, _, err := d.act(ctx, m.Write, d.vars(t, r, f).with("mark", d.bound(t, f, n).String()))
		return err
	}
	return nil
}

// Delete is described at connector.Driver. Where the system deletes later it waits for that.
func (d *described) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
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
	if len(at.mine) < 2 {
		if _, err := at.owned(t, r); err != nil && (len(at.mine) == 0 || at.reused) {
			return rec, err
		}
	}
	if len(at.mine) == 0 {
		if err := p.gone(t, r, at); err != nil {
			return rec, err
		}
	}
	for _, f := range at.mine { // of two that an answer that was lost has left, both
		v := d.vars(t, r, f)
		if err := d.emptied(ctx, t, r, f); err != nil {
			return rec, err
		}
		if f.ending {
			for _, s := range t.Delete {
				if s.Wait != nil {
					err = d.wait(ctx, s.Wait, v)
				}
			}
		} else {
			_, _, err = d.act(ctx, t.Delete, v)
		}
		if err != nil {
			return rec, err
		}
		rec.Changed = true
	}
	if rec.Changed && t.Item.State != "" { // what the system still deletes isn't gone
		if err := rest.Until(ctx, often, waitDeadline, "the deletion", func() (bool, error) {
			at, err := d.pass().glance(ctx, t, r)
			return !slices.ContainsFunc(at.mine, func(f *found) bool { return f.ending }), err
		}); err != nil {
			return rec, err
		}
	}
	if rec.Changed && !t.Lag.IsZero() { // it may be shown a while longer
		_ = rest.Until(ctx, often, min(time.Minute, 2*span(t.Lag, 0)), "its end", func() (bool, error) {
			at, err := d.pass().glance(ctx, t, r)
			return len(at.mine) == 0, err
		})
	}
	if d.Marks != nil {
		again := d.pass()
		if at, err = again.lookup(ctx, t, r); err != nil {
			return rec, err
		}
		if err := again.absent(t, r); err != nil { // the note stays, so that it is known whose it is
			return rec, err
		}
		if g, err := again.registry(ctx); err != nil {
			return rec, err
		} else if id, owner := d.owner(t.Name, g.entries[d.key(t.Name, r.Name)].note); len(at.mine) == 0 && owner == connector.Ours && id == r.Resource {
			dropped, err := d.drop(ctx, g, t.Name, r.Name)
			if err != nil {
				return rec, err
			}
			rec.Changed = rec.Changed || dropped
		}
	}
	return rec, nil
}
