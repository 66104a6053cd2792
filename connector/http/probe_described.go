package http

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// Probe tries what a description's probe says, and judges its answer.
func (d *described) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	i := slices.IndexFunc(d.Probes, func(p probeSpec) bool { return p.Name == c.Kind })
	if i < 0 {
		return o, tenure.Errorf(tenure.Invalid, "%s has no probe %q", d.Name, c.Kind)
	}
	probe := d.Probes[i]
	v := d.options.with("credential", c.Credential.Reveal(), "name", c.Ref.Name, "own", c.Ref.Name, "attributes", c.Ref.Attributes,
		"tenant", string(c.Ref.Tenant), "environment", c.Ref.Environment, "resource", string(c.Ref.Resource), "item", nil, "id", "", "parent", nil, "omit", omitted, "mark", "")
	if t, err := d.typ(c.Ref.Type); err == nil && c.Ref.Resource != "" {
		at, err := d.pass().lookup(ctx, t, c.Ref)
		if err != nil {
			return o, err
		}
		f, err := at.owned(t, c.Ref)
		if err != nil {
			return o, err
		}
		if f == nil {
			return connector.Outcome{Detail: fmt.Sprintf("%s %q isn't there", t.Name, c.Ref.Name)}, nil
		}
		v = d.vars(t, c.Ref, f).with("credential", c.Credential.Reveal())
	}
	client := d.client
	switch probe.As {
	case "tenant":
		if c.Credential.IsZero() {
			return o, tenure.Errorf(tenure.Invalid, "the probe %s needs the credential of a resource", c.Kind).WithHint("name a resource that has one")
		}
		client = d.client.As(nil)
	case "nobody":
		client = d.client.As(nil)
		v["credential"] = ""
	}
	r, err := d.request(requestSpec{Method: probe.Method, Path: probe.Path, Header: probe.Header, Body: probe.Body, Again: true}, v)
	if err != nil {
		return o, err
	}
	var a rest.Answer
	if a, err = client.Send(ctx, r); err != nil {
		return o, err
	}
	body, err := a.JSON()
	if err != nil {
		body = string(a.Body)
	}
	if o.Passed, err = d.is(probe.Passes, a.OK(), v.with("status", int64(a.Status), "body", body)); err != nil {
		return o, err
	}
	path, _, _ := strings.Cut(r.Path, "?")
	o.Detail = fmt.Sprintf("%s %s as %s: status %d", cmp.Or(r.Method, "GET"), path, probe.As, a.Status)
	return o, nil
}
