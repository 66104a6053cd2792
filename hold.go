package tenure

import (
	"slices"
	"strings"
	"time"
)

// Hold is a legal hold: while it is active nothing in its scope is destroyed.
// It has no expiry. One legal officer places it and it binds at once; releasing
// or narrowing it needs two other persons' word in total (four eyes).
type Hold struct {
	ID          HoldID
	Matter      string // the case it serves
	Scope       HoldScope
	Reason      string
	PlacedBy    string
	PlacedAt    time.Time
	EffectiveAt time.Time // batches in flight have drained; zero until then
	AlreadyGone string    // what had been destroyed before it bound
	ReleaseBy   []string  // who has asked for the release, in order
	ReleasedAt  time.Time
	// Untold says that the customer may not know that anything is kept for a legal
	// reason. Otherwise they are told that, and no more.
	Untold bool
	// Custodians are the persons who keep what is held and were told of it.
	Custodians []Custodian
	RemindDays int       // those who haven't acknowledged it are reminded so often; 0 is never
	RemindedAt time.Time // when they were last
	// Named is how many rows or objects a hold on a part of a resource named when it was
	// placed; nil where that isn't known, and later.
	Named *int64
	// Stalled are the systems' own rules that would have taken what is held.
	Stalled []StalledExpiry
}

// StalledExpiry is a rule of a system's own that a hold has suspended, or couldn't.
type StalledExpiry struct {
	Resource  ResourceID `json:"resource"`
	System    string     `json:"system"`
	Rule      string     `json:"rule"`
	Was       string     `json:"was,omitempty"`      // what stood there, to the byte
	Is        string     `json:"is,omitempty"`       // what stands there while it is suspended
	Intended  bool       `json:"intended,omitempty"` // it is about to be suspended, or was when Tenure ended
	Suspended bool       `json:"suspended,omitempty"`
	Changed   bool       `json:"changed,omitempty"` // by somebody, so that it wasn't put back
	Says      string     `json:"says,omitempty"`
	At        time.Time  `json:"at"`
}

// Custodian is a person who keeps what is held.
type Custodian struct {
	Name           string    `json:"name"`
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
}

// HoldScope says what a hold covers. A blank field covers everything. With a table or
// a prefix it covers a part of one resource: the rows of the table for which every
// condition holds, or the objects whose keys begin with the prefix.
type HoldScope struct {
	Tenant      TenantID
	Environment string
	Class       string
	System      string
	Resource    ResourceID
	Table       string         // as the resource's blueprint or its data map names it
	Rows        []RowCondition // of the table's rows; none holds all of them
	Prefix      string         // of keys, below the resource's own place
}

// Active says whether the hold binds.
func (h Hold) Active() bool { return h.ReleasedAt.IsZero() }

// A HoldSubject is what somebody is about to destroy.
type HoldSubject struct {
	Tenant      TenantID
	Environment string
	Classes     []string
	System      string
	Resource    ResourceID
}

// Covers says whether the hold covers any of the subject. A subject without classes is
// covered by every class, and one without an environment by every environment: what it
// holds isn't known.
func (h Hold) Covers(s HoldSubject) bool {
	return h.Active() &&
		(h.Scope.Tenant == "" || h.Scope.Tenant == s.Tenant) &&
		(h.Scope.Environment == "" || s.Environment == "" || h.Scope.Environment == s.Environment) &&
		(h.Scope.System == "" || h.Scope.System == s.System) &&
		(h.Scope.Resource == "" || s.Resource == "" || h.Scope.Resource == s.Resource) &&
		(h.Scope.Class == "" || len(s.Classes) == 0 || slices.Contains(s.Classes, h.Scope.Class))
}

// KeptForLegalReason is all that a customer is told of a hold.
const KeptForLegalReason = "kept for a legal reason"

// Covering returns the active holds that cover the subject.
func Covering(holds []Hold, s HoldSubject) []Hold {
	var out []Hold
	for _, h := range holds {
		if h.Covers(s) {
			out = append(out, h)
		}
	}
	return out
}

// Destroys says what a step takes, or whose time for undoing it ends: a hold that
// covers any of it stands against the step. A key's destruction takes all that is
// sealed under it, and dropping a hand-over's files takes all that was exported.
func (p *Plan) Destroys(s *Step) []HoldSubject {
	class := p.ClassOf(s)
	if s.Action == ActKeyDestroy && class == "" {
		class, _ = strings.CutPrefix(s.To, "class-")
		if class == s.To {
			class = ""
		}
	}
	named := make(map[ResourceID]bool)
	if s.Resource != "" {
		named[s.Resource] = true
	}
	if s.Action.IsGate() {
		for i := range p.Steps {
			if slices.Contains(s.Needs, p.Steps[i].Key) && p.Steps[i].Resource != "" {
				named[p.Steps[i].Resource] = true
			}
		}
	}
	var out []HoldSubject
	for i := range p.Resources {
		r := &p.Resources[i]
		if pseudonymKey(s) {
			break // whose names it makes isn't told by resources
		}
		if len(named) > 0 && !named[r.ID] || class != "" && len(named) == 0 && !slices.Contains(r.Classes, class) {
			continue
		}
		subject := HoldSubject{Tenant: p.Tenant, Environment: r.Environment, System: r.System, Resource: r.ID, Classes: r.Classes}
		if class != "" {
			subject.Classes = []string{class}
		}
		out = append(out, subject)
	}
	if len(out) > 0 {
		return out
	}
	subject := HoldSubject{Tenant: p.Tenant, System: s.System, Resource: s.Resource}
	if class != "" {
		subject.Classes = []string{class}
	}
	return []HoldSubject{subject}
}

// Standing returns the active holds that stand against a step of the plan. One of a part
// of a resource stands against what can't leave a part out, such as the destruction of a
// key, and until it is effective; after that the erasure itself leaves the part out.
func (p *Plan) Standing(holds []Hold, s *Step) []Hold {
	return slices.DeleteFunc(p.Touching(holds, s), func(h Hold) bool {
		return h.Scope.Part() && !h.EffectiveAt.IsZero() && s.Resource != "" && (s.Action == ActErase || s.Action == ActPseudonymise || s.Action == ActDelete)
	})
}

// Touching returns the active holds that cover any of what a step of the plan takes.
func (p *Plan) Touching(holds []Hold, s *Step) []Hold {
	var out []Hold
	subjects := p.Destroys(s)
	for _, h := range holds {
		if slices.ContainsFunc(subjects, h.Covers) {
			out = append(out, h)
		}
	}
	return out
}

// Keeping returns the active holds that cover everything that a gate lets go. One
// that covers only a part keeps that part, and the gate opens for the rest.
func (p *Plan) Keeping(holds []Hold, gate *Step) []Hold {
	var out []Hold
	subjects := p.Destroys(gate)
	for _, h := range holds {
		if !h.Scope.Part() && !slices.ContainsFunc(subjects, func(s HoldSubject) bool { return !h.Covers(s) }) {
			out = append(out, h)
		}
	}
	return out
}

// Release records one person's word that the hold may go. The second, by
// another person than the first, releases it. The one who placed it may be one
// of the two. Asking twice is Conflict.
func (h Hold) Release(by string, at time.Time) (Hold, error) {
	switch {
	case !h.Active():
		return h, Errorf(Conflict, "hold %s was released at %s", h.ID, h.ReleasedAt.Format(time.RFC3339))
	case by == "":
		return h, Errorf(Unauthorized, "a release needs a name")
	case NamesPerson(h.ReleaseBy, by):
		return h, Errorf(Forbidden, "%s has asked for this release already; a second person must", by)
	}
	h.ReleaseBy = append(slices.Clone(h.ReleaseBy), by)
	if len(h.ReleaseBy) >= 2 {
		h.ReleasedAt = at
	}
	return h, nil
}
