package governance

import (
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// watchedKinds are the access events that anomalies are found in.
var watchedKinds = []string{
	tenure.EventSignIn, tenure.EventRefused, tenure.EventDenied, tenure.EventElevation, tenure.EventBreakGlass, tenure.EventApproval, tenure.EventDestructive,
	tenure.EventHoldRelease, tenure.EventErase,
}

// Anomaly is something unusual, with why it is thought so.
type Anomaly struct {
	Rule        string
	Principal   string
	Tenant      tenure.TenantID // where it concerns one alone
	Explanation string
	Baseline    string // what is usual
	Seen        string // what was seen instead
	Severity    tenure.Severity
	At          time.Time
	// Occurrence tells one from the next of the same rule and principal: the day,
	// or the event.
	Occurrence string
}

// Case is one new access event, with what it is judged by.
type Case struct {
	Event store.AccessEvent
	// Past are the earlier events of the same principal, the oldest first.
	Past []store.AccessEvent
	// Around are others' events that bear on it: of a refusal of who isn't known those
	// of the last ten minutes, of an erasure the holds released of late.
	Around []store.AccessEvent
	// KnownSince is when this installation's first event was: without a past
	// nothing is unusual.
	KnownSince time.Time
	Roles      []tenure.Role // that the principal has now
}

// rules are all of them. Each is quiet without enough to compare with.
func rules() []func(Case) *Anomaly {
	return []func(Case) *Anomaly{
		firstElevation, elevationHour, elevationScope, elevationRate,
		destructiveRate, quickApproval, quickApprovals, spraying, probing, dormantWakes, releasedAndErased,
	}
}

// Anomalies says what is unusual about a case. It reads nothing but the case.
func (c Case) Anomalies() []Anomaly {
	var out []Anomaly
	for _, rule := range rules() {
		if a := rule(c); a != nil {
			if a.At = c.Event.At; a.Principal == "" && a.Rule != sprayed { // that one is about nobody in particular
				a.Principal = c.Event.Principal
			}
			if a.Occurrence == "" {
				a.Occurrence = c.Event.At.UTC().Format(time.RFC3339Nano)
			}
			out = append(out, *a)
		}
	}
	return out
}

// before are the past events of some kinds within a span before the event; zero
// is all of them.
func (c Case) before(span time.Duration, kinds ...string) []store.AccessEvent {
	var out []store.AccessEvent
	for _, e := range c.Past {
		if slices.Contains(kinds, e.Kind) && (span == 0 || e.At.After(c.Event.At.Add(-span))) {
			out = append(out, e)
		}
	}
	return out
}

// day is the event's, in UTC: the occurrence of what would else be said with
// each further event.
func (c Case) day() string { return c.Event.At.UTC().Format("2006-01-02") }

// needsMore are the rules in which the principal acted themselves, so that what
// they ask for may take another's word.
var needsMore = []string{"elevation.hour", "elevation.scope", "elevation.rate", "destructive.rate", "approvals.quick", "dormant.wakes", "hold.erased"}
