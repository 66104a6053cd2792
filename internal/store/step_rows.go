package store

import (
	"bytes"
	"database/sql/driver"
	"time"

	"github.com/tenurehq/tenure"
)

// The statements that SQLite runs for each step. They go to the driver itself: at
// some microseconds each, what database/sql adds to a call is a fifth of it.
const (
	resultRow = `update step set state = $1, verdict = $2, due_at = $3, ended_at = $4, error_code = $5, error = $6, receipt = $7, progress = $8, lease_until = 0, attempt = attempt + $15,
		failing_since = case when $5 = '' then 0 when failing_since > 0 then failing_since else $9 end
		where operation = $10 and seq = $11 and token = $12 and state = $13 and (select version from operation where id = $10) = $14`
	doneRow = `update step set state = 'done', verdict = 'verified', due_at = 0, ended_at = $1, error_code = '', error = '', receipt = $2, progress = '', lease_until = 0, failing_since = 0
		where operation = $3 and seq = $4 and token = $5 and state = 'running' and (select version from operation where id = $3) = $6`
	claimRow = `update step set state = 'running', owner = $1, token = token + 1, attempt = attempt + 1, started_at = $2, lease_until = $3
		where operation = $4 and seq = $5 and token = $6 and state = $7`
	resourceRow = `update resource set state = $1, verdict = $2, normal = coalesce($3, normal), observed = coalesce($4, observed),
		expires_at = $5, operation = $6, updated_at = $7, version = version + 1 where id = $8`
	presentRow = `update resource set state = 'present', verdict = 'verified', normal = $1, observed = $1, expires_at = 0, operation = $2, updated_at = $3, version = version + 1 where id = $4`
)

// rows runs statements on the driver's own connection. It is only good inside
// the function that withRows gives it to.
type rows struct {
	w    *writer
	conn driver.ConnPrepareContext
	tx   *Tx
}

// withRows gives f the connection of a transaction under way.
func (tx *Tx) withRows(f func(*rows) error) error {
	return tx.w.conn.Raw(func(c any) error {
		conn, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return tenure.Errorf(tenure.Internal, "store: the driver prepares no statements")
		}
		return f(&rows{w: tx.w, conn: conn, tx: tx})
	})
}

// exec runs a statement, prepared once. The arguments are int64, string, []byte
// or nil.
func (r *rows) exec(query string, args ...driver.Value) (int64, error) {
	s, ok := r.w.hot[query]
	if !ok {
		prepared, err := r.conn.PrepareContext(r.tx.ctx, query)
		if err != nil {
			return 0, storeError(query, err)
		}
		if s, ok = prepared.(driver.StmtExecContext); !ok {
			return 0, tenure.Errorf(tenure.Internal, "store: the driver's statements take no context")
		}
		r.w.hot[query] = s
	}
	named := r.w.args[:0]
	for i, v := range args {
		named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	r.w.args = named
	res, err := s.ExecContext(r.tx.ctx, named)
	if err != nil {
		return 0, storeError(query, err)
	}
	return res.RowsAffected()
}

// stepRows writes row by row, which is fastest on SQLite.
func (tx *Tx) stepRows(commits []*StepCommit) error {
	for _, c := range commits {
		if err := tx.operationRow(c); err != nil {
			return err
		}
	}
	clock := time.Now().UnixMicro() // the store is this machine's, and so is its clock
	err := tx.withRows(func(r *rows) error {
		for _, c := range commits {
			if err := r.steps(c, clock); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range commits {
		for i := range c.Resources {
			if c.Resources[i].State == tenure.ResourceGone {
				if err := tx.bury(c.Resources[i].ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// steps writes one commit's rows.
func (r *rows) steps(c *StepCommit, clock int64) error {
	version := c.Version
	if !c.Kept {
		version++
	}
	for i := range c.Results {
		if err := r.result(c, &c.Results[i], version); err != nil {
			return err
		}
	}
	for i := range c.Claims {
		l := &c.Claims[i]
		n, err := r.exec(claimRow, l.Owner, micros(c.Now), clock+l.Lease.Microseconds(), string(c.Operation), int64(l.Seq), l.Token, string(l.From))
		if err != nil {
			return err
		}
		if n != 1 {
			return lost(c.Operation, notFree)
		}
	}
	for i := range c.Resources {
		if err := r.resource(c, &c.Resources[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) result(c *StepCommit, s *StepResult, version int64) (err error) {
	var n int64
	if s.plain() {
		n, err = r.exec(doneRow, micros(c.Now), s.Receipt, string(c.Operation), int64(s.Seq), s.Token, version)
	} else {
		n, err = r.exec(resultRow, string(s.State), string(s.Verdict), micros(s.DueAt), micros(s.ended(c.Now)), string(s.ErrorCode), s.Error, s.Receipt, s.Progress, micros(c.Now),
			string(c.Operation), int64(s.Seq), s.Token, string(s.from()), version, int64(flag(s.Tried)))
	}
	if err == nil && n != 1 {
		return lost(c.Operation, lostLease)
	}
	return err
}

// resource changes a resource's row on behalf of an operation.
func (r *rows) resource(c *StepCommit, v *ResourceWrite) (err error) {
	var n int64
	if v.plain() {
		n, err = r.exec(presentRow, string(v.Normal), string(c.Operation), micros(c.Now), string(v.ID))
	} else {
		n, err = r.exec(resourceRow, string(v.State), string(v.Verdict), textOrNull(v.Normal), textOrNull(v.Observed), micros(v.ExpiresAt), string(c.Operation), micros(c.Now), string(v.ID))
	}
	if err == nil && n != 1 {
		return notInInventory([]string{string(v.ID)})
	}
	return err
}

// plain says that a resource is there as it should be.
func (v *ResourceWrite) plain() bool {
	return v.State == tenure.ResourcePresent && v.Verdict == tenure.Verified && v.ExpiresAt.IsZero() && v.Normal != nil && bytes.Equal(v.Normal, v.Observed)
}

func textOrNull(b []byte) driver.Value {
	if b == nil {
		return nil
	}
	return string(b)
}

// plain says that a running step ended as most do.
func (s *StepResult) plain() bool {
	return s.State == tenure.StepDone && s.Verdict == tenure.Verified && s.from() == tenure.StepRunning && s.DueAt.IsZero() &&
		s.ErrorCode == "" && s.Error == "" && s.Progress == ""
}
