package trigger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Clock is the source of the events that time makes: the end of a grace, and that of a
// contract. No source of the settings may have its name.
const Clock = "clock"

// The types of Clock's events.
const (
	GraceEnded   = "grace.ended"
	ContractEnds = "contract.ends"
)

// Match is the rule that decides an event, and the customer whom it is about.
type Match struct {
	Set      *Set
	Rule     *Rule
	Customer string // as the source calls it; "" if the rule is for nobody

	scope scope
}

// Name is NAME@VERSION/RULE.
func (m *Match) Name() string { return m.Set.Name + "@" + m.Set.Version + "/" + m.Rule.Name }

// Key is NAME/RULE, which later revisions of the rules have too.
func (m *Match) Key() string { return m.Set.Name + "/" + m.Rule.Name }

// Find finds the rule that decides an event. Without one, why says what came near. Rules of
// two sets that match are Conflict: nobody says which is meant. What a rule reads of the
// customer and the event hasn't got is Invalid.
func Find(sets []*Set, e Event) (m *Match, why string, err error) {
	vars, err := e.vars()
	if err != nil {
		return nil, "", err
	}
	why = "no rule is for " + e.Source + " " + e.Type
	of, _, _ := strings.Cut(e.Subject, "/") // of an event of time: whose rule it is
	for _, set := range sets {
		if e.Source == Clock && set.Name != of {
			continue
		}
		sc := scope{set, vars}
		for i := range set.Rules {
			r := &set.Rules[i]
			if !r.takes(e) {
				continue
			}
			if r.When != "" {
				is, err := sc.is(r.When)
				if err != nil {
					why = fmt.Sprintf("the condition of %s/%s: %v", set.Name, r.Name, err)
					continue
				}
				if !is {
					why = fmt.Sprintf("the condition of %s/%s isn't met", set.Name, r.Name)
					continue
				}
			}
			if m != nil {
				return nil, "", tenure.Errorf(tenure.Conflict, "the rules %s and %s/%s both match", m.Key(), set.Name, r.Name)
			}
			m = &Match{Set: set, Rule: r, scope: sc}
			break
		}
	}
	if m == nil {
		return nil, why, nil
	}
	if m.Rule.Ends != nil || e.Source == Clock {
		return m, "", nil
	}
	if m.Customer, err = m.scope.text(m.Rule.Customer); err != nil {
		return m, "", err
	}
	if m.Customer == "" && m.Rule.Ignore == nil {
		return m, "", tenure.Errorf(tenure.Invalid, "the event doesn't say which customer it is about")
	}
	if len(m.Customer) > 200 {
		return m, "", tenure.Errorf(tenure.Invalid, "the customer's key is %d bytes long, at most 200 are allowed", len(m.Customer))
	}
	return m, "", nil
}

// takes says whether the rule is for events of such a type. Those of time name their rule.
func (r *Rule) takes(e Event) bool {
	if e.Source == Clock {
		_, rule, _ := strings.Cut(e.Subject, "/")
		return rule == r.Name
	}
	if r.Source != e.Source {
		return false
	}
	return len(r.On) == 0 || slices.ContainsFunc(r.On, func(on string) bool {
		if head, any := strings.CutSuffix(on, "*"); any {
			return strings.HasPrefix(e.Type, head)
		}
		return on == e.Type
	})
}

// Known is what is known of a customer as an event is decided.
type Known struct {
	Now      time.Time
	Tenant   *Tenant               // nil: the customer has none
	Customer store.TriggerCustomer // how far its events have been heeded
	Version  string                // of the event's subject, as it was heeded last by the same rule; "" if none was
	At       time.Time             // when that happened; zero if none was

	Ended func(customer string) (time.Time, error) // when another key's customer left; zero if it hasn't

	Departures int  // that the rules' events have started within the last hour
	Released   bool // a person lets the event start one more
}

// Tenant is the customer's tenant.
type Tenant struct {
	ID     tenure.TenantID
	Name   string
	State  tenure.TenantState
	Leaves tenure.OperationID // the departure that is under way; "" if none is
	Ours   bool               // and events started it
	Late   bool               // and it can't be withdrawn any more
}

// Act is what is asked for.
type Act struct {
	Withdraw tenure.OperationID // end this departure; otherwise Intent
	Intent   lifecycle.Intent
	Known    tenure.KnownBy // what the new tenant is known by
	Incident *store.Incident
}

// Decision is what becomes of an event.
type Decision struct {
	State    store.InboundState
	Why      string
	Act      *Act                   // nil: nothing is asked for
	Customer *store.TriggerCustomer // as it stands once the act was asked for; nil: as before
	Heeded   bool                   // the subject's version counts from now on
	Awaits   bool                   // it is held for want of a tenant, which may be on its way
}

func ignored(format string, args ...any) Decision {
	return Decision{State: store.InboundIgnored, Why: fmt.Sprintf(format, args...)}
}

func superseded(format string, args ...any) Decision {
	return Decision{State: store.InboundSuperseded, Why: fmt.Sprintf(format, args...)}
}

func held(format string, args ...any) Decision {
	return Decision{State: store.InboundHeld, Why: fmt.Sprintf(format, args...)}
}

// Decide says what an event leads to, by the rule that matches it. It is pure. An error is
// Invalid if the event hasn't got what the rule reads, or what Ended gives.
func (m *Match) Decide(e Event, k Known) (Decision, error) {
	if m.Rule.Ignore != nil {
		return ignored("%s", m.Rule.Ignore.Reason), nil
	}
	if e.Source != Clock {
		if newer, comparable := event.Newer(k.Version, e.Version); e.Version != "" && k.Version != "" && comparable && newer {
			return superseded("version %s of %s has been heeded, and this is %s", k.Version, e.Subject, e.Version), nil
		}
		if e.Version == "" && !k.At.IsZero() && e.At.Before(k.At) {
			return superseded("what happened to %s at %s has been heeded, and this happened at %s", e.Subject, stamp(k.At), stamp(e.At)), nil
		}
	}
	d, err := m.decide(e, k)
	if err != nil {
		return d, err
	}
	d.Heeded = e.Source != Clock && e.Subject != "" && (d.State == store.InboundActed || d.State == store.InboundNoted || d.State == store.InboundIgnored)
	return d, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (m *Match) decide(e Event, k Known) (Decision, error) {
	r, c := m.Rule, k.Customer
	if r.Onboard != nil {
		return m.onboard(e, k)
	}
	if r.Failed == nil && r.Paid == nil && r.Incident == nil && k.Tenant == nil && r.Offboard == nil {
		if !c.EndedAt.IsZero() {
			return ignored("the customer had left before it had a tenant"), nil
		}
		d := held("no tenant is known under this customer's key: enter it as an external id of the tenant (tenure tenant known), and have the event decided again")
		d.Awaits = true
		return d, nil
	}
	if k.Tenant != nil && k.Tenant.State == tenure.TenantClosed && r.Incident == nil {
		return ignored("%s has left", k.Tenant.Name), nil
	}
	switch {
	case e.Source == Clock && e.Type == GraceEnded:
		return m.graceEnded(e, k)
	case r.Change != nil:
		return m.change(e, k)
	case r.Suspend != nil:
		return m.suspend(e, k)
	case r.Resume != nil:
		return m.resume(e, k, "resumed")
	case r.Failed != nil:
		return m.failed(e, k)
	case r.Paid != nil:
		return m.paid(e, k)
	case r.Offboard != nil:
		return m.offboard(e, k, "")
	}
	return m.incident(e, k)
}

func (m *Match) acts(why string, c store.TriggerCustomer, in lifecycle.Intent) Decision {
	return Decision{State: store.InboundActed, Why: why, Customer: &c, Act: &Act{Intent: in}}
}

func (m *Match) onboard(e Event, k Known) (Decision, error) {
	c, o := k.Customer, m.Rule.Onboard
	switch {
	case !c.EndedAt.IsZero() && !e.At.After(c.EndedAt):
		return superseded("the customer left at %s, after this happened", stamp(c.EndedAt)), nil
	case k.Tenant != nil && leaving(k.Tenant.State):
		return held("%s is leaving or has left. An event brings nobody back: a person reinstates it, or onboards the customer anew", k.Tenant.Name), nil
	case !c.EndedAt.IsZero() && !k.Released:
		return held("the customer left at %s. An event brings nobody back, unless a person releases it", stamp(c.EndedAt)), nil
	case k.Tenant != nil:
		return ignored("the customer has a tenant already, %s", k.Tenant.Name), nil
	}
	in := lifecycle.Intent{Kind: tenure.Onboard}
	var known tenure.KnownBy
	var err error
	text := func(from string) (out string) {
		if err == nil {
			out, err = m.scope.text(from)
		}
		return out
	}
	in.Tenant, in.Blueprint, in.Tier, in.Organization, in.Contact = text(o.Tenant), text(o.Blueprint), text(o.Tier), text(o.Organization), text(o.Contact)
	for _, from := range o.ExternalIDs {
		known.ExternalIDs = append(known.ExternalIDs, text(from))
	}
	for _, from := range o.Domains {
		known.Domains = append(known.Domains, text(from))
	}
	if err == nil {
		in.Parameters, err = m.scope.mapping(o.Parameters)
	}
	if err == nil {
		in.Features, err = m.features(o.Features)
	}
	if err == nil {
		in.Labels, err = m.labels(o.Labels)
	}
	if err == nil {
		c.ContractEnd, err = m.scope.date(o.ContractEnd)
	}
	if err != nil {
		return Decision{}, err
	}
	for _, id := range known.ExternalIDs {
		ended, err := k.Ended(id)
		switch {
		case err != nil:
			return Decision{}, err
		case !ended.IsZero() && !e.At.After(ended):
			return superseded("the customer left at %s, after this happened", stamp(ended)), nil
		case !ended.IsZero() && !k.Released:
			return held("the customer left at %s. An event brings nobody back, unless a person releases it", stamp(ended)), nil
		}
	}
	if len(m.Customer) >= 4 {
		known.ExternalIDs = append(known.ExternalIDs, m.Customer)
	}
	c.StartedAt, c.ChangedAt, c.EndedAt, c.EndedFor = e.At, e.At, time.Time{}, ""
	d := m.acts("onboard "+in.Tenant, c, in)
	d.Act.Known = known
	return d, nil
}

func (m *Match) features(from map[string]any) (map[string]bool, error) {
	values, err := m.scope.mapping(from)
	if err != nil || values == nil {
		return nil, err
	}
	out := make(map[string]bool, len(values))
	for name, v := range values {
		is, ok := v.(bool)
		if !ok {
			return nil, tenure.Errorf(tenure.Invalid, "the feature %s is neither true nor false", name)
		}
		out[name] = is
	}
	return out, nil
}

func (m *Match) labels(from map[string]any) (map[string]string, error) {
	values, err := m.scope.mapping(from)
	if err != nil || values == nil {
		return nil, err
	}
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = fmt.Sprint(v)
	}
	return out, nil
}

func (m *Match) change(e Event, k Known) (Decision, error) {
	c, ch := k.Customer, m.Rule.Change
	if leaving(k.Tenant.State) {
		return ignored("%s is leaving", k.Tenant.Name), nil
	}
	in := lifecycle.Intent{Kind: tenure.Change, Tenant: string(k.Tenant.ID)}
	var err error
	if in.Parameters, err = m.scope.mapping(ch.Parameters); err == nil {
		in.Features, err = m.features(ch.Features)
	}
	if err == nil {
		in.Tier, err = m.scope.text(ch.Tier)
	}
	end := time.Time{}
	if err == nil {
		end, err = m.scope.date(ch.ContractEnd)
	}
	if err != nil {
		return Decision{}, err
	}
	c.ChangedAt = e.At
	if !end.IsZero() {
		c.ContractEnd = end
	}
	if len(in.Parameters)+len(in.Features) == 0 && in.Tier == "" {
		return Decision{State: store.InboundNoted, Why: "the contract ends at " + stamp(end), Customer: &c}, nil
	}
	return m.acts("change "+k.Tenant.Name, c, in), nil
}

func (m *Match) suspend(e Event, k Known) (Decision, error) {
	c, t := k.Customer, k.Tenant
	switch {
	case leaving(t.State):
		return ignored("%s is leaving", t.Name), nil
	case t.State == tenure.TenantSuspended:
		return ignored("%s is suspended already", t.Name), nil
	case e.At.Before(c.PaidAt):
		return superseded("it was paid or resumed at %s, after this happened", stamp(c.PaidAt)), nil
	}
	reason, err := m.scope.text(m.Rule.Suspend.Reason)
	if err != nil {
		return Decision{}, err
	}
	return m.suspends(e, k, c, reason, m.Rule.Suspend.OffboardAfter), nil
}

func (m *Match) suspends(e Event, k Known, c store.TriggerCustomer, reason string, grace tenure.Period) Decision {
	c.SuspendedAt, c.GraceUntil, c.GraceRule = e.At, time.Time{}, ""
	why := "suspend " + k.Tenant.Name
	if !grace.IsZero() {
		c.GraceUntil, c.GraceRule = grace.After(k.Now), m.Key()
		why += ", and have it leave at " + stamp(c.GraceUntil) + " unless it is resumed"
	}
	return m.acts(why, c, lifecycle.Intent{Kind: tenure.Suspend, Tenant: string(k.Tenant.ID), Reason: reason})
}

// resume takes back what a rule suspended. What a person suspended a person resumes.
func (m *Match) resume(e Event, k Known, word string) (Decision, error) {
	c, t := k.Customer, k.Tenant
	ours := !c.SuspendedAt.IsZero()
	if e.At.After(c.PaidAt) {
		c.PaidAt = e.At
	}
	c.Failures = slices.DeleteFunc(c.Failures, func(at time.Time) bool { return !at.After(e.At) })
	noted := func(format string, args ...any) Decision {
		return Decision{State: store.InboundNoted, Why: fmt.Sprintf(format, args...), Customer: &c}
	}
	switch {
	case t == nil:
		return noted("%s; the customer has no tenant", word), nil
	case ours && e.At.Before(c.SuspendedAt):
		return superseded("it was suspended at %s, after this happened", stamp(c.SuspendedAt)), nil
	case leaving(t.State) && t.Leaves != "" && t.Ours && c.EndedFor == "payment" && !t.Late:
		c.EndedAt, c.EndedFor, c.GraceUntil, c.GraceRule = time.Time{}, "", time.Time{}, ""
		d := m.acts("withdraw the departure of "+t.Name, c, lifecycle.Intent{})
		d.Act.Withdraw = t.Leaves
		return d, nil
	case leaving(t.State) && c.EndedFor == "payment":
		return held("%s is leaving for its unpaid bills, and that can't be withdrawn by an event any more", t.Name), nil
	case leaving(t.State):
		return ignored("%s is leaving, and not for a payment", t.Name), nil
	}
	c.GraceUntil, c.GraceRule = time.Time{}, ""
	switch {
	case t.State != tenure.TenantSuspended:
		c.SuspendedAt = time.Time{}
		return noted("%s", word), nil
	case !ours:
		return held("%s was suspended by a person: a person resumes it", t.Name), nil
	}
	c.SuspendedAt = time.Time{}
	return m.acts("resume "+t.Name, c, lifecycle.Intent{Kind: tenure.Resume, Tenant: string(t.ID)}), nil
}

func (m *Match) failed(e Event, k Known) (Decision, error) {
	c, f := k.Customer, m.Rule.Failed
	if !c.PaidAt.IsZero() && e.At.Before(c.PaidAt) {
		return superseded("a payment succeeded at %s, after this failed", stamp(c.PaidAt)), nil
	}
	if k.Tenant != nil && leaving(k.Tenant.State) {
		return ignored("%s is leaving", k.Tenant.Name), nil
	}
	c.Failures = append(slices.Clone(c.Failures), e.At)
	slices.SortFunc(c.Failures, time.Time.Compare)
	latest := c.Failures[len(c.Failures)-1]
	c.Failures = slices.DeleteFunc(c.Failures, func(at time.Time) bool { return f.Within.After(at).Before(latest) })
	if len(c.Failures) > maxFailures {
		c.Failures = c.Failures[len(c.Failures)-maxFailures:]
	}
	n := len(c.Failures)
	noted := Decision{State: store.InboundNoted, Why: fmt.Sprintf("payment %d of %d that failed within %s", n, f.Payments, f.Within), Customer: &c}
	switch {
	case k.Tenant == nil:
		noted.Why += "; the customer has no tenant"
		return noted, nil
	case n < f.Payments:
		return noted, nil
	case k.Tenant.State == tenure.TenantSuspended:
		noted.Why += "; " + k.Tenant.Name + " is suspended already"
		return noted, nil
	}
	return m.suspends(e, k, c, fmt.Sprintf("%d payments failed within %s", n, f.Within), f.OffboardAfter), nil
}

// maxFailures is how many failed payments are kept of a customer.
const maxFailures = 50

func (m *Match) paid(e Event, k Known) (Decision, error) {
	return m.resume(e, k, "a payment succeeded")
}

// graceEnded has a tenant leave that nothing has resumed.
func (m *Match) graceEnded(e Event, k Known) (Decision, error) {
	c, t := k.Customer, k.Tenant
	switch {
	case t == nil:
		return ignored("the customer has no tenant any more"), nil
	case c.GraceUntil.IsZero() || c.GraceUntil.After(k.Now) || c.GraceRule != m.Key():
		return superseded("the grace was ended or moved before"), nil
	case t.State != tenure.TenantSuspended:
		c.GraceUntil, c.GraceRule = time.Time{}, ""
		return Decision{State: store.InboundIgnored, Why: fmt.Sprintf("%s isn't suspended any more", t.Name), Customer: &c}, nil
	}
	cause := ""
	if m.Rule.Failed != nil {
		cause = "payment"
	}
	return m.offboard(e, k, cause)
}

func (m *Match) offboard(e Event, k Known, cause string) (Decision, error) {
	c, t := k.Customer, k.Tenant
	switch {
	case !c.StartedAt.IsZero() && e.At.Before(c.StartedAt):
		return superseded("the customer was onboarded for what happened at %s, after this", stamp(c.StartedAt)), nil
	case t == nil:
		c.EndedAt = e.At
		return Decision{State: store.InboundNoted, Why: "the customer has no tenant; what brings it one and happened before this won't", Customer: &c}, nil
	case leaving(t.State):
		if c.EndedFor == "payment" && cause == "" { // a payment doesn't withdraw it any more
			c.EndedAt, c.EndedFor = e.At, ""
			return Decision{State: store.InboundNoted, Why: t.Name + " is leaving already, and now for good", Customer: &c}, nil
		}
		return ignored("%s is leaving already", t.Name), nil
	case k.Departures >= m.Set.Departures && !k.Released:
		return held("the rules %s have started %d departures within an hour, which is all that they may: a person releases this one, or dismisses it", m.Set.Name, k.Departures), nil
	}
	in := lifecycle.Intent{Kind: tenure.Offboard, Tenant: string(t.ID)}
	if o := m.Rule.Offboard; o != nil {
		in.AtOnce, in.EraseOnly = o.AtOnce, o.EraseOnly
		var err error
		if in.Reason, err = m.scope.text(o.Reason); err == nil {
			in.ContractEnd, err = m.scope.date(o.ContractEnd)
		}
		if err != nil {
			return Decision{}, err
		}
	}
	if in.Reason == "" {
		in.Reason = map[bool]string{true: "suspended and not resumed in time", false: e.Source + " says so: " + e.Type}[e.Source == Clock && e.Type == GraceEnded]
	}
	c.EndedAt, c.EndedFor, c.GraceUntil, c.GraceRule, c.SuspendedAt = e.At, cause, time.Time{}, "", time.Time{}
	return m.acts("offboard "+t.Name, c, in), nil
}

func (m *Match) incident(e Event, k Known) (Decision, error) {
	if k.Tenant == nil {
		return ignored("the customer has no tenant"), nil
	}
	i := store.Incident{Source: e.Source, At: e.At}
	var err error
	if i.ID, err = m.scope.text(m.Rule.Incident.ID); err != nil {
		return Decision{}, err
	}
	severity, err := m.scope.text(m.Rule.Incident.Severity)
	if err != nil {
		return Decision{}, err
	}
	i.Severity = tenure.Severity(severity)
	if i.Detail, err = m.scope.text(m.Rule.Incident.Detail); err != nil {
		return Decision{}, err
	}
	return Decision{State: store.InboundNoted, Why: "incident " + i.ID + " of " + k.Tenant.Name, Act: &Act{Incident: &i}}, nil
}

// leaving says whether a tenant leaves or has left.
func leaving(s tenure.TenantState) bool {
	switch s {
	case tenure.TenantTransition, tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed:
		return true
	}
	return false
}
