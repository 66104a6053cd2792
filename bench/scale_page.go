package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/guard"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

// bareColumns are those of a tenant's row, as texts and whole numbers.
const bareColumns = `id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, labels, created_at, updated_at, version`

// pages reads the same pages through the store and by bare SQL, in turns.
func (f *full) pages(ctx context.Context, e *env) ([]line, error) {
	db, err := store.Open(ctx, store.Options{DSN: f.dsn, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	driver, source := "pgx", f.dsn
	if !strings.Contains(f.dsn, "://") {
		driver, source = "sqlite", "file:"+f.dsn+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)"
	}
	bare, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	defer bare.Close()
	bare.SetMaxOpenConns(8)
	bare.SetMaxIdleConns(8)
	turns := 1000
	if e.quick {
		turns = 200
	}
	var ours, base []time.Duration
	for n := range turns {
		after := f.tenants[n%len(f.tenants)]
		for half := range 2 {
			if (n+half)%2 == 0 {
				d, err := timed(func() error { return barePage(ctx, bare, after) })
				if err != nil {
					return nil, err
				}
				base = append(base, d)
				continue
			}
			d, err := timed(func() error {
				page, err := db.Tenants(ctx, store.TenantFilter{After: after, Limit: pageSize, Visible: &store.All})
				if err == nil && len(page) == 0 {
					err = fmt.Errorf("an empty page after %s", after)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			ours = append(ours, d)
		}
	}
	mine, theirs := median(ours), median(base)
	ratio := mine.Seconds() / theirs.Seconds()
	return []line{{"page-in-process-" + f.kind, fine(mine), fine(theirs), times(ratio), fmt.Sprintf("<=%.1fx", pageOverSQL), ratio <= pageOverSQL}}, nil
}

func barePage(ctx context.Context, db *sql.DB, after tenure.TenantID) error {
	rows, err := db.QueryContext(ctx, `select `+bareColumns+` from tenant where state <> 'closed' and id > $1 order by id limit $2`, string(after), pageSize)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s [13]string
		var n [3]int64
		if err := rows.Scan(&s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6], &s[7], &s[8], &s[9], &s[10], &s[11], &s[12], &n[0], &n[1], &n[2]); err != nil {
			return err
		}
	}
	return rows.Err()
}

// decisions measures what it takes to answer "may they?" of a tenant: the grants
// of the caller and the policies, with nothing read. Who the caller is, which
// reads the store once a request, is said beside it.
func (f *full) decisions(ctx context.Context, e *env) ([]line, error) {
	inst, err := installation.Open(ctx, installation.Options{Dir: f.dir})
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	set, err := guard.Load(filepath.Join(f.dir, "policies"))
	if err != nil {
		return nil, err
	}
	gov := governance.New(governance.Options{DB: inst.DB, Now: time.Now, Entry: inst.Entry, Policies: set})
	target, err := gov.Target(ctx, string(f.business[0]))
	if err != nil {
		return nil, err
	}
	n := 20_000
	if e.quick {
		n = 2000
	}
	var decide, bare, who []time.Duration
	for i := range n {
		began := time.Now()
		caller, err := gov.Authenticate(ctx, governance.Credential{Bearer: f.tier})
		if err != nil {
			return nil, err
		}
		known := time.Now()
		p := tenure.TenantRead
		if i%2 == 0 {
			p = tenure.BlueprintRead
		}
		d := gov.Decide(ctx, caller, p, target)
		decided := time.Now()
		caller.Decide(p, target)
		alone := time.Since(decided)
		if !d.Allowed {
			return nil, fmt.Errorf("the decision is wrong: %s", d.Why)
		}
		who, decide, bare = append(who, known.Sub(began)), append(decide, decided.Sub(known)), append(bare, alone)
	}
	p99 := quantile(decide, 0.99)
	fmt.Printf("scale on %s: a decision with %d policies p50 %s p99 %s, by grants alone p99 %s; reading who asks p50 %s p99 %s\n",
		f.kind, len(set.Policies()), quantile(decide, 0.5), p99, quantile(bare, 0.99), fine(quantile(who, 0.5)), fine(quantile(who, 0.99)))
	if f.kind != "sqlite" { // it reads nothing, so it is the same on every store
		return nil, nil
	}
	base := quantile(bare, 0.99)
	return []line{{"decision-p99", p99.String(), base.String(), times(p99.Seconds() / base.Seconds()), "<100µs", p99 < decideLimit}}, nil
}

// fine is a short time in words.
func fine(d time.Duration) string { return d.Round(time.Microsecond).String() }

// quantile is the nearest-rank quantile of a non-empty list.
func quantile(in []time.Duration, q float64) time.Duration {
	s := slices.Clone(in)
	slices.Sort(s)
	return s[min(len(s)-1, int(q*float64(len(s))))]
}
