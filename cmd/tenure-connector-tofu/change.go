package main

import (
	"context"
	"strings"
)

// same looks at the workspace that is asked about, and refuses one that isn't as Tenure saw it.
func (p *program) same(ctx context.Context) (workspace, error) {
	name := p.q.Resource.Name
	if err := usable(name); err != nil {
		return workspace{}, err
	}
	w, _, err := p.one(ctx, name)
	if err == nil && (w.bears() != p.q.Bears || w.there() && p.q.State == "absent") {
		err = refuse("conflict", "workspace %s has become another one", name)
	}
	return w, err
}

func (p *program) ensure(ctx context.Context) (any, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	w, err := p.same(ctx)
	if err != nil {
		return nil, err
	}
	name, c := p.q.Resource.Name, p.q.Resource.Attributes
	switch {
	case w.there() && !w.ours():
		return nil, refuse("conflict", "workspace %s is there and isn't ours", name)
	case w.lost():
		return nil, lost(name)
	}
	m, err := p.module(ctx, c)
	if err != nil {
		return nil, err
	}
	n := note{Name: name, Mark: p.q.Mark}
	if w.note != nil {
		n = *w.note
		n.Mark = p.q.Mark
	}
	if w.state == nil {
		n.Lineage, n.Pending, n.Ending = newLineage(), "", false
		err = p.states.begin(ctx, n, p.q.Bears)
	}
	if err != nil {
		return nil, err
	}
	r, err := p.runner(c, m, false)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.choose(name); err != nil {
		return nil, err
	}
	if err := r.init(ctx); err != nil {
		return nil, err
	}
	if err := r.local(); err != nil {
		return nil, err
	}
	rec := receipt{Changed: true, Facts: map[string]string{}, Counts: map[string]int64{}}
	o := &outlook{begun: true}
	asked := p.q.Foreseen != nil
	if asked {
		if o, err = r.plan(ctx, name, true); err != nil {
			return nil, err
		}
		o = o.settled(c, n.Pending)
		if says := p.asked(o); says != "" && !strings.Contains(*p.q.Foreseen, says) {
			return nil, refuse("conflict", "plan_changed: what was let pass isn't what terraform plans now: %s", says).hint("plan again, and have it approved")
		}
		rec.Facts["plan"] = o.Digest
		rec.Counts["added"], rec.Counts["changed"], rec.Counts["destroyed"] = o.Add, o.Change, o.Destroy
	}
	n.Digest, n.Config, n.Pending, n.Ending = c.Digest, c.text(), o.pending(c), false
	if err := p.states.note(ctx, n, p.q.Bears); err != nil {
		return nil, err
	}
	if err := p.states.keep(ctx, m.digest, m.archive()); err != nil {
		return nil, err
	}
	if o.begun {
		if err := r.apply(ctx, name, asked); err != nil {
			return nil, err
		}
	}
	if w, _, err = p.one(ctx, name); err != nil {
		return nil, err
	}
	if !w.ours() || w.state == nil {
		return nil, refuse("conflict", "workspace %s has become another one while it was applied", name)
	}
	rec.Facts["terraform"] = w.state.version
	n.Pending = ""
	return rec, p.states.note(ctx, n, n.Mark)
}

func lost(name string) error {
	return refuse("blocked", "the state of workspace %s is gone, and not by Tenure: what its module made may still be there", name).
		hint("put the state back from a backup, with terraform state push; or see that nothing is left of it, and remove its note: in the table tenure_workspace, or in the folder tenure/workspaces")
}

func (p *program) adopt(ctx context.Context) (any, error) {
	w, _, err := p.one(ctx, p.q.Resource.Name)
	switch {
	case err != nil:
		return nil, err
	case w.state == nil:
		return nil, refuse("not_found", "workspace %s isn't there", p.q.Resource.Name)
	case w.bears() != p.q.Bears:
		return nil, refuse("conflict", "workspace %s has become another one", w.name)
	}
	n := note{Name: w.name, Mark: p.q.Mark, Lineage: w.state.lineage}
	bears := ""
	if w.note != nil { // of a state that was here before
		bears = w.note.Mark
	}
	if c, err := (workspace{name: w.name, state: w.state}).used(); err == nil {
		n.Digest, n.Config = c.Digest, c.text()
	}
	return receipt{Changed: true}, p.states.note(ctx, n, bears)
}

// delete destroys what the state knows of with the module that it was made with, and then
// the workspace. The note goes last, so that a state that somebody takes away doesn't pass
// for one whose content is gone.
func (p *program) delete(ctx context.Context) (any, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	w, err := p.same(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case w.there() && !w.ours():
		return nil, refuse("conflict", "workspace %s is there and isn't ours", w.name)
	case w.lost():
		return nil, lost(w.name)
	case w.note == nil:
		return receipt{}, nil
	case w.state == nil:
		return receipt{Changed: w.there()}, p.states.forget(ctx, w.name)
	}
	rec := receipt{Changed: true, Counts: map[string]int64{"destroyed": int64(w.state.things)}}
	c, m := configuration{}, &module{files: map[string][]byte{"main.tf": nil}}
	full := w.state.things+w.state.own > 0
	if full {
		if c, err = w.used(); err != nil {
			return nil, err
		}
		if m, err = p.module(ctx, c); err != nil {
			return nil, err
		}
	}
	r, err := p.runner(c, m, false)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.choose(w.name); err != nil {
		return nil, err
	}
	if err := r.init(ctx); err != nil {
		return nil, err
	}
	n := *w.note
	if full {
		if err := r.destroy(ctx, w.name); err != nil {
			return nil, err
		}
		if w, _, err = p.one(ctx, w.name); err != nil {
			return nil, err
		}
		if !w.ours() || w.state == nil || w.state.things+w.state.own > 0 {
			return nil, refuse("blocked", "workspace %s isn't empty although terraform destroyed it", w.name).hint("look at it: terraform state list")
		}
	}
	n.Ending = true
	if err := p.states.note(ctx, n, n.Mark); err != nil {
		return nil, err
	}
	if err := r.removeWorkspace(ctx, w.name); err != nil {
		return nil, err
	}
	if w, _, err = p.one(ctx, w.name); err != nil {
		return nil, err
	}
	if w.state != nil {
		return nil, refuse("blocked", "workspace %s is still there although terraform deleted it", w.name)
	}
	return rec, p.states.forget(ctx, w.name)
}
