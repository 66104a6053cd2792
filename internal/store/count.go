package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Fleet counts are kept with each change, not counted when somebody looks: a page
// over a million tenants reads a few rows. They are written at the end of the
// transaction, in the order of their keys and before the tree's head, so that two
// processes can't wait for each other.

// countKey is a row of fleet_count. A blank label is that of all tenants.
type countKey struct{ label, tier, state, blueprint string }

func (k countKey) compare(o countKey) int {
	return slices.Compare([]string{k.label, k.tier, k.state, k.blueprint}, []string{o.label, o.tier, o.state, o.blueprint})
}

// standingOf is what of a tenant is counted.
type standingOf struct{ tier, state, blueprint, labels string }

func (c standingOf) keys() []countKey {
	keys := []countKey{{"", c.tier, c.state, c.blueprint}}
	for _, l := range tenure.LabelsText(labelsOf(c.labels)) {
		keys = append(keys, countKey{l, c.tier, c.state, c.blueprint})
	}
	return keys
}

// standingOf reads a tenant's standing and keeps other processes from changing it
// until the commit: what is taken off the counts is what was added to them.
func (tx *Tx) standingOf(id tenure.TenantID) (c standingOf, err error) {
	q := `select tier, state, blueprint, labels from tenant where id = $1`
	if tx.w.db.Dialect == Postgres {
		q += ` for update`
	}
	err = tx.Row(q, []any{string(id)}, &c.tier, &c.state, &c.blueprint, &c.labels)
	return c, err
}

// recount makes a change to a tenant's row and keeps the counts right.
func (tx *Tx) recount(id tenure.TenantID, change func() error) error {
	before, err := tx.standingOf(id)
	if tenure.CodeOf(err) == tenure.NotFound {
		return change()
	}
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := tx.standingOf(id)
	if err != nil || before == after {
		return err
	}
	tx.addCounts(before, -1)
	tx.addCounts(after, 1)
	return nil
}

func (tx *Tx) addCounts(c standingOf, n int64) {
	if tx.counts == nil {
		tx.counts = make(map[countKey]int64)
	}
	for _, k := range c.keys() {
		tx.counts[k] += n
	}
}

// flushCounts writes what changed.
func (tx *Tx) flushCounts() error {
	for _, k := range slices.SortedFunc(maps.Keys(tx.counts), countKey.compare) {
		n := tx.counts[k]
		if n == 0 {
			continue
		}
		_, err := tx.Exec(`insert into fleet_count (label, tier, state, blueprint, n) values ($1, $2, $3, $4, $5)
			on conflict (label, tier, state, blueprint) do update set n = fleet_count.n + excluded.n`, k.label, k.tier, k.state, k.blueprint, n)
		if err == nil && n < 0 {
			_, err = tx.Exec(`delete from fleet_count where label = $1 and tier = $2 and state = $3 and blueprint = $4 and n = 0`, k.label, k.tier, k.state, k.blueprint)
		}
		if err != nil {
			return err
		}
	}
	clear(tx.counts)
	return nil
}

// FleetCount is how many tenants of a tier are in a state under a revision.
type FleetCount struct {
	Tier      string // blank in a count over all tiers, and of tenants without one
	State     tenure.TenantState
	Blueprint tenure.BlueprintRef
	N         int64
}

// FleetCounts gives the counts of the tenants that can be seen, by state and
// revision and, in rows of their own that sum up to the same, by tier. Counts of
// everything, of tiers or of one label are read as they are kept; those of other
// scopes are counted over the tenants in them.
func (db *DB) FleetCounts(ctx context.Context, v Visible) (all, byTier []FleetCount, err error) {
	if v.Nothing() {
		return nil, nil, nil
	}
	var args []any
	where, kept := v.keptCounts(&args)
	query := `select tier, state, blueprint, n from fleet_count where ` + where + ` order by tier, state, blueprint`
	if !kept {
		query = `select t.tier, t.state, t.blueprint, count(*) from tenant t where ` + v.from("t.id", &args) + ` group by t.tier, t.state, t.blueprint order by t.tier, t.state, t.blueprint`
	}
	err = db.reader(ctx).Rows(query, args, func(r scanner) error {
		var c FleetCount
		var bp string
		err := r.Scan(&c.Tier, &c.State, &bp, &c.N)
		c.Blueprint = refOf(bp)
		byTier = append(byTier, c)
		return err
	})
	return overTiers(byTier), byTier, err
}

// TenantCount says how many tenants there are, closed ones too.
func (db *DB) TenantCount(ctx context.Context) (n int64, err error) {
	err = db.reader(ctx).Row(`select cast(coalesce(sum(n), 0) as bigint) from fleet_count where label = ''`, nil, &n)
	return n, err
}

// keptCounts is the condition on the kept counts that shows exactly what can be
// seen, if there is one.
func (v Visible) keptCounts(args *[]any) (string, bool) {
	s := v.Reach
	if s.All {
		s = v.Limit
	} else if !v.Limit.All {
		return "", false
	}
	switch {
	case s.All:
		return "label = ''", true
	case len(s.Tenants) > 0:
		return "", false
	case len(s.Labels) == 0:
		return "label = '' and tier <> '' and tier in (" + marks(s.Tiers, args) + ")", true
	case len(s.Labels) == 1 && len(s.Tiers) == 0 && strings.Contains(s.Labels[0], "="):
		*args = append(*args, s.Labels[0])
		return "label = " + placeholder(len(*args)), true
	}
	return "", false
}

// overTiers adds up counts that differ in their tier alone.
func overTiers(byTier []FleetCount) []FleetCount {
	at := make(map[FleetCount]int, len(byTier))
	var out []FleetCount
	for _, c := range byTier {
		k := FleetCount{State: c.State, Blueprint: c.Blueprint}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k], out = i, append(out, k)
		}
		out[i].N += c.N
	}
	return out
}
