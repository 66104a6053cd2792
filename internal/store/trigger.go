package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// TriggerRevision is a stored revision of trigger rules.
type TriggerRevision struct {
	Digest      string
	Name        string
	Version     string
	File        string
	Body        string // as it was submitted
	Author      string
	CreatedAt   time.Time
	PublishedBy string
	PublishedAt time.Time
}

// Published says whether events are decided by it, if no later one of its name is.
func (r TriggerRevision) Published() bool { return !r.PublishedAt.IsZero() }

const triggerColumns = `digest, name, version, file, body, author, created_at, published_by, published_at`

func triggerRevisions(q querier, rest string, args ...any) (out []TriggerRevision, err error) {
	err = q.Rows(`select `+triggerColumns+` from trigger_revision `+rest, args, func(r scanner) error {
		var t TriggerRevision
		var created, published int64
		err := r.Scan(&t.Digest, &t.Name, &t.Version, &t.File, &t.Body, &t.Author, &created, &t.PublishedBy, &published)
		t.CreatedAt, t.PublishedAt = fromMicros(created), fromMicros(published)
		out = append(out, t)
		return err
	})
	return out, err
}

// SaveTriggers stores a revision as a draft; the same digest twice is one row. Another
// content under a published version's name and number is Conflict.
func (tx *Tx) SaveTriggers(t TriggerRevision) error {
	if err := tx.freeTriggers(t); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into trigger_revision (digest, name, version, file, body, author, created_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
		t.Digest, t.Name, t.Version, t.File, t.Body, t.Author, micros(t.CreatedAt))
	return err
}

func (tx *Tx) freeTriggers(t TriggerRevision) error {
	same, err := triggerRevisions(tx, `where name = $1 and version = $2 and digest <> $3 and published_at > 0`, t.Name, t.Version, t.Digest)
	if err == nil && len(same) > 0 {
		err = tenure.Errorf(tenure.Conflict, "triggers %s %s are published with another content (%s); revisions are immutable", t.Name, t.Version, same[0].Digest).
			WithHint("give the changed rules a new version")
	}
	return err
}

// PublishTriggers puts a draft in force.
func (tx *Tx) PublishTriggers(t TriggerRevision, by string, at time.Time) error {
	if err := tx.freeTriggers(t); err != nil {
		return err
	}
	_, err := tx.Exec(`update trigger_revision set published_by = $1, published_at = $2 where digest = $3 and published_at = 0`, by, micros(at), t.Digest)
	return err
}

// Triggers finds a revision by its digest, by name and version, or by name alone: the one
// in force.
func (db *DB) Triggers(ctx context.Context, name, version, digest string) (TriggerRevision, error) {
	return findTriggers(db.reader(ctx), name, version, digest)
}

// Triggers finds a revision as the transaction sees it.
func (tx *Tx) Triggers(name, version, digest string) (TriggerRevision, error) {
	return findTriggers(tx, name, version, digest)
}

func findTriggers(q querier, name, version, digest string) (TriggerRevision, error) {
	var found []TriggerRevision
	var err error
	switch {
	case digest != "":
		found, err = triggerRevisions(q, `where digest = $1`, digest)
	case version != "":
		found, err = triggerRevisions(q, `where name = $1 and version = $2 order by published_at desc, created_at desc, digest limit 1`, name, version)
	default:
		found, err = triggerRevisions(q, `where name = $1 and published_at > 0 order by published_at desc, created_at desc limit 1`, name)
	}
	if err == nil && len(found) == 0 {
		ref := name + digest
		if version != "" {
			ref += "@" + version
		}
		err = tenure.Errorf(tenure.NotFound, "there are no triggers %s", ref).WithHint("list them: tenure trigger list")
	}
	if err != nil {
		return TriggerRevision{}, err
	}
	return found[0], nil
}

// TriggerDrafts lists the unpublished revisions of one name and number, the oldest first.
func (tx *Tx) TriggerDrafts(name, version string) ([]TriggerRevision, error) {
	return triggerRevisions(tx, `where name = $1 and version = $2 and published_at = 0 order by created_at, digest`, name, version)
}

// AllTriggers lists every revision by name and age.
func (db *DB) AllTriggers(ctx context.Context) ([]TriggerRevision, error) {
	return triggerRevisions(db.reader(ctx), `order by name, created_at, digest`)
}

// TriggersInForce lists the latest published revision of each name.
func (db *DB) TriggersInForce(ctx context.Context) ([]TriggerRevision, error) {
	return triggerRevisions(db.reader(ctx), `where published_at > 0 and not exists (select 1 from trigger_revision later where later.name = trigger_revision.name
		and (later.published_at > trigger_revision.published_at or later.published_at = trigger_revision.published_at and later.created_at > trigger_revision.created_at)) order by name`)
}

// TriggerCustomer is how far a customer's events have been heeded. The moments are those
// that the sources give.
type TriggerCustomer struct {
	Key         string // a keyed digest of what rules call the customer, or the tenant's id
	Tenant      tenure.TenantID
	StartedAt   time.Time   // of the event that onboarded it
	ChangedAt   time.Time   // of the latest change
	Failures    []time.Time // payments that failed since the last that didn't, the oldest first
	PaidAt      time.Time   // of the latest payment
	SuspendedAt time.Time   // of what suspended it by a rule, until it is resumed
	EndedAt     time.Time   // of what ended it
	EndedFor    string      // "payment" if a payment can still withdraw that, or ""
	GraceUntil  time.Time   // when GraceRule goes on
	GraceRule   string      // NAME/RULE
	ContractEnd time.Time   // when its contract ends; zero if that isn't known
	GraceTold   time.Time   // which end of a grace an event was made of
	EndsTold    []string    // of which rules' ends of its contract events were made: NAME/RULE@END
}

// TriggerCustomer reads the record of a key; a new one is blank but for its key.
func (db *DB) TriggerCustomer(ctx context.Context, key string) (TriggerCustomer, error) {
	return triggerCustomer(db.reader(ctx), key)
}

// TriggerCustomer is a record as the transaction sees it.
func (tx *Tx) TriggerCustomer(key string) (TriggerCustomer, error) { return triggerCustomer(tx, key) }

func triggerCustomer(q querier, key string) (TriggerCustomer, error) {
	list, err := triggerCustomers(q, `where key = $1`, key)
	if err != nil || len(list) == 0 {
		return TriggerCustomer{Key: key}, err
	}
	return list[0], nil
}

// EndedGraces lists the customers whose grace is over at now.
func (db *DB) EndedGraces(ctx context.Context, now time.Time, limit int) ([]TriggerCustomer, error) {
	return triggerCustomers(db.reader(ctx), `where grace_until > 0 and grace_until <= $1 and grace_told <> grace_until order by grace_until, key limit $2`, micros(now), limit)
}

// EndingContracts lists the customers with a tenant whose contract ends at a moment or
// before it.
func (db *DB) EndingContracts(ctx context.Context, by time.Time) ([]TriggerCustomer, error) {
	return triggerCustomers(db.reader(ctx), `where contract_end > 0 and contract_end <= $1 and tenant in (select id from tenant where state <> 'closed') order by contract_end, key`, micros(by))
}

// AnyContract says whether the end of any customer's contract is known.
func (db *DB) AnyContract(ctx context.Context) (bool, error) {
	var n int64
	err := db.reader(ctx).Row(`select count(*) from (select 1 from trigger_customer where contract_end > 0 limit 1) c`, nil, &n)
	return n > 0, err
}

// TellGrace notes that an event was made of the end of a customer's grace.
func (tx *Tx) TellGrace(c TriggerCustomer) error {
	_, err := tx.Exec(`update trigger_customer set grace_told = $1 where key = $2`, micros(c.GraceUntil), c.Key)
	return err
}

// TellEnds notes of which ends of a customer's contract events were made.
func (tx *Tx) TellEnds(c TriggerCustomer) error {
	_, err := tx.Exec(`update trigger_customer set ends_told = $1 where key = $2`, strings.Join(c.EndsTold, " "), c.Key)
	return err
}

// TenantsKnownAs finds the tenants that have an id, or the living ones that a system knows by
// this external id, letter by letter; if there are none, the one that had it last and is closed.
// A forgotten one had it whose kept digest of it, of this kind, is digest.
func (db *DB) TenantsKnownAs(ctx context.Context, id, kind, digest string) (out []tenure.TenantID, err error) {
	q := db.reader(ctx)
	if t, err := tenure.ParseID[tenure.TenantID](id); err == nil {
		return oneColumn[tenure.TenantID](q, `select id from tenant where id = $1`, string(t))
	}
	var left []tenure.TenantID
	err = q.Rows(`select t.id, t.state from tenant_external e join tenant t on t.id = e.tenant where e.external_id = $1 order by t.id`, []any{id}, func(r scanner) error {
		var t tenure.TenantID
		var state tenure.TenantState
		err := r.Scan(&t, &state)
		switch {
		case err != nil:
		case state == tenure.TenantClosed:
			left = append(left, t)
		default:
			out = append(out, t)
		}
		return err
	})
	if err != nil || len(out) > 0 {
		return out, err
	}
	forgotten, err := oneColumn[tenure.TenantID](q, `select tenant from known_digest where kind = $1 and digest = $2`, kind, digest)
	if left = append(left, forgotten...); err != nil || len(left) == 0 {
		return nil, err
	}
	return []tenure.TenantID{slices.Max(left)}, nil
}

func triggerCustomers(q querier, rest string, args ...any) (out []TriggerCustomer, err error) {
	err = q.Rows(`select key, tenant, started_at, changed_at, failures, paid_at, suspended_at, ended_at, ended_for, grace_until, grace_rule, contract_end, grace_told, ends_told from trigger_customer `+rest, args, func(r scanner) error {
		var c TriggerCustomer
		var started, changed, paid, suspended, ended, grace, end, told int64
		var failures, ends string
		if err := r.Scan(&c.Key, &c.Tenant, &started, &changed, &failures, &paid, &suspended, &ended, &c.EndedFor, &grace, &c.GraceRule, &end, &told, &ends); err != nil {
			return err
		}
		c.StartedAt, c.ChangedAt, c.PaidAt, c.SuspendedAt, c.EndedAt, c.GraceUntil, c.ContractEnd, c.GraceTold = fromMicros(started), fromMicros(changed), fromMicros(paid), fromMicros(suspended), fromMicros(ended), fromMicros(grace), fromMicros(end), fromMicros(told)
		c.EndsTold = strings.Fields(ends)
		for _, f := range strings.Fields(failures) {
			at, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return tenure.Errorf(tenure.Internal, "customer %s: %w", c.Key, err)
			}
			c.Failures = append(c.Failures, fromMicros(at))
		}
		out = append(out, c)
		return nil
	})
	return out, err
}

// SaveTriggerCustomer stores a record.
func (tx *Tx) SaveTriggerCustomer(c TriggerCustomer) error {
	var failures []string
	for _, f := range c.Failures {
		failures = append(failures, strconv.FormatInt(micros(f), 10))
	}
	_, err := tx.Exec(`insert into trigger_customer (key, tenant, started_at, changed_at, failures, paid_at, suspended_at, ended_at, ended_for, grace_until, grace_rule, contract_end, grace_told, ends_told) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		on conflict (key) do update set tenant = excluded.tenant, started_at = excluded.started_at, changed_at = excluded.changed_at, failures = excluded.failures, paid_at = excluded.paid_at, suspended_at = excluded.suspended_at,
		ended_at = excluded.ended_at, ended_for = excluded.ended_for, grace_until = excluded.grace_until, grace_rule = excluded.grace_rule, contract_end = excluded.contract_end, grace_told = excluded.grace_told, ends_told = excluded.ends_told`,
		c.Key, string(c.Tenant), micros(c.StartedAt), micros(c.ChangedAt), strings.Join(failures, " "), micros(c.PaidAt), micros(c.SuspendedAt), micros(c.EndedAt), c.EndedFor, micros(c.GraceUntil), c.GraceRule, micros(c.ContractEnd), micros(c.GraceTold), strings.Join(c.EndsTold, " "))
	return err
}

// TriggerSubject gives the version of a source's object that was heeded last, and when
// that happened; blank if none was.
func (db *DB) TriggerSubject(ctx context.Context, key string) (version string, at time.Time, err error) {
	var micro int64
	err = db.reader(ctx).Row(`select version, at from trigger_subject where key = $1`, []any{key}, &version, &micro)
	if tenure.CodeOf(err) == tenure.NotFound {
		return "", time.Time{}, nil
	}
	return version, fromMicros(micro), err
}

// SaveTriggerSubject notes the version of a source's object that was heeded.
func (tx *Tx) SaveTriggerSubject(key, version string, happened, at time.Time) error {
	_, err := tx.Exec(`insert into trigger_subject (key, version, at, updated_at) values ($1, $2, $3, $4) on conflict (key) do update set version = excluded.version, at = excluded.at, updated_at = excluded.updated_at`,
		key, version, micros(happened), micros(at))
	return err
}
