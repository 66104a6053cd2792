package server

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// unknown refuses a filter's value that nothing bears: an empty list would hide a slip.
func unknown(noun, value string) error {
	return tenure.Errorf(tenure.Invalid, "there is no %s %q", noun, value).WithHint("mend the filter, or leave it out")
}

// person is the name of who is meant, by id or any spelling of the name, as far as the
// caller may know whom there is: lists are narrowed by names. One that isn't found
// stays as it is.
func (c *Call) person(ctx context.Context, who string) (string, error) {
	switch {
	case who == "":
		return "", nil
	case who == string(c.Caller.Principal), tenure.SamePerson(who, c.By()):
		return c.By(), nil
	case c.Require(ctx, tenure.AccessRead, tenure.Target{}) != nil:
		return who, nil
	}
	p, _, err := c.Governor.Principal(ctx, who)
	switch {
	case err == nil:
		return p.Name, nil
	case tenure.CodeOf(err) == tenure.NotFound:
		return who, nil
	}
	return "", err
}

// knownPerson refuses the name or id of nobody, to who may know whom there is. It is
// for lists that came out empty: a local name that was never a principal's may stand
// in one.
func (c *Call) knownPerson(ctx context.Context, who string) error {
	if who == "" || c.Require(ctx, tenure.AccessRead, tenure.Target{}) != nil {
		return nil
	}
	_, _, err := c.Governor.Principal(ctx, who)
	if tenure.CodeOf(err) == tenure.NotFound {
		return unknown("principal", who)
	}
	return err
}

// knownOperation refuses an operation that isn't there, or not for the caller, for a
// list that came out empty.
func (c *Call) knownOperation(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	t, err := lookups[OfOperation](ctx, c.server, id)
	if err == nil {
		err = c.Require(ctx, c.access.Permission, t)
	}
	if tenure.CodeOf(err) == tenure.NotFound {
		err = notThere(OfOperation, id)
	}
	return err
}

// knownKind refuses a kind of entries that nothing writes, for a list that came out
// empty: a log of another build may have others.
func knownKind(kind string) error {
	if kind == "" || slices.Contains(audit.Kinds(), kind) {
		return nil
	}
	return unknown("kind of entries", kind)
}

// knownSystem refuses the name of no system, for a list that came out empty.
func (c *Call) knownSystem(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	list, err := c.server.db().Systems(ctx)
	if err == nil && !slices.ContainsFunc(list, func(s store.System) bool { return s.Name == name }) {
		err = unknown("system", name)
	}
	return err
}

// knownBlueprint refuses what names no revision, for a list that came out empty.
func (c *Call) knownBlueprint(ctx context.Context, ref string) error {
	if ref == "" {
		return nil
	}
	list, err := c.server.db().Blueprints(ctx)
	if err == nil && !slices.ContainsFunc(list, func(b store.Blueprint) bool {
		return ref == b.Name || ref == b.Name+"@"+b.Version || ref == b.Digest
	}) {
		err = unknown("blueprint", ref)
	}
	return err
}
