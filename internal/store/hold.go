package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/tenurehq/tenure"
)

const holdColumns = `id, matter, tenant, class, system, resource, reason, placed_by, placed_at, effective_at, already_gone, release_by, released_at, untold, environment, part, custodians, remind_days, reminded_at, stalled`

// holdPart is a hold's part of a resource, as its row has it.
type holdPart struct {
	Table  string                `json:"table,omitempty"`
	Rows   []tenure.RowCondition `json:"rows,omitempty"`
	Prefix string                `json:"prefix,omitempty"`
}

// jsonText is a value as JSON.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// ofJSON reads what jsonText wrote. A text that can't be read isn't taken for nothing: a
// hold on a part would become one on everything, or on nothing.
func ofJSON(text string, into any) error {
	if text == "" || text == "[]" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return tenure.Errorf(tenure.Internal, "the row of a hold can't be read: %w", err)
	}
	return nil
}

func holds(q querier, where string, args ...any) (out []tenure.Hold, err error) {
	err = q.Rows(`select `+holdColumns+` from hold where `+where+` order by placed_at, id`, args, func(r scanner) error {
		var h tenure.Hold
		var placed, effective, released, untold, reminded int64
		var by, text, custodians, stalled string
		var part holdPart
		err := r.Scan(&h.ID, &h.Matter, &h.Scope.Tenant, &h.Scope.Class, &h.Scope.System, &h.Scope.Resource, &h.Reason, &h.PlacedBy, &placed, &effective, &h.AlreadyGone, &by, &released, &untold,
			&h.Scope.Environment, &text, &custodians, &h.RemindDays, &reminded, &stalled)
		if err == nil {
			err = errors.Join(ofJSON(text, &part), ofJSON(custodians, &h.Custodians), ofJSON(stalled, &h.Stalled))
		}
		h.Scope.Table, h.Scope.Rows, h.Scope.Prefix, h.RemindedAt = part.Table, part.Rows, part.Prefix, fromMicros(reminded)
		h.PlacedAt, h.EffectiveAt, h.ReleasedAt, h.Untold = fromMicros(placed), fromMicros(effective), fromMicros(released), untold == 1
		if by != "" {
			h.ReleaseBy = strings.Split(by, "\n")
		}
		out = append(out, h)
		return err
	})
	return out, err
}

// Holds lists the holds that can cover a tenant (a blank one: all); the released
// ones too if asked for.
func (db *DB) Holds(ctx context.Context, tenant tenure.TenantID, released bool) ([]tenure.Hold, error) {
	return holds(db.reader(ctx), `($1 = '' or tenant = $1 or tenant = '') and ($2 = 1 or released_at = 0)`, string(tenant), flag(released))
}

// LockHolds serialises those who place holds with those who start to destroy:
// after it, the transaction sees every hold that was placed before.
func (tx *Tx) LockHolds() error {
	_, err := tx.Exec(`update meta set value = value where key = 'hold_epoch'`)
	return err
}

// ActiveHolds returns the active holds that can cover a tenant, under LockHolds.
func (tx *Tx) ActiveHolds(tenant tenure.TenantID) ([]tenure.Hold, error) {
	if err := tx.LockHolds(); err != nil {
		return nil, err
	}
	return holds(tx, `(tenant = $1 or tenant = '') and released_at = 0`, string(tenant))
}

// Hold returns one hold as the transaction sees it.
func (tx *Tx) Hold(id tenure.HoldID) (tenure.Hold, error) {
	hs, err := holds(tx, `id = $1`, string(id))
	if err == nil && len(hs) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no hold %s", id)
	}
	if err != nil {
		return tenure.Hold{}, err
	}
	return hs[0], nil
}

// SaveHold stores a new hold.
func (tx *Tx) SaveHold(h tenure.Hold) error {
	if err := tx.LockHolds(); err != nil {
		return err
	}
	part, err := jsonText(holdPart{h.Scope.Table, h.Scope.Rows, h.Scope.Prefix})
	if err != nil {
		return err
	}
	custodians, err := jsonText(append([]tenure.Custodian{}, h.Custodians...))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into hold (`+holdColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		string(h.ID), h.Matter, string(h.Scope.Tenant), h.Scope.Class, h.Scope.System, string(h.Scope.Resource), h.Reason, h.PlacedBy,
		micros(h.PlacedAt), micros(h.EffectiveAt), h.AlreadyGone, strings.Join(h.ReleaseBy, "\n"), micros(h.ReleasedAt), flag(h.Untold),
		h.Scope.Environment, part, custodians, h.RemindDays, micros(h.RemindedAt), "[]")
	return err
}

// SettleHold records from when a hold keeps what it covers, and what had gone by then.
func (tx *Tx) SettleHold(h tenure.Hold) error {
	if err := tx.LockHolds(); err != nil {
		return err
	}
	_, err := tx.Exec(`update hold set effective_at = $1, already_gone = $2 where id = $3`, micros(h.EffectiveAt), h.AlreadyGone, string(h.ID))
	return err
}

// TellCustodians records which custodians have acknowledged a hold, and when the others
// were last reminded.
func (tx *Tx) TellCustodians(h tenure.Hold) error {
	custodians, err := jsonText(append([]tenure.Custodian{}, h.Custodians...))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update hold set custodians = $1, remind_days = $2, reminded_at = $3 where id = $4`, custodians, h.RemindDays, micros(h.RemindedAt), string(h.ID))
	return err
}

// StallHold records which of the systems' own rules a hold has suspended.
func (tx *Tx) StallHold(h tenure.Hold) error {
	stalled, err := jsonText(append([]tenure.StalledExpiry{}, h.Stalled...))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update hold set stalled = $1 where id = $2`, stalled, string(h.ID))
	return err
}

// RemindableHolds lists the active holds whose custodians are reminded.
func (db *DB) RemindableHolds(ctx context.Context) ([]tenure.Hold, error) {
	return holds(db.reader(ctx), `released_at = 0 and remind_days > 0 and custodians not in ('', '[]')`)
}

// ReleaseHold records who wants a hold released, and that it is.
func (tx *Tx) ReleaseHold(h tenure.Hold) error {
	if err := tx.LockHolds(); err != nil {
		return err
	}
	_, err := tx.Exec(`update hold set release_by = $1, released_at = $2 where id = $3`, strings.Join(h.ReleaseBy, "\n"), micros(h.ReleasedAt), string(h.ID))
	return err
}

// PendingHolds returns the active holds that can cover a tenant and aren't
// effective yet: batches were in flight when they were placed.
func (tx *Tx) PendingHolds(tenant tenure.TenantID) ([]tenure.Hold, error) {
	return holds(tx, `effective_at = 0 and released_at = 0 and (tenant = $1 or tenant = '')`, string(tenant))
}

// HoldsVisible lists the holds that a caller may see: those of the tenants in
// reach and, for who sees everything, those over several tenants.
func (db *DB) HoldsVisible(ctx context.Context, v Visible, released bool) ([]tenure.Hold, error) {
	args := []any{flag(released)}
	where := `($1 = 1 or released_at = 0) and ` + v.where("tenant", &args)
	return holds(db.reader(ctx), where, args...)
}

// Hold returns one hold.
func (db *DB) Hold(ctx context.Context, id tenure.HoldID) (tenure.Hold, error) {
	h, err := firstOf(holds(db.reader(ctx), `id = $1`, string(id)))
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.NotFound, "there is no hold %s", id)
	}
	return h, err
}

// Held says which of some tenants an active hold of their own covers.
func (db *DB) Held(ctx context.Context, rows []TenantRow) (map[tenure.TenantID]bool, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	args := make([]any, len(rows))
	marks := make([]string, len(rows))
	for i, t := range rows {
		args[i], marks[i] = string(t.ID), placeholder(i+1)
	}
	out := make(map[tenure.TenantID]bool)
	err := db.reader(ctx).Rows(`select distinct tenant from hold where released_at = 0 and tenant in (`+strings.Join(marks, ", ")+`)`, args, func(r scanner) error {
		var id tenure.TenantID
		err := r.Scan(&id)
		out[id] = true
		return err
	})
	return out, err
}
