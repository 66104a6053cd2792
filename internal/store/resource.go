package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const resourceColumns = `id, tenant, environment, key, system, type, name, layer, state, verdict, desired, normal, observed, classes, needs, operation, created_at, updated_at, expires_at, version`

// ResourceRow is a resource's row; Normal is its desired state as the connector
// normalises it, which an observation equals when nothing has drifted.
type ResourceRow struct {
	tenure.Resource
	Normal []byte
}

func scanResource(r scanner, o *ResourceRow) error {
	var created, updated, expires int64
	var desired, normal, observed, classes, needs string
	err := r.Scan(&o.ID, &o.Tenant, &o.Environment, &o.Key, &o.System, &o.Type, &o.Name, &o.Layer, &o.State, &o.Verdict,
		&desired, &normal, &observed, &classes, &needs, &o.Operation, &created, &updated, &expires, &o.Version)
	if err != nil {
		return err
	}
	o.Desired, o.Normal, o.Observed = []byte(desired), []byte(normal), []byte(observed)
	o.CreatedAt, o.UpdatedAt, o.ExpiresAt = fromMicros(created), fromMicros(updated), fromMicros(expires)
	if classes != "" {
		o.Classes = strings.Split(classes, ",")
	}
	for _, id := range strings.FieldsFunc(needs, func(r rune) bool { return r == ',' }) {
		o.Needs = append(o.Needs, tenure.ResourceID(id))
	}
	return nil
}

func resources(q querier, where string, args ...any) (out []ResourceRow, err error) {
	err = q.Rows(`select `+resourceColumns+` from resource where `+where, args, func(r scanner) error {
		var o ResourceRow
		err := scanResource(r, &o)
		out = append(out, o)
		return err
	})
	return out, err
}

// Resources returns a tenant's inventory in the order of its making. Those that
// are gone are left out unless asked for.
func (db *DB) Resources(ctx context.Context, tenant tenure.TenantID, gone bool) ([]ResourceRow, error) {
	return resources(db.reader(ctx), `tenant = $1 and ($2 = 1 or state <> 'gone') order by created_at, id`, string(tenant), flag(gone))
}

// Resources returns a tenant's inventory as the transaction sees it.
func (tx *Tx) Resources(tenant tenure.TenantID, gone bool) ([]ResourceRow, error) {
	return resources(tx, `tenant = $1 and ($2 = 1 or state <> 'gone') order by created_at, id`, string(tenant), flag(gone))
}

// Resource returns one resource.
func (db *DB) Resource(ctx context.Context, id tenure.ResourceID) (ResourceRow, error) {
	rows, err := resources(db.reader(ctx), `id = $1`, string(id))
	if err == nil && len(rows) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no resource %s", id)
	}
	if err != nil {
		return ResourceRow{}, err
	}
	return rows[0], nil
}

// InventoryRow is what drift and sweeps compare, for a whole system.
type InventoryRow struct {
	ID     tenure.ResourceID
	Tenant tenure.TenantID
	Type   string
	Name   string
	State  tenure.ResourceState
	Normal []byte // what is desired, of what is yet to be made
}

// Inventory streams the living resources of a system in the byte order of type
// and name; a tenant narrows it. Yield may read from the store, other than by Inventory.
func (db *DB) Inventory(ctx context.Context, system string, tenant tenure.TenantID, yield func(InventoryRow) error) error {
	collate := ""
	if db.Dialect == Postgres {
		collate = ` collate "C"`
	}
	q := `select id, tenant, type, name, state, case when state = 'planned' then desired else normal end from resource where system = $1 and live = 1 and ($2 = '' or tenant = $2) order by type` + collate + `, name` + collate
	// Plain strings: a named type costs database/sql a detour through reflection.
	var id, owner, typ, name, state string
	var normal []byte
	return db.longReader(ctx).Rows(q, []any{system, string(tenant)}, func(r scanner) error {
		if err := r.Scan(&id, &owner, &typ, &name, &state, &normal); err != nil {
			return err
		}
		return yield(InventoryRow{ID: tenure.ResourceID(id), Tenant: tenure.TenantID(owner), Type: typ, Name: name, State: tenure.ResourceState(state), Normal: normal})
	})
}

// InventorySize is how many rows Inventory streams for a whole system.
func (db *DB) InventorySize(ctx context.Context, system string) (n int, err error) {
	err = db.reader(ctx).Row(`select count(*) from resource where system = $1 and live = 1`, []any{system}, &n)
	return n, err
}

// SaveResource puts a resource into the inventory, or brings its desired state
// up to date; its state and verdict stay unless it is new.
func (tx *Tx) SaveResource(o tenure.Resource) error {
	needs := make([]string, len(o.Needs))
	for i, id := range o.Needs {
		needs[i] = string(id)
	}
	n, err := tx.Exec(`insert into resource (id, tenant, environment, key, system, type, name, layer, state, live, verdict, desired, normal, observed, classes, needs, operation, created_at, updated_at, expires_at, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, '', $10, '', '', $11, $12, $13, $14, $14, 0, 1) on conflict (id) do nothing`,
		string(o.ID), string(o.Tenant), o.Environment, o.Key, o.System, o.Type, o.Name, int(o.Layer), string(tenure.ResourcePlanned),
		string(o.Desired), strings.Join(o.Classes, ","), strings.Join(needs, ","), string(o.Operation), micros(o.UpdatedAt))
	if err == nil && n == 0 {
		_, err = tx.Exec(`update resource set name = $1, desired = $2, classes = $3, needs = $4, operation = $5, updated_at = $6, version = version + 1 where id = $7`,
			o.Name, string(o.Desired), strings.Join(o.Classes, ","), strings.Join(needs, ","), string(o.Operation), micros(o.UpdatedAt), string(o.ID))
	}
	if tenure.CodeOf(err) == tenure.Conflict {
		return tenure.Errorf(tenure.Conflict, "%s %q in system %s stands in the inventory for somebody else", o.Type, o.Name, o.System)
	}
	return err
}

// SetDesired brings a resource's desired attributes up to date, beside any plan.
func (tx *Tx) SetDesired(id tenure.ResourceID, desired []byte, at time.Time) error {
	_, err := tx.Exec(`update resource set desired = $1, updated_at = $2, version = version + 1 where id = $3`, string(desired), micros(at), string(id))
	return err
}

// Occupied says whether a live resource of some tenant's has a name in a system.
func (db *DB) Occupied(ctx context.Context, system, typ, name string) (bool, error) {
	var n int
	err := db.reader(ctx).Row(`select count(*) from resource where system = $1 and type = $2 and name = $3 and live = 1 and state <> 'gone'`, []any{system, typ, name}, &n)
	return n > 0, err
}

// Counts is how many tenants stand in each state.
func (db *DB) Counts(ctx context.Context) (map[tenure.TenantState]int64, error) {
	out := make(map[tenure.TenantState]int64)
	err := db.reader(ctx).Rows(`select state, count(*) from tenant group by state`, nil, func(r scanner) error {
		var s tenure.TenantState
		var n int64
		err := r.Scan(&s, &n)
		out[s] = n
		return err
	})
	return out, err
}

// Certificate is an issued certificate's row.
type Certificate struct {
	ID       tenure.CertificateID `json:"id"`
	Tenant   tenure.TenantID      `json:"tenant"`
	Kind     string               `json:"kind"`
	Digest   string               `json:"digest"` // of the statement
	Body     json.RawMessage      `json:"-"`
	Annex    string               `json:"-"` // of who may read the log, in base64; blank once the tenant was forgotten
	IssuedAt time.Time            `json:"issuedAt"`
}

// SaveCertificate stores a certificate; the same id again keeps the first.
func (tx *Tx) SaveCertificate(c Certificate) error {
	_, err := tx.Exec(`insert into certificate (id, tenant, kind, digest, body, annex, issued_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`,
		string(c.ID), string(c.Tenant), c.Kind, c.Digest, string(c.Body), c.Annex, micros(c.IssuedAt))
	return err
}

// Certificates lists a tenant's certificates in the order of their issue.
func (db *DB) Certificates(ctx context.Context, tenant tenure.TenantID) ([]Certificate, error) {
	var out []Certificate
	err := db.reader(ctx).Rows(`select id, tenant, kind, digest, body, annex, issued_at from certificate where tenant = $1 order by issued_at, id`, []any{string(tenant)}, func(r scanner) error {
		var c Certificate
		var at int64
		var body string
		err := r.Scan(&c.ID, &c.Tenant, &c.Kind, &c.Digest, &body, &c.Annex, &at)
		c.Body, c.IssuedAt = json.RawMessage(body), fromMicros(at)
		out = append(out, c)
		return err
	})
	return out, err
}
