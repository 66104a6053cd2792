package sqlite

import (
	"context"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// outlying are the places in the platform's file at which the key of a tenant with
// a file of its own is sought. What is found there no erasure of that file takes:
// a resource of type rows does. Without a key nothing is sought: whoever publishes
// a blueprint is told.
func (d *Driver) outlying(ctx context.Context, shared *session, v connector.Survey) (out []connector.Place, partial string, err error) {
	if v.Ref.Type != "database" || shared == nil {
		return nil, "", nil
	}
	a, err := databases{d}.parse(v.Ref)
	switch {
	case err != nil:
		return nil, "", err
	case a.Key == "" && v.Ref.Resource == "":
		return []connector.Place{relational.Unsought(v.Ref, "the platform's file")}, "", nil
	case a.Key == "":
		return nil, "", nil
	}
	rows := poolAttributes{Column: a.Column, Key: a.Key, Coverage: relational.Coverage{Aliases: a.Aliases}}
	e, err := shared.held(ctx, rows.estate(v.Ref))
	if err != nil {
		return nil, "", err
	}
	all, err := e.held(ctx, shared, v, v.Ref.Resource != "")
	if err != nil {
		return nil, "", err
	}
	covered := relational.BesideOf(v, a.Key, "")
	for _, p := range all {
		if t, ok := e.table(p.Name); ok && p.IsData() && e.TenantColumn(t.Table.TableName) != "" && !e.Carried(t.Table.TableName) && !covered.Has(t.Table.TableName) {
			out = append(out, p)
		}
	}
	found := []connector.Place(nil)
	if v.Ref.Resource != "" {
		if found, partial, err = e.search(ctx, shared, v.Search, covered); err != nil {
			return nil, "", err
		}
	}
	out = append(out, found...)
	for i := range out {
		out[i].Name += " of the platform's file"
		out[i].Fix = "add a resource of type rows, with key: " + strconv.Quote(a.Key) + " and " + out[i].Fix
	}
	return out, partial, nil
}

// names are those of tenant columns.
func (a poolAttributes) names() []string {
	return slices.DeleteFunc(append([]string{a.Column}, a.Aliases...), func(n string) bool { return n == "" })
}
