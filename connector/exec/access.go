package exec

import (
	"cmp"
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// move asks for a change of state where the thing is in another one.
func (d *driver) move(ctx context.Context, r connector.Ref, call string, to tenure.ResourceState) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	if !t.can(call) {
		return rec, tenure.Errorf(tenure.Invalid, "%s can't %s a %s", d.Name, call, t.Name)
	}
	f, g, err := d.one(ctx, r)
	if err != nil {
		return rec, err
	}
	if err := cmp.Or(f.owned(r), d.absent(f, r, g)); err != nil {
		return rec, err
	}
	ends := call == "revoke" || call == "quarantine" // to ask it of what is absent is fine
	switch {
	case !f.Found && ends:
		return rec, nil
	case !f.Found:
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	case call == "unquarantine" && f.State != tenure.ResourceQuarantined:
		return rec, nil
	case call != "unquarantine" && f.State == to:
		return rec, nil
	case f.State == tenure.ResourceQuarantined && call == "revoke", f.State == tenure.ResourceRevoked && call == "suspend":
		return rec, nil // which is more than what is asked
	case f.State == tenure.ResourceQuarantined && call != "unquarantine":
		return rec, tenure.Errorf(tenure.Conflict, "%s %q is set aside", t.Name, r.Name)
	case f.State == tenure.ResourceRevoked && call == "resume":
		return rec, tenure.Errorf(tenure.Conflict, "%s %q is revoked and can't be resumed", t.Name, r.Name)
	}
	return d.do(ctx, d.about(t, r, call, f))
}

// Suspend is described at connector.Suspender.
func (d *driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.move(ctx, r, "suspend", tenure.ResourceSuspended)
}

// Resume is described at connector.Suspender.
func (d *driver) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.move(ctx, r, "resume", tenure.ResourcePresent)
}

// Revoke is described at connector.Revoker.
func (d *driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.move(ctx, r, "revoke", tenure.ResourceRevoked)
}

// Quarantine is described at connector.Quarantiner.
func (d *driver) Quarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.move(ctx, r, "quarantine", tenure.ResourceQuarantined)
}

// Unquarantine is described at connector.Quarantiner.
func (d *driver) Unquarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.move(ctx, r, "unquarantine", tenure.ResourcePresent)
}

// Adopt is described at connector.Adopter.
func (d *driver) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	t, err := d.ready(r)
	if err != nil {
		return rec, err
	}
	if !t.can("adopt") {
		return rec, tenure.Errorf(tenure.Invalid, "%s can't adopt a %s", d.Name, t.Name)
	}
	f, g, err := d.one(ctx, r)
	if err == nil {
		err = d.absent(f, r, g)
	}
	switch {
	case err != nil:
		return rec, err
	case !f.Found:
		return rec, tenure.Errorf(tenure.NotFound, "%s %q isn't there", t.Name, r.Name)
	case f.mine(r):
		return rec, nil
	case f.Owner != connector.Unmarked:
		return rec, f.owned(r)
	}
	q := d.about(t, r, "adopt", f)
	q.Mark, q.State = d.marker.Mark(t.Name, r.Resource), string(as)
	return d.do(ctx, q)
}

// Probe is described at connector.Prober.
func (d *driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	known := false
	for _, p := range d.Probes {
		known = known || p.Name == c.Kind
	}
	if !known {
		return o, tenure.Errorf(tenure.Invalid, "%s has no probe %q", d.Name, c.Kind)
	}
	q := request{Call: "probe", Credential: c.Credential.Reveal(), Probe: &probeAsk{Kind: c.Kind, Params: c.Params}}
	if c.Encryption != (tenure.Encryption{}) {
		q.Probe.Encryption = c.Encryption
	}
	if t := d.typ(c.Ref.Type); t != nil {
		f, _, err := d.one(ctx, c.Ref)
		if err != nil {
			return o, err
		}
		if err := f.owned(c.Ref); err != nil {
			return o, err
		}
		about := d.about(t, c.Ref, "probe", f)
		q.Resource, q.Bears, q.State = about.Resource, about.Bears, about.State
	}
	if c.Other != nil {
		if t := d.typ(c.Other.Type); t != nil {
			other := t.resource(*c.Other)
			q.Probe.Other = &other
		}
	}
	err = d.call(ctx, q, &o, none)
	o.Detail = visible(o.Detail, 1000)
	return o, err
}
