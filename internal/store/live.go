package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// WentLive is when a tenant became active for the first time; zero if it hasn't yet.
func (db *DB) WentLive(ctx context.Context, tenant tenure.TenantID) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(`select coalesce(min(s.ended_at), 0) from operation o join step s on s.operation = o.id
		where o.tenant = $1 and o.kind = 'onboard' and s.key = 'active' and s.state = 'done'`, []any{string(tenant)}, &at)
	return fromMicros(at), err
}
