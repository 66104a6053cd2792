package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

func tasks(q querier, rest string, args ...any) (out []tenure.Task, err error) {
	err = q.Rows(`select operation, id, tenant, step, task, artifact, place, owner, due_at, added_by, added_at, set_by, set_at, state, ended_by, ended_at, note, outcome, destination from task where `+rest, args, func(r scanner) error {
		var t tenure.Task
		var artifact, due, added, set, ended int64
		err := r.Scan(&t.Operation, &t.ID, &t.Tenant, &t.Step, &t.Text, &artifact, &t.Where, &t.Owner, &due, &t.AddedBy, &added, &t.SetBy, &set, &t.State, &t.EndedBy, &ended, &t.Note, &t.Handed.Outcome, &t.Handed.Destination)
		t.Artifact = artifact == 1
		t.DueAt, t.AddedAt, t.SetAt, t.EndedAt = fromMicros(due), fromMicros(added), fromMicros(set), fromMicros(ended)
		out = append(out, t)
		return err
	})
	return out, err
}

// Tasks lists what stands on an operation's checklist beside its plan, in the order of its making.
func (db *DB) Tasks(ctx context.Context, op tenure.OperationID) ([]tenure.Task, error) {
	return tasks(db.reader(ctx), `operation = $1 order by added_at, id`, string(op))
}

// Tasks lists them as the transaction sees them.
func (tx *Tx) Tasks(op tenure.OperationID) ([]tenure.Task, error) {
	return tasks(tx, `operation = $1 order by added_at, id`, string(op))
}

// DueTasks lists the open tasks whose owners are to be told at now, the longest due first.
func (db *DB) DueTasks(ctx context.Context, now time.Time, limit int) ([]tenure.Task, error) {
	return tasks(db.reader(ctx), `remind_at > 0 and remind_at <= $1 and state = 'open' order by remind_at, id limit $2`, micros(now), limit)
}

// UnlistedTasks lists the tasks of plans that wait for a person and don't stand open on the checklist.
func (db *DB) UnlistedTasks(ctx context.Context, limit int) ([]ApprovalWait, error) {
	return waits(db.reader(ctx), `w.action = 'gate.task' and not exists (select 1 from task t where t.operation = w.operation and t.step = w.step and t.state = 'open')
		and not exists (select 1 from approval a where a.operation = w.operation and a.step = w.step) order by w.since, w.operation, w.step limit $1`, limit)
}

// SaveTask puts a task on the checklist, or changes it. Its owner is told at remind; zero is never.
func (tx *Tx) SaveTask(t tenure.Task, remind time.Time) error {
	_, err := tx.Exec(`insert into task (operation, id, tenant, step, task, added_by, added_at, owner, due_at, set_by, set_at, state, ended_by, ended_at, note, remind_at, artifact, place, outcome, destination)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		on conflict (operation, id) do update set tenant = excluded.tenant, step = excluded.step, task = excluded.task, added_by = excluded.added_by, added_at = excluded.added_at, owner = excluded.owner, due_at = excluded.due_at, set_by = excluded.set_by, set_at = excluded.set_at,
			state = excluded.state, ended_by = excluded.ended_by, ended_at = excluded.ended_at, note = excluded.note, remind_at = excluded.remind_at,
			artifact = excluded.artifact, place = excluded.place, outcome = excluded.outcome, destination = excluded.destination`,
		string(t.Operation), string(t.ID), string(t.Tenant), t.Step, t.Text, t.AddedBy, micros(t.AddedAt), t.Owner, micros(t.DueAt), t.SetBy, micros(t.SetAt),
		string(t.State), t.EndedBy, micros(t.EndedAt), t.Note, micros(remind), flag(t.Artifact), t.Where, string(t.Handed.Outcome), t.Handed.Destination)
	return err
}

// EndTask notes how a task on the checklist ended, and has nobody told of it any more. It touches nothing else of it:
// what somebody wrote there past the program isn't vouched for by its end.
func (tx *Tx) EndTask(t tenure.Task) error {
	_, err := tx.Exec(`update task set state = $1, ended_by = $2, ended_at = $3, note = $4, outcome = $5, destination = $6, remind_at = 0 where operation = $7 and id = $8`,
		string(t.State), t.EndedBy, micros(t.EndedAt), t.Note, string(t.Handed.Outcome), t.Handed.Destination, string(t.Operation), string(t.ID))
	if err == nil {
		err = tx.recallTask(t)
	}
	return err
}

// recallTask keeps reminders of a task that has ended from going out, as where quiet hours held them back.
func (tx *Tx) recallTask(t tenure.Task) error {
	from, to := string(t.Operation)+"/"+string(t.ID)+"/", string(t.Operation)+"/"+string(t.ID)+"0" // "0" follows "/"
	_, err := tx.Exec(`update notice set routed_at = $1 where id > $2 and id < $3 and kind = $4 and routed_at = 0`, micros(t.EndedAt), from, to, string(tenure.NoticeTask))
	if err == nil {
		_, err = tx.Exec(`update delivery set state = 'expired', ended_at = $1, next_at = 0, error = 'the task has ended' where state = 'waiting' and notice > $2 and notice < $3
			and exists (select 1 from notice n where n.id = delivery.notice and n.kind = $4)`, micros(t.EndedAt), from, to, string(tenure.NoticeTask))
	}
	return err
}

// RemindTask has the owner of an open task told next at a moment, zero is never. False: nobody is to be told at now.
func (tx *Tx) RemindTask(t tenure.Task, next, now time.Time) (bool, error) {
	n, err := tx.Exec(`update task set remind_at = $1 where operation = $2 and id = $3 and state = 'open' and remind_at > 0 and remind_at <= $4`, micros(next), string(t.Operation), string(t.ID), micros(now))
	return n == 1, err
}
