package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// TenantFilter narrows a listing; blank fields take everything.
type TenantFilter struct {
	State     tenure.TenantState
	Blueprint string // a revision: name, name@version or digest
	Tier      string
	Label     string // key=value
	Finding   string // a severity or a kind: tenants with an open finding of it
	Name      string // what the name begins with
	From      time.Time
	Before    time.Time       // made from, and before, these moments
	Unused    time.Time       // nobody has used them since, as far as that is known; see unused
	Looked    time.Time       // and the looks that tell it aren't older
	After     tenure.TenantID // the last one of the page before
	Limit     int             // 0 is 100
	Closed    bool            // closed ones too
	Visible   *Visible        // nil shows everything
}

// Tenants lists tenants in the order of their ids, which is that of their making.
// A page is read along an index that fits the filter or the scope, so that it
// costs the same however many tenants there are.
func (db *DB) Tenants(ctx context.Context, f TenantFilter) ([]TenantRow, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	v := All
	if f.Visible != nil {
		v = *f.Visible
	}
	if v.Nothing() {
		return nil, nil
	}
	q := tenantQuery{f: f}
	if err := q.conditions(ctx, db); err != nil || q.none {
		return nil, err
	}
	switch {
	case v.everything() && f.Finding != "":
		return q.found(ctx, db, v)
	case v.everything():
		return q.run(ctx, db, v)
	}
	s, _ := v.narrower()
	if f.Finding != "" && len(s.Tiers)+len(s.Labels) > 0 {
		return q.found(ctx, db, v)
	}
	few, err := q.fewer(ctx, db, s)
	if err != nil {
		return nil, err
	}
	if few {
		return q.run(ctx, db, v)
	}
	return q.walk(ctx, db, v)
}

// fewer says whether the filter means far fewer tenants than the scope, which decides
// what a page is read along. The kept counts know it.
func (q *tenantQuery) fewer(ctx context.Context, db *DB, s tenure.Scope) (bool, error) {
	f := q.f
	if len(s.Tiers)+len(s.Labels) == 0 || f.State == "" && f.Tier == "" && f.Label == "" && f.Name == "" && f.Blueprint == "" {
		return false, nil
	}
	var args []any
	covered := "label = '' and tier in (" + marks(s.Tiers, &args) + ") or label <> '' and label in (" + marks(s.Labels, &args) + ")"
	args = append(args, f.Label)
	met := []string{"label = " + placeholder(len(args))}
	for column, v := range map[string][]string{"tier": {f.Tier}, "state": {string(f.State)}, "blueprint": q.refs} {
		if len(v) > 0 && v[0] != "" {
			met = append(met, column+" in ("+marks(v, &args)+")")
		}
	}
	var scope, filter int64
	err := db.reader(ctx).Row(`select (select cast(coalesce(sum(n), 0) as bigint) from fleet_count where `+covered+`), (select cast(coalesce(sum(n), 0) as bigint) from fleet_count where `+strings.Join(met, " and ")+`)`, args, &scope, &filter)
	if err != nil || 2*filter < scope || f.Name == "" {
		return 2*filter < scope, err
	}
	name := db.bytewise("name")
	err = db.reader(ctx).Row(`select count(*) from (select 1 from tenant where `+name+` >= $1 and `+name+` < $2 limit 1000) few`, []any{f.Name, f.Name + "~"}, &filter)
	return filter < min(scope, 1000), err
}

// tenantQuery is a listing's statement under construction.
type tenantQuery struct {
	f     TenantFilter
	from  string
	where []string
	args  []any
	refs  []string // the revisions that the filter means, as they are stored
	none  bool     // nothing can match
}

func (q *tenantQuery) arg(a any) string {
	q.args = append(q.args, a)
	return placeholder(len(q.args))
}

func (q *tenantQuery) and(format string, args ...any) {
	marks := make([]any, len(args))
	for i, a := range args {
		marks[i] = q.arg(a)
	}
	q.where = append(q.where, fmt.Sprintf(format, marks...))
}

func (q *tenantQuery) conditions(ctx context.Context, db *DB) error {
	f := q.f
	q.from = string(f.After)
	if !f.From.IsZero() {
		q.from = max(q.from, idFloor(f.From))
	}
	if !f.Before.IsZero() {
		q.and("t.id < %s", idFloor(f.Before))
	}
	if !f.Unused.IsZero() {
		q.where = append(q.where, unusedWhere(q.arg(micros(f.Unused)), q.arg(micros(f.Looked))))
	}
	switch {
	case f.State != "":
		q.and("t.state = %s", string(f.State))
	case !f.Closed:
		q.where = append(q.where, "t.state <> 'closed'")
	}
	if f.Tier != "" {
		q.and("t.tier = %s", f.Tier)
	}
	if f.Name != "" {
		name := db.bytewise("t.name")
		q.and(name+" >= %s and "+name+" < %s", f.Name, f.Name+"~")
	}
	if f.Blueprint == "" {
		return nil
	}
	var err error
	q.refs, err = db.refsOf(ctx, f.Blueprint)
	if q.none = len(q.refs) == 0; !q.none {
		q.where = append(q.where, "t.blueprint in ("+marks(q.refs, &q.args)+")")
	}
	return err
}

// findingWhere is the condition on a finding f that the filter makes.
func (q *tenantQuery) findingWhere(args *[]any) string {
	column := "f.kind"
	switch tenure.Severity(q.f.Finding) {
	case tenure.Critical, tenure.High, tenure.Medium, tenure.Low:
		column = "f.severity"
	}
	return "f.resolved_at = 0 and " + column + " = " + marks([]string{q.f.Finding}, args)
}

// foundStep is how many tenants with a finding are looked at in one go.
const foundStep = 300

// found reads one page along the open findings, which are fewer than the tenants.
func (q *tenantQuery) found(ctx context.Context, db *DB, v Visible) ([]TenantRow, error) {
	if q.f.Label != "" {
		q.labelled()
	}
	q.where = append(q.where, v.where("t.id", &q.args))
	var out []TenantRow
	for from, more := q.from, true; more && len(out) < q.f.Limit; {
		var args []any
		where := q.findingWhere(&args)
		args = append(args, from, foundStep)
		var ids []string
		err := db.reader(ctx).Rows(`select distinct f.tenant from finding f where `+where+` and f.tenant > $2 order by f.tenant limit $3`, args, func(r scanner) error {
			ids = append(ids, "")
			return r.Scan(&ids[len(ids)-1])
		})
		if err != nil || len(ids) == 0 {
			return out, err
		}
		from, more = ids[len(ids)-1], len(ids) == foundStep
		args = slices.Clone(q.args)
		in := marks(ids, &args)
		args = append(args, q.f.Limit-len(out))
		page, err := db.tenants(ctx, q.f.Limit, `select `+tenantColumns+` from tenant t where t.id in (`+in+`) and `+strings.Join(q.where, " and ")+` order by t.id limit `+placeholder(len(args)), args)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
	}
	return out, nil
}

// labelled is the filter's label as a condition on a tenant.
func (q *tenantQuery) labelled() {
	q.and("exists (select 1 from tenant_label fl where fl.label = %s and fl.tenant = t.id)", q.f.Label)
}

// run reads one page of all tenants, or of those with the filter's label.
func (q *tenantQuery) run(ctx context.Context, db *DB, v Visible) ([]TenantRow, error) {
	source, order := "tenant t", "t.id"
	if q.f.Label != "" {
		source, order = "tenant_label l cross join tenant t", "l.tenant" // read from the left, see scopeParts
		q.and("t.id = l.tenant and l.label = %s", q.f.Label)
	}
	q.where = append(q.where, v.where("t.id", &q.args))
	from := q.arg(q.from)
	if q.where = append(q.where, order+" > "+from); order != "t.id" { // PostgreSQL doesn't conclude it of the other side of a join
		q.where = append(q.where, "t.id > "+from)
	}
	return db.tenants(ctx, q.f.Limit, fmt.Sprintf(`select %s from %s where %s order by %s limit %s`, tenantColumns, source, strings.Join(q.where, " and "), order, q.arg(q.f.Limit)), q.args)
}

func (db *DB) tenants(ctx context.Context, n int, query string, args []any) ([]TenantRow, error) {
	out := make([]TenantRow, 0, min(n, 1000))
	var each tenantScan
	err := db.reader(ctx).Rows(query, args, func(r scanner) error {
		out = append(out, TenantRow{})
		return each.scan(r, &out[len(out)-1])
	})
	return out, err
}

// walk reads one page of a narrow scope: first the ids, then their rows.
func (q *tenantQuery) walk(ctx context.Context, db *DB, v Visible) ([]TenantRow, error) {
	if q.f.Label != "" {
		q.labelled()
	}
	if q.f.Finding != "" {
		q.where = append(q.where, "exists (select 1 from finding f where f.tenant = t.id and "+q.findingWhere(&q.args)+")")
	}
	s, rest := v.narrower()
	q.where = append(q.where, rest.where("t.id", &q.args))
	var page []string
	for from, more := q.from, true; more && len(page) < q.f.Limit; {
		ids, err := q.ids(ctx, db, s, from, 2*q.f.Limit)
		if err != nil {
			return nil, err
		}
		if more = len(ids) == 2*q.f.Limit; len(ids) > 0 {
			from = ids[len(ids)-1]
		}
		page = append(page, slices.Compact(ids)...)
	}
	if page = page[:min(len(page), q.f.Limit)]; len(page) == 0 {
		return nil, nil
	}
	var args []any
	return db.tenants(ctx, len(page), `select `+tenantColumns+` from tenant t where t.id in (`+marks(page, &args)+`) order by t.id`, args)
}

// ids are the next n ids after one in a scope that meet the conditions; one that
// several names of the scope cover stands there as often. Each name's come sorted
// off an index, and the database merges them.
func (q *tenantQuery) ids(ctx context.Context, db *DB, s tenure.Scope, from string, n int) ([]string, error) {
	args := append(slices.Clone(q.args), from)
	after := placeholder(len(args))
	more := " and " + strings.Join(append(slices.Clone(q.where), "t.id > "+after), " and ")
	parts := scopeParts(s, more, " and l.tenant > "+after, &args)
	args = append(args, n)
	out := make([]string, 0, n)
	err := db.reader(ctx).Rows(strings.Join(parts, " union all ")+" order by id limit "+placeholder(len(args)), args, func(r scanner) error {
		var id string
		err := r.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// idFloor is below every tenant id made at a moment or later, and above those
// made a millisecond or more before (ids begin with their time, RFC 9562 §5.7).
func idFloor(at time.Time) string {
	id := string(tenure.DeriveID[tenure.TenantID](at))
	return id[:len("ten_01890a5d-ac96-")]
}

// refsOf are the stored forms of the revisions that a name, name@version or
// digest means.
func (db *DB) refsOf(ctx context.Context, blueprint string) ([]string, error) {
	name, version, _ := strings.Cut(blueprint, "@")
	var out []string
	err := db.reader(ctx).Rows(`select name, version, digest from blueprint where digest = $1 or (name = $2 and ($3 = '' or version = $3))`, []any{blueprint, name, version}, func(r scanner) error {
		var ref tenure.BlueprintRef
		if err := r.Scan(&ref.Name, &ref.Version, &ref.Digest); err != nil {
			return err
		}
		out = append(out, text(ref))
		return nil
	})
	slices.Sort(out)
	return out, err
}
