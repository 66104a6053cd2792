package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
)

// TenantAhead is what stands open of a tenant: its findings, and its operations that
// haven't ended, with their gates that wait for persons.
type TenantAhead struct {
	Findings   map[tenure.Severity]int
	Operations []OperationRow
	Waits      map[tenure.OperationID][]ApprovalWait
	Signed     map[tenure.OperationID][]tenure.Approval // of operations whose gates wait
}

// Ahead reads what stands open of the tenants of a page, in four questions however
// many they are.
func (db *DB) Ahead(ctx context.Context, rows []TenantRow, now time.Time) (map[tenure.TenantID]*TenantAhead, error) {
	out := make(map[tenure.TenantID]*TenantAhead, len(rows))
	if len(rows) == 0 {
		return out, nil
	}
	ids := make([]string, len(rows))
	for i, t := range rows {
		ids[i] = string(t.ID)
		out[t.ID] = &TenantAhead{Findings: map[tenure.Severity]int{}, Waits: map[tenure.OperationID][]ApprovalWait{}, Signed: map[tenure.OperationID][]tenure.Approval{}}
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
	err = q.Rows(`select id, kind, tenant, plan, state, reason, requested_by, created_at, updated_at, due_at from operation
		where tenant in (`+in+`) and state not in `+endedStates+` order by created_at, id`, args, func(r scanner) error {
		var o OperationRow
		var created, updated, due int64
		err := r.Scan(&o.ID, &o.Kind, &o.Tenant, &o.Plan, &o.State, &o.Reason, &o.RequestedBy, &created, &updated, &due)
		o.CreatedAt, o.UpdatedAt, o.DueAt = fromMicros(created), fromMicros(updated), fromMicros(due)
		out[o.Tenant].Operations = append(out[o.Tenant].Operations, o)
		open = append(open, string(o.ID))
		return err
	})
	if err != nil || len(open) == 0 {
		return out, err
	}
	args = nil
	of := make(map[tenure.OperationID]*TenantAhead)
	list, err := waits(q, `w.operation in (`+marks(open, &args)+`) order by w.since, w.step`, args...)
	for _, w := range list {
		a := out[w.Tenant]
		of[w.Operation] = a
		a.Waits[w.Operation] = append(a.Waits[w.Operation], w)
	}
	if err != nil || len(list) == 0 {
		return out, err
	}
	args = nil
	signed, err := signatures(q, `operation in (`+marks(slices.Collect(maps.Keys(of)), &args)+`)`, args...)
	for _, s := range signed {
		of[s.Operation].Signed[s.Operation] = append(of[s.Operation].Signed[s.Operation], s)
	}
	return out, err
}
