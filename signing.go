package tenure

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Signing is a person's word at a gate, with all that decides whether it counts.
type Signing struct {
	Approval
	Gate *Gate
	// Answers is the person who answers for the machine that requested; "" where a
	// person did. They count as the requester.
	Answers string
	Earlier []Approval
	// Delegations stand at this moment and cover the tenant: while one does, its two
	// persons count as one at its gates.
	Delegations []Delegation
	Since       time.Time // when the gate began to wait
}

// Check is the separation of duties at a gate, all of it: what CheckApproval says,
// and besides: who answers for a requesting machine counts as the requester; who
// delegates and their delegate count once together, and neither signs what the
// other requested; an expired gate takes no more words; and the word must bring the
// gate nearer to what it asks for. Codes: those of CheckApproval, and Forbidden.
func (s Signing) Check(op Operation) error {
	a := s.Approval
	if err := CheckApproval(op, s.Earlier, a); err != nil {
		return err
	}
	same := s.sameAs()
	for _, name := range []string{op.RequestedBy, s.Answers} {
		switch {
		case name == "":
		case SamePerson(a.By, name):
			return Errorf(Forbidden, "%s, and can't approve it", op.AskedBy(a.By)).WithHint("ask somebody else to approve it")
		case NamesPerson(same, name):
			return Errorf(Forbidden, "%s, and a delegation couples %s with them: they count as one person", op.AskedBy(name), a.By).WithHint("ask somebody else to approve it")
		}
	}
	for _, e := range s.Earlier {
		if e.Step == a.Step && (NamesPerson(same, e.By) || SamePerson(e.For, a.By) || NamesPerson(same, e.For)) {
			return Errorf(Conflict, "%s has approved this already, and a delegation couples them with %s: they count once together", e.By, a.By)
		}
	}
	if s.Gate == nil {
		return nil
	}
	if end := s.Gate.ExpiresAt(s.Since); !end.IsZero() && !a.At.Before(end) {
		return Errorf(Conflict, "nobody approved it within %s: it expired at %s", s.Gate.Expires, end.Format("2006-01-02 15:04 MST")).WithHint("ask for it anew")
	}
	before := s.Gate.Count(op, a.Step, s.Earlier, time.Time{})
	after := s.Gate.Count(op, a.Step, append(slices.Clone(s.Earlier), a), time.Time{})
	if after.Have <= before.Have && !before.Open() {
		return Errorf(Forbidden, "%s isn't one of those whom the gate still needs: %s", a.By, before.Missing()).WithHint("somebody with that role over the tenant signs it")
	}
	return nil
}

// sameAs are those who count as one person with the signer.
func (s Signing) sameAs() []string {
	var out []string
	if s.For != "" {
		out = append(out, s.For)
	}
	for _, d := range s.Delegations {
		switch {
		case SamePerson(s.By, d.From):
			out = append(out, d.To)
		case SamePerson(s.By, d.To):
			out = append(out, d.From)
		}
	}
	return out
}

// ExpiresAt is when a gate that began to wait at since expires; zero if never.
func (g *Gate) ExpiresAt(since time.Time) time.Time {
	if g == nil || g.Expires.IsZero() {
		return time.Time{}
	}
	return g.Expires.After(since)
}

// GateCount is how far a gate is.
type GateCount struct {
	Need, Have int
	Roles      []Quorum // what roles are still missing
	Standing   string   // the standing approval that opened it
}

// Open says whether the gate has what it asks for.
func (c GateCount) Open() bool { return c.Standing != "" || c.Have >= c.Need }

// Missing says in words what the gate still needs.
func (c GateCount) Missing() string {
	if c.Open() {
		return "nothing"
	}
	var parts []string
	free := c.Need - c.Have
	for _, q := range c.Roles {
		parts = append(parts, fmt.Sprintf("%d of %s", q.Count, q.Role))
		free -= q.Count
	}
	if free > 0 {
		parts = append(parts, fmt.Sprintf("%d of any role that approves", free))
	}
	return strings.Join(parts, ", ")
}

// StandingSigner is how a standing approval signs: no person's name begins so.
const StandingSigner = "standing:"

// Count says how far a gate is with these signatures, those from before since left
// out. Each distinct person fills at most one place; the places of roles are filled
// by who has the role, the others by anybody. The requester's word, another plan's
// and another gate's never count, and a standing approval's only at the approval of
// an onboarding.
func (g *Gate) Count(op Operation, step string, signed []Approval, since time.Time) GateCount {
	c := GateCount{}
	if g == nil {
		g = &Gate{}
	}
	var places []Role // "" takes anybody
	for _, q := range g.From {
		places = append(places, slices.Repeat([]Role{q.Role}, max(0, q.Count))...)
	}
	for len(places) < g.Approvals {
		places = append(places, "")
	}
	c.Need = len(places)
	seen := map[string]bool{PersonKey(op.RequestedBy): true} // by their keys
	filled := make([]int, len(places))                       // which person, from 1
	var persons []Approval
	for _, a := range signed {
		if a.Step != step || a.Digest != op.Plan || a.At.Before(since) || seen[PersonKey(a.By)] || a.For != "" && seen[PersonKey(a.For)] {
			continue
		}
		if strings.HasPrefix(a.By, StandingSigner) {
			if op.Kind == Onboard {
				c.Standing = a.By
			}
			continue
		}
		seen[PersonKey(a.By)] = true
		if a.For != "" {
			seen[PersonKey(a.For)] = true
		}
		persons = append(persons, a)
		if seat(places, filled, persons, len(persons), make([]bool, len(places))) {
			c.Have++
		}
	}
	for i, p := range filled {
		if p == 0 && places[i] != "" {
			c.Roles = addQuorum(c.Roles, places[i])
		}
	}
	return c
}

// CountMore is Count for a gate that asks for so many more persons than its plan
// says. Then a standing approval doesn't open it: it stands for its two reviewers.
func (g *Gate) CountMore(more int, op Operation, step string, signed []Approval, since time.Time) GateCount {
	c := g.Count(op, step, signed, since)
	if more <= 0 {
		return c
	}
	var raised Gate
	if g != nil {
		raised = *g
	}
	raised.Approvals = c.Need + more
	c = raised.Count(op, step, signed, since)
	c.Standing = ""
	return c
}

// seat finds a place for a person, moving others along where that helps (an
// augmenting path of the bipartite matching; places are few).
func seat(places []Role, filled []int, persons []Approval, who int, tried []bool) bool {
	for i, role := range places {
		if tried[i] || role != "" && !slices.Contains(persons[who-1].Roles, role) {
			continue
		}
		tried[i] = true
		if filled[i] == 0 || seat(places, filled, persons, filled[i], tried) {
			filled[i] = who
			return true
		}
	}
	return false
}

func addQuorum(list []Quorum, r Role) []Quorum {
	for i := range list {
		if list[i].Role == r {
			list[i].Count++
			return list
		}
	}
	return append(list, Quorum{Role: r, Count: 1})
}
