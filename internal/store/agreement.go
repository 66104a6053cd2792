package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const agreementColumns = `id, tenant, kind, party, classes, purpose, starts_at, expires_at, created_by, created_at, ended_at, ended_by, ended_why, version`

func agreements(q querier, where string, args ...any) (out []tenure.Agreement, err error) {
	err = q.Rows(`select `+agreementColumns+` from agreement where `+where, args, func(r scanner) error {
		var a tenure.Agreement
		var parties, classes string
		var starts, expires, created, ended int64
		if err := r.Scan(&a.ID, &a.Tenant, &a.Kind, &parties, &classes, &a.Purpose, &starts, &expires, &a.CreatedBy, &created, &ended, &a.EndedBy, &a.EndedWhy, &a.Version); err != nil {
			return err
		}
		a.StartsAt, a.ExpiresAt, a.CreatedAt, a.EndedAt = fromMicros(starts), fromMicros(expires), fromMicros(created), fromMicros(ended)
		if classes != "" {
			a.Classes = strings.Split(classes, ",")
		}
		if parties != "" { // blank once it is forgotten
			if err := json.Unmarshal([]byte(parties), &a.Parties); err != nil {
				return tenure.Errorf(tenure.Internal, "agreement %s: %w", a.ID, err)
			}
		}
		out = append(out, a)
		return nil
	})
	return out, err
}

// AgreementFilter narrows a listing.
type AgreementFilter struct {
	Tenant  tenure.TenantID
	Ended   bool // ended ones too
	After   tenure.AgreementID
	Limit   int
	Visible Visible
}

// Agreements lists agreements in the order of their making.
func (db *DB) Agreements(ctx context.Context, f AgreementFilter) ([]tenure.Agreement, error) {
	args := []any{string(f.Tenant), flag(f.Ended), string(f.After), f.Limit}
	return agreements(db.reader(ctx), `($1 = '' or tenant = $1) and ($2 = 1 or ended_at = 0) and id > $3 and `+f.Visible.where("agreement.tenant", &args)+` order by id limit $4`, args...)
}

// Agreement returns one agreement.
func (db *DB) Agreement(ctx context.Context, id tenure.AgreementID) (tenure.Agreement, error) {
	return firstOf(agreements(db.reader(ctx), `id = $1`, string(id)))
}

// Agreement returns one agreement as the transaction sees it.
func (tx *Tx) Agreement(id tenure.AgreementID) (tenure.Agreement, error) {
	return firstOf(agreements(tx, `id = $1`, string(id)))
}

// OpenAgreements lists what of a tenant's hasn't ended; without a tenant, of all.
func (tx *Tx) OpenAgreements(tenant tenure.TenantID) ([]tenure.Agreement, error) {
	return agreements(tx, `ended_at = 0 and ($1 = '' or tenant = $1) order by id`, string(tenant))
}

// DueAgreements lists those that have reached their end, and those whose end
// comes before a moment and of which no notice was given.
func (db *DB) DueAgreements(ctx context.Context, now, notice time.Time) (ended, soon []tenure.Agreement, err error) {
	ended, err = agreements(db.reader(ctx), `ended_at = 0 and expires_at <= $1 order by id limit 1000`, micros(now))
	if err == nil {
		soon, err = agreements(db.reader(ctx), `ended_at = 0 and expires_at > $1 and expires_at <= $2 and noticed_at = 0 order by id limit 1000`, micros(now), micros(notice))
	}
	return ended, soon, err
}

// SaveAgreement stores a new agreement.
func (tx *Tx) SaveAgreement(a tenure.Agreement) error {
	_, err := tx.Exec(`insert into agreement (id, tenant, kind, party, classes, purpose, starts_at, expires_at, created_by, created_at, ended_at, ended_by, ended_why, noticed_at, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', '', 0, 1)`,
		string(a.ID), string(a.Tenant), string(a.Kind), text(a.Parties), strings.Join(a.Classes, ","), a.Purpose, micros(a.StartsAt), micros(a.ExpiresAt), a.CreatedBy, micros(a.CreatedAt))
	return err
}

// NarrowAgreement writes fewer classes or an earlier end.
func (tx *Tx) NarrowAgreement(a tenure.Agreement) error {
	n, err := tx.Exec(`update agreement set classes = $1, expires_at = $2, noticed_at = 0, version = version + 1 where id = $3 and version = $4 and ended_at = 0`,
		strings.Join(a.Classes, ","), micros(a.ExpiresAt), string(a.ID), a.Version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "agreement %s has changed since it was read", a.ID).WithHint("read it again")
	}
	return err
}

// EndAgreement ends an agreement and says whether it stood until then. A version
// of 0 isn't compared.
func (tx *Tx) EndAgreement(id tenure.AgreementID, by, why string, version int64, at time.Time) (bool, error) {
	n, err := tx.Exec(`update agreement set ended_at = $1, ended_by = $2, ended_why = $3, version = version + 1 where id = $4 and ended_at = 0 and ($5 = 0 or version = $5)`, micros(at), by, why, string(id), version)
	return n == 1, err
}

// NoticeAgreement notes that a notice of an agreement's end was given; false if
// it was before.
func (tx *Tx) NoticeAgreement(id tenure.AgreementID, at time.Time) (bool, error) {
	n, err := tx.Exec(`update agreement set noticed_at = $1 where id = $2 and noticed_at = 0 and ended_at = 0`, micros(at), string(id))
	return n == 1, err
}
