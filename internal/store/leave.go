package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// LeaveAsk is what somebody typed into the public page on which customers ask to leave.
type LeaveAsk struct {
	ID        tenure.LeaveID
	At        time.Time
	ByAddress string // keyed digests, by which floods are bounded
	ByName    string
	Address   string // what was typed; "" once it was looked at
	Named     string
	Reason    string
}

// LeaveAsksSince counts what came since a moment: by an address, for a name, and in all.
func (tx *Tx) LeaveAsksSince(since time.Time, byAddress, byName string) (address, name, all int, err error) {
	err = tx.Row(`select coalesce(sum(case when by_address = $2 then 1 else 0 end), 0), coalesce(sum(case when by_name = $3 then 1 else 0 end), 0), count(*) from leave_ask where asked_at > $1`,
		[]any{micros(since), byAddress, byName}, &address, &name, &all)
	return address, name, all, err
}

// AddLeaveAsk keeps what was typed.
func (tx *Tx) AddLeaveAsk(a LeaveAsk) error {
	_, err := tx.Exec(`insert into leave_ask (id, asked_at, by_address, by_name, address, named, reason) values ($1, $2, $3, $4, $5, $6, $7)`,
		string(a.ID), micros(a.At), a.ByAddress, a.ByName, a.Address, a.Named, a.Reason)
	return err
}

// LeaveAsks lists what wasn't looked at yet, the oldest first.
func (db *DB) LeaveAsks(ctx context.Context, limit int) (out []LeaveAsk, err error) {
	err = db.reader(ctx).Rows(`select id, asked_at, by_address, by_name, address, named, reason from leave_ask where looked_at = 0 order by asked_at, id limit $1`, []any{limit}, func(r scanner) error {
		var a LeaveAsk
		var at int64
		err := r.Scan(&a.ID, &at, &a.ByAddress, &a.ByName, &a.Address, &a.Named, &a.Reason)
		a.At = fromMicros(at)
		out = append(out, a)
		return err
	})
	return out, err
}

// EndLeaveAsk blanks what was typed, once it was looked at; false if it was before.
func (tx *Tx) EndLeaveAsk(id tenure.LeaveID, at time.Time) (bool, error) {
	n, err := tx.Exec(`update leave_ask set address = '', named = '', reason = '', looked_at = $1 where id = $2 and looked_at = 0`, micros(at), string(id))
	return n == 1, err
}

// TenantsCalled lists the tenants that aren't closed and that people call so: by id, by name or by organization,
// whose upper and lower case make no difference. Those of the id or the name come first.
func (db *DB) TenantsCalled(ctx context.Context, name string, limit int) (out []tenure.TenantID, err error) {
	lower := strings.ToLower(name)
	var more []tenure.TenantID
	// SQLite's lower() knows ASCII alone, so that organizations are compared here.
	err = db.reader(ctx).Rows(`select id, name, organization from tenant where state <> 'closed' and (id = $1 or name = $2 or organization <> '') order by id`, []any{name, lower}, func(r scanner) error {
		var id, called, organization string
		err := r.Scan(&id, &called, &organization)
		switch {
		case id == name || called == lower:
			out = append(out, tenure.TenantID(id))
		case len(more) < limit && strings.ToLower(organization) == lower:
			more = append(more, tenure.TenantID(id))
		}
		return err
	})
	out = append(out, more...)
	return out[:min(len(out), limit)], err
}

// VouchedTenant reads a tenant; Blocked if its row isn't as the log says.
func (db *DB) VouchedTenant(ctx context.Context, id tenure.TenantID) (t TenantRow, err error) {
	read := func(db *DB) error {
		t, err = db.Tenant(ctx, string(id))
		return err
	}
	err = db.vouchedWith(ctx, read, func(l *ledger, c *comparison) error {
		if err := c.q.Row(`select salt from tenant where id = $1`, []any{string(id)}, &c.salt); err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return err
		}
		return l.same(c, "tenant", `id = $1`, string(id))
	})
	return t, err
}

// VouchedLeave reads a request to leave and its tenant; Blocked if either isn't as the log says.
func (db *DB) VouchedLeave(ctx context.Context, id tenure.LeaveID) (l tenure.LeaveRequest, t TenantRow, err error) {
	read := func(db *DB) error {
		if l, err = db.LeaveRequest(ctx, id); err == nil {
			t, err = db.Tenant(ctx, string(l.Tenant))
		}
		return err
	}
	err = db.vouchedWith(ctx, read, func(led *ledger, c *comparison) error {
		var tenant string
		err := c.q.Row(`select id, salt from tenant where id = (select tenant from leave_request where id = $1)`, []any{string(id)}, &tenant, &c.salt)
		if err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return err
		}
		if err := led.same(c, "tenant", `id = $1`, tenant); err != nil {
			return err
		}
		return led.same(c, "leave_request", `id = $1`, string(id))
	})
	return l, t, err
}

const leaveColumns = `id, tenant, requester, reason, asked_at, verified_at, contact, linked_at, expires_at, state, decided_at, decided_as, decided_by, why, event, version`

func leaveRequests(q querier, rest string, args ...any) (out []tenure.LeaveRequest, err error) {
	err = q.Rows(`select `+leaveColumns+` from leave_request `+rest, args, func(r scanner) error {
		var l tenure.LeaveRequest
		var asked, verified, linked, expires, decided int64
		err := r.Scan(&l.ID, &l.Tenant, &l.Requester, &l.Reason, &asked, &verified, &l.Contact, &linked, &expires, &l.State, &decided, &l.DecidedAs, &l.DecidedBy, &l.Why, &l.Event, &l.Version)
		l.AskedAt, l.VerifiedAt, l.LinkedAt, l.ExpiresAt, l.DecidedAt = fromMicros(asked), fromMicros(verified), fromMicros(linked), fromMicros(expires), fromMicros(decided)
		out = append(out, l)
		return err
	})
	return out, err
}

// LeaveRequest finds a request to leave.
func (db *DB) LeaveRequest(ctx context.Context, id tenure.LeaveID) (tenure.LeaveRequest, error) {
	l, err := firstOf(leaveRequests(db.reader(ctx), `where id = $1`, string(id)))
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.NotFound, "there is no request to leave %s", id).WithHint("they are kept for 90 days: tenure leave list")
	}
	return l, err
}

// LeaveFilter narrows a listing. Zero fields don't.
type LeaveFilter struct {
	Tenant tenure.TenantID
	State  tenure.LeaveState
	Before tenure.LeaveID // the latest first, from here on
	Limit  int
	Sight  *Visible // of tenants; nil: all
}

// LeaveRequests lists requests to leave, the latest first.
func (db *DB) LeaveRequests(ctx context.Context, f LeaveFilter) ([]tenure.LeaveRequest, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Tenant != "" {
		add("tenant = $%d", string(f.Tenant))
	}
	if f.State != "" {
		add("state = $%d", string(f.State))
	}
	if f.Before != "" {
		add("id < $%d", string(f.Before))
	}
	if f.Sight != nil {
		where = append(where, f.Sight.where("leave_request.tenant", &args))
	}
	args = append(args, f.Limit)
	return leaveRequests(db.reader(ctx), fmt.Sprintf(`where %s order by id desc limit $%d`, strings.Join(where, " and "), len(args)), args...)
}

// DueLeaveRequests lists those at which something is due at now, the longest due first.
func (db *DB) DueLeaveRequests(ctx context.Context, now time.Time, limit int) ([]tenure.LeaveRequest, error) {
	return leaveRequests(db.reader(ctx), `where due_at > 0 and due_at <= $1 order by due_at, id limit $2`, micros(now), limit)
}

// LeaveRequestsOf counts a tenant's requests: those of an address that are open, and those that
// others than its contact have made since a moment.
func (tx *Tx) LeaveRequestsOf(tenant tenure.TenantID, address, contact string, since time.Time) (open, others int, err error) {
	err = tx.Row(`select coalesce(sum(case when requester = $2 and state in ('asked', 'waiting') then 1 else 0 end), 0), coalesce(sum(case when requester <> $3 and asked_at > $4 then 1 else 0 end), 0)
		from leave_request where tenant = $1`, []any{string(tenant), address, contact, micros(since)}, &open, &others)
	return open, others, err
}

// SaveLeaveRequest stores a request and when to look at it again; zero is never. Version 0 is a new
// one. One that has changed since it was read is Conflict.
func (tx *Tx) SaveLeaveRequest(l tenure.LeaveRequest, due time.Time) error {
	args := []any{
		string(l.ID), string(l.Tenant), l.Requester, l.Reason, micros(l.AskedAt), micros(l.VerifiedAt), l.Contact, micros(l.LinkedAt), micros(l.ExpiresAt), string(l.State),
		micros(l.DecidedAt), string(l.DecidedAs), l.DecidedBy, l.Why, string(l.Event), micros(due),
	}
	if l.Version == 0 {
		_, err := tx.Exec(`insert into leave_request (id, tenant, requester, reason, asked_at, verified_at, contact, linked_at, expires_at, state, decided_at, decided_as, decided_by, why, event, due_at, version)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1)`, args...)
		return err
	}
	n, err := tx.Exec(`update leave_request set verified_at = $1, contact = $2, linked_at = $3, expires_at = $4, state = $5, decided_at = $6, decided_as = $7, decided_by = $8, why = $9, event = $10,
		due_at = $11, version = version + 1 where id = $12 and version = $13`, append(args[5:], string(l.ID), l.Version)...)
	if err == nil && n != 1 {
		return tenure.Errorf(tenure.Conflict, "the request to leave %s has changed since it was read", l.ID).WithHint("read it again")
	}
	return err
}

// LookAtLeaveRequest has a request looked at again at due, as long as nobody has changed it.
func (tx *Tx) LookAtLeaveRequest(l tenure.LeaveRequest, due time.Time) error {
	_, err := tx.Exec(`update leave_request set due_at = $1 where id = $2 and version = $3`, micros(due), string(l.ID), l.Version)
	return err
}
