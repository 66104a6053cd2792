package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Notice is one line of the outbox: words for somebody, written in the transaction of what
// they tell of.
type Notice struct {
	ID        string             `json:"id"`
	Kind      tenure.NoticeKind  `json:"kind"` // what it tells of, such as tenant.suspended
	Tenant    tenure.TenantID    `json:"tenant"`
	About     tenure.TenantID    `json:"about"` // the tenant, where the notice outlives its rows; Tenant is "" then
	Operation tenure.OperationID `json:"operation"`
	Recipient string             `json:"recipient"`
	Body      string             `json:"body"`
	CreatedAt time.Time          `json:"createdAt"`
	AheadOf   time.Time          `json:"aheadOf,omitzero"`   // the date that it is ahead of: it isn't sent later
	Language  string             `json:"language,omitempty"` // the tag of the body's; "" where that isn't known
}

const noticeColumns = `id, kind, tenant, about, operation, recipient, body, created_at, ahead_of, language`

func notices(q querier, rest string, args ...any) (out []Notice, err error) {
	err = q.Rows(`select `+noticeColumns+` from notice `+rest, args, func(r scanner) error {
		var n Notice
		var at, ahead int64
		err := r.Scan(&n.ID, &n.Kind, &n.Tenant, &n.About, &n.Operation, &n.Recipient, &n.Body, &at, &ahead, &n.Language)
		n.CreatedAt, n.AheadOf = fromMicros(at), fromMicros(ahead)
		out = append(out, n)
		return err
	})
	return out, err
}

// AddNotice puts a notice into the outbox; the same id again is the same notice.
func (tx *Tx) AddNotice(n Notice) error {
	_, err := tx.Exec(`insert into notice (`+noticeColumns+`, routed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) on conflict (id) do nothing`,
		n.ID, n.Kind, string(n.Tenant), string(n.About), string(n.Operation), n.Recipient, n.Body, micros(n.CreatedAt), micros(n.AheadOf), n.Language)
	return err
}

// Notices lists a tenant's notices.
func (db *DB) Notices(ctx context.Context, tenant tenure.TenantID) ([]Notice, error) {
	return notices(db.reader(ctx), `where tenant = $1 order by created_at, id`, string(tenant))
}

// Noticed says whether there is such a notice.
func (db *DB) Noticed(ctx context.Context, id string) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from notice where id = $1`, []any{id}, &n)
	return n > 0, err
}

// NoticeSentAt is when a notice first arrived; zero if it hasn't. Where it goes to mail addresses
// too, only these count: a chat of the platform's isn't who was written to.
func (db *DB) NoticeSentAt(ctx context.Context, id string) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(`select coalesce(min(ended_at), 0) from delivery d where notice = $1 and state = 'sent'
		and (address <> '' or not exists (select 1 from delivery m where m.notice = $1 and m.address <> ''))`, []any{id}, &at)
	return fromMicros(at), err
}

// UnsentNotice is when the oldest of a tenant's notices was made that was made since a moment
// and is still on its way; zero if there is none. To says to which targets.
func (db *DB) UnsentNotice(ctx context.Context, tenant tenure.TenantID, since time.Time) (oldest time.Time, to string, err error) {
	var at int64
	err = db.reader(ctx).Row(`select coalesce(min(created_at), 0) from notice where tenant = $1 and created_at >= $2
		and (routed_at = 0 or id in (select notice from delivery where tenant = $1 and state in ('waiting', 'sending')))`, []any{string(tenant), micros(since)}, &at)
	if err != nil || at == 0 {
		return time.Time{}, "", err
	}
	targets, err := oneColumn[string](db.reader(ctx), `select distinct target from delivery where tenant = $1 and state in ('waiting', 'sending') order by target`, string(tenant))
	if len(targets) > 0 {
		to = " to " + strings.Join(targets, ", ")
	}
	return fromMicros(at), to, err
}

// Unrouted lists notices made since a moment that were shared out to no target yet, the
// oldest first.
func (db *DB) Unrouted(ctx context.Context, since time.Time, limit int) ([]Notice, error) {
	return notices(db.reader(ctx), `where routed_at = 0 and created_at >= $1 order by created_at, id limit $2`, micros(since), limit)
}

// RouteNotice shares a notice out, once: false if it was before. A delivery with an error is
// refused from the start, or unwanted if it says so.
func (tx *Tx) RouteNotice(n Notice, to []Delivery, at time.Time) (bool, error) {
	if did, err := tx.Exec(`update notice set routed_at = $1 where id = $2 and routed_at = 0`, micros(at), n.ID); err != nil || did == 0 {
		return false, err
	}
	for _, d := range to {
		state, ended := DeliveryWaiting, time.Time{}
		if d.Error != "" { // it can't be sent at all
			state, ended = cmp.Or(d.State, DeliveryRefused), at
		}
		_, err := tx.Exec(`insert into delivery (id, notice, target, address, tenant, created_at, since, state, ended_at, error, next_at, due_at, person) values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12) on conflict (id) do nothing`,
			d.ID, n.ID, d.Target, d.Address, string(n.Tenant), micros(n.CreatedAt), string(state), micros(ended), d.Error, micros(d.NextAt), micros(d.DueAt), string(d.Person))
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// DeliveryState is where a notice is on its way to one target.
type DeliveryState string

// States of a delivery. What isn't waiting or sending has ended.
const (
	DeliveryWaiting DeliveryState = "waiting"
	DeliverySending DeliveryState = "sending" // somebody has it until NextAt
	DeliverySent    DeliveryState = "sent"
	DeliveryRefused DeliveryState = "refused" // the receiver doesn't take it, and won't
	DeliveryExpired DeliveryState = "expired" // it was tried for as long as notices are, or what it is about has passed meanwhile
	// DeliveryUnwanted is what its reader doesn't want to get.
	DeliveryUnwanted DeliveryState = "unwanted"
)

// Delivery is a notice on its way to one target, and there to one address.
type Delivery struct {
	ID        string
	Notice    Notice
	Target    string
	Address   string // whom it is for; "" where the target has one address
	State     DeliveryState
	Attempts  int       // tries so far
	NextAt    time.Time // when the next may be
	EndedAt   time.Time // when it was sent, refused or given up
	Error     string    // what the last try came to; no secrets
	DueAt     time.Time // until when the receiver is to acknowledge it; zero: it needn't
	Answer    string    // how it did, or "missed"
	CreatedAt time.Time
	Since     time.Time          // from when its tries count: when it was made, or sent again by hand
	Person    tenure.PrincipalID // whose settings it goes by; "" where it is no person's
	HeldUntil time.Time          // until when it was last held back; zero: it never was
}

const deliveryColumns = `d.id, d.target, d.address, d.state, d.attempts, d.next_at, d.ended_at, d.error, d.due_at, d.answer, d.created_at, d.since, d.person, d.held_until, coalesce(n.ahead_of, 0), d.notice, coalesce(n.kind, ''), d.tenant, coalesce(n.about, ''), coalesce(n.operation, ''), coalesce(n.recipient, ''), coalesce(n.body, '')`

func deliveries(q querier, rest string, args ...any) (out []Delivery, err error) {
	err = q.Rows(`select `+deliveryColumns+` from delivery d left join notice n on n.id = d.notice `+rest, args, func(r scanner) error {
		var d Delivery
		var next, ended, due, created, since, held, ahead int64
		err := r.Scan(&d.ID, &d.Target, &d.Address, &d.State, &d.Attempts, &next, &ended, &d.Error, &due, &d.Answer, &created, &since, &d.Person, &held, &ahead,
			&d.Notice.ID, &d.Notice.Kind, &d.Notice.Tenant, &d.Notice.About, &d.Notice.Operation, &d.Notice.Recipient, &d.Notice.Body)
		d.NextAt, d.EndedAt, d.DueAt, d.CreatedAt = fromMicros(next), fromMicros(ended), fromMicros(due), fromMicros(created)
		d.Since, d.HeldUntil = fromMicros(since), fromMicros(held)
		d.Notice.CreatedAt, d.Notice.AheadOf = d.CreatedAt, fromMicros(ahead)
		out = append(out, d)
		return err
	})
	return out, err
}

// DueDeliveries lists what may be sent to a target at now, the oldest first. What somebody
// else is sending holds up what comes after it for the same address.
func (db *DB) DueDeliveries(ctx context.Context, target string, now time.Time, limit int) ([]Delivery, error) {
	return deliveries(db.reader(ctx), `where d.target = $1 and d.state in ('waiting', 'sending') and d.next_at <= $2
		and not exists (select 1 from delivery s where s.target = $1 and s.address = d.address and s.state = 'sending' and s.next_at > $2)
		order by d.created_at, d.notice, d.id limit $3`, target, micros(now), limit)
}

// DueDeliveriesTo lists what may be sent at now to one address of a target, the oldest first.
func (db *DB) DueDeliveriesTo(ctx context.Context, target, address string, now time.Time, limit int) ([]Delivery, error) {
	return deliveries(db.reader(ctx), `where d.target = $1 and d.address = $2 and d.state in ('waiting', 'sending') and d.next_at <= $3
		order by d.created_at, d.notice, d.id limit $4`, target, address, micros(now), limit)
}

// HoldDelivery holds back a delivery that is due, until a moment; one that somebody has taken
// meanwhile is left alone.
func (tx *Tx) HoldDelivery(d Delivery, until time.Time, why string) error {
	_, err := tx.Exec(`update delivery set state = 'waiting', next_at = $1, held_until = $1, error = $2 where id = $3 and state = $4 and next_at = $5`,
		micros(until), why, d.ID, string(d.State), micros(d.NextAt))
	return err
}

// FreeDeliveries has what is held back for a person looked at again.
func (tx *Tx) FreeDeliveries(person tenure.PrincipalID) error {
	_, err := tx.Exec(`update delivery set next_at = 0 where person = $1 and state = 'waiting' and person <> '' and held_until > 0 and next_at = held_until`, string(person))
	return err
}

// ClaimDeliveries takes deliveries to one address of a target for one try, and gives those that
// it got: nobody else takes them before until, nor any other to this address. None are got while
// somebody has one, or an older one is due.
func (tx *Tx) ClaimDeliveries(list []Delivery, now, until time.Time) (mine []Delivery, err error) {
	first, before := list[0], 0
	err = tx.Row(`select count(*) from delivery where target = $1 and address = $2 and state in ('waiting', 'sending')
		and (state = 'sending' and next_at > $3 or next_at <= $3 and (created_at < $4 or created_at = $4 and (notice < $5 or notice = $5 and id < $6)))`,
		[]any{first.Target, first.Address, micros(now), micros(first.CreatedAt), first.Notice.ID, first.ID}, &before)
	if err != nil || before > 0 {
		return nil, err
	}
	for _, d := range list {
		n, err := tx.Exec(`update delivery set state = 'sending', attempts = attempts + 1, next_at = $1 where id = $2 and state = $3 and next_at = $4`, micros(until), d.ID, string(d.State), micros(d.NextAt))
		if err != nil {
			return nil, err
		}
		if n == 1 {
			mine = append(mine, d)
		}
	}
	return mine, nil
}

// overdue is the condition that a delivery was made, or sent again by hand, before $1 and is due
// at $2, or that the date which it was ahead of has passed then.
const overdue = `state in ('waiting', 'sending') and (since < $1 and next_at <= $2
	or notice in (select id from notice where ahead_of > 0 and ahead_of <= $2) and (state = 'waiting' or next_at <= $2))`

// AnyDelivery says whether ExpireDeliveries would give one up.
func (db *DB) AnyDelivery(ctx context.Context, before, now time.Time) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from (select 1 from delivery where `+overdue+` limit 1) d`, []any{micros(before), micros(now)}, &n)
	return n > 0, err
}

// EndDelivery notes how a try ended that is the last.
func (tx *Tx) EndDelivery(id string, to DeliveryState, why, answer string, at time.Time) error {
	_, err := tx.Exec(`update delivery set state = $1, error = $2, ended_at = $3, next_at = 0, answer = case when answer = '' then $4 else answer end where id = $5 and state in ('waiting', 'sending')`,
		string(to), why, micros(at), answer, id)
	return err
}

// PutOffDelivery notes what a try came to, and when the next one may be.
func (tx *Tx) PutOffDelivery(id, why string, next time.Time) error {
	_, err := tx.Exec(`update delivery set state = 'waiting', error = $1, next_at = $2 where id = $3 and state in ('waiting', 'sending')`, why, micros(next), id)
	return err
}

// ExpireDeliveries gives up what was made, or sent again by hand, before a moment and hasn't arrived, and what
// was ahead of a date that has passed.
func (tx *Tx) ExpireDeliveries(before, now time.Time) error {
	_, err := tx.Exec(`update delivery set state = 'expired', ended_at = $2 where `+overdue, micros(before), micros(now))
	return err
}

// DeliveryFilter selects deliveries.
type DeliveryFilter struct {
	Tenant tenure.TenantID
	Target string
	State  DeliveryState
	Before string // those made before this one; "" from the latest on
	Limit  int
	Sight  *Visible // of tenants, those of none left out; nil: all
}

// Deliveries lists deliveries, the latest first.
func (db *DB) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Tenant != "" {
		add("d.tenant = $%d and d.tenant <> ''", string(f.Tenant))
	}
	if f.Target != "" {
		add("d.target = $%d", f.Target)
	}
	if f.State != "" {
		add("d.state = $%d", string(f.State))
	}
	if f.Before != "" {
		add("(d.created_at, d.id) < (select b.created_at, b.id from delivery b where b.id = $%d)", f.Before)
	}
	if f.Sight != nil {
		where = append(where, f.Sight.where("d.tenant", &args))
	}
	args = append(args, f.Limit)
	return deliveries(db.reader(ctx), fmt.Sprintf(`where %s order by d.created_at desc, d.id desc limit $%d`, strings.Join(where, " and "), len(args)), args...)
}

// Delivery finds one; an unknown one is NotFound.
func (db *DB) Delivery(ctx context.Context, id string) (Delivery, error) {
	return delivery(db.reader(ctx), id)
}

// Delivery finds one as the transaction sees it.
func (tx *Tx) Delivery(id string) (Delivery, error) { return delivery(tx, id) }

func delivery(q querier, id string) (Delivery, error) {
	found, err := deliveries(q, `where d.id = $1`, id)
	if err == nil && len(found) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no delivery %q", id).WithHint("list them: tenure notice list")
	}
	if err != nil {
		return Delivery{}, err
	}
	return found[0], nil
}

// ReplayDelivery has a delivery sent once more, as one that was just made.
func (tx *Tx) ReplayDelivery(id string, now time.Time) error {
	_, err := tx.Exec(`update delivery set state = 'waiting', attempts = 0, next_at = 0, ended_at = 0, error = '', held_until = 0, since = $2 where id = $1 and (state <> 'sending' or next_at <= $2)`, id, micros(now))
	return err
}

// Acknowledge notes that a receiver has done what a notice asks for.
func (tx *Tx) Acknowledge(id, answer string) error {
	_, err := tx.Exec(`update delivery set answer = $1, due_at = 0 where id = $2`, answer, id)
	return err
}

// MissedAcknowledgements lists deliveries that nobody has acknowledged in time.
func (db *DB) MissedAcknowledgements(ctx context.Context, now time.Time, limit int) ([]Delivery, error) {
	return deliveries(db.reader(ctx), `where d.due_at > 0 and d.due_at <= $1 and d.answer = '' order by d.due_at, d.id limit $2`, micros(now), limit)
}

// NotifyTarget is how a target of the settings does.
type NotifyTarget struct {
	Name         string
	FailingSince time.Time // since when each try has failed; zero: the last one hasn't
	DisabledAt   time.Time // since when nothing is sent to it; zero: it is in use
	Why          string    // what the last try came to
}

// NotifyTargets lists how the targets do of which something is known.
func (db *DB) NotifyTargets(ctx context.Context) (out []NotifyTarget, err error) {
	err = db.reader(ctx).Rows(`select name, failing_since, disabled_at, why from notify_target order by name`, nil, func(r scanner) error {
		var t NotifyTarget
		var failing, disabled int64
		err := r.Scan(&t.Name, &failing, &disabled, &t.Why)
		t.FailingSince, t.DisabledAt = fromMicros(failing), fromMicros(disabled)
		out = append(out, t)
		return err
	})
	return out, err
}

// SaveNotifyTarget notes how a target does.
func (tx *Tx) SaveNotifyTarget(t NotifyTarget) error {
	_, err := tx.Exec(`insert into notify_target (name, failing_since, disabled_at, why) values ($1, $2, $3, $4)
		on conflict (name) do update set failing_since = excluded.failing_since, disabled_at = excluded.disabled_at, why = excluded.why`,
		t.Name, micros(t.FailingSince), micros(t.DisabledAt), t.Why)
	return err
}
