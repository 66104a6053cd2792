package exec

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Foresee is described at connector.Foreseer. Names of which the program isn't asked, and
// attributes that can't be right, are refused when they are made.
func (d *driver) Foresee(ctx context.Context, all []connector.Desired) (out []connector.SharedChange, err error) {
	q := request{Call: "foresee"}
	asked := make(map[[2]string]tenure.ResourceID, len(all))
	for _, want := range all {
		t, err := d.known(want.Type)
		if err != nil {
			return nil, err
		}
		at := [2]string{want.Type, want.Name}
		if _, twice := asked[at]; twice || !t.can("foresee") || t.checkName(want.Name) != nil || t.check(t.desired(want.Attributes)) != nil {
			continue
		}
		asked[at] = want.Resource
		q.Resources = append(q.Resources, t.resource(want.Ref))
	}
	if len(q.Resources) == 0 {
		return nil, nil
	}
	var none struct{}
	err = d.call(ctx, q, &none, func(l line) error {
		id, ok := asked[[2]string{l.Change.Type, l.Change.Name}]
		if !ok {
			return tenure.Errorf(tenure.Internal, "it foresees a change by %s %q, which wasn't asked for", visible(l.Change.Type, 80), visible(l.Change.Name, 80))
		}
		out = append(out, connector.SharedChange{Resource: id, Says: visible(l.Change.Says, 2000)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
