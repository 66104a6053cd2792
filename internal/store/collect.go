package store

import (
	"bytes"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// RowsEntry is the kind of the entries that say how rows stand: their data is the digest of each row by its
// name, blank for one that is gone.
const RowsEntry = "store.rows"

// statement is a prepared statement, and what it changes of what the log covers.
type statement struct {
	*sql.Stmt
	change *change
	width  int // of what it returns
}

// collect runs a statement that changes what the log covers, and notes how the rows stand after it.
func (tx *Tx) collect(s *statement, query string, args []any) (n int64, err error) {
	rows, err := s.QueryContext(tx.ctx, args...)
	if err != nil {
		return 0, storeError(query, err)
	}
	var all [][]any
	err = eachRow(query, rows, func(r scanner) error {
		n++
		values, err := scanAll(r, s.width)
		all = append(all, values)
		return err
	})
	if err == nil && n == 0 && s.change.creates && !strings.Contains(query, "on conflict") {
		err = tenure.Errorf(tenure.Blocked, "the store didn't keep a new row of %s", s.change.parts[0].table).
			WithHint("somebody changed the store so that it drops rows: see tenure audit verify")
	}
	for _, values := range all { // what a tenant's salt is can only be asked once they are read
		if err == nil {
			err = tx.noteRow(s.change, values)
		}
	}
	return n, err
}

func (tx *Tx) noteRow(c *change, values []any) error {
	keys := len(c.parts[0].key)
	key, rest := values[:keys], values[keys:]
	beside := ""
	if len(c.parts[0].beside()) > 0 {
		beside, rest = asText(rest[0]), rest[1:]
	}
	for _, f := range c.parts {
		mine := rest[:len(f.columns)]
		rest = rest[len(f.columns):]
		name := tx.w.digest.named(f, key)
		absent := f.isAbsent(mine)
		if absent && (c.creates || c.removes) { // the log has nothing to take back
			continue
		}
		silent := c.removes || absent
		digest := ""
		if !silent {
			salt, err := tx.saltFor(f, key, beside)
			if err != nil {
				return err
			}
			digest = tx.w.digest.row(f, name, salt, mine)
		}
		tx.note(name, digest)
	}
	return nil
}

// isAbsent says whether a part says nothing.
func (f *fact) isAbsent(values []any) bool {
	for i, v := range values {
		if foreign(f.types[len(f.key)+i], v) != "" {
			return false
		}
	}
	if f.absent != nil && f.absent(func(col string) any { return values[slices.Index(f.columns, col)] }) {
		return true
	}
	return !f.lasting && !slices.ContainsFunc(values, says)
}

// says whether a value is neither blank nor zero.
func says(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []byte:
		return len(v) > 0
	case int64:
		return v != 0
	}
	return false
}

func (tx *Tx) note(name, digest string) {
	if tx.facts == nil {
		tx.facts = make(map[string]string)
	}
	tx.facts[name] = digest
}

// saltFor is the salt of a row's tenant; blank for a row of nobody's.
func (tx *Tx) saltFor(f *fact, key []any, beside string) (string, error) {
	switch f.whose {
	case ownTenant:
		return beside, nil
	case byTenant:
		if beside != "" {
			return tx.saltBy(`select salt from tenant where id = $1`, beside)
		}
	case byOperation:
		return tx.saltOf(tenure.OperationID(asText(key[0])))
	}
	return "", nil
}

// saltOf is the salt of an operation's tenant.
func (tx *Tx) saltOf(id tenure.OperationID) (string, error) {
	return tx.saltBy(`select t.salt from operation o join tenant t on t.id = o.tenant where o.id = $1`, string(id))
}

// saltBy asks for a salt once a transaction; on SQLite, where no other process writes, once while it stays.
func (tx *Tx) saltBy(query, id string) (salt string, err error) {
	kept := &tx.salts
	if tx.w.db.Dialect == SQLite {
		kept = &tx.w.salts
	}
	if salt, ok := (*kept)[id]; ok {
		return salt, nil
	}
	err = tx.Row(query, []any{id}, &salt)
	if tenure.CodeOf(err) == tenure.NotFound { // a row without its tenant has no salt
		return "", nil
	}
	if *kept == nil || len(*kept) >= 4096 {
		*kept = make(map[string]string)
	}
	if err == nil {
		(*kept)[id] = salt
	}
	return salt, err
}

// forgetSalts is called when a tenant's salt changes.
func (tx *Tx) forgetSalts() { tx.salts, tx.w.salts = nil, nil }

// noteTenant notes anew how all of a tenant's rows stand: under another salt, or when the log begins to cover them.
func (tx *Tx) noteTenant(id tenure.TenantID) error {
	for _, f := range facts {
		where := ""
		switch f.whose {
		case ownTenant:
			where = `id = $1`
		case byTenant:
			where = `tenant = $1`
		case byOperation:
			where = `operation in (select id from operation where tenant = $1)`
		default:
			continue
		}
		if err := tx.noteWhere(&change{parts: []*fact{f}}, where, string(id)); err != nil {
			return err
		}
	}
	return nil
}

// noteWhere notes how rows stand of which a change says that they were made, changed or go.
func (tx *Tx) noteWhere(c *change, where string, args ...any) error {
	columns := columnsOf(c.parts...)
	var all [][]any
	err := tx.Rows(`select `+strings.Join(columns, ", ")+` from `+c.parts[0].table+` where `+where, args, func(r scanner) error {
		values, err := scanAll(r, len(columns))
		all = append(all, values)
		return err
	})
	for _, values := range all {
		if err == nil {
			err = tx.noteRow(c, values)
		}
	}
	return err
}

func scanAll(r scanner, n int) ([]any, error) {
	values, into := make([]any, n), make([]any, n)
	for i := range values {
		into[i] = &values[i]
	}
	return values, r.Scan(into...)
}

// flushFacts appends what was noted to the log.
func (tx *Tx) flushFacts() error {
	if len(tx.facts) == 0 {
		return nil
	}
	const before, after = `{"rows":{`, `}}`
	at := tx.at()
	b := append(tx.w.rows[:0], before...)
	write := func() error {
		e := audit.Entry{Format: audit.Format, At: at, Kind: RowsEntry, Data: append(b, after...)}
		return tx.Log(e) // which copies it
	}
	for _, name := range slices.Sorted(maps.Keys(tx.facts)) {
		if len(b) > audit.MaxEntry-1024 {
			if err := write(); err != nil {
				return err
			}
			b = b[:len(before)]
		}
		if len(b) > len(before) {
			b = append(b, ',')
		}
		b = append(append(append(append(append(b, '"'), name...), `":"`...), tx.facts[name]...), '"')
	}
	tx.w.rows = b
	return write()
}

// at is the moment of the transaction's last entry, so that the log's times stay in the order of its clock.
func (tx *Tx) at() time.Time {
	if n := len(tx.leaves); n > 0 {
		if rest, ok := bytes.CutPrefix(tx.leaves[n-1], []byte(`{"at":`)); ok {
			if end := bytes.IndexByte(rest, ','); end > 0 {
				if us, err := strconv.ParseInt(string(rest[:end]), 10, 64); err == nil {
					return time.UnixMicro(us).UTC()
				}
			}
		}
	}
	now := time.Now
	if tx.w.db.now != nil {
		now = tx.w.db.now
	}
	return now().UTC().Truncate(time.Microsecond)
}

// noteSteps notes how a commit's steps and resources stand after it.
func (tx *Tx) noteSteps(c *StepCommit) error {
	if len(c.Results)+len(c.Resources) == 0 {
		return nil
	}
	salt, err := tx.saltOf(c.Operation)
	if err != nil {
		return err
	}
	d := tx.w.digest
	for i := range c.Results {
		r := &c.Results[i]
		key := []any{string(c.Operation), int64(r.Seq)}
		if r.Batched || r.Progress != "" {
			tx.notePart(stepProgress, key, salt, r.Progress)
		}
		switch {
		case r.State != tenure.StepPending:
			tx.notePart(stepResult, key, salt, string(r.State), string(r.Verdict), micros(r.ended(c.Now)), string(r.ErrorCode), r.Error, r.Receipt)
		case r.from() != tenure.StepRunning: // it had a result before
			tx.note(d.named(stepResult, key), "")
		}
	}
	for i := range c.Resources {
		v := &c.Resources[i]
		key := []any{string(v.ID)}
		tx.notePart(resourceState, key, salt, string(v.State), string(v.Verdict), micros(v.ExpiresAt))
		if v.Normal != nil {
			tx.notePart(resourceNormal, key, salt, string(v.Normal))
		}
		if v.Observed != nil {
			tx.notePart(resourceObserved, key, salt, string(v.Observed))
		}
	}
	return nil
}

// notePart notes how one part of a row stands.
func (tx *Tx) notePart(f *fact, key []any, salt string, values ...any) {
	name, digest := tx.w.digest.named(f, key), ""
	if !f.isAbsent(values) {
		digest = tx.w.digest.row(f, name, salt, values)
	}
	tx.note(name, digest)
}

var stepResult, stepProgress, resourceState, resourceNormal, resourceObserved = part("step.result"), part("step.progress"), part("resource.state"), part("resource.normal"), part("resource.observed")

func part(name string) *fact {
	return facts[slices.IndexFunc(facts, func(f *fact) bool { return f.name == name })]
}
