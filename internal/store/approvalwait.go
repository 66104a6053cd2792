package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
)

// ApprovalWait is a gate that waits for persons.
type ApprovalWait struct {
	Operation   tenure.OperationID
	Step        string
	Tenant      tenure.TenantID
	Action      tenure.Action
	Gate        tenure.Gate
	Radius      tenure.BlastRadius
	Since       time.Time
	ExpiresAt   time.Time // zero: never
	RemindAt    time.Time
	EscalateAt  time.Time
	RemindedAt  time.Time
	EscalatedAt time.Time
	EscalatedTo string // recipients; blank if it went to nobody
	Escalated   string // why to them, or why to nobody
}

// WaitAt is a gate of an operation that begins to wait at a moment.
func WaitAt(op tenure.Operation, step *tenure.Step, radius tenure.BlastRadius, since time.Time) ApprovalWait {
	w := ApprovalWait{Operation: op.ID, Step: step.Key, Tenant: op.Tenant, Action: step.Action, Radius: radius, Since: since}
	if step.Gate == nil {
		return w
	}
	w.Gate, w.ExpiresAt = *step.Gate, step.Gate.ExpiresAt(since)
	if !w.Gate.Remind.IsZero() {
		w.RemindAt = w.Gate.Remind.After(since)
	}
	if e := w.Gate.Escalate; e != nil {
		w.EscalateAt = e.After.After(since)
	}
	return w
}

// Words are the signatures that count at the gate at now. At a point of no return
// those from before it last began to ask don't, nor those that are too old by now.
func (w ApprovalWait) Words(signed []tenure.Approval, now time.Time) []tenure.Approval {
	if w.Action != tenure.ActNoReturn {
		return signed
	}
	return slices.DeleteFunc(slices.Clone(signed), func(a tenure.Approval) bool {
		return a.At.Before(w.Since) || !w.Gate.Period.IsZero() && now.After(w.Gate.Period.After(a.At))
	})
}

const waitColumns = `w.operation, w.step, w.tenant, w.action, w.gate, w.resources, w.destructive, w.since, w.expires_at, w.remind_at, w.escalate_at, w.reminded_at, w.escalated_at, w.escalated_to, w.escalated_why`

func scanWait(r scanner, w *ApprovalWait, more ...any) error {
	var gate string
	var since, expires, remind, escalate, reminded, escalated int64
	into := append([]any{&w.Operation, &w.Step, &w.Tenant, &w.Action, &gate, &w.Radius.Resources, &w.Radius.Destructive, &since, &expires, &remind, &escalate, &reminded, &escalated, &w.EscalatedTo, &w.Escalated}, more...)
	if err := r.Scan(into...); err != nil {
		return err
	}
	w.Since, w.ExpiresAt, w.RemindAt, w.EscalateAt = fromMicros(since), fromMicros(expires), fromMicros(remind), fromMicros(escalate)
	w.RemindedAt, w.EscalatedAt = fromMicros(reminded), fromMicros(escalated)
	if gate == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(gate), &w.Gate); err != nil {
		return tenure.Errorf(tenure.Internal, "gate %s of %s: %w", w.Step, w.Operation, err)
	}
	return nil
}

func waits(q querier, where string, args ...any) (out []ApprovalWait, err error) {
	err = q.Rows(`select `+waitColumns+` from approval_wait w where `+where, args, func(r scanner) error {
		var w ApprovalWait
		err := scanWait(r, &w)
		out = append(out, w)
		return err
	})
	return out, err
}

// AwaitApproval records that a gate waits. One that is recorded with the same
// beginning stays as it is; with another, it asks anew, and so do its reminders.
func (tx *Tx) AwaitApproval(w ApprovalWait) error {
	_, err := tx.Exec(`insert into approval_wait (operation, step, tenant, action, gate, resources, destructive, since, expires_at, remind_at, escalate_at, reminded_at, escalated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0)
		on conflict (operation, step) do update set tenant = excluded.tenant, action = excluded.action, gate = excluded.gate, resources = excluded.resources, destructive = excluded.destructive,
			since = excluded.since, expires_at = excluded.expires_at, remind_at = excluded.remind_at, escalate_at = excluded.escalate_at,
			reminded_at = 0, escalated_at = 0, escalated_to = '', escalated_why = '' where approval_wait.since <> excluded.since`,
		string(w.Operation), w.Step, string(w.Tenant), string(w.Action), text(w.Gate), w.Radius.Resources, w.Radius.Destructive,
		micros(w.Since), micros(w.ExpiresAt), micros(w.RemindAt), micros(w.EscalateAt))
	return err
}

// DropWait forgets that a gate waits; a blank step, every gate of the operation.
func (tx *Tx) DropWait(op tenure.OperationID, step string) error {
	_, err := tx.Exec(`delete from approval_wait where operation = $1 and ($2 = '' or step = $2)`, string(op), step)
	return err
}

// ApprovalWait returns a gate that waits, as the transaction sees it.
func (tx *Tx) ApprovalWait(op tenure.OperationID, step string) (ApprovalWait, error) {
	return firstOf(waits(tx, `w.operation = $1 and w.step = $2`, string(op), step))
}

// ApprovalWaits lists the gates of an operation that wait.
func (db *DB) ApprovalWaits(ctx context.Context, op tenure.OperationID) ([]ApprovalWait, error) {
	return waits(db.reader(ctx), `w.operation = $1 order by w.since, w.step`, string(op))
}

// DueWaits lists gates that have expired at now, or that a reminder or escalation
// is due for, at most limit.
func (db *DB) DueWaits(ctx context.Context, now time.Time, limit int) (expired, remind, escalate []ApprovalWait, err error) {
	q := db.reader(ctx)
	if expired, err = waits(q, `w.expires_at > 0 and w.expires_at <= $1 order by w.expires_at limit $2`, micros(now), limit); err != nil {
		return nil, nil, nil, err
	}
	if remind, err = waits(q, `w.remind_at > 0 and w.reminded_at = 0 and w.remind_at <= $1 order by w.remind_at limit $2`, micros(now), limit); err != nil {
		return nil, nil, nil, err
	}
	escalate, err = waits(q, `w.escalate_at > 0 and w.escalated_at = 0 and w.escalate_at <= $1 order by w.escalate_at limit $2`, micros(now), limit)
	return expired, remind, escalate, err
}

// NoteReminded records that the reminder of a gate was written.
func (tx *Tx) NoteReminded(op tenure.OperationID, step string, at time.Time) error {
	_, err := tx.Exec(`update approval_wait set reminded_at = $1 where operation = $2 and step = $3 and reminded_at = 0`, micros(at), string(op), step)
	return err
}

// NoteEscalated records whom the escalation of a gate went to, and why; blank, that
// nobody stands above.
func (tx *Tx) NoteEscalated(op tenure.OperationID, step, to, why string, at time.Time) error {
	_, err := tx.Exec(`update approval_wait set escalated_at = $1, escalated_to = $2, escalated_why = $3 where operation = $4 and step = $5 and escalated_at = 0`, micros(at), to, why, string(op), step)
	return err
}

// NoticesFor lists the recipients of notices whose id begins so.
func (tx *Tx) NoticesFor(prefix string) ([]string, error) {
	return oneColumn[string](tx, `select recipient from notice where id >= $1 and id < $2 order by id`, prefix, prefix+"\x7f")
}

// WaitingGate is a row of the inbox: a gate with its operation and tenant.
type WaitingGate struct {
	ApprovalWait
	Op   tenure.Operation
	Name string // the tenant's
	Tier string
	// Labels of the tenant, for scopes.
	Labels map[string]string
	Signed []tenure.Approval
}

// WaitingGates lists the gates that wait for signatures in the order of their age, after
// one of them (blank: from the start), narrowed to what can be seen.
func (db *DB) WaitingGates(ctx context.Context, v Visible, since time.Time, op tenure.OperationID, step string, limit int) ([]WaitingGate, error) {
	q := db.reader(ctx)
	out, err := waitingGates(q, v, `w.action <> 'gate.task'`, since, op, step, limit)
	for i := range out {
		if err == nil {
			out[i].Signed, err = approvals(q, out[i].Operation)
		}
	}
	return out, err
}

// WaitingTasks lists the tasks that wait for a person, the oldest first, narrowed to
// what can be seen.
func (db *DB) WaitingTasks(ctx context.Context, v Visible, limit int) ([]WaitingGate, error) {
	return waitingGates(db.reader(ctx), v, `w.action = 'gate.task'`, time.Time{}, "", "", limit)
}

func waitingGates(q querier, v Visible, such string, since time.Time, op tenure.OperationID, step string, limit int) (out []WaitingGate, err error) {
	args := []any{micros(since), string(op), step, limit}
	err = q.Rows(`select `+waitColumns+`, o.kind, o.plan, o.state, o.requested_by, o.created_at, t.name, t.tier, t.labels
		from approval_wait w join operation o on o.id = w.operation join tenant t on t.id = w.tenant
		where `+such+` and (w.since > $1 or (w.since = $1 and (w.operation > $2 or (w.operation = $2 and w.step > $3)))) and `+v.where("w.tenant", &args)+`
		order by w.since, w.operation, w.step limit $4`, args, func(r scanner) error {
		var g WaitingGate
		var created int64
		var labels string
		if err := scanWait(r, &g.ApprovalWait, &g.Op.Kind, &g.Op.Plan, &g.Op.State, &g.Op.RequestedBy, &created, &g.Name, &g.Tier, &labels); err != nil {
			return err
		}
		g.Op.ID, g.Op.Tenant, g.Op.CreatedAt = g.Operation, g.Tenant, fromMicros(created)
		if labels != "" {
			if err := json.Unmarshal([]byte(labels), &g.Labels); err != nil {
				return tenure.Errorf(tenure.Internal, "labels of tenant %s: %w", g.Tenant, err)
			}
		}
		out = append(out, g)
		return nil
	})
	return out, err
}

// PokeWaits makes the operations due whose gates wait for persons and that the person
// whom an anomaly is about requested or signed. Other findings hold no gate shut.
func (tx *Tx) PokeWaits(id tenure.FindingID, now time.Time) error {
	var name string
	err := tx.Row(`select name from finding where id = $1 and kind = 'anomaly'`, []any{string(id)}, &name)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	about := make(map[tenure.OperationID]bool)
	err = tx.Rows(`select o.id, o.requested_by from operation o where exists (select 1 from approval_wait w where w.operation = o.id)
		union select a.operation, a.approver from approval a where exists (select 1 from approval_wait w where w.operation = a.operation)`, nil, func(r scanner) error {
		var op tenure.OperationID
		var who string
		err := r.Scan(&op, &who)
		if tenure.SamePerson(who, name) {
			about[op] = true
		}
		return err
	})
	for op := range about {
		if err == nil {
			err = tx.Poke(op, now)
		}
	}
	return err
}

// UnrecordedWaits lists operations that wait for persons, by what they say, at no
// recorded gate: those of a store from before gates were recorded.
func (db *DB) UnrecordedWaits(ctx context.Context) ([]tenure.OperationID, error) {
	return oneColumn[tenure.OperationID](db.reader(ctx), `select o.id from operation o where o.state = 'waiting' and (o.reason like '%approvals at %' or o.reason like '%confirmations of the point%' or o.reason like '%two persons to decide%')
		and not exists (select 1 from approval_wait w where w.operation = o.id)
		or o.state = 'waiting' and o.reason like '%a person''s task: %' and not exists (select 1 from approval_wait w where w.operation = o.id and w.action = 'gate.task') order by o.id limit 10000`)
}

// OpenExceptions lists the exceptions that wait for a second person's word, in
// operations that haven't ended and can be seen, the oldest first.
func (db *DB) OpenExceptions(ctx context.Context, v Visible, limit int) ([]Exception, []tenure.Operation, error) {
	args := []any{limit}
	var out []Exception
	var ops []tenure.Operation
	err := db.reader(ctx).Rows(`select e.operation, e.step, e.reason, e.asked_by, e.asked_at, o.kind, o.tenant, o.plan, o.requested_by from exception e join operation o on o.id = e.operation
		where e.attested_at = 0 and o.state not in `+endedStates+` and `+v.where("o.tenant", &args)+` order by e.asked_at, e.operation, e.step limit $1`, args, func(r scanner) error {
		var e Exception
		var o tenure.Operation
		var asked int64
		if err := r.Scan(&e.Operation, &e.Step, &e.Reason, &e.RequestedBy, &asked, &o.Kind, &o.Tenant, &o.Plan, &o.RequestedBy); err != nil {
			return err
		}
		e.RequestedAt, o.ID = fromMicros(asked), e.Operation
		out, ops = append(out, e), append(ops, o)
		return nil
	})
	return out, ops, err
}

// ReleasingHolds lists the holds whose release one person has asked for and that
// wait for another's word, narrowed to what can be seen.
func (db *DB) ReleasingHolds(ctx context.Context, v Visible) ([]tenure.Hold, error) {
	var args []any
	return holds(db.reader(ctx), `released_at = 0 and release_by <> '' and `+v.where("tenant", &args), args...)
}

// UnpublishedBlueprints lists the drafts that can still be published, the oldest
// first.
func (db *DB) UnpublishedBlueprints(ctx context.Context, limit int) ([]Blueprint, error) {
	return blueprints(db.reader(ctx), `published_at = 0 and not exists (select 1 from blueprint b where b.name = blueprint.name and b.version = blueprint.version and b.published_at > 0) order by created_at, digest limit $1`, limit)
}
