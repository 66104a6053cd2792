package tenure

import (
	"slices"
	"time"
)

// LeaseSpec is a blueprint's rule for tenants that are there for a while: trials, sandboxes, test
// tenants. Before a lease ends the tenant's contact is asked once whether to keep, extend or end;
// silence suspends the tenant.
type LeaseSpec struct {
	Tiers         []string `json:"tiers,omitempty"`        // the tiers that have it; none means every tier
	Period        Period   `json:"period"`                 // from when the tenant is active, and of each extension
	Ask           Period   `json:"ask"`                    // how long before the end it is asked
	Silence       string   `json:"silence"`                // "suspend"
	OffboardAfter Period   `json:"offboardAfter,omitzero"` // how long after the suspension a departure is requested; zero: never
	Extensions    int      `json:"extensions,omitempty"`   // how often who is asked may extend
	OwnerMayKeep  bool     `json:"ownerMayKeep,omitempty"` // their word lifts the lease; otherwise staff is asked
}

// For says whether tenants of a tier have a lease. A nil rule is for none.
func (l *LeaseSpec) For(tier string) bool {
	return l != nil && (len(l.Tiers) == 0 || slices.Contains(l.Tiers, tier))
}

// MinLeaseAnswer is how long at least who is asked has to answer, once the question has left.
const MinLeaseAnswer = 24 * time.Hour

// LeaseState is where a lease stands.
type LeaseState string

const (
	LeaseRunning LeaseState = "running"
	LeaseLapsed  LeaseState = "lapsed" // nobody answered; the suspension was requested, and the departure comes next
	LeaseOver    LeaseState = "over"   // it does nothing any more; why says how it came to be over
)

// LeaseAnswer is what who was asked decided.
type LeaseAnswer string

const (
	LeaseKeep   LeaseAnswer = "keep"
	LeaseExtend LeaseAnswer = "extend"
	LeaseEnd    LeaseAnswer = "end"
)

// Lease is until when a tenant is there without anybody's further word.
type Lease struct {
	Tenant     TenantID    `json:"tenant"`
	Rule       LeaseSpec   `json:"rule"` // as the blueprint had it when the lease began
	StartedAt  time.Time   `json:"startedAt"`
	EndsAt     time.Time   `json:"endsAt"`
	Extended   int         `json:"extended,omitempty"` // by those who were asked
	SetBy      string      `json:"setBy,omitempty"`    // who of staff set the end; "" is the rule
	SetAt      time.Time   `json:"setAt,omitzero"`
	AskedAt    time.Time   `json:"askedAt,omitzero"`
	AskedFor   time.Time   `json:"askedFor,omitzero"` // the end that was asked about
	Link       LinkID      `json:"-"`
	Answer     LeaseAnswer `json:"answer,omitempty"` // to the last question
	AnsweredAt time.Time   `json:"answeredAt,omitzero"`
	State      LeaseState  `json:"state"`
	StateAt    time.Time   `json:"stateAt,omitzero"`
	Why        string      `json:"why,omitempty"`        // it is over: Tenure's own words
	Suspension OperationID `json:"suspension,omitempty"` // what silence started
	Departure  OperationID `json:"departure,omitempty"`
	Version    int64       `json:"version"`
}

// AskAt is when the tenant's contact is asked about the present end.
func (l Lease) AskAt() time.Time { return l.EndsAt.Add(-l.Rule.Ask.After(l.EndsAt).Sub(l.EndsAt)) }

// Asked says whether the question about the present end was put.
func (l Lease) Asked() bool { return !l.AskedAt.IsZero() && l.AskedFor.Equal(l.EndsAt) }

// MayExtend says whether who is asked may extend once more.
func (l Lease) MayExtend() bool { return l.Extended < l.Rule.Extensions }

// AnswerWith gives the lease after an answer at now. Conflict: it was answered, or it has ended.
func (l Lease) AnswerWith(a LeaseAnswer, now time.Time) (Lease, error) {
	switch {
	case l.State != LeaseRunning:
		return l, Errorf(Conflict, "this was decided already")
	case l.Answer != "":
		return l, Errorf(Conflict, "this was answered already: %s", l.Answer)
	case !l.Asked() || !now.Before(l.EndsAt):
		return l, Errorf(Conflict, "the time to answer is over").WithHint("ask who runs the service")
	case a == LeaseExtend && !l.MayExtend():
		return l, Errorf(Conflict, "it was extended %d times, which is all that may be", l.Extended).WithHint("ask who runs the service")
	}
	l.Answer, l.AnsweredAt = a, now
	switch a {
	case LeaseKeep:
		if l.Rule.OwnerMayKeep {
			l.State, l.StateAt, l.Why = LeaseOver, now, "the tenant's contact keeps it"
		}
	case LeaseExtend:
		l.EndsAt, l.Extended = l.Rule.Period.After(l.EndsAt), l.Extended+1
	case LeaseEnd:
	default:
		return l, Errorf(Invalid, "there is no answer %q", a).WithHint("keep, extend or end")
	}
	return l, nil
}
