package store

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const findingColumns = `id, kind, severity, tenant, resource, system, type, name, field, want, got, detail, confidence, steps, seen_at, resolved_at, waived_until, waived_by`

func fingerprint(f tenure.Finding) string {
	return tenure.Digest([]byte(strings.Join([]string{string(f.Kind), string(f.Tenant), string(f.Resource), f.System, f.Type, f.Name, f.Field}, "\x00")))
}

// SaveFinding stores a finding. One that is open already is brought up to date
// and keeps its id and its waiver.
func (tx *Tx) SaveFinding(f tenure.Finding) error {
	fp := fingerprint(f)
	steps := ""
	if len(f.Steps) > 0 {
		steps = text(f.Steps)
	}
	set, args := `update finding set severity = $1, want = $2, got = $3, detail = $4, seen_at = $5, confidence = $7, steps = $8`, []any{string(f.Severity), f.Want, f.Got, f.Detail, micros(f.SeenAt), fp, string(f.Confidence), steps}
	if f.Kind == tenure.FindingAnomaly { // the log covers when it was seen together with what it is
		set += `, kind = $9, type = $10, name = $11 where fingerprint = $6 and resolved_at = 0`
		args = append(args, string(f.Kind), f.Type, f.Name)
	} else {
		set += ` where fingerprint = $6 and resolved_at = 0 and ` + notAnomalies
	}
	n, err := tx.Exec(set, args...)
	if err != nil || n > 0 {
		return err
	}
	_, err = tx.Exec(`insert into finding (id, fingerprint, kind, severity, tenant, resource, system, type, name, field, want, got, detail, seen_at, confidence, steps, resolved_at, waived_until, waived_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, '')`,
		string(f.ID), fp, string(f.Kind), string(f.Severity), string(f.Tenant), string(f.Resource), f.System, f.Type, f.Name, f.Field, f.Want, f.Got, f.Detail, micros(f.SeenAt), string(f.Confidence), steps)
	return err
}

// ResolveUnseen closes the open findings of some kinds in a system that aren't
// among those seen in a pass over it; a tenant narrows it.
func (tx *Tx) ResolveUnseen(kinds []tenure.FindingKind, system string, tenant tenure.TenantID, seen []tenure.Finding, at time.Time) error {
	keep := make(map[string]bool, len(seen))
	for _, f := range seen {
		keep[fingerprint(f)] = true
	}
	var gone []string
	for _, k := range kinds {
		err := tx.Rows(`select id, fingerprint from finding where kind = $1 and system = $2 and ($3 = '' or tenant = $3) and resolved_at = 0`, []any{string(k), system, string(tenant)}, func(r scanner) error {
			var id, fp string
			if err := r.Scan(&id, &fp); err != nil {
				return err
			}
			if !keep[fp] {
				gone = append(gone, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range gone {
		if _, err := tx.Exec(`update finding set resolved_at = $1 where id = $2`, micros(at), id); err != nil {
			return err
		}
	}
	return nil
}

// ResolveFinding closes the open finding at the place of one that isn't so any more.
func (tx *Tx) ResolveFinding(f tenure.Finding, at time.Time) error {
	_, err := tx.Exec(`update finding set resolved_at = $1 where fingerprint = $2 and resolved_at = 0`, micros(at), fingerprint(f))
	return err
}

// ResolveTenant closes a tenant's open findings of some kinds that were last seen no
// later than a moment, in every system.
func (tx *Tx) ResolveTenant(kinds []tenure.FindingKind, tenant tenure.TenantID, seen, at time.Time) error {
	for _, k := range kinds {
		if _, err := tx.Exec(`update finding set resolved_at = $1 where kind = $2 and tenant = $3 and seen_at <= $4 and resolved_at = 0`, micros(at), string(k), string(tenant), micros(seen)); err != nil {
			return err
		}
	}
	return nil
}

// Findings lists the findings that aren't resolved; a tenant narrows it.
func (db *DB) Findings(ctx context.Context, tenant tenure.TenantID) ([]tenure.Finding, error) {
	return db.FindingsPage(ctx, FindingFilter{Tenant: tenant, Limit: 10_000})
}

// FindingFilter narrows a listing of findings that aren't resolved; blank fields
// take everything.
type FindingFilter struct {
	Tenant   tenure.TenantID
	Severity tenure.Severity
	Kind     tenure.FindingKind
	After    *tenure.Finding // the last one of the page before: its severity, moment and id count
	Limit    int
	Visible  *Visible // nil shows everything
}

// severities from the worst on.
var severities = []tenure.Severity{tenure.Critical, tenure.High, tenure.Medium, tenure.Low}

// FindingsPage lists findings, the worst first and the oldest of these. Each
// severity is read along its index, so that a page costs no more for what lies
// before it or behind.
func (db *DB) FindingsPage(ctx context.Context, f FindingFilter) ([]tenure.Finding, error) {
	var out []tenure.Finding
	reached := f.After == nil
	for _, severity := range severities {
		var since int64
		id := ""
		if !reached && severity == f.After.Severity {
			reached, since, id = true, micros(f.After.SeenAt), string(f.After.ID)
		}
		if !reached || f.Severity != "" && f.Severity != severity || len(out) >= f.Limit {
			continue
		}
		args := []any{string(severity), since, id, f.Limit - len(out)}
		where := "true"
		if f.Visible != nil {
			where = f.Visible.where("tenant", &args)
		}
		for column, value := range map[string]string{"tenant": string(f.Tenant), "kind": string(f.Kind)} {
			if value != "" {
				args = append(args, value)
				where += " and " + column + " = " + placeholder(len(args))
			}
		}
		err := db.reader(ctx).Rows(`select `+findingColumns+` from finding where resolved_at = 0 and severity = $1 and seen_at >= $2 and (seen_at > $2 or id > $3) and `+where+`
			order by seen_at, id limit $4`, args, func(r scanner) error {
			f, err := scanFinding(r)
			out = append(out, f)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanFinding(r scanner) (f tenure.Finding, err error) {
	var seen, resolved, waived int64
	var steps string
	err = r.Scan(&f.ID, &f.Kind, &f.Severity, &f.Tenant, &f.Resource, &f.System, &f.Type, &f.Name, &f.Field, &f.Want, &f.Got, &f.Detail, &f.Confidence, &steps, &seen, &resolved, &waived, &f.WaivedBy)
	f.SeenAt, f.ResolvedAt, f.WaivedUntil = fromMicros(seen), fromMicros(resolved), fromMicros(waived)
	if decode(steps, &f.Steps) != nil { // not as it was written: it is shown as it stands
		f.Steps = []string{steps}
	}
	return f, err
}

// Finding returns one finding.
func (db *DB) Finding(ctx context.Context, id tenure.FindingID) (tenure.Finding, error) {
	var out []tenure.Finding
	err := db.reader(ctx).Rows(`select `+findingColumns+` from finding where id = $1`, []any{string(id)}, func(r scanner) error {
		f, err := scanFinding(r)
		out = append(out, f)
		return err
	})
	if err == nil && len(out) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no finding %s", id)
	}
	if err != nil {
		return tenure.Finding{}, err
	}
	return out[0], nil
}

// FindingCounts counts the open findings that can be seen, by severity.
func (db *DB) FindingCounts(ctx context.Context, v Visible, now time.Time) (map[tenure.Severity]int, error) {
	args := []any{micros(now)}
	out := make(map[tenure.Severity]int)
	err := db.reader(ctx).Rows(`select severity, count(*) from finding where resolved_at = 0 and waived_until <= $1 and `+v.where("tenant", &args)+` group by severity`, args, func(r scanner) error {
		var s tenure.Severity
		var n int
		err := r.Scan(&s, &n)
		out[s] = n
		return err
	})
	return out, err
}

// Waive lets a finding be until a moment.
func (tx *Tx) Waive(id tenure.FindingID, by string, until time.Time) error {
	n, err := tx.Exec(`update finding set waived_until = $1, waived_by = $2 where id = $3 and resolved_at = 0`, micros(until), by, string(id))
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.NotFound, "there is no open finding %s", id)
	}
	return err
}

// EndingWaivers lists the open findings of tenants whose waiver ends after a moment and by another.
func (db *DB) EndingWaivers(ctx context.Context, after, by time.Time, limit int) (out []tenure.Finding, err error) {
	err = db.reader(ctx).Rows(`select `+findingColumns+` from finding where resolved_at = 0 and tenant <> '' and waived_until > $1 and waived_until <= $2 order by waived_until, id limit $3`, []any{micros(after), micros(by), limit}, func(r scanner) error {
		f, err := scanFinding(r)
		out = append(out, f)
		return err
	})
	return out, err
}
