package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Forget takes out of Tenure's own rows what they say of a tenant that has closed
// beyond ids, states, dates and digests, as migrations/columns.txt declares it. It
// says how many rows it changed or removed. See Written for what is kept sealed.
func (tx *Tx) Forget(id tenure.TenantID, at time.Time) (sum int64, err error) {
	if err := tx.SetLabels(id, nil, 0, at); err != nil { // the counts by label, too
		return 0, err
	}
	for _, t := range Declared() {
		err := t.each(tx, id, func(where string, arg any) error {
			n, err := tx.forget(&t, where, arg)
			sum += n
			return err
		})
		if err != nil {
			return sum, err
		}
	}
	tx.emptyLog = true
	tx.forgetSalts()
	return sum, tx.noteTenant(id)
}

func (tx *Tx) forget(t *Table, where string, arg any) (int64, error) {
	if t.Remove {
		return tx.Exec(`delete from `+t.Name+` where `+where, arg)
	}
	for _, c := range t.that(Digest) {
		if err := tx.digest(t.Name, c, where, arg); err != nil {
			return 0, err
		}
	}
	blank := t.that(Closing, Sealed)
	if len(blank) == 0 {
		return 0, nil
	}
	set := strings.Join(blank, ` = '', `) + ` = ''`
	for _, c := range completing(t.Name, blank) {
		set += `, ` + c + ` = ` + c
	}
	return tx.Exec(`update `+t.Name+` set `+set+` where `+where+` and `+filled(blank), arg)
}

// forgotten begins a digest in the place of what was forgotten.
const forgotten = "forgotten:"

// forgottenTrigger is what is kept of a trigger's key, or an incident's, when its tenant is forgotten:
// enough to know it again, and not what it said.
func forgottenTrigger(key string) string { return forgotten + tenure.Digest([]byte(key)) }

func (tx *Tx) digest(table, column, where string, arg any) error {
	values, err := oneColumn[string](tx, `select distinct `+column+` from `+table+` where `+where+` and `+column+` <> '' and `+column+` not like '`+forgotten+`%'`, arg)
	if parts := factsOf[table]; err == nil && len(parts) > 0 && slices.Contains(parts[0].key, column) { // the log has the rows under other names from now on
		err = tx.noteWhere(&change{parts: parts, removes: true}, where+` and `+column+` not like '`+forgotten+`%'`, arg)
	}
	for _, v := range values {
		if err == nil {
			_, err = tx.Exec(`update `+table+` set `+column+` = $2 where `+column+` = $3 and `+where, arg, forgottenTrigger(v), v)
		}
	}
	return err
}

// each gives the conditions by which a tenant's rows are found, with their argument.
func (t *Table) each(q querier, id tenure.TenantID, do func(where string, arg any) error) error {
	switch {
	case len(t.Tenant) == 0:
		return nil
	case t.Tenant[0] != "scope":
		return do(t.of(), string(id))
	}
	rows, err := scoped(q, t.Name, `scope like '%"' || $1 || '"%'`, string(id))
	for _, row := range rows {
		if err == nil && row.only(q, `state = 'closed' or id = $1`, string(id)) {
			err = do("id = $1", row.id)
		}
	}
	return err
}

// scopedRow is a row of staff's with what it is over.
type scopedRow struct {
	id    string
	scope tenure.Scope
}

func scoped(q querier, table, where string, args ...any) (out []scopedRow, err error) {
	err = q.Rows(`select id, scope from `+table+` where `+where, args, func(r scanner) error {
		var row scopedRow
		var scope string
		if err := r.Scan(&row.id, &scope); err != nil {
			return err
		}
		out = append(out, row)
		return decode(scope, &out[len(out)-1].scope)
	})
	return out, err
}

// only says whether the row is over nothing but tenants of which a condition holds.
func (r scopedRow) only(q querier, where string, arg any) bool {
	s := r.scope
	if s.All || len(s.Tiers) > 0 || len(s.Labels) > 0 || len(s.Tenants) == 0 {
		return false
	}
	for _, id := range s.Tenants {
		n := 0
		if err := q.Row(`select count(*) from tenant where id = $2 and (`+where+`)`, []any{arg, string(id)}, &n); err != nil || n == 0 {
			return false
		}
	}
	return true
}

// Written is a text that staff wrote of a tenant and that stays to be known for a
// while after the tenant has closed.
type Written struct {
	Table  string `json:"table"`
	Row    string `json:"row"`
	Column string `json:"column"`
	Text   string `json:"text"`
}

// Written are the texts that Forget takes out and that are to be sealed before.
func (tx *Tx) Written(id tenure.TenantID) ([]Written, error) { return written(tx, id) }

// Written are the texts that Forget takes out and that are to be sealed before.
func (db *DB) Written(ctx context.Context, id tenure.TenantID) ([]Written, error) {
	return written(db.reader(ctx), id)
}

func written(q querier, id tenure.TenantID) (out []Written, err error) {
	for _, t := range Declared() {
		columns := t.that(Sealed)
		if len(columns) == 0 {
			continue
		}
		err := t.each(q, id, func(where string, arg any) error {
			for _, c := range columns {
				err := q.Rows(`select `+t.Key+`, `+c+` from `+t.Name+` where `+where+` and `+c+` <> '' order by 1`, []any{arg}, func(r scanner) error {
					w := Written{Table: t.Name, Column: c}
					err := r.Scan(&w.Row, &w.Text)
					out = append(out, w)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Record is what staff wrote of a tenant that has closed, sealed under Key. Key and
// Box are empty once the key was destroyed.
type Record struct {
	Tenant    tenure.TenantID
	Key       string
	Box       []byte
	ExpiresAt time.Time
}

// Record is a closed tenant's; NotFound if nothing was written.
func (tx *Tx) Record(id tenure.TenantID) (Record, error) { return record(tx, id) }

// Record is a closed tenant's; NotFound if nothing was written.
func (db *DB) Record(ctx context.Context, id tenure.TenantID) (Record, error) {
	return record(db.reader(ctx), id)
}

func record(q querier, id tenure.TenantID) (Record, error) {
	r := Record{Tenant: id}
	var at int64
	err := q.Row(`select key, box, expires_at from record where tenant = $1`, []any{string(id)}, &r.Key, &r.Box, &at)
	r.ExpiresAt = fromMicros(at)
	return r, err
}

// SaveRecord stores a closed tenant's record, in place of the one before.
func (tx *Tx) SaveRecord(r Record) error {
	_, err := tx.Exec(`insert into record (tenant, key, box, expires_at) values ($1, $2, $3, $4) on conflict (tenant) do update set key = excluded.key, box = excluded.box, expires_at = excluded.expires_at`,
		string(r.Tenant), r.Key, r.Box, micros(r.ExpiresAt))
	return err
}

// Unforgotten lists tenants that closed before a moment and of whom a row still says
// something: they closed in another way than by an offboarding, or it was written
// since.
func (db *DB) Unforgotten(ctx context.Context, before time.Time, limit int) (out []tenure.TenantID, err error) {
	const closed = `state = 'closed' and updated_at < $1 and not exists (select 1 from operation o where o.tenant = tenant.id and o.state not in ` + endedStates + `)`
	q := db.reader(ctx)
	add := func(ids ...string) {
		for _, id := range ids {
			if !slices.Contains(out, tenure.TenantID(id)) && len(out) < limit {
				out = append(out, tenure.TenantID(id))
			}
		}
	}
	for _, t := range Declared() {
		some := "true"
		if blank := t.that(Closing, Sealed); !t.Remove && len(blank) > 0 {
			some = filled(blank)
		}
		if t.Only != "" {
			some += " and " + t.Only
		}
		switch {
		case len(t.Tenant) == 0 || len(out) >= limit:
		case t.Tenant[0] == "tenant" || t.Tenant[0] == "id":
			ids, err := oneColumn[string](q, `select distinct `+t.Tenant[0]+` from `+t.Name+` where `+some+` and `+t.Tenant[0]+` in (select id from tenant where `+closed+`) limit $2`, micros(before), limit)
			if err != nil {
				return nil, err
			}
			add(ids...)
		case t.Tenant[0] == "scope":
			rows, err := scoped(q, t.Name, some)
			if err != nil {
				return nil, err
			}
			for _, row := range rows {
				if row.only(q, closed, micros(before)) {
					add(string(row.scope.Tenants[0]))
				}
			}
		}
	}
	return out, nil
}

// unstarted is how long a plan for a tenant that there isn't says whose it is.
const unstarted = 30 * 24 * time.Hour

// old are the conditions under which rows are too old, by table, with the moment.
func old(now time.Time, do func(table, where string, before int64) error) error {
	for _, t := range Declared() {
		if t.Old == "" {
			continue
		}
		if err := do(t.Name, t.Old+" < $1", micros(now.Add(-t.Age))); err != nil {
			return err
		}
	}
	return do("plan", `body <> '' and created_at < $1 and not exists (select 1 from tenant t where t.id = plan.tenant)`, micros(now.Add(-unstarted)))
}

// HasOld says whether DropOld would do anything.
func (db *DB) HasOld(ctx context.Context, now time.Time) (some bool, err error) {
	err = old(now, func(table, where string, before int64) error {
		n := 0
		err := db.reader(ctx).Row(`select count(*) from (select 1 from `+table+` where `+where+` limit 1) x`, []any{before}, &n)
		some = some || n > 0
		return err
	})
	return some, err
}

// DropOld removes the rows that migrations/columns.txt lets grow no older, and blanks
// plans that nobody started for a tenant that there isn't.
func (tx *Tx) DropOld(now time.Time) error {
	tx.emptyLog = true
	return old(now, func(table, where string, before int64) error {
		do := `delete from ` + table
		if table == "plan" {
			do = `update plan set body = ''`
		}
		_, err := tx.Exec(do+` where `+where, before)
		return err
	})
}
