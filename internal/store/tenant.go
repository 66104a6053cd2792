package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const tenantColumns = `t.id, t.name, t.organization, t.contact, t.tier, t.state, t.previous, t.blocked, t.blueprint, t.parameters, t.features, t.anchors, t.labels, t.domains, t.external_ids, t.created_at, t.updated_at, t.version`

// TenantRow is a tenant's row with what was asked for and what it counts from.
type TenantRow struct {
	tenure.Tenant
	Features map[string]bool
	Anchors  map[tenure.Anchor]time.Time
}

// tenantScan reads tenants' rows. Neighbours often have the same revision and
// features, which are then decoded once.
type tenantScan struct {
	blueprint, features string
	ref                 tenure.BlueprintRef
	has                 map[string]bool
}

func (m *tenantScan) scan(r scanner, t *TenantRow) error {
	var created, updated int64
	var bp, features, anchors, labels, domains, externals string
	err := r.Scan(&t.ID, &t.Name, &t.Organization, &t.Contact, &t.Tier, &t.State, &t.Previous, &t.Blocked, &bp, &t.Parameters, &features, &anchors, &labels, &domains, &externals, &created, &updated, &t.Version)
	if err != nil {
		return err
	}
	t.CreatedAt, t.UpdatedAt = fromMicros(created), fromMicros(updated)
	if bp != m.blueprint {
		m.ref = tenure.BlueprintRef{}
		err = decode(bp, &m.ref)
		m.blueprint = bp
	}
	if features != m.features && err == nil {
		m.has = nil
		err = decode(features, &m.has)
		m.features = features
	}
	t.Blueprint, t.Features = m.ref, maps.Clone(m.has)
	if err == nil {
		err = decode(anchors, &t.Anchors)
	}
	if err == nil {
		err = decode(labels, &t.Labels)
	}
	t.KnownBy = knownBy(domains, externals)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "tenant %s: %w", t.ID, err)
	}
	return nil
}

// decode reads what text wrote.
func decode(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func scanTenant(r scanner, t *TenantRow) error { return new(tenantScan).scan(r, t) }

func tenant(q querier, where string, arg string) (t TenantRow, err error) {
	found := false
	err = q.Rows(`select `+tenantColumns+` from tenant t where `+where, []any{arg}, func(r scanner) error {
		found = true
		return scanTenant(r, &t)
	})
	if err == nil && !found {
		err = tenure.Errorf(tenure.NotFound, "there is no tenant %q", arg).WithHint("list them: tenure tenant list")
	}
	return t, err
}

// Tenant returns a tenant by id, or by the name of one that isn't closed.
func (db *DB) Tenant(ctx context.Context, idOrName string) (TenantRow, error) {
	return findTenant(db.reader(ctx), idOrName)
}

// Tenant returns a tenant as the transaction sees it.
func (tx *Tx) Tenant(idOrName string) (TenantRow, error) { return findTenant(tx, idOrName) }

func findTenant(q querier, idOrName string) (TenantRow, error) {
	if strings.Contains(idOrName, "_") {
		id, err := tenure.ParseID[tenure.TenantID](idOrName)
		if err != nil {
			return TenantRow{}, err
		}
		return tenant(q, `t.id = $1`, string(id))
	}
	return tenant(q, `t.name = $1 and t.state <> 'closed'`, idOrName)
}

func text(v any) string {
	b, err := tenure.Canonical(v)
	if err != nil || string(b) == "null" {
		return ""
	}
	return string(b)
}

// CreateTenant stores a new tenant in the state requested. A name that a living
// tenant has is Conflict.
func (tx *Tx) CreateTenant(t TenantRow) error {
	_, err := tx.Exec(`insert into tenant (id, name, organization, contact, tier, state, previous, blocked, blueprint, parameters, features, anchors, labels, created_at, updated_at, version, salt)
		values ($1, $2, $3, $4, $5, 'requested', '', '', $6, $7, $8, $9, $10, $11, $11, 1, $12)`,
		string(t.ID), t.Name, t.Organization, t.Contact, t.Tier, text(t.Blueprint), string(t.Parameters), text(t.Features), text(t.Anchors), text(t.Labels), micros(t.CreatedAt), rand.Text())
	if tenure.CodeOf(err) == tenure.Conflict {
		return tenure.Errorf(tenure.Conflict, "there is a tenant named %q already", t.Name)
	}
	if err != nil {
		return err
	}
	tx.addCounts(standingOf{t.Tier, string(tenure.TenantRequested), text(t.Blueprint), text(t.Labels)}, 1)
	if len(t.Labels) == 0 {
		return nil
	}
	return tx.indexLabels(t.ID, t.Labels)
}

// MoveTenant changes a tenant's state. A move outside the table, or from a state
// that it isn't in, is Conflict; the database refuses the former too.
func (tx *Tx) MoveTenant(id tenure.TenantID, from, to tenure.TenantState, at time.Time) error {
	if !tenure.CanMove(from, to) {
		return tenure.Errorf(tenure.Conflict, "a tenant can't go from %s to %s", from, to)
	}
	return tx.recount(id, func() error {
		n, err := tx.Exec(`update tenant set previous = $1, state = $2, updated_at = $3, version = version + 1 where id = $4 and state = $1`, string(from), string(to), micros(at), string(id))
		if err == nil && n != 1 {
			return tenure.Errorf(tenure.Conflict, "tenant %s isn't %s any more", id, from)
		}
		return err
	})
}

// SetBlocked records why a tenant can't go on; blank that it can.
func (tx *Tx) SetBlocked(id tenure.TenantID, why string, at time.Time) error {
	_, err := tx.Exec(`update tenant set blocked = $1, updated_at = $2, version = version + 1 where id = $3`, why, micros(at), string(id))
	return err
}

// Bind records the revision, tier, parameters and features that a tenant now has.
func (tx *Tx) Bind(id tenure.TenantID, bp tenure.BlueprintRef, tier string, params []byte, features map[string]bool, at time.Time) error {
	return tx.recount(id, func() error {
		_, err := tx.Exec(`update tenant set blueprint = $1, tier = $2, parameters = $3, features = $4, updated_at = $5, version = version + 1 where id = $6`,
			text(bp), tier, string(params), text(features), micros(at), string(id))
		return err
	})
}

// SetAnchor records when an event that retention counts from happened. The first
// word counts; a later one for the same anchor changes nothing unless again says so.
func (tx *Tx) SetAnchor(id tenure.TenantID, a tenure.Anchor, when time.Time, again bool) error {
	t, err := tx.Tenant(string(id))
	if err != nil {
		return err
	}
	if t.Anchors == nil {
		t.Anchors = make(map[tenure.Anchor]time.Time)
	}
	if _, ok := t.Anchors[a]; ok && !again {
		return nil
	}
	t.Anchors[a] = when
	_, err = tx.Exec(`update tenant set anchors = $1 where id = $2`, text(t.Anchors), string(id))
	return err
}

// ClearAnchors forgets the anchors, when a tenant is reinstated.
func (tx *Tx) ClearAnchors(id tenure.TenantID) error {
	_, err := tx.Exec(`update tenant set anchors = '' where id = $1`, string(id))
	return err
}

// ForgetPlans blanks the plans of a closed tenant that were made before a moment
// and that no open operation runs: a supplementary plan names it again.
func (tx *Tx) ForgetPlans(tenant tenure.TenantID, before time.Time) error {
	_, err := tx.Exec(`update plan set body = '' where tenant = $1 and created_at < $2 and body <> '' and tenant in (select id from tenant where state = 'closed')
		and digest not in (select plan from operation where tenant = $1 and state not in `+endedStates+`)`, string(tenant), micros(before))
	return err
}
