package trigger

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	// batch is how many events are decided in one pass.
	batch = 100
	// workers is how many customers' events are decided at once.
	workers = 8
	// patience is how long an event is tried that what is under way stands against.
	patience = 24 * time.Hour
)

// Work decides all events that are due. It returns once none is.
func (i *Intake) Work(ctx context.Context) error {
	i.working.Lock()
	defer i.working.Unlock()
	i.mu.Lock()
	door := i.door
	i.mu.Unlock()
	if door == nil {
		return nil
	}
	if err := i.due(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if some, err := i.o.DB.AnyDueInbound(ctx, i.now()); err != nil || !some {
			return err
		}
		sets, err := i.InForce(ctx)
		if err != nil {
			return err
		}
		list, forged, err := i.o.DB.DueInbound(ctx, i.now(), batch)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := i.pass(ctx, door, sets, list, forged); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// item is an event under way.
type item struct {
	row   store.Inbound
	match *Match
}

// pass decides a batch: those of one customer one after the other, others beside them.
func (i *Intake) pass(ctx context.Context, door Door, sets []*Set, list []store.Inbound, forged map[tenure.InboundID]bool) error {
	queues := map[string][]item{}
	var ended []store.Inbound // what no rule is for, and what can't be read
	end := func(row store.Inbound, state store.InboundState, why string) {
		row.State, row.Why, row.DecidedAt = state, clip(why), i.now()
		ended = append(ended, row)
	}
	for _, row := range list {
		if forged[row.ID] {
			end(row, store.InboundFailed, "it isn't as the log says: somebody has written past Tenure into the store")
			continue
		}
		m, why, err := Find(sets, eventOf(row))
		switch {
		case err != nil:
			if m != nil {
				row.Rule = m.Name()
			}
			end(row, store.InboundFailed, err.Error())
			err = nil
		case m == nil && row.Source == Clock:
			err = i.ruleGone(ctx, row)
		case m == nil:
			end(row, store.InboundIgnored, why)
		default:
			row.Rule, row.Customer = m.Name(), i.customerOf(row, m)
			var queue string
			if queue, err = i.queueOf(ctx, row, m); err == nil {
				queues[queue] = append(queues[queue], item{row, m})
			}
		}
		if err != nil {
			return err
		}
	}
	if len(ended) > 0 {
		err := i.o.DB.Write(ctx, func(tx *store.Tx) error {
			for _, row := range ended {
				if _, err := tx.DecideInbound(row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var g errgroup.Group
	g.SetLimit(workers)
	for _, queue := range queues {
		g.Go(func() error {
			for _, it := range queue {
				if waits, err := i.decide(ctx, door, it); err != nil || waits {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func eventOf(r store.Inbound) Event {
	return Event{Source: r.Source, Type: r.Type, ID: r.ExternalID, Subject: r.Subject, Version: r.Version, At: r.HappenedAt, Data: r.Body}
}

// customerOf is the key under which what is known of the customer is kept.
func (i *Intake) customerOf(row store.Inbound, m *Match) string {
	if row.Source == Clock {
		return keyOf(row.Body)
	}
	return i.o.Service.KeyedDigest("customer", m.Customer)
}

// queueOf names whose events are decided one after the other: the tenant's, or else those of
// all customers that have none yet, since one may be known by several keys.
func (i *Intake) queueOf(ctx context.Context, row store.Inbound, m *Match) (string, error) {
	c, err := i.o.DB.TriggerCustomer(ctx, row.Customer)
	id := c.Tenant
	if err == nil && id == "" && row.Source != Clock {
		id, err = i.o.DB.TenantKnownAs(ctx, m.Customer)
	}
	return string(id), err
}

// departs says whether a rule may have a tenant leave.
func (m *Match) departs() bool {
	return m.Rule.Offboard != nil || m.Rule.Failed != nil || m.Rule.Suspend != nil
}

// ruleGone ends an event of time whose rule isn't in force any more, and the grace with it.
func (i *Intake) ruleGone(ctx context.Context, row store.Inbound) error {
	row.State, row.Why, row.DecidedAt = store.InboundIgnored, "the rule "+row.Subject+" isn't in force any more", i.now()
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if row.Type == GraceEnded {
			c, err := tx.TriggerCustomer(keyOf(row.Body))
			if err != nil {
				return err
			}
			c.GraceUntil, c.GraceRule = time.Time{}, ""
			if err := tx.SaveTriggerCustomer(c, i.now()); err != nil {
				return err
			}
		}
		_, err := tx.DecideInbound(row)
		return err
	})
}

func (i *Intake) end(ctx context.Context, row store.Inbound, state store.InboundState, why string, op tenure.OperationID) error {
	row.State, row.Why, row.Operation, row.DecidedAt = state, clip(why), op, i.now()
	return i.o.DB.Write(ctx, func(tx *store.Tx) error { _, err := tx.DecideInbound(row); return err })
}

func clip(why string) string {
	if r := []rune(why); len(r) > 1000 {
		return string(r[:1000]) + "…"
	}
	return why
}

// triggerOf is by which an operation knows the event that asked for it.
func triggerOf(row store.Inbound) string { return "event:" + row.Source + ":" + string(row.ID) }

// decide decides one event. waits: it isn't decided yet, and later ones of the customer
// wait for it.
func (i *Intake) decide(ctx context.Context, door Door, it item) (waits bool, err error) {
	row, m := it.row, it.match
	var k Known
	var d Decision
	var bound, earlier bool
	if m.departs() { // they are counted
		i.departing.Lock()
		defer i.departing.Unlock()
	}
	err = i.o.DB.View(ctx, func(db *store.DB) error {
		if earlier, err = db.InboundWaits(ctx, row.Customer, row.ID); err != nil || earlier {
			return err
		}
		k, bound, err = i.known(ctx, db, row, m)
		return err
	})
	if err != nil {
		return true, err
	}
	if earlier {
		row.State, row.Why, row.NextAt = store.InboundReceived, "an earlier event of the customer isn't decided yet", i.now().Add(time.Second)
		return true, i.o.DB.Write(ctx, func(tx *store.Tx) error { _, err := tx.DecideInbound(row); return err })
	}
	if done, err := i.o.DB.OperationByTrigger(ctx, triggerOf(row)); err != nil {
		return true, err
	} else if len(done) > 0 && k.Tenant != nil && k.Tenant.ID == done[0].Tenant && !leaving(k.Tenant.State) && m.Rule.Onboard != nil {
		k.Tenant = nil // it is the one that this event asked for, before the program ended
	}
	k.Ended = func(id string) (time.Time, error) {
		c, err := i.o.DB.TriggerCustomer(ctx, i.o.Service.KeyedDigest("customer", id))
		return c.EndedAt, err
	}
	if d, err = m.Decide(eventOf(row), k); err != nil && tenure.CodeOf(err) != tenure.Invalid {
		return true, err
	} else if err != nil {
		return false, i.end(ctx, row, store.InboundFailed, err.Error(), "")
	}
	if k.Tenant != nil {
		row.Tenant = k.Tenant.ID
	}
	if d.Act != nil {
		if err := i.carryOut(ctx, door, &row, m, &d); err != nil {
			return i.inVain(ctx, row, err)
		}
	}
	if d.Awaits && i.now().Before(row.ReceivedAt.Add(patience)) {
		row.State, row.Why, row.Attempts, row.Customer = store.InboundReceived, d.Why, row.Attempts+1, "" // what brings the tenant may have the same key, and comes later
		row.NextAt = i.now().Add(min(time.Second<<min(row.Attempts, 10), 10*time.Minute))
		return false, i.o.DB.Write(ctx, func(tx *store.Tx) error { _, err := tx.DecideInbound(row); return err })
	}
	return false, i.settle(ctx, row, m, k, d, bound)
}

// carryOut asks for what was decided.
func (i *Intake) carryOut(ctx context.Context, door Door, row *store.Inbound, m *Match, d *Decision) error {
	as := m.Set.As
	switch a := d.Act; {
	case a.Incident != nil:
		return door.Report(ctx, as, row.Tenant, *a.Incident)
	case a.Withdraw != "":
		if err := door.Cancel(ctx, as, a.Withdraw); err != nil {
			return err
		}
		row.Operation = a.Withdraw
		return nil
	default:
		in := a.Intent
		in.Trigger = triggerOf(*row)
		op, err := door.Request(ctx, as, in)
		if err != nil {
			return err
		}
		row.Operation, row.Tenant = op.ID, op.Tenant
		if a.Known.IsZero() {
			return nil
		}
		if err := door.Know(ctx, as, op.Tenant, a.Known); err != nil {
			if tenure.CanRetry(err) {
				return err
			}
			d.Why += "; what other systems know it by couldn't be noted: " + err.Error()
		}
		return nil
	}
}

// inVain has an event tried again that what is under way stands against, and ends one that
// can't be done.
func (i *Intake) inVain(ctx context.Context, row store.Inbound, cause error) (waits bool, err error) {
	now := i.now()
	code := tenure.CodeOf(cause)
	why := cause.Error()
	for _, hint := range tenure.HintsOf(cause) {
		why += "; " + hint
	}
	again := tenure.CanRetry(cause) || code == tenure.Unavailable || code == tenure.Conflict || code == tenure.Internal
	if code == tenure.Blocked { // such as the installation's own budget: a person looks
		return false, i.end(ctx, row, store.InboundHeld, why, "")
	}
	if !again || !now.Before(row.ReceivedAt.Add(patience)) && row.Attempts > 3 {
		return false, i.end(ctx, row, store.InboundFailed, why, "")
	}
	row.State, row.Why, row.Attempts = store.InboundReceived, clip(why), row.Attempts+1
	row.NextAt = now.Add(min(time.Second<<min(row.Attempts, 10), 10*time.Minute))
	return true, i.o.DB.Write(ctx, func(tx *store.Tx) error { _, err := tx.DecideInbound(row); return err })
}

// known reads what is known of the customer. bound: its key is a tenant's.
func (i *Intake) known(ctx context.Context, db *store.DB, row store.Inbound, m *Match) (k Known, bound bool, err error) {
	k = Known{Now: i.now(), Released: row.Released}
	if k.Customer, err = db.TriggerCustomer(ctx, row.Customer); err != nil {
		return k, false, err
	}
	id := k.Customer.Tenant
	if id == "" && row.Source != Clock {
		if id, err = db.TenantKnownAs(ctx, m.Customer); err != nil {
			return k, false, err
		}
	}
	if id != "" {
		bound = true
		if k.Customer.Key != string(id) {
			before := k.Customer
			if k.Customer, err = db.TriggerCustomer(ctx, string(id)); err != nil {
				return k, false, err
			}
			if k.Customer.EndedAt.IsZero() && before.Tenant == "" {
				k.Customer.Failures = append(before.Failures, k.Customer.Failures...)
			}
			k.Customer.Tenant = id
		}
		if k.Tenant, err = tenantOf(ctx, db, id); err != nil {
			return k, false, err
		}
	}
	if row.Subject != "" && row.Source != Clock {
		if k.Version, k.At, err = db.TriggerSubject(ctx, i.subjectOf(row, m)); err != nil {
			return k, false, err
		}
	}
	k.Departures, err = db.DeparturesBySet(ctx, m.Set.Name, k.Now.Add(-time.Hour))
	return k, bound, err
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
	ops, err := db.Operations(ctx, store.OperationFilter{Tenant: id, Kind: tenure.Offboard, Open: true, Limit: 1})
	for _, op := range ops {
		out.Leaves, out.Ours = op.ID, strings.HasPrefix(op.Trigger, "event:")
		if !leaving(out.State) { // it waits for its approvals
			out.State = tenure.TenantTransition
		}
	}
	return out, err
}

// subjectOf is the key under which it is kept how far a rule has heeded a source's object.
func (i *Intake) subjectOf(row store.Inbound, m *Match) string {
	return i.o.Service.KeyedDigest("subject", row.Source+"\x00"+m.Key()+"\x00"+row.Subject)
}

// settle notes what became of an event, and how far its customer's have been heeded.
func (i *Intake) settle(ctx context.Context, row store.Inbound, m *Match, k Known, d Decision, bound bool) error {
	now := i.now()
	row.State, row.Why, row.DecidedAt = d.State, clip(d.Why), now
	e, err := i.o.Service.Entry(ctx, "event.decide", "", row.Tenant, row.Operation, string(row.ID), map[string]string{"state": string(d.State), "rules": m.Set.Digest, "rule": m.Rule.Name})
	if err != nil {
		return err
	}
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if did, err := tx.DecideInbound(row); err != nil || !did {
			return err
		}
		if d.Customer != nil {
			c := *d.Customer
			c.Tenant = row.Tenant
			if c.Tenant != "" {
				c.Key = string(c.Tenant)
			}
			if err := tx.SaveTriggerCustomer(c, now); err != nil {
				return err
			}
		}
		if row.Tenant != "" && row.Customer != string(row.Tenant) && (!bound || m.Rule.Onboard != nil && d.Act != nil) { // the key is the tenant's from now on
			keys := []string{row.Customer}
			if d.Act != nil {
				for _, id := range d.Act.Known.ExternalIDs {
					keys = append(keys, i.o.Service.KeyedDigest("customer", id))
				}
			}
			for _, key := range keys {
				if err := tx.SaveTriggerCustomer(store.TriggerCustomer{Key: key, Tenant: row.Tenant}, now); err != nil {
					return err
				}
			}
		}
		if d.Heeded {
			if err := tx.SaveTriggerSubject(i.subjectOf(row, m), row.Tenant, row.Version, row.HappenedAt, now); err != nil {
				return err
			}
		}
		if d.State == store.InboundIgnored && d.Act == nil {
			return nil
		}
		return tx.Log(e)
	})
}

// due makes the events of time: graces that are over, contracts that end.
func (i *Intake) due(ctx context.Context) error {
	now := i.now()
	var made []Event
	graces, err := i.o.DB.EndedGraces(ctx, now, batch)
	if err != nil {
		return err
	}
	for _, c := range graces {
		made = append(made, graceEvent(c))
	}
	sets, err := i.InForce(ctx)
	if err != nil {
		return err
	}
	for _, set := range sets {
		for n := range set.Rules {
			r := &set.Rules[n]
			if r.Ends == nil {
				continue
			}
			ends, err := i.o.DB.EndingContracts(ctx, r.Ends.latest(now))
			if err != nil {
				return err
			}
			for _, c := range ends {
				if due := r.Ends.Due(c.ContractEnd); !due.After(now) {
					made = append(made, contractEvent(set, r, c, due))
				}
			}
		}
	}
	if len(made) == 0 {
		return nil
	}
	var rows []store.Inbound
	for _, e := range made {
		known, err := i.o.DB.InboundKnown(ctx, Clock, e.ID)
		if err != nil {
			return err
		}
		if !known {
			rows = append(rows, store.Inbound{ID: i.nextID(now), Source: Clock, ExternalID: e.ID, Type: e.Type, Subject: e.Subject, HappenedAt: e.At, ReceivedAt: now, Body: e.Data})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			if _, err := tx.Receive(row); err != nil {
				return err
			}
		}
		return nil
	})
}
