package http

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*described)(nil)

// Check is described at connector.Checker. What an account may list is tried; what it may
// change is seen only when it is needed, and what it may beyond need can't be asked of an
// interface that nobody here knows, which is said.
func (d *described) Check(ctx context.Context, asked []connector.Asked) (c connector.Checkup, err error) {
	c.Role = "the account of " + d.client.Base()
	needed := map[string]bool{}
	for _, a := range asked {
		needed[a.Type] = true
	}
	p := d.pass()
	try := func(name, why string, optional bool, look func() error) error {
		r := connector.Right{Name: name, State: connector.RightHeld, For: why}
		if err := look(); tenure.CodeOf(err) == tenure.Unavailable {
			return err
		} else if err != nil {
			r.State, r.Fix = connector.RightMissing, d.Rights+" ("+err.Error()+")"
			if optional {
				r.State = connector.RightOptional
			}
		}
		c.Rights = append(c.Rights, r)
		return nil
	}
	if id := d.Identity; id != nil {
		if err := try("say who the system is", "the fingerprint", false, func() error { _, err := p.sighting(ctx); return err }); err != nil {
			return c, err
		}
	}
	if d.Marks != nil {
		optional := true // before the system is added, the place isn't there
		if err := try("read the owner marks", "telling whose a thing is; the place is made when the system is added", optional, func() error { _, err := p.registry(ctx); return err }); err != nil {
			return c, err
		}
	}
	for _, t := range d.ordered() {
		if d.Marks != nil && !p.marked {
			break // nothing can be read without them
		}
		optional := len(needed) > 0 && !needed[t.Name] && t.Name != d.Sentinel.Type
		if err := try("list each "+t.Name, "seeing what is there, and proving what isn't", optional, func() error { _, err := p.all(ctx, t); return err }); err != nil {
			return c, err
		}
	}
	c.Notes = append(c.Notes, "What the account needs: "+d.Rights, "Whether it may change things can't be asked without changing something: run tenure connector try on a test system.")
	c.Untold = "its interface has no question for what an account may do"
	return c, nil
}
