package relational

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Kind carries out the calls of connector.Driver and connector.Adopter for one resource
// type. S is the session on the snapshot of a pass. Its errors may be the server's own.
type Kind[S any] interface {
	Normalise(d connector.Desired) (json.RawMessage, error)
	Ensure(ctx context.Context, d connector.Desired) (connector.Observed, connector.Receipt, error)
	Observe(ctx context.Context, s S, refs []connector.Ref, yield func(connector.Observed) error) (whole bool, err error)
	Discover(ctx context.Context, s S, sc connector.Scope, yield func(connector.Observed) error) (whole bool, err error)
	Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error)
	Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (connector.Receipt, error)
}

// Kinds is a driver's calls, each carried out by the kind of the resource's type.
type Kinds[S any] struct {
	Of    func(typ string) (Kind[S], error)
	Types func() []tenure.ResourceType // ordered by name
	// Look runs f in one snapshot that only reads, after it has seen who the system is; f
	// says whether it saw all.
	Look func(ctx context.Context, f func(s S) (whole bool, err error)) (connector.Sighting, error)
	// Coded gives an error of the server its code; any other is as it was.
	Coded func(error) error
}

// Normalise is described at connector.Driver.
func (k Kinds[S]) Normalise(want connector.Desired) (json.RawMessage, error) {
	of, err := k.Of(want.Type)
	if err != nil {
		return nil, err
	}
	raw, err := of.Normalise(want)
	return raw, k.Coded(err)
}

// Ensure is described at connector.Driver.
func (k Kinds[S]) Ensure(ctx context.Context, want connector.Desired) (connector.Observed, connector.Receipt, error) {
	of, err := k.Of(want.Type)
	if err != nil {
		return connector.Observed{}, connector.Receipt{}, err
	}
	if _, err := of.Normalise(want); err != nil {
		return connector.Observed{}, connector.Receipt{}, k.Coded(err)
	}
	o, rec, err := of.Ensure(ctx, want)
	return o, rec, k.Coded(err)
}

// Observe is described at connector.Driver: one snapshot for all the refs.
func (k Kinds[S]) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	byType := map[string][]connector.Ref{}
	for _, r := range refs {
		byType[r.Type] = append(byType[r.Type], r)
	}
	return k.look(ctx, slices.Sorted(maps.Keys(byType)), yield, func(of Kind[S], typ string, s S, yield func(connector.Observed) error) (bool, error) {
		return of.Observe(ctx, s, byType[typ], yield)
	})
}

// Discover is described at connector.Driver: one snapshot for all types.
func (k Kinds[S]) Discover(ctx context.Context, sc connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	var types []string
	for _, t := range k.Types() {
		if len(sc.Types) == 0 || slices.Contains(sc.Types, t.Name) {
			types = append(types, t.Name)
		}
	}
	return k.look(ctx, types, yield, func(of Kind[S], _ string, s S, yield func(connector.Observed) error) (bool, error) {
		return of.Discover(ctx, s, sc, yield)
	})
}

// look calls f for each type in one snapshot. An error of yield is given back as it is.
func (k Kinds[S]) look(ctx context.Context, types []string, yield func(connector.Observed) error, f func(of Kind[S], typ string, s S, yield func(connector.Observed) error) (bool, error)) (connector.Sighting, error) {
	var callers error
	g, err := k.Look(ctx, func(s S) (bool, error) {
		all := true
		for _, typ := range types {
			of, err := k.Of(typ)
			if err != nil {
				return false, err
			}
			whole, err := f(of, typ, s, func(o connector.Observed) error {
				callers = yield(o)
				return callers
			})
			if err != nil {
				return false, err
			}
			all = all && whole
		}
		return all, nil
	})
	if callers != nil {
		return connector.Sighting{}, callers
	}
	return g, err
}

// Delete is described at connector.Driver.
func (k Kinds[S]) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	of, err := k.Of(r.Type)
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := of.Delete(ctx, r)
	return rec, k.Coded(err)
}

// Adopt is described at connector.Adopter.
func (k Kinds[S]) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (connector.Receipt, error) {
	of, err := k.Of(r.Type)
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := of.Adopt(ctx, r, as)
	return rec, k.Coded(err)
}
