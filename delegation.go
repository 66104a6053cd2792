package tenure

import (
	"slices"
	"time"
)

// MaxDelegation bounds how long a delegation lasts.
const MaxDelegation = 90 * 24 * time.Hour

// Delegation gives one person's approvals into another's hands for a while, over at
// most the scope of the one who gives. It can't be handed on. While it stands, the
// two count as one person at the gates that it covers.
type Delegation struct {
	ID        DelegationID `json:"id"`
	From      string       `json:"from"`
	To        string       `json:"to"`
	Scope     Scope        `json:"scope"`
	Reason    string       `json:"reason"`
	StartsAt  time.Time    `json:"startsAt"`
	EndsAt    time.Time    `json:"expiresAt"`
	CreatedAt time.Time    `json:"createdAt"`
	RevokedAt time.Time    `json:"revokedAt,omitzero"`
	RevokedBy string       `json:"revokedBy,omitempty"`
}

// Stands says whether the delegation counts at now.
func (d Delegation) Stands(now time.Time) bool {
	return d.RevokedAt.IsZero() && !now.Before(d.StartsAt) && now.Before(d.EndsAt)
}

// Check refuses a delegation to oneself, without a reason, in the past, without end
// or longer than MaxDelegation, or of more than the delegator has. own are the
// delegator's grants; those that they have by a delegation don't count.
func (d Delegation) Check(own []Grant, now time.Time) error {
	switch {
	case d.From == "" || d.To == "":
		return Errorf(Invalid, "a delegation names who gives and who gets it")
	case SamePerson(d.From, d.To):
		return Errorf(Invalid, "nobody delegates to themselves")
	case !d.EndsAt.After(d.StartsAt):
		return Errorf(Invalid, "a delegation ends after it begins")
	case !d.EndsAt.After(now):
		return Errorf(Invalid, "the delegation's end has passed already")
	case d.EndsAt.Sub(d.StartsAt) > MaxDelegation:
		return Errorf(Invalid, "a delegation lasts at most %d days", MaxDelegation/(24*time.Hour)).WithHint("somebody who is away for longer gives up the role")
	}
	if _, err := NeedLines("the reason for a delegation", d.Reason, MaxReason); err != nil {
		return err
	}
	if err := d.Scope.Check(); err != nil {
		return err
	}
	if reach := ApprovingReach(own, now); !d.Scope.Within(reach) {
		return Errorf(Forbidden, "%s approves over %s, and can't delegate %s", d.From, reach, d.Scope).WithHint("name what your own grants name")
	}
	return nil
}

// delegable says whether a grant's approvals can be given into other hands: what
// somebody has for a while, or on another's behalf, isn't lent on.
func (g Grant) delegable(now time.Time) bool {
	return g.Active(now) && g.Delegator == "" && g.Elevation == "" && g.May(OperationApprove)
}

// ApprovingReach is over what grants let somebody approve in their own right.
func ApprovingReach(own []Grant, now time.Time) Scope {
	var reach Scope
	for _, g := range own {
		if g.delegable(now) {
			reach = reach.Union(g.Scope)
		}
	}
	return reach
}

// Grants are what the delegate has by the delegation at now: the delegator's roles
// that approve, over what both the delegator's grant and the delegation cover. own
// are the delegator's grants as they are now, so that a grant which has ended ends
// what was delegated of it.
func (d Delegation) Grants(own []Grant, now time.Time) []Grant {
	if !d.Stands(now) {
		return nil
	}
	var out []Grant
	for _, g := range own {
		if !g.delegable(now) {
			continue
		}
		if scope := g.Scope.Intersect(d.Scope); !scope.IsZero() {
			out = append(out, Grant{ID: g.ID, Role: g.Role, Scope: scope, Reason: d.Reason, By: d.From, At: d.StartsAt, ExpiresAt: d.EndsAt, Delegator: d.From})
		}
	}
	return out
}

// delegated is what somebody may do by a delegation: approve, and read what they
// are to approve.
func delegated(p Permission) bool {
	return p == OperationApprove || slices.Contains(reading, p) && p != ReviewDecide
}

// Intersect is a scope that covers nothing but what both cover. It compares what is
// named, so it may be smaller than what both happen to cover.
func (s Scope) Intersect(o Scope) Scope {
	if s.All {
		return o
	}
	if o.All {
		return s
	}
	return Scope{Tenants: common(s.Tenants, o.Tenants), Tiers: common(s.Tiers, o.Tiers), Labels: common(s.Labels, o.Labels)}
}

func common[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(v T) bool { return !slices.Contains(b, v) })
}
