package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tenurehq/tenure"
)

func placeholder(n int) string { return "$" + strconv.Itoa(n) }

const operationColumns = `id, kind, tenant, plan, state, reason, requested_by, trigger_key, created_at, updated_at, due_at, version, locked, wanted, wanted_why, trace`

// endedStates are the states of an operation that is over: see tenure.OperationState.Ended.
const endedStates = `('succeeded', 'failed', 'cancelled')`

// OperationRow is an operation's row with what the engine alone needs of it.
type OperationRow struct {
	tenure.Operation
	Locked bool   // it holds the resources that it touches
	Wanted string // "pause", "cancel": what a person asked for and it hasn't done yet
	Trace  string `json:"-"` // of the request that started it (W3C traceparent); blank: none
	Why    string `json:"-"` // why it was to be cancelled; the reason of the end
}

func scanOperation(r scanner, o *OperationRow) error {
	var created, updated, due, locked int64
	err := r.Scan(&o.ID, &o.Kind, &o.Tenant, &o.Plan, &o.State, &o.Reason, &o.RequestedBy, &o.Trigger, &created, &updated, &due, &o.Version, &locked, &o.Wanted, &o.Why, &o.Trace)
	o.CreatedAt, o.UpdatedAt, o.DueAt = fromMicros(created), fromMicros(updated), fromMicros(due)
	o.Locked = locked == 1
	return err
}

func operation(q querier, id tenure.OperationID) (o OperationRow, err error) {
	found := false
	err = q.Rows(`select `+operationColumns+` from operation where id = $1`, []any{string(id)}, func(r scanner) error {
		found = true
		return scanOperation(r, &o)
	})
	if err == nil && !found {
		err = tenure.Errorf(tenure.NotFound, "there is no operation %s", id)
	}
	return o, err
}

// Operation returns one operation.
func (db *DB) Operation(ctx context.Context, id tenure.OperationID) (OperationRow, error) {
	return operation(db.reader(ctx), id)
}

// Operation returns one operation as the transaction sees it.
func (tx *Tx) Operation(id tenure.OperationID) (OperationRow, error) { return operation(tx, id) }

// OperationFilter narrows a listing; blank fields take everything.
type OperationFilter struct {
	Tenant  tenure.TenantID
	State   tenure.OperationState
	Kind    tenure.OperationKind
	Open    bool               // only those that haven't ended
	Before  tenure.OperationID // the last one of the page before
	Limit   int                // 0 is 100
	Visible *Visible           // nil shows everything
}

// DatedDepartures lists the departures that may wait for a date: those whose next moment is after one and by another, and those
// of which something runs, or is stuck, beside what waits.
func (db *DB) DatedDepartures(ctx context.Context, after, by time.Time, limit int) (out []OperationRow, err error) {
	err = db.reader(ctx).Rows(`select `+operationColumns+` from operation where kind = 'offboard' and (state = 'waiting' and due_at > $1 and due_at <= $2 or state in ('running', 'blocked') and due_at <= $2) order by due_at, id limit $3`, []any{micros(after), micros(by), limit}, func(r scanner) error {
		var o OperationRow
		err := scanOperation(r, &o)
		out = append(out, o)
		return err
	})
	return out, err
}

// Operations lists operations, the latest first.
func (db *DB) Operations(ctx context.Context, f OperationFilter) ([]OperationRow, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args := []any{string(f.Tenant), flag(f.Open), string(f.State), string(f.Kind), string(f.Before)}
	where := "true"
	if f.Visible != nil {
		if f.Visible.Nothing() {
			return nil, nil
		}
		where = f.Visible.where("tenant", &args)
	}
	if f.Tenant == "" { // so that SQLite reads along the key, not along the tenants' index
		where += " and $1 = ''"
	} else {
		where += " and tenant = $1"
	}
	args = append(args, f.Limit)
	var out []OperationRow
	err := db.reader(ctx).Rows(`select `+operationColumns+` from operation where ($2 = 0 or state not in `+endedStates+`)
		and ($3 = '' or state = $3) and ($4 = '' or kind = $4) and ($5 = '' or id < $5) and `+where+`
		order by id desc limit `+placeholder(len(args)), args, func(r scanner) error {
		var o OperationRow
		err := scanOperation(r, &o)
		out = append(out, o)
		return err
	})
	return out, err
}

// NewOperation is what CreateOperation needs beside the operation itself.
type NewOperation struct {
	tenure.Operation
	Blueprint   string
	Destructive bool
	Steps       []tenure.StepStatus
	Touches     []tenure.ResourceID
	IsDestroyer func(seq int) bool
	Trace       string // of the request that starts it (W3C traceparent); blank: none
}

// CreateOperation stores an operation and its steps. A trigger that has started
// one already gives that one back, and created is false.
func (tx *Tx) CreateOperation(o NewOperation) (id tenure.OperationID, created bool, err error) {
	if o.Trigger != "" {
		if id, err = tx.TriggeredOperation(o.Trigger); err != nil || id != "" {
			return id, false, err
		}
	}
	n, err := tx.Exec(`insert into operation (id, kind, tenant, plan, state, reason, requested_by, trigger_key, blueprint, destructive, driver, locked, wanted, created_at, updated_at, due_at, reserved_until, version, trace)
		values ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, 'embedded', 0, '', $10, $10, $10, 0, 1, $11) on conflict (trigger_key) where trigger_key <> '' do nothing`,
		string(o.ID), string(o.Kind), string(o.Tenant), o.Plan, string(o.State), o.RequestedBy, o.Trigger, o.Blueprint, flag(o.Destructive), micros(o.CreatedAt), o.Trace)
	if err != nil {
		return "", false, err
	}
	if n == 0 { // another process has committed it since
		id, err = tx.TriggeredOperation(o.Trigger)
		return id, false, err
	}
	if err := tx.InsertSteps(o.Steps, o.IsDestroyer); err != nil {
		return "", false, err
	}
	for _, r := range o.Touches {
		if _, err := tx.Exec(`insert into touch (resource, operation) values ($1, $2) on conflict do nothing`, string(r), string(o.ID)); err != nil {
			return "", false, err
		}
	}
	tx.Wake(o.ID)
	return o.ID, true, nil
}

// Destroyers returns a tenant's operations that may destroy, the oldest first; a
// blank tenant: the open ones of all.
func (tx *Tx) Destroyers(tenant tenure.TenantID) (out []OperationRow, err error) {
	err = tx.Rows(`select `+operationColumns+` from operation where destructive = 1 and (tenant = $1 or $1 = '' and state not in `+endedStates+`)
		order by created_at, id`, []any{string(tenant)}, func(r scanner) error {
		var o OperationRow
		err := scanOperation(r, &o)
		out = append(out, o)
		return err
	})
	return out, err
}

// DestructiveSince counts the destructive operations that a person started since
// a moment, over all blueprints or one.
func (tx *Tx) DestructiveSince(by, blueprint string, since time.Time) (n int, err error) {
	err = tx.Rows(`select requested_by, count(*) from operation where destructive = 1 and created_at >= $1 and ($2 = '' or blueprint = $2) group by requested_by`,
		[]any{micros(since), blueprint}, func(r scanner) error {
			var who string
			var their int
			err := r.Scan(&who, &their)
			if by == "" || tenure.SamePerson(who, by) {
				n += their
			}
			return err
		})
	return n, err
}

// Poke makes an operation due now, in the transaction of the event that it may
// have waited for.
func (tx *Tx) Poke(id tenure.OperationID, now time.Time) error {
	_, err := tx.Exec(`update operation set due_at = $1, reserved_until = 0, version = version + 1 where id = $2 and state not in `+endedStates, micros(now), string(id))
	tx.Wake(id)
	return err
}

// NoteRefused notes that an operation is cancelled because it expired or was
// rejected, not because somebody withdrew it.
func (tx *Tx) NoteRefused(id tenure.OperationID, what string) error {
	_, err := tx.Exec(`update operation set refused = $1 where id = $2`, what, string(id))
	return err
}

// PokeTenant makes every open operation of a tenant due now; a blank tenant, all.
func (tx *Tx) PokeTenant(tenant tenure.TenantID, now time.Time) error {
	ids, err := oneColumn[tenure.OperationID](tx, `select id from operation where ($1 = '' or tenant = $1) and state not in `+endedStates, string(tenant))
	for _, id := range ids {
		if err == nil {
			err = tx.Poke(id, now)
		}
	}
	return err
}

// Want records what a person asked of an operation and makes it due.
func (tx *Tx) Want(id tenure.OperationID, what string, now time.Time) error {
	return tx.WantBecause(id, what, "", now)
}

// WantBecause is Want with the reason, which an operation that ends for it shows.
func (tx *Tx) WantBecause(id tenure.OperationID, what, why string, now time.Time) error {
	n, err := tx.Exec(`update operation set wanted = $1, wanted_why = $2, due_at = $3, reserved_until = 0, version = version + 1 where id = $4 and state not in `+endedStates, what, why, micros(now), string(id))
	if err == nil && n == 0 {
		o, err := tx.Operation(id)
		if err != nil {
			return err
		}
		return tenure.Errorf(tenure.Conflict, "operation %s has ended as %s", id, o.State)
	}
	tx.Wake(id)
	return err
}

// Due reserves operations that somebody must call Advance for, until the
// reservation lapses: those whose time has come, and those with a running step
// whose lease has run out. On SQLite a reservation is the process's own and isn't
// written down.
func (db *DB) Due(ctx context.Context, now time.Time, limit int, reserve time.Duration) (ids []tenure.OperationID, err error) {
	find := func(q querier, lock string) ([]tenure.OperationID, error) {
		found, err := oneColumn[tenure.OperationID](q, `select id from operation where due_at > 0 and due_at <= $1 and reserved_until < `+db.storeNow()+` order by due_at limit $2`+lock, micros(now), limit)
		if err == nil && len(found) < limit {
			var late []tenure.OperationID
			late, err = oneColumn[tenure.OperationID](q, `select o.id from operation o where o.state in ('running', 'compensating') and o.reserved_until < `+db.storeNow()+` and exists
				(select 1 from step s where s.operation = o.id and s.state = 'running' and s.lease_until < `+db.storeNow()+`) limit $1`, limit-len(found))
			found = append(found, late...)
		}
		return found, err
	}
	// A look without the writer first: an idle server writes nothing.
	wanted := limit
	if db.Dialect == SQLite {
		limit += db.handed.held()
	}
	kept := db.handed.kept(now, limit)
	found, err := find(db.reader(ctx), "")
	if err != nil || len(found) == 0 {
		return kept, err
	}
	if db.Dialect == SQLite {
		return db.handed.take(found, wanted, reserve), nil
	}
	defer func() { ids = append(ids, kept...) }()
	if limit -= len(kept); limit <= 0 {
		return nil, nil
	}
	const lock = " for update skip locked"
	err = db.Write(ctx, func(tx *Tx) error {
		if ids, err = find(tx, lock); err != nil {
			return err
		}
		seen := make(map[tenure.OperationID]bool, len(ids))
		kept := ids[:0]
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			kept = append(kept, id)
			if _, err := tx.Exec(`update operation set reserved_until = `+db.storeNow()+` + $1 where id = $2`, reserve.Microseconds(), string(id)); err != nil {
				return err
			}
		}
		ids = kept
		return nil
	})
	return ids, err
}

// BlockedOperations lists the blocked operations whose reason begins so.
func (db *DB) BlockedOperations(ctx context.Context, reason string) ([]tenure.OperationID, error) {
	return oneColumn[tenure.OperationID](db.reader(ctx), `select id from operation where state = 'blocked' and substr(reason, 1, $1) = $2 order by id`, len(reason), reason)
}

// Ground is what an operation stands on.
type Ground struct {
	Version        int64 // of the operation's row; 0 if it is gone
	Plan, Revision bool  // whether their rows are there
}

// Ground reads it; a blank revision is there.
func (db *DB) Ground(ctx context.Context, op tenure.OperationID, plan, revision string) (g Ground, err error) {
	var plans, revisions int
	err = db.reader(ctx).Row(`select coalesce((select version from operation where id = $1), 0), (select count(*) from plan where digest = $2), (select count(*) from blueprint where digest = $3)`,
		[]any{string(op), plan, revision}, &g.Version, &plans, &revisions)
	g.Plan, g.Revision = plans > 0, revisions > 0 || revision == ""
	return g, err
}

// InInventory is Internal, naming them, if resources have no row.
func (db *DB) InInventory(ctx context.Context, ids []tenure.ResourceID) error {
	var lost []string
	for _, id := range ids {
		var one int
		err := db.reader(ctx).Row(`select 1 from resource where id = $1`, []any{string(id)}, &one)
		if tenure.CodeOf(err) == tenure.NotFound && !slices.Contains(lost, string(id)) {
			lost, err = append(lost, string(id)), nil
		}
		if err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return err
		}
	}
	if len(lost) > 0 {
		return notInInventory(lost)
	}
	return nil
}

// NextDue is the earliest moment at which an operation becomes due; zero if
// every open one awaits an event.
func (db *DB) NextDue(ctx context.Context) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(`select coalesce(min(due_at), 0) from operation where due_at > 0`, nil, &at)
	return fromMicros(at), err
}

// TakeLock makes an operation hold what it touches, unless another operation that
// excludes it does: then it is named. One epoch row serialises the takers.
func (tx *Tx) TakeLock(id tenure.OperationID, kind tenure.OperationKind) (by string, err error) {
	if _, err := tx.Exec(`update meta set value = value where key = 'hold_epoch'`); err != nil {
		return "", err
	}
	by, err = excluding(tx, id, kind)
	if err != nil || by != "" {
		return by, err
	}
	_, err = tx.Exec(`update operation set locked = 1 where id = $1`, string(id))
	return "", err
}

func excluding(q querier, id tenure.OperationID, kind tenure.OperationKind) (by string, err error) {
	err = q.Rows(`select distinct o.id, o.kind from touch mine join touch theirs on theirs.resource = mine.resource and theirs.operation <> mine.operation
		join operation o on o.id = theirs.operation and o.locked = 1 where mine.operation = $1 order by o.id`, []any{string(id)}, func(r scanner) error {
		var other string
		var k tenure.OperationKind
		if err := r.Scan(&other, &k); err != nil {
			return err
		}
		if by == "" && tenure.Exclude(kind, k) {
			by = other
		}
		return nil
	})
	return by, err
}

// Excluding names an operation that keeps this one from its resources; blank if none
// does.
func (db *DB) Excluding(ctx context.Context, id tenure.OperationID, kind tenure.OperationKind) (by string, err error) {
	return excluding(db.reader(ctx), id, kind)
}

// FreeLock lets go of what an operation touches and wakes those that it kept out.
func (tx *Tx) FreeLock(id tenure.OperationID, now time.Time) error {
	n, err := tx.Exec(`update operation set locked = 0 where id = $1 and locked = 1`, string(id))
	if err != nil || n == 0 {
		return err
	}
	return tx.release(id, now)
}

func (tx *Tx) release(id tenure.OperationID, now time.Time) error {
	if _, err := tx.Exec(`update operation set locked = 0 where id = $1 and locked = 1`, string(id)); err != nil {
		return err
	}
	var waiting []tenure.OperationID
	err := tx.Rows(`select distinct o.id from touch mine join touch theirs on theirs.resource = mine.resource and theirs.operation <> mine.operation
		join operation o on o.id = theirs.operation where mine.operation = $1 and o.state not in `+endedStates, []any{string(id)}, func(r scanner) error {
		var other tenure.OperationID
		err := r.Scan(&other)
		waiting = append(waiting, other)
		return err
	})
	for _, other := range waiting {
		if err == nil {
			err = tx.Poke(other, now)
		}
	}
	return err
}

// ActiveExcluding names an open operation that holds a resource of the list and
// excludes the kind; blank if none does.
func (tx *Tx) ActiveExcluding(kind tenure.OperationKind, resources []tenure.ResourceID) (by tenure.OperationID, err error) {
	for _, r := range resources {
		err := tx.Rows(`select o.id, o.kind from touch t join operation o on o.id = t.operation where t.resource = $1 and o.locked = 1`, []any{string(r)}, func(s scanner) error {
			var id tenure.OperationID
			var k tenure.OperationKind
			if err := s.Scan(&id, &k); err != nil {
				return err
			}
			if by == "" && tenure.Exclude(kind, k) {
				by = id
			}
			return nil
		})
		if err != nil || by != "" {
			return by, err
		}
	}
	return "", nil
}

// Approve stores one signature. The same person at the same gate is Conflict.
func (tx *Tx) Approve(a tenure.Approval) error {
	_, err := tx.Exec(`insert into approval (operation, step, digest, approver, at, note, on_behalf, roles) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		string(a.Operation), a.Step, a.Digest, a.By, micros(a.At), a.Note, a.For, text(a.Roles))
	return err
}

func approvals(q querier, op tenure.OperationID) ([]tenure.Approval, error) {
	return signatures(q, `operation = $1`, string(op))
}

// signatures reads approvals in order.
func signatures(q querier, where string, args ...any) (out []tenure.Approval, err error) {
	err = q.Rows(`select operation, step, digest, approver, at, note, on_behalf, roles from approval where `+where+` order by at, approver`, args, func(r scanner) error {
		var a tenure.Approval
		var at int64
		var roles string
		if err := r.Scan(&a.Operation, &a.Step, &a.Digest, &a.By, &at, &a.Note, &a.For, &roles); err != nil {
			return err
		}
		a.At = fromMicros(at)
		if roles != "" {
			if err := json.Unmarshal([]byte(roles), &a.Roles); err != nil {
				return tenure.Errorf(tenure.Internal, "approval at %s: %w", a.Step, err)
			}
		}
		out = append(out, a)
		return nil
	})
	return out, err
}

// Approvals returns an operation's signatures in order.
func (db *DB) Approvals(ctx context.Context, op tenure.OperationID) ([]tenure.Approval, error) {
	return approvals(db.reader(ctx), op)
}

// Approvals returns an operation's signatures as the transaction sees them.
func (tx *Tx) Approvals(op tenure.OperationID) ([]tenure.Approval, error) { return approvals(tx, op) }

// Exception is a step that was left out, or whose verdict was accepted, by one
// person and attested by another.
type Exception struct {
	Operation   tenure.OperationID `json:"operation"`
	Step        string             `json:"step"`
	Reason      string             `json:"reason"`
	RequestedBy string             `json:"requestedBy"`
	RequestedAt time.Time          `json:"requestedAt"`
	AttestedBy  string             `json:"attestedBy,omitempty"`
	AttestedAt  time.Time          `json:"attestedAt,omitzero"`
}

// AskException stores a request; an earlier one for the step is Conflict.
func (tx *Tx) AskException(e Exception) error {
	_, err := tx.Exec(`insert into exception (operation, step, reason, asked_by, asked_at, attested_by, attested_at) values ($1, $2, $3, $4, $5, '', 0)`,
		string(e.Operation), e.Step, e.Reason, e.RequestedBy, micros(e.RequestedAt))
	return err
}

// AttestException records the second person's word.
func (tx *Tx) AttestException(op tenure.OperationID, step, by string, at time.Time) error {
	n, err := tx.Exec(`update exception set attested_by = $1, attested_at = $2 where operation = $3 and step = $4 and attested_by = '' and asked_by <> $1`, by, micros(at), string(op), step)
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.Conflict, "no exception for step %q of %s waits for %s's word", step, op, by)
	}
	return err
}

// DropException forgets the exception of a step that runs again: it excuses nothing of
// what the step finds then.
func (tx *Tx) DropException(op tenure.OperationID, step string) error {
	_, err := tx.Exec(`delete from exception where operation = $1 and step = $2`, string(op), step)
	return err
}

func exceptions(q querier, where string, args ...any) (out []Exception, err error) {
	err = q.Rows(`select e.operation, e.step, e.reason, e.asked_by, e.asked_at, e.attested_by, e.attested_at from exception e join operation o on o.id = e.operation where `+where+` order by e.asked_at, e.step`, args, func(r scanner) error {
		var e Exception
		var asked, attested int64
		err := r.Scan(&e.Operation, &e.Step, &e.Reason, &e.RequestedBy, &asked, &e.AttestedBy, &attested)
		e.RequestedAt, e.AttestedAt = fromMicros(asked), fromMicros(attested)
		out = append(out, e)
		return err
	})
	return out, err
}

// Exceptions returns an operation's exceptions.
func (db *DB) Exceptions(ctx context.Context, op tenure.OperationID) ([]Exception, error) {
	return exceptions(db.reader(ctx), `e.operation = $1`, string(op))
}

// Exceptions returns an operation's exceptions as the transaction sees them.
func (tx *Tx) Exceptions(op tenure.OperationID) ([]Exception, error) {
	return exceptions(tx, `e.operation = $1`, string(op))
}

// SavePlan stores a plan under its digest; the same plan twice is one row.
func (tx *Tx) SavePlan(digest string, body []byte, p *tenure.Plan, by string) error {
	_, err := tx.Exec(`insert into plan (digest, tenant, kind, body, made_by, created_at) values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
		digest, string(p.Tenant), string(p.Kind), string(body), by, micros(p.At))
	return err
}

// Plan returns a plan, checked against its digest. A prefix of at least 8 digits
// of the digest is enough where it is the only one.
func (db *DB) Plan(ctx context.Context, digest string) (*tenure.Plan, error) {
	return plan(db.reader(ctx), digest)
}

// Plan returns a plan as the transaction sees it.
func (tx *Tx) Plan(digest string) (*tenure.Plan, error) { return plan(tx, digest) }

func plan(q querier, digest string) (*tenure.Plan, error) {
	if !strings.HasPrefix(digest, "sha256:") {
		digest = "sha256:" + digest
	}
	if len(digest) < len("sha256:")+8 || strings.Trim(digest[7:], "0123456789abcdef") != "" {
		return nil, tenure.Errorf(tenure.Invalid, "%q is not a plan's digest", digest).WithHint("give sha256: and at least 8 hexadecimal digits")
	}
	var full, body string
	n := 0
	where, arg := `digest = $1`, digest
	if len(digest) < len("sha256:")+64 {
		where, arg = `digest like $1`, digest+"%"
	}
	err := q.Rows(`select digest, body from plan where `+where+` limit 2`, []any{arg}, func(r scanner) error {
		n++
		return r.Scan(&full, &body)
	})
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, tenure.Errorf(tenure.NotFound, "there is no plan %s", digest)
	case n > 1:
		return nil, tenure.Errorf(tenure.Conflict, "more than one plan begins with %s", digest)
	case body == "":
		return nil, tenure.Errorf(tenure.NotFound, "plan %s was forgotten with its tenant", full)
	}
	// A plan is decoded each time that an operation is taken up: this takes half the time.
	return tenure.DecodePlanBy([]byte(body), full, func(b []byte, into any) error { return json.Unmarshal(b, into) })
}

// ofTrigger finds an operation by its trigger, or by what is kept of one that was forgotten. The index is of triggers that aren't
// blank: a database that isn't told so reads every operation.
const ofTrigger = ` where trigger_key in ($1, $2) and trigger_key <> ''`

// OperationByTrigger finds the operation that a trigger started.
func (db *DB) OperationByTrigger(ctx context.Context, key string) (out []OperationRow, err error) {
	err = db.reader(ctx).Rows(`select `+operationColumns+` from operation`+ofTrigger, []any{key, forgottenTrigger(key)}, func(r scanner) error {
		var o OperationRow
		err := scanOperation(r, &o)
		out = append(out, o)
		return err
	})
	return out, err
}

// TriggeredOperation names the operation that a trigger started; blank if none.
func (tx *Tx) TriggeredOperation(key string) (id tenure.OperationID, err error) {
	err = tx.Rows(`select id from operation`+ofTrigger, []any{key, forgottenTrigger(key)}, func(r scanner) error { return r.Scan(&id) })
	return id, err
}

// OpenOperation names a tenant's open operation of a kind; blank if it has none. One that has
// nothing left but to write to records, which may be down, stands in nobody's way.
func (tx *Tx) OpenOperation(tenant tenure.TenantID, kind tenure.OperationKind) (id tenure.OperationID, err error) {
	err = tx.Rows(`select id from operation where tenant = $1 and kind = $2 and state not in `+endedStates+`
		and exists (select 1 from step s where s.operation = operation.id and s.state not in ('done', 'skipped') and s.key not like '%/write/%') limit 1`, []any{string(tenant), string(kind)}, func(r scanner) error {
		return r.Scan(&id)
	})
	return id, err
}

// DropApprovals removes the signatures at a gate from before a moment: a person
// whose word has lapsed may give it again.
func (tx *Tx) DropApprovals(op tenure.OperationID, step string, before time.Time) error {
	_, err := tx.Exec(`delete from approval where operation = $1 and step = $2 and at < $3`, string(op), step, micros(before))
	return err
}
