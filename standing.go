package tenure

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// MaxStanding bounds how long a standing approval lasts: a year.
	MaxStanding = 366 * 24 * time.Hour
	// StandingReviewers is how many persons beside the proposer review a rule.
	StandingReviewers = 2
	// StandingLookWithin is how soon a person looks at what a standing approval
	// started; after that it is a finding.
	StandingLookWithin = 7 * 24 * time.Hour
	// FindingUnseenStart is a start by a standing approval that nobody looked at.
	FindingUnseenStart FindingKind = "standing_unseen"
)

// StandingRule says which plans may start without a person: those that only create,
// asked for by a known trigger or source, from one blueprint, within a budget.
type StandingRule struct {
	Name         string    `json:"name"`
	Trigger      string    `json:"trigger,omitempty"` // what the trigger's key begins with
	Source       string    `json:"source,omitempty"`  // the name of the principal that asks
	Blueprint    string    `json:"blueprint"`         // its name
	Revision     string    `json:"revision,omitempty"`
	Tiers        []string  `json:"tiers,omitempty"`
	Labels       []string  `json:"labels,omitempty"` // "key=value"; one of them
	MaxResources int       `json:"maxResources"`     // that one plan makes
	PerDay       int       `json:"perDay"`           // starts within 24 hours
	EndsAt       time.Time `json:"expiresAt"`
}

// SignedStandingRule is a rule as its digest and the store have it.
type SignedStandingRule struct {
	Name         string    `json:"name"`
	Trigger      string    `json:"trigger,omitempty"`
	Source       string    `json:"source,omitempty"`
	Blueprint    string    `json:"blueprint"`
	Revision     string    `json:"revision,omitempty"`
	Tiers        []string  `json:"tiers,omitempty"`
	Labels       []string  `json:"labels,omitempty"`
	MaxResources int       `json:"maxResources"`
	PerDay       int       `json:"perDay"`
	EndsAt       time.Time `json:"endsAt"`
}

// Check refuses a rule that anybody could trigger, without a bound, or that lasts
// longer than MaxStanding from now.
func (r StandingRule) Check(now time.Time) error {
	if _, err := NeedLine("the name of a standing approval", r.Name, 100); err != nil {
		return err
	}
	switch {
	case r.Trigger == "" && r.Source == "":
		return Errorf(Invalid, "a standing approval says by which trigger or from which source a request comes").WithHint("trigger: what the request's key begins with; source: the name of who asks")
	case len(r.Trigger) > 200 || len(r.Source) > 200 || len(r.Revision) > 100:
		return Errorf(Invalid, "a trigger and a source have at most 200 bytes, a revision 100")
	case r.Blueprint == "":
		return Errorf(Invalid, "a standing approval is for one blueprint")
	case r.MaxResources < 1 || r.MaxResources > 10_000:
		return Errorf(Invalid, "a plan under a standing approval makes 1 to 10,000 resources, not %d", r.MaxResources)
	case r.PerDay < 1 || r.PerDay > 10_000:
		return Errorf(Invalid, "a standing approval starts 1 to 10,000 plans a day, not %d", r.PerDay)
	case len(r.Tiers)+len(r.Labels) > MaxScope:
		return Errorf(Invalid, "a standing approval names at most %d tiers and labels", MaxScope)
	case !r.EndsAt.After(now):
		return Errorf(Invalid, "a standing approval ends at a moment to come")
	case r.EndsAt.Sub(now) > MaxStanding:
		return Errorf(Invalid, "a standing approval lasts a year at the most")
	}
	for _, l := range r.Labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			return Errorf(Invalid, "the label %q is not key=value", clip(l))
		}
		if err := CheckLabel(k, v); err != nil {
			return err
		}
	}
	return nil
}

// Digest names the rule: reviewers sign it, and a changed rule is another one.
func (r StandingRule) Digest() (string, error) {
	r.EndsAt = r.EndsAt.UTC().Truncate(time.Microsecond)
	b, err := Canonical(SignedStandingRule(r))
	if err != nil {
		return "", err
	}
	return Digest(b), nil
}

// Within says whether somebody whose permission reaches so far may speak for the
// rule: a tenant that it fits has one of its tiers and one of its labels.
func (r StandingRule) Within(reach Scope) bool {
	return reach.All || len(r.Tiers) > 0 && subset(r.Tiers, reach.Tiers) || len(r.Labels) > 0 && subset(r.Labels, reach.Labels)
}

// StartFacts is what a plan doesn't say of how it was asked for.
type StartFacts struct {
	By      string // who asks
	Answers string // the person who answers for them, if they are a machine
	Trigger string
}

// Fits says why a rule doesn't cover a plan; "" if it does.
func (r StandingRule) Fits(p *Plan, f StartFacts) string {
	switch {
	case r.Trigger != "" && !strings.HasPrefix(f.Trigger, r.Trigger):
		return "another trigger"
	case r.Source != "" && !SamePerson(r.Source, f.By):
		return "another source"
	case r.Blueprint == "" || r.Blueprint != p.Blueprint.Name:
		return "another blueprint"
	case r.Revision != "" && r.Revision != p.Blueprint.Version && r.Revision != p.Blueprint.Digest:
		return "another revision"
	case len(r.Tiers) > 0 && !slices.Contains(r.Tiers, p.Tier):
		return "another tier"
	case len(r.Labels) > 0 && !slices.ContainsFunc(r.Labels, func(l string) bool { k, v, _ := strings.Cut(l, "="); got, ok := p.Labels[k]; return ok && got == v }):
		return "other labels"
	}
	if why := OnlyCreates(p); why != "" {
		return why
	}
	if n := len(p.Resources); n > r.MaxResources {
		return fmt.Sprintf("it makes %d resources, and the rule allows %d", n, r.MaxResources)
	}
	return ""
}

// creating are the actions of a plan that only creates. A new action isn't among
// them until somebody has thought of it here.
var creating = []Action{ActApproval, ActMove, ActKeyCreate, ActEnsure, ActObserve, ActProbe, ActTeardown, ActOutputs, ActNotify, ActTask, ActWrite}

// onboarding are the states that a plan which only creates takes a tenant through.
var onboarding = []string{string(TenantValidating), string(TenantProvisioning), string(TenantActive)}

// OnlyCreates says why a plan does more than create; "" if it only creates: an
// onboarding, no step of which destroys, revokes, issues a credential anew or
// touches what was there.
func OnlyCreates(p *Plan) string {
	if p.Kind != Onboard {
		return "it is no onboarding"
	}
	if p.Adopt {
		return "it adopts what stood there before"
	}
	if p.Destructive != 0 {
		return "it destroys"
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.Destructive:
			return "step " + s.Key + " destroys"
		case !slices.Contains(creating, s.Action):
			return "step " + s.Key + " (" + string(s.Action) + ") does more than create"
		case s.Reissue:
			return "step " + s.Key + " issues a credential anew"
		case s.Action == ActMove && !slices.Contains(onboarding, s.To):
			return "step " + s.Key + " takes the tenant elsewhere than to active"
		}
	}
	for i := range p.Resources {
		if r := &p.Resources[i]; r.Retire || !r.New {
			return "resource " + r.Path() + " isn't new"
		}
	}
	return ""
}

// StandingState is where a standing approval stands.
type StandingState string

const (
	StandingProposed StandingState = "proposed" // reviews are missing
	StandingActive   StandingState = "active"
	StandingEnded    StandingState = "ended" // by a person, or because its time is over
)

// StandingReview is one person's signature under a rule.
type StandingReview struct {
	By     string    `json:"by"`
	Digest string    `json:"digest"`
	Roles  []Role    `json:"roles,omitempty"` // approving roles that it was given with
	At     time.Time `json:"at"`
}

// Standing is a standing approval: a rule with the signatures under it. The rule
// never changes.
type Standing struct {
	ID         StandingID       `json:"id"`
	Rule       StandingRule     `json:"rule"`
	Digest     string           `json:"digest"`
	State      StandingState    `json:"state"`
	ProposedBy string           `json:"proposedBy"`
	ProposedAt time.Time        `json:"proposedAt"`
	Reviews    []StandingReview `json:"reviews,omitempty"`
	EndedBy    string           `json:"endedBy,omitempty"`
	EndedAt    time.Time        `json:"endedAt,omitzero"`
	Version    int64            `json:"version"`
}

// Review records a person's signature; the second makes the rule active. The
// proposer, and who answers for the rule's source, never review; nobody does twice;
// another digest is Conflict.
func (s Standing) Review(r StandingReview, answers string) (Standing, error) {
	switch {
	case r.By == "":
		return s, Errorf(Unauthorized, "a review needs a name")
	case s.State != StandingProposed:
		return s, Errorf(Conflict, "standing approval %s is %s", s.ID, s.State)
	case !r.At.Before(s.Rule.EndsAt):
		return s, Errorf(Conflict, "standing approval %s ended at %s", s.ID, s.Rule.EndsAt.Format(time.RFC3339))
	case SamePerson(r.By, s.ProposedBy):
		return s, Errorf(Forbidden, "%s proposed it and can't review it", r.By).WithHint("two other persons review it")
	case SamePerson(r.By, s.Rule.Source) || SamePerson(r.By, answers):
		return s, Errorf(Forbidden, "%s is, or answers for, the source that the rule is for, and can't review it", r.By)
	case slices.ContainsFunc(s.Reviews, func(o StandingReview) bool { return SamePerson(o.By, r.By) }):
		return s, Errorf(Conflict, "%s has reviewed it already", r.By)
	case r.Digest != s.Digest:
		return s, Errorf(Conflict, "the review is of rule %s, this one is %s", r.Digest, s.Digest).WithHint("read it again: tenure standing show %s", s.ID)
	}
	s.Reviews = append(slices.Clone(s.Reviews), r)
	if len(s.Reviews) >= StandingReviewers {
		s.State = StandingActive
	}
	return s, nil
}

// End ends it at once. One that has ended stays as it is.
func (s Standing) End(by string, at time.Time) Standing {
	if s.State != StandingEnded {
		s.State, s.EndedBy, s.EndedAt = StandingEnded, by, at
	}
	return s
}

// Starts says why a standing approval doesn't start a plan at now, at a gate, after
// so many starts within a day; "" if it does. The gate may ask for no more than
// what its reviewers' signatures amount to, none of whom may be who asks; and the
// rule must be the very one that they signed.
func (s Standing) Starts(p *Plan, op Operation, gate *Step, f StartFacts, today int, now time.Time) string {
	digest, err := s.Rule.Digest()
	switch {
	case s.State != StandingActive:
		return "it is " + string(s.State)
	case !now.Before(s.Rule.EndsAt):
		return "its time is over"
	case err != nil || digest != s.Digest:
		return "its rule isn't the one that was reviewed"
	}
	if why := s.Rule.Fits(p, f); why != "" {
		return why
	}
	signed := make([]Approval, 0, len(s.Reviews))
	for _, r := range s.Reviews {
		switch {
		case r.Digest != digest:
			return "it was reviewed with another rule"
		case SamePerson(r.By, s.ProposedBy):
			return "its proposer reviewed it"
		case SamePerson(r.By, f.By) || SamePerson(r.By, f.Answers):
			return r.By + " reviewed it, and asks"
		}
		signed = append(signed, Approval{Step: gate.Key, Digest: op.Plan, By: r.By, At: r.At, Roles: r.Roles})
	}
	if c := (&Gate{Approvals: StandingReviewers}).Count(op, gate.Key, signed, time.Time{}); !c.Open() {
		return "two persons haven't reviewed it"
	}
	if c := gate.Gate.Count(op, gate.Key, signed, time.Time{}); !c.Open() {
		return "the gate asks for more than its two reviewers: " + c.Missing()
	}
	if today >= s.Rule.PerDay {
		return fmt.Sprintf("it has started %d within a day, and its budget is %d", today, s.Rule.PerDay)
	}
	return ""
}
