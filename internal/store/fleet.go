package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// OnboardingRun is one onboarding that has ended.
type OnboardingRun struct {
	Tenant   tenure.TenantID
	State    tenure.OperationState
	Began    time.Time
	Ended    time.Time
	Refused  string // of a cancelled one: expired or rejected; blank: withdrawn
	Troubled bool   // within 30 days of its end: an incident, a critical finding, or an operation that blocked or failed
}

// OnboardingRuns lists the onboardings that ended since a moment, the latest
// first, 5,000 at the most.
func (db *DB) OnboardingRuns(ctx context.Context, v Visible, since time.Time) ([]OnboardingRun, error) {
	args := []any{micros(since), int64(30 * 24 * time.Hour / time.Microsecond)}
	var out []OnboardingRun
	err := db.reader(ctx).Rows(`select o.tenant, o.state, o.refused, o.created_at, o.updated_at,
			case when exists (select 1 from incident i where i.tenant = o.tenant and i.at >= o.updated_at and i.at < o.updated_at + $2)
				or exists (select 1 from operation b where b.tenant = o.tenant and b.id <> o.id and b.state in ('blocked', 'failed') and b.updated_at >= o.updated_at and b.updated_at < o.updated_at + $2)
				or exists (select 1 from finding f where f.tenant = o.tenant and f.severity = 'critical' and f.seen_at >= o.updated_at and f.seen_at < o.updated_at + $2) then 1 else 0 end
		from operation o where o.kind = 'onboard' and o.state in `+endedStates+` and o.updated_at >= $1 and `+v.where("o.tenant", &args)+`
		order by o.updated_at desc, o.id limit 5000`, args, func(r scanner) error {
		var o OnboardingRun
		var began, ended, troubled int64
		err := r.Scan(&o.Tenant, &o.State, &o.Refused, &began, &ended, &troubled)
		o.Began, o.Ended, o.Troubled = fromMicros(began), fromMicros(ended), troubled == 1
		out = append(out, o)
		return err
	})
	return out, err
}

// TroubledOnboarding is an onboarding whose tenant had an incident within 30 days.
type TroubledOnboarding struct {
	Tenant tenure.TenantID
	Plan   string // its digest
}

// TroubledOnboardings lists the onboardings that succeeded since a moment and whose tenants had an
// incident within 30 days, by their tenants' ids, 5,000 at the most.
func (db *DB) TroubledOnboardings(ctx context.Context, since time.Time) (out []TroubledOnboarding, err error) {
	err = db.reader(ctx).Rows(`select o.tenant, o.plan from operation o where o.kind = 'onboard' and o.state in `+endedStates+` and o.state = 'succeeded' and o.updated_at >= $1
			and exists (select 1 from incident i where i.tenant = o.tenant and i.at >= o.updated_at and i.at < o.updated_at + $2)
		order by o.tenant limit 5000`, []any{micros(since), int64(30 * 24 * time.Hour / time.Microsecond)}, func(r scanner) error {
		var t TroubledOnboarding
		err := r.Scan(&t.Tenant, &t.Plan)
		out = append(out, t)
		return err
	})
	return out, err
}

// Attention is an operation that wants somebody, with its tenant.
type Attention struct {
	OperationRow
	TenantName  string
	TenantState tenure.TenantState
}

// attentionWhere are the operations in one of the states that don't go on by
// themselves; a kind narrows it.
func attentionWhere(v Visible, state tenure.OperationState, kind tenure.OperationKind) (string, []any) {
	args := []any{string(state)}
	where := `o.state = $1 and o.state in ('waiting', 'blocked', 'paused')`
	if kind != "" {
		args = append(args, string(kind))
		where += ` and o.kind = $2`
	}
	return where + ` and ` + v.where("o.tenant", &args), args
}

// Attention lists operations in one of the states that don't go on by themselves
// (waiting, blocked, paused), the longest there first. A kind narrows it.
func (db *DB) Attention(ctx context.Context, v Visible, state tenure.OperationState, kind tenure.OperationKind, limit int) (list []Attention, err error) {
	where, args := attentionWhere(v, state, kind)
	args = append(args, limit)
	err = db.reader(ctx).Rows(`select o.id, o.kind, o.tenant, o.state, o.reason, o.requested_by, o.created_at, o.updated_at, o.due_at, coalesce(t.name, ''), coalesce(t.state, '')
		from operation o left join tenant t on t.id = o.tenant where `+where+` order by o.updated_at, o.id limit `+placeholder(len(args)), args, func(r scanner) error {
		var a Attention
		var created, updated, due int64
		err := r.Scan(&a.ID, &a.Kind, &a.Tenant, &a.State, &a.Reason, &a.RequestedBy, &created, &updated, &due, &a.TenantName, &a.TenantState)
		a.CreatedAt, a.UpdatedAt, a.DueAt = fromMicros(created), fromMicros(updated), fromMicros(due)
		list = append(list, a)
		return err
	})
	return list, err
}

// AttentionCount says how many there are, up to 10,000.
func (db *DB) AttentionCount(ctx context.Context, v Visible, state tenure.OperationState, kind tenure.OperationKind) (n int, err error) {
	where, args := attentionWhere(v, state, kind)
	err = db.reader(ctx).Row(`select count(*) from (select 1 from operation o where `+where+` limit 10000) x`, args, &n)
	return n, err
}

// HeldTenants counts the tenants that can be seen and have a hold of their own.
func (db *DB) HeldTenants(ctx context.Context, v Visible) (n int, err error) {
	var args []any
	err = db.reader(ctx).Row(`select count(distinct tenant) from hold where released_at = 0 and tenant <> '' and `+v.where("tenant", &args), args, &n)
	return n, err
}

// ResourceCount is how many living resources of a type a system has.
type ResourceCount struct {
	System, Type string
	State        tenure.ResourceState
	N            int64
}

// ResourceCounts counts resources by system, type and state: those that live, and
// those that ran and are gone. What an onboarding that came to nothing took back never
// ran. It reads them all: keep the answer.
func (db *DB) ResourceCounts(ctx context.Context) ([]ResourceCount, error) {
	var out []ResourceCount
	err := db.reader(ctx).Rows(`select system, type, state, count(*) from resource
		where live = 1 or state = 'gone' and not exists (select 1 from tenant t where t.id = resource.tenant and t.state = 'closed' and t.previous in ('requested', 'validating', 'provisioning'))
		group by system, type, state`, nil, func(r scanner) error {
		var c ResourceCount
		err := r.Scan(&c.System, &c.Type, &c.State, &c.N)
		out = append(out, c)
		return err
	})
	return out, err
}

// StrayCounts counts the open findings of things that nobody living owns.
func (db *DB) StrayCounts(ctx context.Context) ([]ResourceCount, error) {
	var out []ResourceCount
	err := db.reader(ctx).Rows(`select system, type, count(*) from finding where resolved_at = 0 and kind in ('orphan', 'residue', 'ghost_user') group by system, type`, nil, func(r scanner) error {
		var c ResourceCount
		err := r.Scan(&c.System, &c.Type, &c.N)
		out = append(out, c)
		return err
	})
	return out, err
}

// Incident is trouble of a tenant's that another system reported.
type Incident struct {
	ID       string          `json:"id"`
	Tenant   tenure.TenantID `json:"tenant"`
	Severity tenure.Severity `json:"severity"`
	Source   string          `json:"source"`
	Detail   string          `json:"detail"`
	At       time.Time       `json:"at"`
}

// AddIncident stores an incident; the same id again changes nothing, and is said, also
// once its tenant was forgotten.
func (tx *Tx) AddIncident(i Incident) (added bool, err error) {
	known := 0
	if err := tx.Row(`select count(*) from incident where id = $1`, []any{forgottenTrigger(i.ID)}, &known); err != nil || known > 0 {
		return false, err
	}
	n, err := tx.Exec(`insert into incident (id, tenant, severity, source, detail, at) values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing`, i.ID, string(i.Tenant), string(i.Severity), i.Source, i.Detail, micros(i.At))
	return n == 1, err
}

// Incidents lists a tenant's incidents, the latest first.
func (db *DB) Incidents(ctx context.Context, tenant tenure.TenantID) ([]Incident, error) {
	var out []Incident
	err := db.reader(ctx).Rows(`select id, tenant, severity, source, detail, at from incident where tenant = $1 order by at desc, id limit 1000`, []any{string(tenant)}, func(r scanner) error {
		var i Incident
		var at int64
		err := r.Scan(&i.ID, &i.Tenant, &i.Severity, &i.Source, &i.Detail, &at)
		i.At = fromMicros(at)
		out = append(out, i)
		return err
	})
	return out, err
}

// NoteBlocks keeps, as an incident of its tenant, each operation that is blocked
// now: a step failed for good, and nobody planned that. One that is noted already
// stays as it is.
func (tx *Tx) NoteBlocks() (int64, error) {
	return tx.Exec(`insert into incident (id, tenant, severity, source, detail, at)
		select 'blocked/' || o.id, o.tenant, 'medium', 'tenure', 'an operation was blocked', o.updated_at from operation o
		where o.state = 'blocked' and o.state in ('waiting', 'blocked', 'paused') and not exists (select 1 from incident i where i.id = 'blocked/' || o.id)`)
}

// Unnoted says whether an operation is blocked and not kept as an incident yet.
func (db *DB) Unnoted(ctx context.Context) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from (select 1 from operation o where o.state = 'blocked' and o.state in ('waiting', 'blocked', 'paused')
		and not exists (select 1 from incident i where i.id = 'blocked/' || o.id) limit 1) x`, nil, &n)
	return n > 0, err
}
