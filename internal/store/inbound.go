package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// InboundState is what became of an event of another system.
type InboundState string

const (
	InboundReceived   InboundState = "received"   // nothing was decided yet
	InboundActed      InboundState = "acted"      // it started an operation, or ended one
	InboundNoted      InboundState = "noted"      // it counts, and by itself starts nothing
	InboundIgnored    InboundState = "ignored"    // no rule is for it, or what it asks for is so already
	InboundSuperseded InboundState = "superseded" // a later one has been heeded
	InboundHeld       InboundState = "held"       // a person decides
	InboundFailed     InboundState = "failed"     // it can't be done; a person looks at it (the dead letters)
	InboundDismissed  InboundState = "dismissed"  // a person has decided against it
)

// Inbound is an event of another system as it came, and what became of it.
type Inbound struct {
	ID         tenure.InboundID
	Source     string // its name in the settings
	ExternalID string // the source's own id: unique within the source
	Type       string
	Subject    string // what it is about, by the source's id
	Version    string // the subject's own version; "" if it has none
	HappenedAt time.Time
	ReceivedAt time.Time
	Body       []byte // JSON, as it came

	State     InboundState
	Why       string // the reason, for people
	Rule      string // NAME@VERSION/RULE that decided; "" if none did
	Customer  string // keyed digest of the customer's key; "" until a rule gave one
	Tenant    tenure.TenantID
	Operation tenure.OperationID
	Attempts  int
	NextAt    time.Time // not tried before
	DecidedAt time.Time
	DecidedBy string // the person, where one decided
	Released  bool   // a person lets it start what the budget held back
	Pending   string // what was decided, until it has been asked for; JSON
}

const inboundColumns = `id, source, external_id, type, subject, version, happened_at, received_at, body, state, why, rule, customer, tenant, operation, attempts, next_at, decided_at, decided_by, released, pending`

func inbounds(q querier, columns, rest string, args ...any) (out []Inbound, err error) {
	err = q.Rows(`select `+columns+` from inbound `+rest, args, func(r scanner) error {
		var e Inbound
		var happened, received, next, decided, released int64
		err := r.Scan(&e.ID, &e.Source, &e.ExternalID, &e.Type, &e.Subject, &e.Version, &happened, &received, &e.Body, &e.State, &e.Why, &e.Rule, &e.Customer, &e.Tenant, &e.Operation, &e.Attempts, &next, &decided, &e.DecidedBy, &released, &e.Pending)
		e.HappenedAt, e.ReceivedAt, e.NextAt, e.DecidedAt, e.Released = fromMicros(happened), fromMicros(received), fromMicros(next), fromMicros(decided), released != 0
		out = append(out, e)
		return err
	})
	return out, err
}

// Receive keeps an event that has come, and says whether it is a new one: the same id of
// one source is kept once.
func (tx *Tx) Receive(e Inbound) (bool, error) {
	n, err := tx.Exec(`insert into inbound (id, source, external_id, type, subject, version, happened_at, received_at, body, state, rule, tenant, operation, decided_at, decided_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'received', '', $10, '', 0, '') on conflict do nothing`,
		string(e.ID), e.Source, e.ExternalID, e.Type, e.Subject, e.Version, micros(e.HappenedAt), micros(e.ReceivedAt), e.Body, string(e.Tenant))
	return n == 1, err
}

// Inbound finds an event by its id.
func (db *DB) Inbound(ctx context.Context, id tenure.InboundID) (Inbound, error) {
	return oneInbound(db.reader(ctx), id)
}

// Inbound finds an event as the transaction sees it.
func (tx *Tx) Inbound(id tenure.InboundID) (Inbound, error) { return oneInbound(tx, id) }

func oneInbound(q querier, id tenure.InboundID) (Inbound, error) {
	list, err := inbounds(q, inboundColumns, `where id = $1`, string(id))
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no event %s", id).WithHint("events are kept for a while: tenure inbound list")
	}
	if err != nil {
		return Inbound{}, err
	}
	return list[0], nil
}

// InboundFilter narrows a listing. Zero fields don't.
type InboundFilter struct {
	Source    string
	State     InboundState
	Type      string
	Subject   string
	Reference string // the source's own id
	Tenant    tenure.TenantID
	Operation tenure.OperationID
	Before    tenure.InboundID // the latest first, from here on
	Limit     int
	Sight     *Visible // of tenants, those of none left out; nil: all
}

// Inbounds lists events, the latest first, without what was sent.
func (db *DB) Inbounds(ctx context.Context, f InboundFilter) ([]Inbound, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Source != "" {
		add("source = $%d", f.Source)
	}
	if f.State != "" {
		add("state = $%d", string(f.State))
	}
	if f.Type != "" {
		add("type = $%d", f.Type)
	}
	if f.Subject != "" {
		add("subject = $%d", f.Subject)
	}
	if f.Reference != "" {
		add("external_id = $%d", f.Reference)
	}
	if f.Tenant != "" {
		add("tenant = $%d and tenant <> ''", string(f.Tenant))
	}
	if f.Operation != "" {
		add("operation = $%d and operation <> ''", string(f.Operation))
	}
	if f.Before != "" {
		add("id < $%d", string(f.Before))
	}
	if f.Sight != nil {
		where = append(where, f.Sight.where("tenant", &args))
	}
	args = append(args, f.Limit)
	return inbounds(db.reader(ctx), strings.Replace(inboundColumns, " body,", " '' as body,", 1), fmt.Sprintf(`where %s order by id desc limit $%d`, strings.Join(where, " and "), len(args)), args...)
}

// RecordedInbound lists the events from a moment on, the oldest first, as they came: at most so
// many, with so many bytes in all. More than that is Invalid.
func (db *DB) RecordedInbound(ctx context.Context, since time.Time, limit, bytes int) ([]Inbound, error) {
	n, size := 0, 0
	if err := db.reader(ctx).Row(`select count(*), coalesce(sum(length(body)), 0) from inbound where received_at >= $1`, []any{micros(since)}, &n, &size); err != nil {
		return nil, err
	}
	if n > limit || size > bytes {
		return nil, tenure.Errorf(tenure.Invalid, "%d events with %d bytes were received since then; at most %d with %d bytes are looked at", n, size, limit, bytes).WithHint("begin at a later moment")
	}
	return inbounds(db.reader(ctx), inboundColumns, `where received_at >= $1 order by id limit $2`, micros(since), limit)
}

// AnyDueInbound says whether there are any for DueInbound, and costs little.
func (db *DB) AnyDueInbound(ctx context.Context, now time.Time) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from (select 1 from inbound where state = 'received' and next_at <= $1 limit 1) x`, []any{micros(now)}, &n)
	return n > 0, err
}

// DueInbound lists events of which nothing was decided and that may be tried at now, the
// oldest first, and which of them aren't as the log says: somebody has written them past Tenure.
func (db *DB) DueInbound(ctx context.Context, now time.Time, limit int) (list []Inbound, forged map[tenure.InboundID]bool, err error) {
	forged = make(map[tenure.InboundID]bool)
	due := func(db *DB) error {
		list, err = inbounds(db.reader(ctx), inboundColumns, `where state = 'received' and next_at <= $1 order by id limit $2`, micros(now), limit)
		return err
	}
	err = db.vouchedWith(ctx, due, func(l *ledger, c *comparison) error {
		ids, err := oneColumn[string](c.q, `select id from inbound where state = 'received' and next_at <= $1 order by id limit $2`, micros(now), limit)
		for _, id := range ids {
			if err == nil {
				err = l.same(c, "inbound", "id = $1", id)
			}
			forged[tenure.InboundID(id)] = len(c.differ) > 0
			c.differ = nil
		}
		return err
	})
	return list, forged, err
}

// InboundWaits says whether an earlier event of the same customer is still undecided.
func (db *DB) InboundWaits(ctx context.Context, customer string, before tenure.InboundID) (bool, error) {
	n := 0
	err := db.reader(ctx).Row(`select count(*) from (select 1 from inbound where customer = $1 and id < $2 and state = 'received' limit 1) x`, []any{customer, string(before)}, &n)
	return n > 0, err
}

// InboundCounts is how many events stand in each state.
func (db *DB) InboundCounts(ctx context.Context) (map[InboundState]int, error) {
	out := make(map[InboundState]int)
	err := db.reader(ctx).Rows(`select state, count(*) from inbound group by state`, nil, func(r scanner) error {
		var s InboundState
		n := 0
		err := r.Scan(&s, &n)
		out[s] = n
		return err
	})
	return out, err
}

// DecideInbound writes what became of an event of which nothing was decided, or has it
// tried again: false if somebody else has decided meanwhile, or has noted since e was read
// what they decided (PendInbound).
func (tx *Tx) DecideInbound(e Inbound) (bool, error) {
	n, err := tx.Exec(`update inbound set state = $1, why = $2, rule = $3, customer = $4, tenant = $5, operation = $6, attempts = $7, next_at = $8, decided_at = $9, decided_by = $10 where id = $11 and state = 'received' and (pending = '' or pending = $12)`,
		string(e.State), e.Why, e.Rule, e.Customer, string(e.Tenant), string(e.Operation), e.Attempts, micros(e.NextAt), micros(e.DecidedAt), e.DecidedBy, string(e.ID), e.Pending)
	return n == 1, err
}

// PendInbound notes what was decided of an event before it is asked for, so that whoever takes
// it up after a crash knows. Nobody else tries it before until. It is false if somebody else
// has taken it up meanwhile.
func (tx *Tx) PendInbound(e Inbound, pending string, until time.Time) (bool, error) {
	n, err := tx.Exec(`update inbound set next_at = $1 where id = $2 and state = 'received' and next_at = $3`, micros(until), string(e.ID), micros(e.NextAt))
	if err != nil || n != 1 {
		return false, err
	}
	_, err = tx.Exec(`update inbound set pending = $1 where id = $2`, pending, string(e.ID))
	return true, err
}

// UnpendInbound forgets what was decided of an event.
func (tx *Tx) UnpendInbound(id tenure.InboundID) error {
	_, err := tx.Exec(`update inbound set pending = '' where id = $1 and pending <> ''`, string(id))
	return err
}

// ReopenInbound has an event decided anew; with release, past what held it. One that isn't in
// that state any more is Conflict.
func (tx *Tx) ReopenInbound(e Inbound, release bool, by string, at time.Time) error {
	e.Why = "it is to be decided anew, as " + by + " asked"
	n, err := tx.Exec(`update inbound set state = 'received', why = $8, rule = $1, tenant = $2, operation = $3, decided_at = $4, decided_by = $5, attempts = 0, next_at = 0 where id = $6 and state = $7`,
		e.Rule, string(e.Tenant), string(e.Operation), micros(at), by, string(e.ID), string(e.State), e.Why)
	if err == nil && n == 1 {
		_, err = tx.Exec(`update inbound set released = $1 where id = $2`, flag(release), string(e.ID))
	}
	return decidedOnce(e, n, err)
}

// DismissInbound ends an event by a person's word.
func (tx *Tx) DismissInbound(e Inbound, why, by string, at time.Time) error {
	n, err := tx.Exec(`update inbound set state = 'dismissed', rule = $1, tenant = $2, operation = $3, decided_at = $4, decided_by = $5, why = $6 where id = $7 and state = $8`,
		e.Rule, string(e.Tenant), string(e.Operation), micros(at), by, why, string(e.ID), string(e.State))
	return decidedOnce(e, n, err)
}

func decidedOnce(e Inbound, n int64, err error) error {
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "event %s has been decided meanwhile", e.ID).WithHint("look at it again")
	}
	return err
}

// DeparturesBySet is how many departures the events of a set of rules have started since a
// moment, or are about to, but one event. Until the transaction ends no other counts, on any
// server.
func (tx *Tx) DeparturesBySet(set string, since time.Time, but tenure.InboundID) (int, error) {
	if tx.w.db.Dialect == Postgres { // SQLite has one writer
		if _, err := tx.Exec(`select pg_advisory_xact_lock(hashtext('departures by events'))`); err != nil {
			return 0, err
		}
	}
	n := 0
	err := tx.Row(`select count(*) from inbound i where i.rule like $1 and i.id <> $3 and (i.state = 'received' and i.pending like '%"kind":"offboard"%' or i.state = 'acted' and i.decided_at >= $2
		and exists (select 1 from operation o where o.id = i.operation and o.kind = 'offboard' and o.trigger_key = 'event:' || i.source || ':' || i.id))`, []any{set + "@%", micros(since), string(but)}, &n)
	return n, err
}
