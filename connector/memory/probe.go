package memory

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// neighbour is the tenant that the sentinel neighbour stands for: never a
// customer's.
const neighbour = tenure.TenantID("ten_00000000-0000-7000-8000-000000000000")

// Probe tries what must work or must be refused.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	w := d.world
	f, err := w.begin(ctx, "probe", c.Ref)
	if err != nil {
		return connector.Outcome{}, err
	}
	credential := c.Credential.Reveal()
	var o connector.Outcome
	switch c.Kind {
	case "reachable":
		o = d.reachable(c.Ref, credential)
	case "isolation":
		o, err = denied(credential, "the sentinel neighbour", func() error { return w.Enter(credential, neighbour, "prod") })
	case "environment":
		if c.Other == nil {
			return o, tenure.Errorf(tenure.Invalid, "an environment probe needs a second resource")
		}
		o, err = denied(credential, "environment "+c.Other.Environment, func() error {
			return w.Enter(credential, c.Other.Tenant, c.Other.Environment)
		})
	case "entitlement":
		feature := c.Params["feature"]
		if feature == "" {
			return o, tenure.Errorf(tenure.Invalid, "an entitlement probe needs the parameter feature")
		}
		o, err = denied(credential, "feature "+feature, func() error { return w.Use(credential, feature) })
	case "exposure":
		o = refused("a caller without a credential", c.Ref.Type+" "+c.Ref.Name, w.Read("", c.Ref.Type, c.Ref.Name))
	default:
		err = tenure.Errorf(tenure.Invalid, "memory has no probe %q", c.Kind)
	}
	return o, f.end(err)
}

func (d *Driver) reachable(r connector.Ref, credential string) connector.Outcome {
	w := d.world
	if credential != "" {
		if err := w.Enter(credential, r.Tenant, r.Environment); err != nil {
			return connector.Outcome{Detail: "the credential is refused: " + err.Error()}
		}
		return connector.Outcome{Passed: true, Detail: "the credential opens " + r.Environment}
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok || t.State != tenure.ResourcePresent || w.flaws[OutOfService] {
		return connector.Outcome{Detail: "it isn't there or isn't in service"}
	}
	return connector.Outcome{Passed: true, Detail: "it is there and in service"}
}

// denied passes if a caller with a credential is refused.
func denied(credential, what string, try func() error) (connector.Outcome, error) {
	if credential == "" {
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "the probe needs a credential")
	}
	return refused("the credential", what, try()), nil
}

func refused(who, what string, err error) connector.Outcome {
	if err == nil {
		return connector.Outcome{Detail: who + " is let into " + what}
	}
	switch tenure.CodeOf(err) {
	case tenure.Forbidden, tenure.Unauthorized:
		return connector.Outcome{Passed: true, Detail: who + " is refused at " + what}
	}
	return connector.Outcome{Detail: who + " can't be tried on " + what + ": " + err.Error()}
}
