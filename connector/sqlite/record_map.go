package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// dataMap says what the triggers of a record's table do with the row: a copy
// elsewhere would stay when the record goes, unless one of the tenant's stores
// beside it covers it.
func (k rowRecords) dataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	if _, err := k.records.Normalise(connector.Desired{Ref: v.Ref}); err != nil {
		return m, err
	}
	m.Sighting, err = k.look(ctx, func(shared *session) (bool, error) {
		if shared == nil {
			return true, nil
		}
		c, err := readCatalog(ctx, shared)
		if err != nil {
			return false, err
		}
		m.Places, err = c.recordPlaces(v)
		return true, err
	})
	return m, coded(err)
}

func (c catalog) recordPlaces(v connector.Survey) ([]connector.Place, error) {
	table := relational.RecordTable(v.Ref, "").Name
	var on []trigger
	for _, g := range c.triggers {
		if strings.EqualFold(g.table, table) {
			// What it does to the row itself stands in the row.
			g.writes = slices.DeleteFunc(slices.Clone(g.writes), func(w write) bool { return strings.EqualFold(w.table, table) && w.verb == "update" })
			on = append(on, g)
		}
	}
	if len(on) == 0 {
		return nil, nil
	}
	var all [][]connector.Place
	for _, from := range relational.Vantages(v.Ref, v.Beside, "", "rows") {
		e, err := c.estate(from.Tenancy, poolAttributes{Column: from.Column, Key: from.Key, Coverage: from.Coverage}, false)
		if err != nil {
			return nil, err
		}
		var found []connector.Place
		for _, g := range on {
			found = append(found, e.triggerPlaces(g, true, nil)...)
		}
		all = append(all, found)
	}
	return relational.Standing(all), nil
}
