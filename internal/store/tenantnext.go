package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// TenantAhead is what stands open of a tenant: its findings, and its operations that
// haven't ended, with their gates that wait for persons.
type TenantAhead struct {
	Findings   map[tenure.Severity]int
	Operations []OperationRow
	Waits      map[tenure.OperationID][]ApprovalWait
}

// Ahead reads what stands open of the tenants of a page, in three questions however
// many they are.
func (db *DB) Ahead(ctx context.Context, rows []TenantRow, now time.Time) (map[tenure.TenantID]*TenantAhead, error) {
	out := make(map[tenure.TenantID]*TenantAhead, len(rows))
	if len(rows) == 0 {
		return out, nil
	}
	ids := make([]string, len(rows))
	for i, t := range rows {
		ids[i] = string(t.ID)
		out[t.ID] = &TenantAhead{Findings: map[tenure.Severity]int{}, Waits: map[tenure.OperationID][]ApprovalWait{}}
	}
	var args []any
	in := marks(ids, &args)
	args = append(args, micros(now))
	q := db.reader(ctx)
	err := q.Rows(`select tenant, severity, count(*) from finding where resolved_at = 0 and tenant in (`+in+`) and waived_until <= `+placeholder(len(args))+` group by tenant, severity`, args, func(r scanner) error {
		var id tenure.TenantID
		var s tenure.Severity
		var n int
		err := r.Scan(&id, &s, &n)
		out[id].Findings[s] = n
		return err
	})
	if err != nil {
		return nil, err
	}
	args = args[:len(ids)]
	var open []string
	err = q.Rows(`select id, kind, tenant, state, reason, requested_by, created_at, updated_at, due_at from operation
		where tenant in (`+in+`) and state not in `+endedStates+` order by created_at, id`, args, func(r scanner) error {
		var o OperationRow
		var created, updated, due int64
		err := r.Scan(&o.ID, &o.Kind, &o.Tenant, &o.State, &o.Reason, &o.RequestedBy, &created, &updated, &due)
		o.CreatedAt, o.UpdatedAt, o.DueAt = fromMicros(created), fromMicros(updated), fromMicros(due)
		out[o.Tenant].Operations = append(out[o.Tenant].Operations, o)
		open = append(open, string(o.ID))
		return err
	})
	if err != nil || len(open) == 0 {
		return out, err
	}
	args = nil
	list, err := waits(q, `w.operation in (`+marks(open, &args)+`) order by w.since, w.step`, args...)
	for _, w := range list {
		a := out[w.Tenant]
		a.Waits[w.Operation] = append(a.Waits[w.Operation], w)
	}
	return out, err
}
