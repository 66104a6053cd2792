package relational

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

// Kept names the tables in which Tenure keeps, in the system itself, what an
// erasure has taken, and which parents' rows the rows that went referred to.
type Kept struct {
	Tally, Parents string
	Duplicate      bool // as in Marks
}

// DDL are the statements that make the tables, where they aren't there.
func (k Kept) DDL() []string {
	return []string{
		"create table if not exists " + k.Tally + " (run text not null, resource text not null, kind text not null, name text not null, n bigint not null, constraint tally_pk primary key (run, resource, kind, name))",
		"create table if not exists " + k.Parents + " (resource text not null, relation text not null, columns text not null, key text not null, constraint parent_pk primary key (resource, relation, columns, key))",
	}
}

const (
	taken    = "rows"
	detached = "references"
)

// Tallied is what of a batch is written down, by the kinds under which it is.
func Tallied(e *connector.Erased) map[string]map[string]int64 {
	return map[string]map[string]int64{taken: e.Counts, detached: e.Detached}
}

// Add writes a batch into the tally of its run, in the batch's transaction, and
// fills in the totals.
func (k Kept) Add(ctx context.Context, q Querier, run, resource string, e *connector.Erased) error {
	over := "on conflict (run, resource, kind, name) do update set n = " + k.Tally + ".n + excluded.n"
	if k.Duplicate {
		over = "on duplicate key update n = n + values(n)"
	}
	for kind, counts := range Tallied(e) {
		for name, n := range counts {
			_, err := q.Exec(ctx, "insert into "+k.Tally+" (run, resource, kind, name, n) values ($1, $2, $3, $4, $5) "+over, run, resource, kind, name, n)
			if err != nil {
				return err
			}
		}
	}
	total, err := k.Read(ctx, q, run, resource)
	e.Total, e.Detached = total.Total, total.Detached
	return err
}

// Read is what a run has taken so far.
func (k Kept) Read(ctx context.Context, q Querier, run, resource string) (e connector.Erased, err error) {
	e.Total, e.Detached = map[string]int64{}, map[string]int64{}
	rows, err := q.Query(ctx, "select kind, name, n from "+k.Tally+" where run = $1 and resource = $2", run, resource)
	if err != nil {
		return e, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, name string
		var n int64
		if err := rows.Scan(&kind, &name, &n); err != nil {
			return e, err
		}
		if kind == taken {
			e.Total[name] = n
		} else {
			e.Detached[name] = n
		}
	}
	return e, rows.Err()
}

// Begun says whether earlier batches of a run have changed rows, also where the answer to
// them was lost. It is asked for runs that change rows alone.
func (k Kept) Begun(ctx context.Context, q Querier, resource string, b connector.Batch) (bool, error) {
	if !b.Disposition.Changes() || b.Run == "" {
		return false, nil
	}
	e, err := k.Read(ctx, q, b.Run, resource)
	return len(e.Total) > 0, err
}

// Forget takes away what is kept of a resource.
func (k Kept) Forget(ctx context.Context, q Querier, resource string) error {
	for _, table := range []string{k.Tally, k.Parents} {
		if _, err := q.Exec(ctx, "delete from "+table+" where resource = $1", resource); err != nil {
			return err
		}
	}
	return nil
}
