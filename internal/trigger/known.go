package trigger

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/claim"
	"github.com/tenurehq/tenure/internal/store"
)

// whose says whose an event is.
type whose struct {
	key    string // under which what is known of the customer is kept: the tenant's id, or a digest
	tenant tenure.TenantID
	known  bool     // by an external id that a person has entered
	many   bool     // more than one tenant is known by the customer's key
	keys   []string // that were looked at
}

// ownKey is the key of what a source calls its customer. What other systems call it is another
// matter: two sources may use the same numbers.
func (i *Intake) ownKey(source, customer string) string {
	return i.o.Service.KeyedDigest("customer of a source", source+"\x00"+customer)
}

// externalKey is the key of an external id, whichever source has it.
func (i *Intake) externalKey(id string) string {
	return i.o.Service.KeyedDigest("customer's external id", id)
}

// whose finds whose an event is: by what its source called the customer as it was onboarded,
// by an external id that a rule or a person has entered, or by the tenant's own id.
func (i *Intake) whose(ctx context.Context, db *store.DB, row store.Inbound, m *Match) (w whose, err error) {
	if row.Source == Clock {
		key := keyOf(row.Body)
		c, err := db.TriggerCustomer(ctx, key)
		return whose{key: key, tenant: c.Tenant, keys: []string{key}}, err
	}
	w.keys = []string{i.ownKey(row.Source, m.Customer), i.externalKey(m.Customer)}
	w.key = w.keys[0]
	for _, key := range w.keys {
		c, err := db.TriggerCustomer(ctx, key)
		if err != nil {
			return w, err
		}
		if w.tenant == "" {
			w.tenant = c.Tenant
		}
	}
	if w.tenant == "" {
		known, err := db.TenantsKnownAs(ctx, m.Customer, claim.KnownExternal, i.o.Service.KeyedDigest(claim.KnownExternal, m.Customer))
		if err != nil {
			return w, err
		}
		if w.many = len(known) > 1; len(known) == 1 {
			w.tenant, w.known = known[0], true
		}
	}
	if w.tenant != "" {
		w.key = string(w.tenant)
		w.keys = append(w.keys, w.key)
	}
	return w, nil
}

// known reads what is known of the customer, as the log vouches for it. earlier: an event of
// its that came before isn't decided yet.
func (i *Intake) known(ctx context.Context, row store.Inbound, m *Match) (k Known, earlier bool, err error) {
	first, err := i.whose(ctx, i.o.DB, row, m)
	if err != nil {
		return k, false, err
	}
	subject := ""
	if row.Subject != "" && row.Source != Clock {
		subject = i.o.Service.KeyedDigest("subject", m.subject(eventOf(row)))
	}
	err = i.o.DB.VouchedCustomers(ctx, first.keys, subject, func(db *store.DB) error {
		w, err := i.whose(ctx, db, row, m)
		if err == nil && !slices.Equal(w.keys, first.keys) {
			err = errMoved()
		}
		if err != nil {
			return err
		}
		if earlier, err = db.InboundWaits(ctx, w.key, row.ID); err != nil || earlier {
			return err
		}
		k = Known{Now: i.now(), Released: row.Released, Ambiguous: w.many, entered: w.known}
		if k.Customer, err = db.TriggerCustomer(ctx, w.key); err != nil {
			return err
		}
		if w.tenant != "" {
			k.Customer.Tenant = w.tenant
			if k.Tenant, err = tenantOf(ctx, db, w.tenant); err != nil {
				return err
			}
		} else if other, err := db.TriggerCustomer(ctx, i.externalKey(m.Customer)); err != nil {
			return err
		} else if other.EndedAt.After(k.Customer.EndedAt) {
			k.Customer.EndedAt = other.EndedAt
		}
		if subject != "" {
			k.Version, k.At, err = db.TriggerSubject(ctx, subject)
		}
		return err
	})
	k.Customer.EndedAt = endedAt(k.Tenant, k.Customer.EndedAt)
	k.Of = func(id string) (Other, error) { return i.otherOf(ctx, id) }
	k.Taken = func(name string) (bool, error) {
		_, err := i.o.DB.Tenant(ctx, name)
		if tenure.CodeOf(err) == tenure.NotFound {
			return false, nil
		}
		return err == nil, err
	}
	return k, earlier, err
}

// otherOf says whose an external id is, as the log vouches for it.
func (i *Intake) otherOf(ctx context.Context, id string) (out Other, err error) {
	of := func(db *store.DB) (whose, error) { return i.whose(ctx, db, store.Inbound{}, &Match{Customer: id}) }
	first, err := of(i.o.DB)
	if err != nil {
		return out, err
	}
	err = i.o.DB.VouchedCustomers(ctx, first.keys, "", func(db *store.DB) error {
		w, err := of(db)
		if err == nil && !slices.Equal(w.keys, first.keys) {
			err = errMoved()
		}
		if err != nil {
			return err
		}
		key := w.key
		if w.tenant == "" {
			key = i.externalKey(id)
		}
		c, err := db.TriggerCustomer(ctx, key)
		if out = (Other{Many: w.many, EndedAt: c.EndedAt}); err == nil && w.tenant != "" {
			out.Tenant, err = tenantOf(ctx, db, w.tenant)
			out.EndedAt = endedAt(out.Tenant, out.EndedAt)
		}
		return err
	})
	return out, err
}

// endedAt is when a customer left. One whose departure a person has rejected or cancelled hasn't.
func endedAt(t *Tenant, at time.Time) time.Time {
	if t != nil && !t.leaving() && !t.coming() {
		return time.Time{}
	}
	return at
}

func errMoved() error {
	return tenure.Errorf(tenure.Unavailable, "whose an event is has changed a moment ago").Retryable()
}

// keysOf are the keys that are the tenant's once an event was decided.
func (i *Intake) keysOf(row store.Inbound, m *Match, d Decision, entered bool) (keys []string) {
	if row.Source == Clock || m.Customer == "" || row.Tenant == "" {
		return nil
	}
	keys = append(keys, i.ownKey(row.Source, m.Customer))
	if entered {
		keys = append(keys, i.externalKey(m.Customer))
	}
	if d.Act != nil && d.Act.Intent.Kind == tenure.Onboard {
		for _, id := range d.Act.Known.ExternalIDs {
			keys = append(keys, i.externalKey(id))
		}
	}
	return keys
}

func tenantOf(ctx context.Context, db *store.DB, id tenure.TenantID) (*Tenant, error) {
	t, err := db.Tenant(ctx, string(id))
	if err != nil {
		return nil, err
	}
	out := &Tenant{ID: t.ID, Name: t.Name, State: t.State}
	if out.Name == "" {
		out.Name = string(t.ID)
	}
	latest := func(kind tenure.OperationKind, open bool) (store.OperationRow, error) {
		ops, err := db.Operations(ctx, store.OperationFilter{Tenant: id, Kind: kind, Open: open, Limit: 1})
		if err != nil || len(ops) == 0 {
			return store.OperationRow{}, err
		}
		return ops[0], nil
	}
	op, err := latest(tenure.Offboard, true)
	if err != nil {
		return nil, err
	}
	out.Leaves, out.Ours, out.Ending = op.ID, strings.HasPrefix(op.Trigger, Prefix), op.Wanted == "cancel"
	if out.coming() {
		if op, err = latest(tenure.Onboard, true); err != nil {
			return nil, err
		}
		out.Comes = op.ID
	}
	ops, err := db.Operations(ctx, store.OperationFilter{Tenant: id, Kind: tenure.Suspend, Limit: 20})
	var events, persons time.Time // of the latest suspension by each
	for _, op := range ops {
		of := &persons
		if strings.HasPrefix(op.Trigger, Prefix) {
			of = &events
		}
		if op.CreatedAt.After(*of) {
			*of = op.CreatedAt
		}
	}
	out.Suspended = events.After(persons)
	return out, err
}
