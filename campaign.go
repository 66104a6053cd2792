package tenure

import (
	"slices"
	"time"
)

// ReviewKind is what an item of an access review is about.
type ReviewKind string

const (
	ReviewGrant     ReviewKind = "grant"     // a principal's role over a scope
	ReviewAccount   ReviewKind = "account"   // a tenant's resource that gives access: key, account, integration
	ReviewAgreement ReviewKind = "agreement" // a data sharing agreement of a tenant's
	ReviewExport    ReviewKind = "export"    // an export grant of a tenant's

	ReviewToken      ReviewKind = "token"      // a token of a person's or a machine's
	ReviewDelegation ReviewKind = "delegation" // somebody's approvals in another's hands
	ReviewStanding   ReviewKind = "standing"   // a standing approval
	ReviewBreakGlass ReviewKind = "breakglass" // a use of break-glass within the last year
	ReviewCredential ReviewKind = "credential" // what Tenure itself comes into a system with
)

// ReviewKinds lists every kind.
var ReviewKinds = []ReviewKind{ReviewGrant, ReviewAccount, ReviewAgreement, ReviewExport, ReviewToken, ReviewDelegation, ReviewStanding, ReviewBreakGlass, ReviewCredential}

// Narrows says whether a review can make less of such a thing, rather than keep it
// or take it away.
func (k ReviewKind) Narrows() bool {
	return k == ReviewGrant || k == ReviewAccount || k == ReviewAgreement || k == ReviewExport
}

// ReviewDecision is the answer to "is this still needed?".
type ReviewDecision string

const (
	ReviewKeep   ReviewDecision = "keep"
	ReviewRevoke ReviewDecision = "revoke"
	ReviewChange ReviewDecision = "change" // less than it is now
)

// CampaignState is where a campaign stands.
type CampaignState string

const (
	CampaignOpen     CampaignState = "open"         // items wait for answers
	CampaignCarrying CampaignState = "carrying_out" // every item is answered; operations are under way
	CampaignClosed   CampaignState = "closed"       // the evidence is written
)

// MaxReviewers bounds a campaign's reviewers.
const MaxReviewers = 50

// Campaign is an access review: somebody who isn't concerned answers, item by
// item and before a date, whether access is still needed.
type Campaign struct {
	ID        CampaignID     `json:"id"`
	Name      string         `json:"name"`
	Covers    []ReviewKind   `json:"covers"`
	Scope     Scope          `json:"scope"`
	Reviewers []string       `json:"reviewers"`            // persons' names
	ByOwner   bool           `json:"byOwner,omitempty"`    // items go to their owner first: see AssignReviewers
	Schedule  string         `json:"schedule,omitempty"`   // of the settings, that opened it
	Occasion  time.Time      `json:"scheduledAt,omitzero"` // which of the schedule's dates it was opened for
	Silence   ReviewDecision `json:"silence"`              // what an item that nobody answered becomes: keep or revoke
	State     CampaignState  `json:"state"`
	DueAt     time.Time      `json:"dueAt"`
	CreatedBy string         `json:"createdBy"`
	CreatedAt time.Time      `json:"createdAt"`
	ClosedAt  time.Time      `json:"closedAt,omitzero"` // when it took no more answers
	ClosedBy  string         `json:"closedBy,omitempty"`
	Evidence  string         `json:"evidence,omitempty"` // "sha256:…" of the evidence document
	Version   int64          `json:"version"`
}

// Check refuses a campaign that can't be started at now.
func (c Campaign) Check(now time.Time) error {
	if _, err := NeedLine("a campaign's name", c.Name, MaxTitle); err != nil {
		return err
	}
	switch {
	case len(c.Covers) == 0:
		return Errorf(Invalid, "a campaign covers something").WithHint("kinds: %s", joinWords(ReviewKinds))
	case len(c.Reviewers) == 0 || len(c.Reviewers) > MaxReviewers:
		return Errorf(Invalid, "a campaign has 1 to %d reviewers", MaxReviewers)
	case c.Silence != ReviewKeep && c.Silence != ReviewRevoke:
		return Errorf(Invalid, "what nobody answers is kept or revoked, not %q", clip(string(c.Silence))).WithHint("silence: keep or revoke")
	case !c.DueAt.After(now):
		return Errorf(Invalid, "the due date has passed already")
	case c.DueAt.After(now.AddDate(1, 0, 0)):
		return Errorf(Invalid, "the due date is more than a year away")
	}
	for i, k := range c.Covers {
		if !slices.Contains(ReviewKinds, k) || slices.Contains(c.Covers[:i], k) {
			return Errorf(Invalid, "a campaign can't cover %q", clip(string(k))).WithHint("kinds, each once: %s", joinWords(ReviewKinds))
		}
	}
	for i, r := range c.Reviewers {
		if r == "" || NamesPerson(c.Reviewers[:i], r) {
			return Errorf(Invalid, "the reviewer %q is named twice or not at all", clip(r))
		}
	}
	return c.Scope.Check()
}

// ReviewTo is what a decision to change makes of an item. Which fields count
// depends on the item's kind.
type ReviewTo struct {
	Role       Role           `json:"role,omitempty"`       // grant
	Scope      *Scope         `json:"scope,omitempty"`      // grant
	ExpiresAt  time.Time      `json:"expiresAt,omitzero"`   // grant, agreement, export
	Classes    []string       `json:"classes,omitempty"`    // agreement, export
	Parameters map[string]any `json:"parameters,omitempty"` // account: of the change operation that follows
}

// ReviewItem is one thing that a campaign asks about.
type ReviewItem struct {
	Campaign  CampaignID     `json:"campaign"`
	Seq       int            `json:"item"` // from 1
	Kind      ReviewKind     `json:"kind"`
	Subject   string         `json:"subject"`             // id of the grant, resource or agreement
	Tenant    TenantID       `json:"tenant,omitempty"`    // "" for a grant
	Holder    string         `json:"holder,omitempty"`    // the principal who has it, or who made it
	Owner     string         `json:"owner,omitempty"`     // of a machine: who answers for it; of a delegation: who gave it
	LastUsed  time.Time      `json:"lastUsedAt,omitzero"` // as far as Tenure knows
	Detail    string         `json:"detail"`
	Reviewer  string         `json:"reviewer"`
	Assigned  string         `json:"assignedBy,omitempty"` // who gave it to another reviewer
	AssignWhy string         `json:"assignedReason,omitempty"`
	Decision  ReviewDecision `json:"decision,omitempty"`
	ChangeTo  *ReviewTo      `json:"changeTo,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	DecidedBy string         `json:"decidedBy,omitempty"` // "" with a decision: nobody answered
	DecidedAt time.Time      `json:"decidedAt,omitzero"`
	Operation OperationID    `json:"operation,omitempty"` // that carries the decision out
	Outcome   string         `json:"outcome,omitempty"`   // "" while something is still to be done
}

// Concerns says whether a person has the item, or answers for the machine that
// has it.
func (i ReviewItem) Concerns(name string) bool {
	return SamePerson(name, i.Holder) || SamePerson(name, i.Owner)
}

// AssignReviewers gives every item to a reviewer whom it doesn't concern and who
// can see it: to its owner if it has one of whom that is true, else to the one named
// with the fewest items, and then in the order in which they are named. An item that none of them can review is Invalid: nobody
// reviews their own access or that of a machine they answer for.
func AssignReviewers(items []ReviewItem, reviewers []string, owner func(item int) string, sees func(item ReviewItem, reviewer string) bool) error {
	load := make(map[string]int, len(reviewers))
	for n := range items {
		best := owner(n)
		if best != "" && (items[n].Concerns(best) || !sees(items[n], best)) {
			best = ""
		}
		if best != "" {
			items[n].Reviewer = best
			continue
		}
		for _, r := range reviewers {
			if !items[n].Concerns(r) && sees(items[n], r) && (best == "" || load[r] < load[best]) {
				best = r
			}
		}
		if best == "" {
			return Errorf(Invalid, "nobody is left to review %s %s: it concerns every reviewer named who may see it", items[n].Kind, items[n].Subject).
				WithHint("name one more reviewer, whom it doesn't concern")
		}
		items[n].Reviewer = best
		load[best]++
	}
	return nil
}

// Reassign gives an item that nobody has answered yet to another reviewer, for a
// reason: whom it doesn't concern.
func (i ReviewItem) Reassign(c Campaign, to, by, why string, now time.Time) (ReviewItem, error) {
	switch {
	case c.State != CampaignOpen || !now.Before(c.DueAt):
		return i, Errorf(Conflict, "the campaign %q takes no more answers", c.Name)
	case i.Decision != "":
		return i, Errorf(Conflict, "item %d is answered already: %s", i.Seq, i.Decision)
	case i.Concerns(to):
		return i, Errorf(Forbidden, "item %d concerns %s, who can't review it", i.Seq, to).WithHint("nobody reviews their own access or that of a machine they answer for")
	case SamePerson(to, i.Reviewer):
		return i, Errorf(Conflict, "item %d is for %s to review already", i.Seq, to)
	}
	why, err := NeedLines("the reason for giving an item to another reviewer", why, MaxReason)
	if err != nil {
		return i, err
	}
	i.Reviewer, i.Assigned, i.AssignWhy = to, by, why
	return i, nil
}

// CheckDecision is the separation of duties in a review: only the item's
// reviewer answers it, once, while the campaign is open, and never for access of
// their own.
func CheckDecision(c Campaign, item ReviewItem, d ReviewItem) error {
	switch {
	case d.DecidedBy == "":
		return Errorf(Unauthorized, "a decision needs a name")
	case item.Concerns(d.DecidedBy):
		return Errorf(Forbidden, "item %d concerns %s, who can't review it", item.Seq, d.DecidedBy).WithHint("nobody reviews their own access or that of a machine they answer for")
	case !SamePerson(item.Reviewer, d.DecidedBy):
		return Errorf(Forbidden, "item %d isn't for %s to review", item.Seq, d.DecidedBy)
	case c.State != CampaignOpen || !d.DecidedAt.Before(c.DueAt):
		return Errorf(Conflict, "the campaign %q takes no more answers", c.Name)
	case item.Decision != "":
		return Errorf(Conflict, "item %d is answered already: %s", item.Seq, item.Decision)
	case d.Decision != ReviewKeep && d.Decision != ReviewRevoke && d.Decision != ReviewChange:
		return Errorf(Invalid, "an answer is keep, revoke or change, not %q", clip(string(d.Decision)))
	case d.Decision == ReviewChange && d.ChangeTo == nil:
		return Errorf(Invalid, "a change says what to")
	case d.Decision == ReviewChange && !item.Kind.Narrows():
		return Errorf(Invalid, "a %s can't be made less of", item.Kind).WithHint("keep it or revoke it")
	case d.Decision != ReviewChange && d.ChangeTo != nil:
		return Errorf(Invalid, "only the answer change says what to")
	case d.Decision != ReviewKeep && !Shows(d.Reason):
		return Errorf(Invalid, "an answer that takes access away needs a reason")
	}
	_, err := Lines("the reason", d.Reason, MaxReason)
	return err
}

// Narrowed is the grant that a review makes of one: never more than it was. A
// role that may something that the old one may not, a wider scope, or a later
// end, is Invalid: more is given by a grant or a move, not by a review.
func (g Grant) Narrowed(to ReviewTo, now time.Time) (Grant, error) {
	n := g
	if to.Role != "" {
		n.Role = to.Role
	}
	if to.Scope != nil {
		n.Scope = *to.Scope
	}
	if !to.ExpiresAt.IsZero() {
		n.ExpiresAt = to.ExpiresAt
	}
	switch {
	case len(to.Classes) > 0 || to.Parameters != nil:
		return n, Errorf(Invalid, "a grant has a role, a scope and an end, nothing else to change")
	case rolePermissions[n.Role] == nil:
		return n, Errorf(Invalid, "there is no role %q", clip(string(n.Role))).WithHint("roles: %s", joinRoles())
	case !subset(rolePermissions[n.Role], rolePermissions[g.Role]):
		return n, Errorf(Invalid, "the role %s may what %s may not: a review only takes away", n.Role, g.Role).WithHint("revoke it here, and give the other role by a move")
	case !n.Scope.Within(g.Scope):
		return n, Errorf(Invalid, "%s isn't within %s: a review only takes away", n.Scope, g.Scope)
	case !to.ExpiresAt.IsZero() && (!n.ExpiresAt.After(now) || !g.ExpiresAt.IsZero() && n.ExpiresAt.After(g.ExpiresAt)):
		return n, Errorf(Invalid, "the new end lies after now and not after the old one")
	case n.Role == g.Role && n.Scope.Within(g.Scope) && g.Scope.Within(n.Scope) && n.ExpiresAt.Equal(g.ExpiresAt):
		return n, Errorf(Invalid, "nothing would change").WithHint("keep it")
	}
	return n, n.Scope.Check()
}
