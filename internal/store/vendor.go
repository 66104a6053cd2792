package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

func vendors(q querier, where string, args ...any) (out []tenure.Vendor, err error) {
	err = q.Rows(`select operation, step, tenant, opened_at, email, link, asked_at, asked_by, reminded_at, answer, until_at, reason, name, role, evidence, evidence_sha256, answered_at, recorded_by, earlier, version from vendor where `+where, args, func(r scanner) error {
		var v tenure.Vendor
		var opened, asked, reminded, until, answered int64
		err := r.Scan(&v.Operation, &v.Step, &v.Tenant, &opened, &v.Email, &v.Link, &asked, &v.AskedBy, &reminded, &v.Answer, &until, &v.Reason, &v.Name, &v.Role, &v.Evidence, &v.EvidenceSHA256, &answered, &v.RecordedBy, &v.Earlier, &v.Version)
		v.OpenedAt, v.AskedAt, v.RemindedAt, v.Until, v.AnsweredAt = fromMicros(opened), fromMicros(asked), fromMicros(reminded), fromMicros(until), fromMicros(answered)
		out = append(out, v)
		return err
	})
	return out, err
}

// Vendors lists the companies that an operation's plan has had asked.
func (db *DB) Vendors(ctx context.Context, op tenure.OperationID) ([]tenure.Vendor, error) {
	return vendors(db.reader(ctx), `operation = $1 order by step`, string(op))
}

// VendorByLink finds the question that a link's id is of.
func (db *DB) VendorByLink(ctx context.Context, link tenure.LinkID) (tenure.Vendor, error) {
	return firstOf(vendors(db.reader(ctx), `link = $1 and link <> ''`, string(link)))
}

// DueVendors lists the questions at which something is due at now, the longest due first.
func (db *DB) DueVendors(ctx context.Context, now time.Time, limit int) ([]tenure.Vendor, error) {
	return vendors(db.reader(ctx), `due_at > 0 and due_at <= $1 order by due_at, operation, step limit $2`, micros(now), limit)
}

// OpenVendor stores that a step waits for a company, which is to be asked at once. One that is
// there already stays as it is.
func (tx *Tx) OpenVendor(v tenure.Vendor) error {
	_, err := tx.Exec(`insert into vendor (operation, step, tenant, opened_at, due_at) values ($1, $2, $3, $4, $4) on conflict (operation, step) do nothing`,
		string(v.Operation), v.Step, string(v.Tenant), micros(v.OpenedAt))
	return err
}

// SaveVendor stores what was asked and what was said, and when to look again; zero is never. One that
// has changed since it was read is Conflict.
func (tx *Tx) SaveVendor(v tenure.Vendor, due time.Time) error {
	n, err := tx.Exec(`update vendor set email = $3, link = $4, asked_at = $5, asked_by = $6, reminded_at = $7, answer = $8, until_at = $9, reason = $10, name = $11, role = $12,
		evidence = $13, evidence_sha256 = $14, answered_at = $15, recorded_by = $16, earlier = $17, due_at = $18, version = version + 1 where operation = $1 and step = $2 and version = $19`,
		string(v.Operation), v.Step, v.Email, string(v.Link), micros(v.AskedAt), v.AskedBy, micros(v.RemindedAt), string(v.Answer), micros(v.Until), v.Reason, v.Name, v.Role,
		v.Evidence, v.EvidenceSHA256, micros(v.AnsweredAt), v.RecordedBy, v.Earlier, micros(due), v.Version)
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.Conflict, "%s of %s has changed since it was read", v.Step, v.Operation).WithHint("read it again")
	}
	return err
}

// LookAtVendor has a question looked at again at due, as long as nobody has changed it.
func (tx *Tx) LookAtVendor(v tenure.Vendor, due time.Time) error {
	_, err := tx.Exec(`update vendor set due_at = $1 where operation = $2 and step = $3 and version = $4`, micros(due), string(v.Operation), v.Step, v.Version)
	return err
}

// PokeVendors has the questions about a tenant's data, "" is every tenant's, looked at at now.
func (tx *Tx) PokeVendors(tenant tenure.TenantID, now time.Time) error {
	_, err := tx.Exec(`update vendor set due_at = $2 where ($1 = '' or tenant = $1) and due_at > $2`, string(tenant), micros(now))
	return err
}

// NoticeLost says why a notice reaches nobody; "" while it may. One that wasn't shared out yet, or is on its
// way, may. Where it goes to mail addresses too, only these count, as in NoticeSentAt.
func (db *DB) NoticeLost(ctx context.Context, id string) (string, error) {
	var routed, mail, mailOpen, open int64
	why := ""
	q := db.reader(ctx)
	if err := q.Row(`select routed_at from notice where id = $1`, []any{id}, &routed); err != nil || routed == 0 {
		if tenure.CodeOf(err) == tenure.NotFound {
			err = nil
		}
		return "", err
	}
	err := q.Row(`select coalesce(sum(case when address <> '' then 1 else 0 end), 0), coalesce(sum(case when address <> '' and state in ('waiting', 'sending', 'sent') then 1 else 0 end), 0),
		coalesce(sum(case when state in ('waiting', 'sending', 'sent') then 1 else 0 end), 0), coalesce(max(case when state in ('refused', 'expired') then error else '' end), '') from delivery where notice = $1`,
		[]any{id}, &mail, &mailOpen, &open, &why)
	switch {
	case err != nil, mailOpen > 0, mail == 0 && open > 0:
		return "", err
	case why == "":
		return "no target takes the notice", nil
	}
	return "the notice didn't get through: " + why, nil
}
