package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	// contractsEvery is how often contracts that end are looked for.
	contractsEvery = time.Minute
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
		sets, doubt, err := i.inForce(ctx)
		if err != nil {
			return err
		}
		list, forged, err := i.o.DB.DueInbound(ctx, i.now(), batch)
		if err != nil || len(list) == 0 {
			return err
		}
		if doubt != "" {
			if err := i.hold(ctx, list, doubt); err != nil {
				return err
			}
			continue
		}
		if err := i.pass(ctx, door, sets, list, forged); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// hold has events wait for a person, all for one reason.
func (i *Intake) hold(ctx context.Context, list []store.Inbound, why string) error {
	return i.endAll(ctx, list, func(row *store.Inbound) { row.State, row.Why, row.DecidedAt = store.InboundHeld, clip(why), i.now() })
}

// endAll notes what became of events that nobody was asked for.
func (i *Intake) endAll(ctx context.Context, list []store.Inbound, decide func(*store.Inbound)) error {
	err := i.o.DB.Write(ctx, func(tx *store.Tx) error {
		for n := range list {
			decide(&list[n])
			if _, err := tx.DecideInbound(list[n]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, row := range list {
		if err == nil {
			i.counted(row.Source, row.State, 1)
		}
	}
	return err
}

// item is an event under way.
type item struct {
	row   store.Inbound
	match *Match
	wait  context.Context // until when the pass waits for what is looked up
}

// pass decides a batch: what is one tenant's in the order in which it came, tenants beside each
// other. Customers that have none yet take turns, since a deal of one may name another.
func (i *Intake) pass(ctx context.Context, door Door, sets []*Set, list []store.Inbound, forged map[tenure.InboundID]bool) error {
	queues := map[string][]item{}
	wait, done := context.WithTimeout(ctx, maxWait)
	defer done()
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
			end(row, store.InboundHeld, "the rule "+row.Subject+" isn't in force any more: have it decided anew once it is, or dismiss it")
		case m == nil:
			end(row, store.InboundIgnored, why)
		default:
			row.Rule = m.Name()
			var who whose
			switch who, err = i.whose(ctx, i.o.DB, row, m); {
			case tenure.CodeOf(err) == tenure.Internal: // of this customer alone
				i.o.Log.Error("event", "event", row.ID, "error", err)
				end(row, store.InboundFailed, unreadable)
				err = nil
			case err == nil:
				row.Customer = who.key
				queues[string(who.tenant)] = append(queues[string(who.tenant)], item{row, m, wait})
			}
		}
		if err != nil {
			return err
		}
	}
	if len(ended) > 0 {
		if err := i.endAll(ctx, ended, func(*store.Inbound) {}); err != nil {
			return err
		}
	}
	var g errgroup.Group
	g.SetLimit(workers)
	for _, queue := range queues {
		g.Go(func() error {
			waiting := map[string]bool{} // customers with an event that waits
			for _, it := range queue {
				if waiting[it.row.Customer] {
					continue
				}
				waits, err := i.decide(ctx, door, it)
				if err != nil {
					return err
				}
				waiting[it.row.Customer] = waits
			}
			return nil
		})
	}
	return g.Wait()
}

func eventOf(r store.Inbound) Event {
	return Event{Source: r.Source, Type: r.Type, ID: r.ExternalID, Subject: r.Subject, Version: r.Version, At: r.HappenedAt, Data: r.Body}
}

func (i *Intake) end(ctx context.Context, row store.Inbound, state store.InboundState, why string, op tenure.OperationID) error {
	row.State, row.Why, row.Operation, row.DecidedAt = state, clip(why), op, i.now()
	err := i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.DecideInbound(row); err != nil {
			return err
		}
		return tx.UnpendInbound(row.ID)
	})
	if err == nil {
		i.counted(row.Source, state, 1)
	}
	return err
}

// unreadable is why an event fails of whose customer something can't be read; the log says what.
const unreadable = "what is known of the customer can't be read: the server's log says why"

func clip(why string) string {
	if r := []rune(why); len(r) > 1000 {
		return string(r[:1000]) + "…"
	}
	return why
}

// Prefix begins the triggers of operations that events asked for. Nobody else may give one.
const Prefix = "event:"

// triggerOf is by which an operation knows the event that asked for it.
func triggerOf(row store.Inbound) string { return Prefix + row.Source + ":" + string(row.ID) }

// decide decides one event. waits: it isn't decided yet, and later ones of the customer
// wait for it.
func (i *Intake) decide(ctx context.Context, door Door, it item) (waits bool, err error) {
	row, m := it.row, it.match
	k, earlier, err := i.known(ctx, row, m)
	switch code := tenure.CodeOf(err); {
	case code == tenure.Blocked:
		return false, i.end(ctx, row, store.InboundFailed, err.Error(), "")
	case code == tenure.Internal, code == tenure.NotFound: // of this customer alone
		i.o.Log.Error("event", "event", row.ID, "error", err)
		return false, i.end(ctx, row, store.InboundFailed, unreadable, "")
	case tenure.CanRetry(err) && i.o.DB.Outage() == nil:
		return true, i.later(ctx, row, err.Error())
	case err != nil:
		return true, err
	case earlier:
		return true, i.later(ctx, row, "an earlier event of the customer isn't decided yet")
	}
	if k.Tenant != nil {
		row.Tenant = k.Tenant.ID
	}
	d, was, err := i.pending(ctx, row)
	if err == nil && !was {
		k.Read = func(r Reading) (json.RawMessage, error) { return i.looks.read(ctx, it.wait, i.o.Service, row.ID, r) }
		d, err = m.Decide(eventOf(row), k)
	}
	var un unread
	switch {
	case errors.As(err, &un) && ctx.Err() == nil:
		return i.inVain(ctx, row, un.error)
	case tenure.CodeOf(err) == tenure.Invalid:
		return false, i.end(ctx, row, store.InboundFailed, err.Error(), "")
	case err != nil:
		return true, err
	case d.Awaits && i.now().Before(row.ReceivedAt.Add(patience)):
		row.Customer = "" // what brings the tenant may have the same key, and comes later
		return false, i.later(ctx, row, d.Why)
	case d.Act == nil && d.Again && i.now().Before(row.ReceivedAt.Add(patience)):
		return true, i.later(ctx, row, d.Why)
	case d.Act == nil && d.Again:
		return false, i.end(ctx, row, store.InboundHeld, d.Why+", and has been for a day", "")
	case d.Act == nil:
		return false, i.settle(ctx, row, m, k, d)
	}
	if !was {
		taken, err := i.pend(ctx, &row, m, k, &d)
		switch {
		case err != nil || !taken:
			return true, err
		case d.Act == nil:
			return false, i.settle(ctx, row, m, k, d)
		}
	}
	if err := i.carryOut(ctx, door, &row, m, &d); err != nil {
		return i.inVain(ctx, row, err)
	}
	if d.Again {
		return true, i.later(ctx, row, d.Why)
	}
	return false, i.settle(ctx, row, m, k, d)
}

// later has an event tried again. What was decided of it is forgotten, unless an operation was
// started for it.
func (i *Intake) later(ctx context.Context, row store.Inbound, why string) error {
	done, err := i.o.DB.OperationByTrigger(ctx, triggerOf(row))
	if err != nil {
		return err
	}
	row.State, row.Why, row.Attempts = store.InboundReceived, clip(why), row.Attempts+1
	row.NextAt = i.now().Add(min(time.Second<<min(row.Attempts, 10), 10*time.Minute))
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.DecideInbound(row); err != nil || len(done) > 0 {
			return err
		}
		return tx.UnpendInbound(row.ID)
	})
}

// pend notes what was decided before it is asked for; it is false if another server has taken
// the event up. A departure that is more than the rules may start in an hour becomes held, and
// isn't noted.
func (i *Intake) pend(ctx context.Context, row *store.Inbound, m *Match, k Known, d *Decision) (taken bool, err error) {
	text, err := json.Marshal(d)
	if err != nil {
		return false, tenure.Errorf(tenure.Internal, "a decision can't be written: %w", err)
	}
	until, may := i.now().Add(time.Minute), *d
	err = i.o.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := 0, error(nil)
		if d.Act.Intent.Kind == tenure.Offboard {
			n, err = tx.DeparturesBySet(m.Set.Name, k.Now.Add(-time.Hour), row.ID)
		}
		if err != nil {
			return err
		}
		if may = m.within(n, k, *d); may.Act == nil {
			taken = true
			return nil
		}
		if taken, err = tx.PendInbound(*row, string(text), until); err != nil || !taken {
			return err
		}
		_, err = tx.DecideInbound(store.Inbound{ID: row.ID, State: store.InboundReceived, Why: row.Why, Rule: row.Rule, Customer: row.Customer, Tenant: row.Tenant, Attempts: row.Attempts, NextAt: until, Pending: string(text)})
		return err
	})
	if *d = may; taken && d.Act != nil {
		row.NextAt, row.Pending = until, string(text)
	}
	return taken, err
}

// pending is what was decided of an event that has been asked for, by a process that didn't
// come to note it.
func (i *Intake) pending(ctx context.Context, row store.Inbound) (d Decision, was bool, err error) {
	if row.Pending == "" {
		return d, false, nil
	}
	done, err := i.o.DB.OperationByTrigger(ctx, triggerOf(row))
	if err != nil || len(done) == 0 {
		return d, false, err
	}
	return d, true, json.Unmarshal([]byte(row.Pending), &d)
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
			if tenure.CanRetry(err) || tenure.CodeOf(err) == tenure.Conflict { // somebody has changed it meanwhile
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
	return true, i.later(ctx, row, why)
}

// tell puts the notices of a rule into the outbox, each in its reader's language.
func (i *Intake) tell(tx *store.Tx, row store.Inbound, list []Notify, now time.Time) error {
	var t store.TenantRow
	if row.Tenant != "" && len(list) > 0 {
		var err error
		if t, err = tx.Tenant(string(row.Tenant)); err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return err
		}
	}
	for n, to := range list {
		notice := store.Notice{ID: fmt.Sprintf("event/%s/%d", row.ID, n), Kind: tenure.NoticeRule, Tenant: row.Tenant, Operation: row.Operation, Recipient: to.To, CreatedAt: now}
		notice.Body = clip(to.Text.In(i.o.Service.LanguageFor(t, to.To).Tag()))
		if err := tx.AddNotice(notice); err != nil {
			return err
		}
	}
	return nil
}

// settle notes what became of an event, and how far its customer's have been heeded.
func (i *Intake) settle(ctx context.Context, row store.Inbound, m *Match, k Known, d Decision) error {
	now := i.now()
	row.State, row.Why, row.DecidedAt = d.State, clip(d.Why), now
	e, err := i.o.Service.Entry(ctx, "event.decide", "", row.Tenant, row.Operation, string(row.ID), map[string]string{"state": string(d.State), "rules": m.Set.Digest, "rule": m.Rule.Name})
	if err != nil {
		return err
	}
	did := false
	err = i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if did, err = tx.DecideInbound(row); err != nil || !did {
			return err
		}
		if err := tx.UnpendInbound(row.ID); err != nil {
			return err
		}
		if err := i.tell(tx, row, d.Notices, now); err != nil {
			return err
		}
		if d.Customer != nil {
			c := *d.Customer
			c.Tenant = row.Tenant
			if c.Key = row.Customer; c.Tenant != "" {
				c.Key = string(c.Tenant)
			}
			if err := tx.SaveTriggerCustomer(c); err != nil {
				return err
			}
		}
		if d.Customer != nil && row.Tenant == "" && row.Source != Clock { // another source may bring it a tenant under this id
			c, err := tx.TriggerCustomer(i.externalKey(m.Customer))
			if err == nil && d.Customer.EndedAt.After(c.EndedAt) {
				c.EndedAt = d.Customer.EndedAt
				err = tx.SaveTriggerCustomer(c)
			}
			if err != nil {
				return err
			}
		}
		for _, key := range i.keysOf(row, m, d, k.entered) { // they are the tenant's from now on
			have, err := tx.TriggerCustomer(key)
			if err == nil && have.Tenant != row.Tenant {
				err = tx.SaveTriggerCustomer(store.TriggerCustomer{Key: key, Tenant: row.Tenant})
			}
			if err != nil {
				return err
			}
		}
		if d.Heeded {
			if err := tx.SaveTriggerSubject(i.o.Service.KeyedDigest("subject", m.subject(eventOf(row))), row.Version, row.HappenedAt, now); err != nil {
				return err
			}
		}
		if d.State == store.InboundIgnored && d.Act == nil {
			return nil
		}
		return tx.Log(e)
	})
	if err == nil && did {
		i.counted(row.Source, row.State, 1)
	}
	return err
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
	look := false // for contracts that end
	if since := now.Sub(i.looked); since < 0 || since >= contractsEvery {
		if look, err = i.o.DB.AnyContract(ctx); err != nil {
			return err
		}
	}
	if !look && len(graces) == 0 {
		return nil // the rules are vouched for by the whole log, which isn't read for nothing
	}
	sets, doubt, err := i.inForce(ctx)
	if err != nil || doubt != "" {
		return err
	}
	ending := map[string]store.TriggerCustomer{} // of whose contracts events are made
	if look {
		i.looked = now
	} else {
		sets = nil
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
				due := r.Ends.Due(c.ContractEnd)
				if told := set.Name + "/" + r.Name + "@" + stamp(c.ContractEnd); !due.After(now) && !slices.Contains(c.EndsTold, told) {
					made = append(made, contractEvent(set, r, c, due))
					if later, has := ending[c.Key]; has {
						c = later
					}
					c.EndsTold = append(slices.DeleteFunc(slices.Clone(c.EndsTold), func(t string) bool { return !strings.HasSuffix(t, "@"+stamp(c.ContractEnd)) }), told)
					ending[c.Key] = c
				}
			}
		}
	}
	if len(made) == 0 {
		return nil
	}
	rows := make([]store.Inbound, len(made))
	for n, e := range made {
		rows[n] = store.Inbound{ID: i.nextID(now), Source: Clock, ExternalID: e.ID, Type: e.Type, Subject: e.Subject, HappenedAt: e.At, ReceivedAt: now, Body: e.Data}
	}
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, c := range graces {
			if err := tx.TellGrace(c); err != nil {
				return err
			}
		}
		for _, c := range ending {
			if err := tx.TellEnds(c); err != nil {
				return err
			}
		}
		for _, row := range rows {
			if _, err := tx.Receive(row); err != nil {
				return err
			}
		}
		return nil
	})
}
