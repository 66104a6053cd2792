package store

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// StepCommit is one operation's step forward, committed as a whole or not at
// all: the results of steps under their fencing tokens, the claims of the next
// ones, the inventory, the operation's row and the audit entries.
type StepCommit struct {
	Operation tenure.OperationID
	Version   int64 // of the operation's row as it was read; another is Conflict
	State     tenure.OperationState
	Reason    string
	DueAt     time.Time // zero: an event is awaited
	Now       time.Time
	Results   []StepResult
	Claims    []StepClaim
	Resources []ResourceWrite
	Leaves    [][]byte // encoded audit entries
	// Extra writes what is rarer, in the same transaction, after all else.
	Extra func(*Tx) error
	// Same says that State, Reason and DueAt are as they were read. On SQLite, where
	// no other process decides, the row's version is then only checked, if the
	// commit before was By the same engine: what another has read must go stale.
	Same bool
	By   string
	// Kept is set by the commit: the operation's version is what it was.
	Kept bool
	// Keep has this process alone be handed the operation for so long (see DB.Keep); 0
	// leaves it to all.
	Keep time.Duration
	// Ended tells that the operation is over, so that those it kept out are woken.
	Ended bool
}

// StepResult is how an attempt at a step ended. It is refused with Conflict when
// the step isn't running under this token any more.
type StepResult struct {
	Seq       int
	Token     int64
	From      tenure.StepState // as read; blank is running
	State     tenure.StepState // done, failed, or pending for another attempt
	Verdict   tenure.Verdict
	DueAt     time.Time // of the next attempt
	ErrorCode tenure.Code
	Error     string
	Receipt   string
	Progress  string
	Tried     bool // it was an attempt without a claim, which counts
	Batched   bool // its row may have a progress, which this one replaces
}

// StepClaim takes a step for an owner: it goes to running under the next token.
// It is refused with Conflict when the step's row isn't as it was read.
type StepClaim struct {
	Seq   int
	Token int64            // as read; the claim raises it by one
	From  tenure.StepState // as read
	Owner string
	Lease time.Duration
}

// ResourceWrite changes a resource's row. Nil fields stay as they are.
type ResourceWrite struct {
	ID        tenure.ResourceID
	State     tenure.ResourceState
	Verdict   tenure.Verdict
	Normal    []byte
	Observed  []byte
	ExpiresAt time.Time
}

// storeNow is the store's own clock in microseconds, by which leases go.
func (db *DB) storeNow() string {
	if db.Dialect == Postgres {
		return `(extract(epoch from clock_timestamp()) * 1000000)::bigint`
	}
	return `cast((julianday('now') - 2440587.5) * 86400000000 as integer)`
}

func (tx *Tx) commitSteps(commits []*StepCommit) error {
	if tx.w.db.Dialect == Postgres {
		if err := tx.stepArrays(commits); err != nil {
			return err
		}
	} else if err := tx.stepRows(commits); err != nil {
		return err
	}
	for _, c := range commits {
		tx.leaves = append(tx.leaves, c.Leaves...)
		if err := tx.noteSteps(c); err != nil {
			return err
		}
		if c.Extra != nil {
			if err := c.Extra(tx); err != nil {
				return err
			}
		}
		if c.Ended {
			if err := tx.release(c.Operation, c.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

func lost(op tenure.OperationID, what string) error {
	return tenure.Errorf(tenure.Conflict, "operation %s: %s", op, what).Retryable()
}

const (
	movedOn   = "its row has moved on since it was read"
	lostLease = "the lease on a step was lost; its late answer is refused"
	notFree   = "a step was claimed by somebody else"
)

// operationRow brings the operation's row up to a commit, if its version is as it
// was read.
func (tx *Tx) operationRow(c *StepCommit) error {
	if c.Kept = c.Same && !c.Ended && c.By != "" && tx.w.last[c.Operation] == c.By; c.Kept {
		if len(c.Results) > 0 {
			return nil // their own rows are only changed under this version
		}
		var one int
		err := tx.Row(`select 1 from operation where id = $1 and version = $2`, []any{string(c.Operation), c.Version}, &one)
		if tenure.CodeOf(err) == tenure.NotFound {
			return lost(c.Operation, movedOn)
		}
		return err
	}
	n, err := tx.Exec(`update operation set state = $1, reason = $2, due_at = $3, updated_at = $4, reserved_until = 0, version = version + 1 where id = $5 and version = $6`,
		string(c.State), c.Reason, micros(c.DueAt), micros(c.Now), string(c.Operation), c.Version)
	if err == nil && n != 1 {
		return lost(c.Operation, movedOn)
	}
	tx.w.db.Free(c.Operation)
	if tx.w.last[c.Operation] = c.By; c.Ended {
		delete(tx.w.last, c.Operation)
	}
	return err
}

func (r *StepResult) from() tenure.StepState {
	if r.From == "" {
		return tenure.StepRunning
	}
	return r.From
}

func (r *StepResult) ended(now time.Time) time.Time {
	if r.State == tenure.StepPending {
		return time.Time{}
	}
	return now
}

// bury frees the name of a resource that is gone.
func (tx *Tx) bury(id tenure.ResourceID) error {
	_, err := tx.Exec(`update resource set live = 0 where id = $1`, string(id))
	return err
}

// FreeNames frees the names of what was planned for a tenant and never begun.
func (tx *Tx) FreeNames(id tenure.TenantID) error {
	_, err := tx.Exec(`update resource set live = 0 where tenant = $1 and state = $2 and live = 1`, string(id), string(tenure.ResourcePlanned))
	return err
}

// stepArrays writes each kind of row of all commits with one statement, since on
// PostgreSQL each statement costs a round trip.
func (tx *Tx) stepArrays(commits []*StepCommit) error {
	var ops struct {
		id, state, reason []string
		due, at, version  []int64
		keep              []int64
	}
	var res struct {
		op, from, state, verdict, code, msg, receipt, progress []string
		seq, token, due, ended, at, tried                      []int64
	}
	var claim struct {
		op, owner, from        []string
		seq, token, lease, now []int64
	}
	var inv struct {
		id, state, verdict, op []string
		normal, observed       []*string
		expires, at            []int64
	}
	where := make(map[tenure.ResourceID]bool)
	for _, c := range commits {
		ops.id, ops.state, ops.reason = append(ops.id, string(c.Operation)), append(ops.state, string(c.State)), append(ops.reason, c.Reason)
		ops.due, ops.at, ops.version = append(ops.due, micros(c.DueAt)), append(ops.at, micros(c.Now)), append(ops.version, c.Version)
		ops.keep = append(ops.keep, c.Keep.Microseconds())
		for i := range c.Results {
			r := &c.Results[i]
			res.op, res.state, res.verdict = append(res.op, string(c.Operation)), append(res.state, string(r.State)), append(res.verdict, string(r.Verdict))
			res.from, res.at = append(res.from, string(r.from())), append(res.at, micros(c.Now))
			res.code, res.msg = append(res.code, string(r.ErrorCode)), append(res.msg, r.Error)
			res.receipt, res.progress = append(res.receipt, r.Receipt), append(res.progress, r.Progress)
			res.seq, res.token = append(res.seq, int64(r.Seq)), append(res.token, r.Token)
			res.due, res.ended = append(res.due, micros(r.DueAt)), append(res.ended, micros(r.ended(c.Now)))
			res.tried = append(res.tried, int64(flag(r.Tried)))
		}
		for _, l := range c.Claims {
			claim.op, claim.owner, claim.from = append(claim.op, string(c.Operation)), append(claim.owner, l.Owner), append(claim.from, string(l.From))
			claim.seq, claim.token = append(claim.seq, int64(l.Seq)), append(claim.token, l.Token)
			claim.lease, claim.now = append(claim.lease, l.Lease.Microseconds()), append(claim.now, micros(c.Now))
		}
		for i := range c.Resources {
			r := &c.Resources[i]
			if where[r.ID] { // one row twice in an unnest would be written once, silently
				return errTwice
			}
			where[r.ID] = true
			inv.id, inv.state, inv.verdict = append(inv.id, string(r.ID)), append(inv.state, string(r.State)), append(inv.verdict, string(r.Verdict))
			inv.op, inv.normal, inv.observed = append(inv.op, string(c.Operation)), append(inv.normal, textPtr(r.Normal)), append(inv.observed, textPtr(r.Observed))
			inv.expires, inv.at = append(inv.expires, micros(r.ExpiresAt)), append(inv.at, micros(c.Now))
		}
	}
	var p pipeline
	addAs := func(want int, not func() error, query string, args ...any) {
		if want > 0 {
			p = append(p, counted{query, args, want, not})
		}
	}
	add := func(want int, why, query string, args ...any) {
		addAs(want, func() error { return lost(commits[0].Operation, why) }, query, args...)
	}
	add(len(ops.id), movedOn, `update operation o set state = u.state, reason = u.reason, due_at = u.due, updated_at = u.at, version = o.version + 1,
		reserved_until = case when u.keep > 0 then `+tx.w.db.storeNow()+` + u.keep else 0 end
		from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) as u (id, state, reason, due, at, version, keep)
		where o.id = u.id and o.version = u.version`, ops.id, ops.state, ops.reason, ops.due, ops.at, ops.version, ops.keep)
	add(len(res.op), lostLease, `update step s set state = u.state, verdict = u.verdict, due_at = u.due, ended_at = u.ended, error_code = u.code, error = u.msg,
		receipt = u.receipt, progress = u.progress, lease_until = 0, attempt = s.attempt + u.tried,
		failing_since = case when u.code = '' then 0 when s.failing_since > 0 then s.failing_since else u.at end
		from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[])
			as u (op, seq, token, state, verdict, due, ended, code, msg, receipt, progress, prior, at, tried)
		where s.operation = u.op and s.seq = u.seq and s.token = u.token and s.state = u.prior`,
		res.op, res.seq, res.token, res.state, res.verdict, res.due, res.ended, res.code, res.msg, res.receipt, res.progress, res.from, res.at, res.tried)
	add(len(claim.op), notFree, `update step s set state = 'running', owner = u.owner, token = s.token + 1, attempt = s.attempt + 1, started_at = u.now,
		lease_until = `+tx.w.db.storeNow()+` + u.lease
		from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[]) as u (op, seq, token, prior, owner, lease, now)
		where s.operation = u.op and s.seq = u.seq and s.token = u.token and s.state = u.prior`,
		claim.op, claim.seq, claim.token, claim.from, claim.owner, claim.lease, claim.now)
	stands := func() error { return notInInventory(inv.id) }
	addAs(len(inv.id), stands, `update resource r set state = u.state, verdict = u.verdict, normal = coalesce(u.normal, r.normal),
		observed = coalesce(u.observed, r.observed), expires_at = u.expires, operation = u.op, updated_at = u.at, version = r.version + 1
		from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[])
			as u (id, state, verdict, normal, observed, expires, op, at)
		where r.id = u.id`, inv.id, inv.state, inv.verdict, inv.normal, inv.observed, inv.expires, inv.op, inv.at)
	err := tx.send(p)
	for i := range inv.id {
		if err == nil && inv.state[i] == string(tenure.ResourceGone) {
			err = tx.bury(tenure.ResourceID(inv.id[i]))
		}
	}
	return err
}

// notInInventory is the error of a result for a resource without a row.
func notInInventory(ids []string) error {
	return tenure.Errorf(tenure.Internal, "the row of a resource is missing in the inventory (%s)", strings.Join(ids, ", ")).WithHint("restore it from a backup of the store")
}

func textPtr(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// RetryWaits makes the steps of a tenant that wait for a date of their own look
// again now.
func (tx *Tx) RetryWaits(tenant tenure.TenantID, now time.Time) error {
	_, err := tx.Exec(`update step set due_at = 0 where state = 'pending' and due_at > 0 and error_code = '' and operation in (select id from operation where tenant = $1)`, string(tenant))
	if err != nil {
		return err
	}
	return tx.PokeTenant(tenant, now)
}

// RetryStuck lets an operation's steps that were blocked from outside be tried again now.
func (tx *Tx) RetryStuck(op tenure.OperationID, now time.Time) error {
	_, err := tx.Exec(`update step set due_at = 0 where operation = $1 and state = 'pending' and due_at > 0 and error_code = 'blocked'`, string(op))
	if err != nil {
		return err
	}
	return tx.Poke(op, now)
}

// Renew prolongs the lease on a running step. Conflict means that it was lost.
func (db *DB) Renew(ctx context.Context, op tenure.OperationID, seq int, token int64, lease time.Duration) error {
	return db.Write(ctx, func(tx *Tx) error { return tx.Renew(op, seq, token, lease) })
}

// Renew prolongs the lease on a running step. Conflict means that it was lost.
func (tx *Tx) Renew(op tenure.OperationID, seq int, token int64, lease time.Duration) error {
	n, err := tx.Exec(`update step set lease_until = `+tx.w.db.storeNow()+` + $1 where operation = $2 and seq = $3 and token = $4 and state = 'running'`,
		lease.Microseconds(), string(op), seq, token)
	if err == nil && n != 1 {
		return lost(op, lostLease)
	}
	return err
}

// SetStep moves a step that isn't running from one state to another, as a person
// asked: to pending for another try, or to skipped. Conflict if it isn't there.
func (tx *Tx) SetStep(op tenure.OperationID, seq int, from, to tenure.StepState, now time.Time) error {
	ended := now
	if to == tenure.StepPending {
		ended = time.Time{}
	}
	n, err := tx.Exec(`update step set state = $1, verdict = case when $1 = 'pending' then '' else verdict end, error_code = error_code, error = error, receipt = receipt, due_at = 0, attempt = 0, failing_since = 0, ended_at = $2, token = token + 1 where operation = $3 and seq = $4 and state = $5`,
		string(to), micros(ended), string(op), seq, string(from))
	if err == nil && n != 1 {
		return lost(op, "the step isn't "+string(from)+" any more")
	}
	return err
}

// Progress records where a batched step can go on, under its token.
func (tx *Tx) Progress(op tenure.OperationID, seq int, token int64, progress string) error {
	n, err := tx.Exec(`update step set progress = $1 where operation = $2 and seq = $3 and token = $4 and state = 'running'`, progress, string(op), seq, token)
	if err == nil && n != 1 {
		return lost(op, lostLease)
	}
	return err
}

// InsertSteps adds rows for an operation's steps.
func (tx *Tx) InsertSteps(steps []tenure.StepStatus, destructive func(seq int) bool) error {
	for i := range steps {
		s := &steps[i]
		_, err := tx.Exec(`insert into step (operation, seq, key, state, verdict, attempt, destructive, owner, token, lease_until, due_at, started_at, ended_at, error_code, error, receipt, progress)
			values ($1, $2, $3, $4, '', 0, $5, '', 0, 0, 0, 0, 0, '', '', '', '') on conflict do nothing`,
			string(s.Operation), s.Seq, s.Key, string(tenure.StepPending), flag(destructive(s.Seq)))
		if err != nil {
			return err
		}
	}
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// StepRow is a step's row with what the engine alone needs of it.
type StepRow struct {
	tenure.StepStatus
	Lapsed       bool      // running, and its lease has run out by the store's clock
	FailingSince time.Time // when its attempts began to fail; zero while they don't
}

const stepColumns = `seq, key, state, verdict, attempt, owner, token, lease_until, due_at, started_at, ended_at, error_code, error, receipt, progress, failing_since`

// Steps returns an operation's steps in the order of the plan.
func (db *DB) Steps(ctx context.Context, op tenure.OperationID) ([]StepRow, error) {
	return steps(db.reader(ctx), db.storeNow(), op)
}

func steps(q querier, now string, op tenure.OperationID) ([]StepRow, error) {
	out := make([]StepRow, 0, 16)
	err := q.Rows(`select `+stepColumns+`, case when state = 'running' and lease_until < `+now+` then 1 else 0 end from step where operation = $1 order by seq`, []any{string(op)}, func(r scanner) error {
		var s StepRow
		var lease, due, started, ended, failing, lapsed int64
		err := r.Scan(&s.Seq, &s.Key, &s.State, &s.Verdict, &s.Attempt, &s.Owner, &s.Token, &lease, &due, &started, &ended, &s.ErrorCode, &s.Error, &s.Receipt, &s.Progress, &failing, &lapsed)
		s.Operation = op
		s.LeaseUntil, s.DueAt, s.StartedAt, s.EndedAt = fromMicros(lease), fromMicros(due), fromMicros(started), fromMicros(ended)
		s.FailingSince, s.Lapsed = fromMicros(failing), lapsed == 1
		out = append(out, s)
		return err
	})
	return out, err
}

// StepCounts says how many of an operation's steps stand in each state.
func (db *DB) StepCounts(ctx context.Context, ops []tenure.OperationID) (map[tenure.OperationID]map[tenure.StepState]int, error) {
	out := make(map[tenure.OperationID]map[tenure.StepState]int, len(ops))
	if len(ops) == 0 {
		return out, nil
	}
	args := make([]any, len(ops))
	marks := make([]string, len(ops))
	for i, op := range ops {
		args[i], marks[i] = string(op), placeholder(i+1)
	}
	err := db.reader(ctx).Rows(`select operation, state, count(*) from step where operation in (`+strings.Join(marks, ", ")+`) group by operation, state`, args, func(r scanner) error {
		var op tenure.OperationID
		var state tenure.StepState
		var n int
		if err := r.Scan(&op, &state, &n); err != nil {
			return err
		}
		if out[op] == nil {
			out[op] = make(map[tenure.StepState]int)
		}
		out[op][state] = n
		return nil
	})
	return out, err
}

// InFlight is a destructive step that some process runs, or ran when it died.
type InFlight struct {
	Operation tenure.OperationID
	Plan      string // digest
	Row       StepRow
}

// InFlight returns the destructive steps under way of a tenant; a blank one: of all.
func (tx *Tx) InFlight(tenant tenure.TenantID) (out []InFlight, err error) {
	err = tx.Rows(`select o.id, o.plan, s.seq, s.key from step s join operation o on o.id = s.operation
		where s.state = 'running' and s.destructive = 1 and ($1 = '' or o.tenant = $1)`, []any{string(tenant)}, func(r scanner) error {
		var f InFlight
		err := r.Scan(&f.Operation, &f.Plan, &f.Row.Seq, &f.Row.Key)
		out = append(out, f)
		return err
	})
	return out, err
}

// Steps returns an operation's steps as the transaction sees them.
func (tx *Tx) Steps(op tenure.OperationID) ([]StepRow, error) {
	return steps(tx, tx.w.db.storeNow(), op)
}
