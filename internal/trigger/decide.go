package trigger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Known is what is known of a customer as an event is decided.
type Known struct {
	Now      time.Time
	Tenant   *Tenant               // nil: the customer has none
	Customer store.TriggerCustomer // how far its events have been heeded
	Version  string                // of the event's subject, as it was heeded last by the same rule; "" if none was
	At       time.Time             // when that happened; zero if none was

	Of    func(externalID string) (Other, error) // whose an external id is
	Taken func(name string) (bool, error)        // whether a tenant has a name; nil: none has

	Read func(Reading) (json.RawMessage, error) // looks something up, for a rule that says so; one that isn't there is NotFound

	Ambiguous bool // the customer's key is known of more than one tenant
	entered   bool // a person has entered it as an external id

	Released bool // a person lets the event start one more
}

// Tenant is the customer's tenant.
type Tenant struct {
	ID        tenure.TenantID
	Name      string
	State     tenure.TenantState
	Comes     tenure.OperationID // the onboarding that is under way; "" if none is
	Leaves    tenure.OperationID // the departure that is under way; "" if none is
	Ours      bool               // and events started it
	Ending    bool               // and it is being cancelled
	Suspended bool               // by an event, and no person has suspended it since
}

// leaving says whether the tenant leaves, or is about to.
func (t *Tenant) leaving() bool { return t.Leaves != "" || leaving(t.State) }

// coming says whether the tenant isn't there yet.
func (t *Tenant) coming() bool {
	return t.State == tenure.TenantRequested || t.State == tenure.TenantValidating || t.State == tenure.TenantProvisioning
}

// Other is whose an external id is.
type Other struct {
	Tenant  *Tenant
	Many    bool      // it is known of more than one tenant
	EndedAt time.Time // when its customer left; zero if it hasn't
}

// Act is what is asked for.
type Act struct {
	Withdraw tenure.OperationID // cancel this onboarding or departure; of this, Incident and Intent one is given
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
	Notices  []Notify               // who is told of it once it counts
	Again    bool                   // it is decided again once this was asked for, or what is under way has ended
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

// endedForPayment is why a customer leaves whom a payment can still keep.
const endedForPayment = "payment"

// Decide says what an event leads to, by the rule that matches it. It is pure. An error is
// Invalid if the event hasn't got what the rule reads, what Of gives, or an unread.
func (m *Match) Decide(e Event, k Known) (Decision, error) {
	if m.Rule.Ignore != nil {
		return ignored("%s", m.Rule.Ignore.Reason), nil
	}
	counts := m.Rule.Failed != nil || m.Rule.Paid != nil || m.Rule.Incident != nil || m.Rule.Offboard != nil // by their own moments
	if e.Source != Clock && !counts {
		if newer, comparable := event.Newer(k.Version, e.Version); e.Version != "" && k.Version != "" && comparable && newer {
			return superseded("version %s of %s has been heeded, and this is %s", k.Version, e.Subject, e.Version), nil
		}
		if e.Version == "" && !k.At.IsZero() && e.At.Before(k.At) {
			return superseded("what happened to %s at %s has been heeded, and this happened at %s", e.Subject, stamp(k.At), stamp(e.At)), nil
		}
	}
	looked, d, err := m.lookUp(e, k)
	if err == nil && d.State == "" {
		d, err = m.decide(e, k)
		if looked != "" && d.Why != "" {
			d.Why += ", as " + looked + " stands"
		}
	}
	if err != nil {
		return d, err
	}
	if counts := d.State == store.InboundActed || d.State == store.InboundNoted; counts && !(e.Source == Clock && e.Type == GraceEnded) {
		if d.Notices, err = m.notices(); err != nil {
			return Decision{}, err
		}
	}
	d.Heeded = e.Source != Clock && e.Subject != "" && (d.State == store.InboundActed || d.State == store.InboundNoted || d.State == store.InboundIgnored)
	return d, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (m *Match) decide(e Event, k Known) (Decision, error) {
	r, c := m.Rule, k.Customer
	if k.Ambiguous {
		return held("more than one tenant is known under this customer's key: take it from those whose it isn't (tenure tenant known), and have the event decided again"), nil
	}
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
	if t := k.Tenant; t != nil && t.Ending {
		return Decision{Again: true, Why: "the departure of " + t.Name + " is being withdrawn"}, nil
	}
	if t := k.Tenant; t != nil && t.coming() && r.Offboard == nil && r.Incident == nil && r.Failed == nil && r.Paid == nil {
		d := held("%s isn't there yet: its onboarding is under way", t.Name)
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
	if r.Incident == nil {
		return m.tells(e, k)
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
		return superseded("%s at %s, after this happened", left(k.Tenant), stamp(c.EndedAt)), nil
	case k.Tenant != nil && k.Tenant.State == tenure.TenantClosed && !k.Released:
		return held("%s has left. To onboard the customer anew, a person releases this event", k.Tenant.Name), nil
	case k.Tenant != nil && k.Tenant.State != tenure.TenantClosed && k.Tenant.leaving():
		return held("%s. A person cancels its departure or reinstates it, or releases this event once it has left", standsBy(k.Tenant)), nil
	case !c.EndedAt.IsZero() && !k.Released:
		return held("the customer left at %s. To onboard it anew, a person releases this event", stamp(c.EndedAt)), nil
	case k.Tenant != nil && k.Tenant.State != tenure.TenantClosed:
		return ignored("the customer has a tenant already, %s", k.Tenant.Name), nil
	}
	in := lifecycle.Intent{Kind: tenure.Onboard}
	var known tenure.KnownBy
	var without []string // what it isn't known by, and why
	var err error
	text := func(from string) (out string) {
		if err == nil {
			out, err = m.scope.text(from)
		}
		return out
	}
	in.Tenant, in.Blueprint, in.Tier, in.Organization, in.Contact = text(o.Tenant), text(o.Blueprint), text(o.Tier), text(o.Organization), text(o.Contact)
	for _, from := range o.ExternalIDs {
		switch id := text(from); {
		case err != nil:
		case id == "":
			without = append(without, "no external id: "+from+" is blank")
		case !slices.Contains(known.ExternalIDs, id):
			_, err = tenure.KnownBy{ExternalIDs: []string{id}}.Check()
			known.ExternalIDs = append(known.ExternalIDs, id)
		}
	}
	for _, from := range o.Domains {
		domain := text(from)
		if _, bad := (tenure.KnownBy{Domains: []string{domain}}).Check(); domain != "" && bad != nil {
			without = append(without, "not the domain "+domain+": "+bad.Error())
		} else if domain != "" {
			known.Domains = append(known.Domains, domain)
		}
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
	why := ""
	if err == nil {
		why, err = m.bought(o.Plan, &in)
	}
	if err == nil {
		c.ContractEnd, err = m.scope.date(o.ContractEnd)
	}
	if err != nil {
		return Decision{}, err
	}
	for _, id := range known.ExternalIDs {
		other, err := k.Of(id)
		switch {
		case err != nil:
			return Decision{}, err
		case other.Many:
			return held("the external id %s is known of more than one tenant", id), nil
		case other.Tenant != nil && !other.Tenant.leaving():
			return held("the external id %s is %s's already", id, other.Tenant.Name), nil
		case !other.EndedAt.IsZero() && !e.At.After(other.EndedAt):
			return superseded("%s at %s, after this happened", left(other.Tenant), stamp(other.EndedAt)), nil
		case other.Tenant != nil && other.Tenant.State != tenure.TenantClosed && !k.Released:
			return held("the external id %s is %s's. %s. A person releases this event to onboard the customer anew", id, other.Tenant.Name, standsBy(other.Tenant)), nil
		case (other.Tenant != nil || !other.EndedAt.IsZero()) && !k.Released:
			return held("the customer has left. To onboard it anew, a person releases this event"), nil
		}
	}
	if k.Taken != nil {
		switch taken, err := k.Taken(in.Tenant); {
		case err != nil:
			return Decision{}, err
		case taken:
			return held("there is a tenant named %q already. If it is this customer's, enter the customer's key as its external id (tenure tenant known) and replay this event; else give the rule another name", in.Tenant), nil
		}
	}
	if why != "" {
		return held("%s", why), nil
	}
	c.StartedAt, c.ChangedAt, c.EndedAt, c.EndedFor, c.Failures = e.At, time.Time{}, time.Time{}, "", nil
	d := m.acts(strings.Join(append([]string{"onboard " + in.Tenant}, without...), "; "), c, in)
	d.Act.Known = known
	return d, nil
}

// left begins to say when a customer has left, or is to: while a departure waits for its approvals, its
// tenant hasn't.
func left(t *Tenant) string {
	if t != nil && t.State != tenure.TenantClosed && t.leaving() {
		return "the customer is to leave: " + standsBy(t) + ". It said so"
	}
	return "the customer left"
}

// standsBy says how far a departure is.
func standsBy(t *Tenant) string {
	if leaving(t.State) {
		return t.Name + " is leaving"
	}
	return t.Name + " is to leave (its departure waits for approval)"
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
	if k.Tenant.leaving() {
		return ignored("%s", standsBy(k.Tenant)), nil
	}
	if e.Subject == "" && e.At.Before(c.ChangedAt) {
		return superseded("a change of %s has been heeded, and this happened at %s", stamp(c.ChangedAt), stamp(e.At)), nil
	}
	in := lifecycle.Intent{Kind: tenure.Change, Tenant: string(k.Tenant.ID)}
	var err error
	if in.Parameters, err = m.scope.mapping(ch.Parameters); err == nil {
		in.Features, err = m.features(ch.Features)
	}
	if err == nil {
		in.Tier, err = m.scope.text(ch.Tier)
	}
	if err == nil {
		why, failed := m.bought(ch.Plan, &in)
		if err = failed; why != "" && err == nil {
			return held("%s", why), nil
		}
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
	if len(in.Parameters)+len(in.Features) == 0 && in.Tier == "" && end.IsZero() {
		return ignored("the event changes nothing"), nil
	}
	if len(in.Parameters)+len(in.Features) == 0 && in.Tier == "" {
		return Decision{State: store.InboundNoted, Why: "the contract ends at " + stamp(end), Customer: &c}, nil
	}
	return m.acts("change "+k.Tenant.Name, c, in), nil
}

func (m *Match) suspend(e Event, k Known) (Decision, error) {
	c, t := k.Customer, k.Tenant
	switch {
	case t.leaving():
		return ignored("%s", standsBy(t)), nil
	case t.State == tenure.TenantSuspended:
		return ignored("%s is suspended already", t.Name), nil
	case e.Source == Clock && e.Type == ContractEnds && !m.dueNow(e, k):
		return superseded("the contract was renewed meanwhile"), nil
	case e.Source != Clock && e.At.Before(c.PaidAt):
		return superseded("it was paid or resumed at %s, after this happened", stamp(c.PaidAt)), nil
	}
	reason, err := m.scope.text(m.Rule.Suspend.Reason)
	if err != nil {
		return Decision{}, err
	}
	return m.suspends(e, k, c, reasonLine(reason), m.Rule.Suspend.OffboardAfter), nil
}

func (m *Match) suspends(e Event, k Known, c store.TriggerCustomer, reason string, grace tenure.Period) Decision {
	c.SuspendedAt, c.GraceUntil, c.GraceRule = e.At, time.Time{}, m.Key()
	why := "suspend " + k.Tenant.Name
	if !grace.IsZero() {
		c.GraceUntil = grace.After(k.Now)
		why += ", and have it leave at " + stamp(c.GraceUntil) + " unless it is resumed"
	}
	return m.acts(why, c, lifecycle.Intent{Kind: tenure.Suspend, Tenant: string(k.Tenant.ID), Reason: reason})
}

// resume takes back what a rule suspended. What a person suspended a person resumes.
func (m *Match) resume(e Event, k Known, word string) (Decision, error) {
	c, t := k.Customer, k.Tenant
	if e.At.After(c.PaidAt) {
		c.PaidAt = e.At
	}
	c.Failures = slices.DeleteFunc(slices.Clone(c.Failures), func(at time.Time) bool { return !at.After(e.At) })
	noted := func(format string, args ...any) Decision {
		return Decision{State: store.InboundNoted, Why: fmt.Sprintf(format, args...), Customer: &c}
	}
	switch {
	case t == nil:
		return noted("%s; the customer has no tenant", word), nil
	case t.leaving() && c.EndedFor != endedForPayment:
		return ignored("%s is leaving, and not for a payment", t.Name), nil
	case !c.SuspendedAt.IsZero() && e.At.Before(c.SuspendedAt) && !m.tooFew(c):
		return superseded("it was suspended at %s, after this happened", stamp(c.SuspendedAt)), nil
	case t.Leaves != "" && t.Ours:
		d := Decision{State: store.InboundActed, Why: "withdraw the departure of " + t.Name, Act: &Act{Withdraw: t.Leaves}, Again: true}
		return d, nil
	case t.Leaves != "":
		return held("%s is leaving, as a person asked", t.Name), nil
	}
	c.GraceUntil, c.GraceRule = time.Time{}, ""
	was := c
	c.EndedAt, c.EndedFor, c.SuspendedAt = time.Time{}, "", time.Time{}
	switch {
	case t.State == tenure.TenantTransition || t.State == tenure.TenantTerminating || t.State == tenure.TenantRetained: // its departure was cancelled
		return m.acts("withdraw the departure of "+t.Name+", and reinstate it", c, lifecycle.Intent{Kind: tenure.Reinstate, Tenant: string(t.ID), Reason: word}), nil
	case t.leaving():
		return held("%s is leaving for its unpaid bills, and that can't be withdrawn any more", t.Name), nil
	case t.State != tenure.TenantSuspended:
		return noted("%s", word), nil
	case !t.Suspended:
		c = was
		return held("%s was suspended by a person: a person resumes it", t.Name), nil
	}
	why := "resume " + t.Name
	if was.EndedFor == endedForPayment {
		why = "withdraw the departure of " + t.Name + ", and resume it"
	}
	return m.acts(why, c, lifecycle.Intent{Kind: tenure.Resume, Tenant: string(t.ID)}), nil
}

// tooFew says whether fewer payments have failed than the rule that suspended it asks for, now
// that one is known to have succeeded between them.
func (m *Match) tooFew(c store.TriggerCustomer) bool {
	for i := range m.Set.Rules {
		r := &m.Set.Rules[i]
		if f := r.Failed; f != nil && c.GraceRule == m.Set.Name+"/"+r.Name {
			return len(c.Failures) < f.Payments
		}
	}
	return false
}

// dueNow says whether a rule for the end of a contract is due by the contract as it is now.
func (m *Match) dueNow(e Event, k Known) bool {
	end := k.Customer.ContractEnd
	return !end.IsZero() && m.Rule.Ends != nil && !m.Rule.Ends.Due(end).After(k.Now)
}

func (m *Match) failed(e Event, k Known) (Decision, error) {
	c, f := k.Customer, m.Rule.Failed
	if !c.PaidAt.IsZero() && !e.At.After(c.PaidAt) {
		return superseded("a payment succeeded at %s, when this failed or after it", stamp(c.PaidAt)), nil
	}
	if k.Tenant != nil && k.Tenant.leaving() {
		return ignored("%s", standsBy(k.Tenant)), nil
	}
	c.Failures = append(slices.Clone(c.Failures), e.At)
	slices.SortFunc(c.Failures, time.Time.Compare)
	latest := c.Failures[len(c.Failures)-1]
	c.Failures = slices.DeleteFunc(c.Failures, func(at time.Time) bool { return f.Within.After(at).Before(latest) })
	if len(c.Failures) > maxFailures {
		c.Failures = c.Failures[len(c.Failures)-maxFailures:]
	}
	n := len(c.Failures)
	noted := Decision{State: store.InboundNoted, Why: fmt.Sprintf("payment %d of %d that failed within %s", n, f.Payments, words(f.Within)), Customer: &c}
	switch {
	case k.Tenant == nil:
		noted.Why += "; the customer has no tenant"
		return noted, nil
	case n < f.Payments:
		return noted, nil
	case k.Tenant.State == tenure.TenantSuspended:
		noted.Why += "; " + k.Tenant.Name + " is suspended already"
		return noted, nil
	case k.Tenant.coming():
		noted.Why += "; " + k.Tenant.Name + " isn't there yet"
		return noted, nil
	}
	return m.suspends(e, k, c, fmt.Sprintf("%d payments failed within %s", n, words(f.Within)), f.OffboardAfter), nil
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
	case t.State != tenure.TenantSuspended || !t.Suspended:
		c.GraceUntil, c.GraceRule = time.Time{}, ""
		return Decision{State: store.InboundIgnored, Why: fmt.Sprintf("%s isn't suspended by the rule any more", t.Name), Customer: &c}, nil
	}
	cause := ""
	if m.Rule.Failed != nil {
		cause = endedForPayment
	}
	return m.offboard(e, k, cause)
}

func (m *Match) offboard(e Event, k Known, cause string) (Decision, error) {
	c, t := k.Customer, k.Tenant
	switch {
	case e.Source == Clock && e.Type == ContractEnds && !m.dueNow(e, k):
		return superseded("the contract was renewed meanwhile"), nil
	case !c.StartedAt.IsZero() && e.At.Before(c.StartedAt):
		return superseded("the customer was onboarded for what happened at %s, after this", stamp(c.StartedAt)), nil
	case t == nil:
		c.EndedAt = e.At
		return Decision{State: store.InboundNoted, Why: "the customer has no tenant; what brings it one and happened before this won't", Customer: &c}, nil
	case t.coming() && t.Comes != "":
		c.EndedAt, c.EndedFor = e.At, ""
		return Decision{State: store.InboundActed, Why: "withdraw the onboarding of " + t.Name, Customer: &c, Act: &Act{Withdraw: t.Comes}}, nil
	case t.Leaves == "" && t.leaving() && t.State != tenure.TenantErasing && t.State != tenure.TenantAwaitingExpiry: // its departure was cancelled
		d := held("the departure of %s was withdrawn, and it isn't reinstated yet", t.Name)
		d.Awaits = true
		return d, nil
	case t.leaving():
		if c.EndedFor == endedForPayment && cause == "" { // a payment doesn't withdraw it any more
			c.EndedAt, c.EndedFor = e.At, ""
			return Decision{State: store.InboundNoted, Why: t.Name + " is leaving already, and now for good", Customer: &c}, nil
		}
		return ignored("%s already", standsBy(t)), nil
	}
	in := lifecycle.Intent{Kind: tenure.Offboard, Tenant: string(t.ID)}
	if o := m.Rule.Offboard; o != nil {
		in.AtOnce, in.EraseOnly = o.AtOnce, o.EraseOnly
		var err error
		if in.Reason, err = m.scope.text(o.Reason); err == nil {
			in.Reason = reasonLine(in.Reason)
			in.ContractEnd, err = m.scope.date(o.ContractEnd)
		}
		if err != nil {
			return Decision{}, err
		}
	}
	switch {
	case in.Reason != "":
	case e.Source == Clock && e.Type == GraceEnded:
		in.Reason = "suspended and not resumed in time"
	default:
		in.Reason = e.Source + " says so: " + e.Type
	}
	c.EndedAt, c.EndedFor, c.GraceUntil, c.GraceRule = e.At, cause, time.Time{}, ""
	return m.acts("offboard "+t.Name, c, in), nil
}

// reasonLine is what an event gives as a reason, as one line of text (tenure.Line), cut to its bound.
func reasonLine(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if tenure.Misleads(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if r := []rune(text); len(r) > tenure.MaxReason {
		return string(r[:tenure.MaxReason-1]) + "…"
	} else if !tenure.Shows(text) {
		return ""
	}
	return text
}

// within is a decision as it may be carried out where the rules have started n departures
// within the last hour: one that is more than they may start is held for a person.
func (m *Match) within(n int, k Known, d Decision) Decision {
	if d.Act == nil || d.Act.Intent.Kind != tenure.Offboard || k.Released || n < m.Set.Departures {
		return d
	}
	return held("the rules %s have started %d departures within an hour, which is all that they may: a person releases this one, or dismisses it", m.Set.Name, n)
}

// leaving says whether a tenant leaves or has left.
func leaving(s tenure.TenantState) bool {
	switch s {
	case tenure.TenantTransition, tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed:
		return true
	}
	return false
}
