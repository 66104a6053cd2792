package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// dataMap maps what belongs to a role and isn't in a store of the tenant's: it would
// keep the role from being dropped at the end of a departure.
func (k roles) dataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	var stores []string
	for _, r := range v.Beside {
		if r.Type == "schema" || r.Type == "database" {
			stores = append(stores, r.Name, quarantined(r.Resource))
		}
	}
	err = k.with(ctx, func(s *session) error {
		if m.Sighting, err = s.sight(ctx, true); err != nil || !m.Sighting.Sentinel {
			return err
		}
		if err := s.simple(ctx, "commit", nil); err != nil {
			return err
		}
		have, err := k.own(ctx, s, v.Ref)
		if err != nil || have == nil {
			return err
		}
		if m.Places, err = k.outside(ctx, s, *have, stores...); err != nil {
			return err
		}
		owned, err := k.ownedObjects(ctx, s, v.Ref.Name, 0)
		if n := int64(len(owned)); n > 0 {
			m.Places = append(m.Places, connector.Place{Name: objectsOf + "role " + v.Ref.Name, Kind: connector.PlaceObjects, Rows: n, Says: strconv.FormatInt(n, 10) + " large objects of the role go with it"})
		}
		return err
	})
	return m, coded(err)
}

// ownedObjects are large objects of the role that no row which Tenure may read names.
func (k roles) ownedObjects(ctx context.Context, s *session, name string, limit int) ([]string, error) {
	own := "select m.oid from pg_catalog.pg_largeobject_metadata m where m.lomowner = to_regrole(" + literal(quote(name)) + ")"
	if any, err := textsOf(ctx, s, own+" limit 1"); err != nil || len(any) == 0 {
		return nil, err
	}
	all, err := locators(ctx, s)
	if err != nil {
		return nil, err
	}
	sql := "with own as materialized (" + own + ") select oid::text from own"
	var named []string
	for _, l := range all {
		named = append(named, l.others("true", "select oid from own"))
	}
	if len(named) > 0 {
		sql += " where oid not in (" + strings.Join(named, " union ") + ")"
	}
	if limit > 0 {
		sql += " limit " + strconv.Itoa(limit)
	}
	return textsOf(ctx, s, sql)
}

// unlinkOwned takes such objects away, a bounded number in each transaction. Blocked
// if others of the role's are left: rows that stay name them.
func (k roles) unlinkOwned(ctx context.Context, s *session, name string) (map[string]int64, error) {
	counts := map[string]int64{}
	for {
		ids, err := k.ownedObjects(ctx, s, name, objectsAtOnce)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := s.simple(ctx, "select lo_unlink(x::oid) from unnest(array["+literals(ids)+"]) x", nil); err != nil {
			return nil, err
		}
		counts[objectsOf+"role "+name] += int64(len(ids))
	}
	left, err := textsOf(ctx, s, "select m.oid::text from pg_largeobject_metadata m where m.lomowner = to_regrole("+literal(quote(name))+") limit 1")
	if err == nil && len(left) > 0 {
		err = tenure.Errorf(tenure.Blocked, "role %q can't be dropped: it owns large object %s, which a row names that stays", name, left[0]).
			WithHint("give it to the role of the application: alter large object %s owner to …", left[0])
	}
	return counts, err
}
