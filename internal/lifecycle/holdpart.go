package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// placedPart finds the one resource of which a hold covers a part, and has its system
// say whether the table, the columns and the values can be. Where the system doesn't
// answer and only one resource can be meant, the hold binds all the same: an erasure
// that can't follow it takes nothing. Covers is how many rows or objects it names now, nil
// where the system didn't say.
func (s *Service) placedPart(ctx context.Context, scope tenure.HoldScope) (_ tenure.HoldScope, covers *int64, err error) {
	all, err := s.holdable(ctx, scope)
	if err != nil {
		return scope, nil, err
	}
	var found []store.ResourceRow
	var away, last error
	for _, r := range all {
		named, n, err := s.keeps(ctx, r, scope)
		switch {
		case err == nil:
			found, covers = append(found, r), n
			if named != "" {
				scope.Table = named
			}
		case tenure.CodeOf(err) == tenure.Unavailable:
			away = err
		default:
			if last == nil || nearness(err) > nearness(last) {
				last = err
			}
		}
	}
	if len(found) == 0 && away != nil && len(all) == 1 {
		found, covers = all, nil
	}
	switch {
	case len(found) == 1:
		r := found[0]
		scope.Tenant, scope.System, scope.Resource = r.Tenant, r.System, r.ID
		return scope, covers, nil
	case len(found) > 1:
		var names []string
		for _, r := range found {
			names = append(names, r.Path()+" ("+string(r.ID)+")")
		}
		return scope, nil, tenure.Errorf(tenure.Invalid, "several resources have what the hold names: %s", strings.Join(names, ", ")).WithHint("say which: --resource")
	case away != nil:
		return scope, nil, tenure.Errorf(tenure.Unavailable, "which resource the hold is about can't be found out: %w", away).WithHint("name it: --resource; the hold binds then, whether or not its system answers")
	case last != nil:
		return scope, nil, invalid(last)
	}
	return scope, nil, tenure.Errorf(tenure.Invalid, "no resource of the tenant can have what the hold names").WithHint("see what there is: tenure tenant show")
}

// holdable are the resources that may have what a hold's scope names a part of.
func (s *Service) holdable(ctx context.Context, scope tenure.HoldScope) (out []store.ResourceRow, err error) {
	var rows []store.ResourceRow
	if scope.Resource != "" {
		r, err := s.o.DB.Resource(ctx, scope.Resource)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	} else if rows, err = s.o.DB.Resources(ctx, scope.Tenant, false); err != nil {
		return nil, err
	}
	for _, r := range rows {
		h := tenure.Hold{Scope: tenure.HoldScope{Tenant: scope.Tenant, Environment: scope.Environment, Class: scope.Class, System: scope.System}}
		if r.State == tenure.ResourceGone || !h.Covers(tenure.HoldSubject{Tenant: r.Tenant, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID}) {
			continue
		}
		out = append(out, r)
	}
	if scope.Resource != "" && len(out) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "resource %s isn't in the rest of the hold's scope, or is gone", scope.Resource)
	}
	// What is a backup's or a right's has no rows or objects of its own.
	return slices.DeleteFunc(out, func(r store.ResourceRow) bool { return scope.Resource == "" && r.Layer == tenure.LayerBackup }), nil
}

// nearness ranks refusals of a part: the one by what comes nearest to it is told.
func nearness(err error) int {
	switch {
	case errors.Is(err, connector.ErrNoTables), errors.Is(err, connector.ErrNoKeys):
		return 0
	case tenure.CodeOf(err) == tenure.NotFound:
		return 1
	}
	return 2
}

// keeps asks a resource's system whether it can keep what the scope names, and gives the
// table's name as its blueprint best writes it, and how many rows or objects these are.
func (s *Service) keeps(ctx context.Context, r store.ResourceRow, scope tenure.HoldScope) (named string, covers *int64, err error) {
	sys, err := s.system(ctx, r.System)
	if err != nil {
		return "", nil, err
	}
	typ, ok := sys.Info.Type(r.Type)
	if !ok || typ.Holds != tenure.HoldsData {
		return "", nil, tenure.Errorf(tenure.NotFound, "a %s of system %s holds no data", r.Type, r.System)
	}
	if !sys.Can("hold") {
		return "", nil, tenure.Errorf(tenure.Invalid, "system %s (%s) can't hold a part of a resource", r.System, sys.Info.Name).WithHint("hold the whole resource: --resource %s, without a table or a prefix", r.ID)
	}
	held, err := sys.Held(ctx, connector.RefOf(r.Resource), []connector.Kept{connector.KeptBy(tenure.Hold{Scope: scope})})
	covers = new(int64)
	for _, h := range held {
		*covers += h.Rows
		if h.Named != "" {
			named = h.Named
		}
	}
	return named, covers, err
}

// invalid is an error about what the hold says: nothing was done.
func invalid(err error) error {
	if code := tenure.CodeOf(err); code != tenure.NotFound && code != tenure.Invalid {
		return err
	}
	return tenure.Errorf(tenure.Invalid, "the hold isn't placed: %w", err)
}

// knownScope is Invalid if a tenant has nothing in the environment or the system that a
// hold names, or neither data nor a blueprint that knows its class: it would keep nothing.
func (s *Service) knownScope(ctx context.Context, scope tenure.HoldScope) error {
	if scope.Tenant == "" || scope.Environment == "" && scope.Class == "" && scope.System == "" {
		return nil
	}
	rows, err := s.o.DB.Resources(ctx, scope.Tenant, true)
	if err != nil {
		return err
	}
	var environments, classes, systems []string
	for _, r := range rows {
		environments, systems, classes = append(environments, r.Environment), append(systems, r.System), append(classes, r.Classes...)
	}
	if scope.Class != "" { // one that the blueprint has may come with a resource later
		t, err := s.o.DB.Tenant(ctx, string(scope.Tenant))
		if err != nil {
			return err
		}
		if c, err := s.compiled(ctx, t.Blueprint.Digest, false); err == nil {
			for _, class := range c.Blueprint.DataClasses {
				classes = append(classes, class.Name)
			}
		}
	}
	for _, of := range []struct {
		named, what, are string
		all              []string
	}{
		{scope.Environment, "in an environment", "environments", environments},
		{scope.System, "in a system", "systems", systems},
		{scope.Class, "of a data class", "data classes", classes},
	} {
		if of.named == "" || slices.Contains(of.all, of.named) || len(rows) == 0 && of.named != scope.Environment {
			continue
		}
		err := tenure.Errorf(tenure.Invalid, "the tenant has nothing %s %q", of.what, of.named)
		names := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(of.all))), func(n string) bool { return n == "" })
		if len(names) > 0 {
			err = err.WithHint("its %s are %s", of.are, strings.Join(names, ", "))
		}
		return err
	}
	return nil
}
