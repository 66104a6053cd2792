package store

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// VouchedInventory is nil if the inventory has what the log says that a tenant has, and as the log says.
// Otherwise it is Blocked, and says what differs: what the inventory doesn't know would be left behind, and
// nobody would look for it. It reads the whole log.
func (db *DB) VouchedInventory(ctx context.Context, tenant tenure.TenantID) error {
	if db.key == nil {
		return nil
	}
	return db.View(ctx, func(db *DB) error {
		q := db.reader(ctx)
		i := inventory{tenant: tenant, stand: make(map[string]bool), said: make(map[string]string), made: make(map[string]bool)}
		ids, err := oneColumn[string](q, `select id from resource where tenant = $1`, string(tenant))
		if err != nil {
			return err
		}
		for _, id := range ids {
			i.stand[id] = true
		}
		var size int64
		var seal string
		if err := q.Row(`select size, seal from audit_head where id = 1`, nil, &size, &seal); err != nil {
			return err
		}
		d := newDigester(db.key)
		tree, _ := audit.NewTree(0, nil)
		if _, err := grown(q, d, tree, size, seal, i.take); err != nil {
			return err
		}
		c := &comparison{q: q, d: d}
		if err := q.Row(`select salt from tenant where id = $1`, []any{string(tenant)}, &c.salt); err != nil {
			return err
		}
		if err := c.compare("resource", `tenant = $1`, string(tenant), i.said); err != nil {
			return err
		}
		for id := range i.made {
			i.said["resource/"+id] = "made" // a digest or not, its row has to be there
		}
		c.missing(i.said)
		if len(c.differ) > 0 {
			return notAsLogged(strings.Join(c.differ, "; "))
		}
		return nil
	})
}

// inventory is what the log says of a tenant's resources.
type inventory struct {
	tenant tenure.TenantID
	stand  map[string]bool   // by id: those that have a row
	said   map[string]string // digests by the rows' names
	made   map[string]bool   // by id: those that steps had to do with
}

// take reads one entry.
func (i *inventory) take(body []byte) error {
	kind := audit.KindOf(body)
	rows := kind == RowsEntry && bytes.Contains(body, []byte(`"resource`))
	if !rows && (kind != "step.result" || !bytes.Contains(body, []byte(i.tenant))) {
		return nil
	}
	e, err := audit.Decode(body)
	if err != nil {
		return notAsLogged("an entry can't be read: " + err.Error())
	}
	var f struct {
		Rows     map[string]string
		Resource string
	}
	if err := json.Unmarshal(e.Data, &f); err != nil {
		return notAsLogged("an entry can't be read: " + err.Error())
	}
	if !rows {
		if e.Tenant == i.tenant && f.Resource != "" {
			i.made[e.Subject] = true
		}
		return nil
	}
	for name, digest := range f.Rows {
		if strings.HasPrefix(name, "resource") && i.stand[rowOf(name)] {
			keep(i.said, name, digest)
		}
	}
	return nil
}
