package tenure

import (
	"slices"
	"time"
)

// MoveRole is one role that somebody has after a move.
type MoveRole struct {
	Role  Role  `json:"role"`
	Scope Scope `json:"scope"`
}

// MoveGrant is one grant that a move ends.
type MoveGrant struct {
	ID    GrantID `json:"id"`
	Role  Role    `json:"role"`
	Scope Scope   `json:"scope"`
}

// Move is a change of somebody's job: every role that they have ends, save those
// that they keep, and others begin. It is a plan: named by the SHA-256 of its
// canonical JSON, and a second person signs that digest before it is done.
type Move struct {
	Format    int         `json:"format"`
	Principal PrincipalID `json:"principal"`
	Name      string      `json:"principalName"`
	Keeps     []MoveGrant `json:"keeps,omitempty"`
	Ends      []MoveGrant `json:"ends,omitempty"`
	Begins    []MoveRole  `json:"begins,omitempty"`
	Reason    string      `json:"reason"`
	By        string      `json:"requestedBy"`
	At        time.Time   `json:"requestedAt"`
}

// SignedMove is a move as its digest and the store have it.
type SignedMove struct {
	Format    int         `json:"format"`
	Principal PrincipalID `json:"principal"`
	Name      string      `json:"name"`
	Keeps     []MoveGrant `json:"keeps,omitempty"`
	Ends      []MoveGrant `json:"ends,omitempty"`
	Begins    []MoveRole  `json:"begins,omitempty"`
	Reason    string      `json:"reason"`
	By        string      `json:"by"`
	At        time.Time   `json:"at"`
}

// MoveFormat is the format of moves that this build writes.
const MoveFormat = 1

// MakeMove says what a move to some roles ends, keeps and begins. have are the
// grants that the principal has at now. Those of an elevation end by themselves
// and aren't touched, yet a role that conflicts with one is refused.
func MakeMove(m Move, have []Grant, to []MoveRole) (Move, error) {
	m.Format, m.Keeps, m.Ends, m.Begins = MoveFormat, nil, nil, nil
	var err error
	if m.Reason, err = NeedLines("a move's reason", m.Reason, MaxReason); err != nil {
		return m, err
	}
	switch {
	case len(to) > 50:
		return m, Errorf(Invalid, "a move gives at most 50 roles")
	case SamePerson(m.By, m.Name):
		return m, Errorf(Forbidden, "nobody moves themselves").WithHint("ask another admin")
	}
	left := slices.Clone(to)
	var stays []Grant
	for _, g := range have {
		if !g.Active(m.At) {
			continue
		}
		if g.Elevation != "" {
			stays = append(stays, g)
			continue
		}
		line := MoveGrant{g.ID, g.Role, g.Scope}
		i := slices.IndexFunc(left, func(r MoveRole) bool { return r.Role == g.Role && sameScope(r.Scope, g.Scope) })
		if i < 0 || !g.ExpiresAt.IsZero() { // one with an end isn't the one that is meant to last
			m.Ends = append(m.Ends, line)
			continue
		}
		left = slices.Delete(left, i, i+1)
		stays = append(stays, g)
		m.Keeps = append(m.Keeps, line)
	}
	for _, r := range left {
		g := Grant{Role: r.Role, Scope: r.Scope}
		if err := CheckGrant(stays, g, m.At); err != nil {
			return m, err
		}
		stays = append(stays, g)
		m.Begins = append(m.Begins, r)
	}
	if len(m.Ends) == 0 && len(m.Begins) == 0 {
		return m, Errorf(Conflict, "there is nothing to do: %s has these roles already", m.Name)
	}
	return m, nil
}

func sameScope(a, b Scope) bool { return a.Within(b) && b.Within(a) }

// Touches says whether a tenant is in the scope of a grant that ends or begins.
func (m Move) Touches(t Target) bool {
	return slices.ContainsFunc(m.Ends, func(g MoveGrant) bool { return g.Scope.Covers(t) }) ||
		slices.ContainsFunc(m.Begins, func(r MoveRole) bool { return r.Scope.Covers(t) })
}

// Encode is the move's canonical JSON, and its digest.
func (m Move) Encode() (body []byte, digest string, err error) {
	if body, err = Canonical(SignedMove(m)); err != nil {
		return nil, "", err
	}
	return body, Digest(body), nil
}

// CheckMoveApproval is the separation of duties of a move: neither who asked for
// it nor whom it moves signs it.
func CheckMoveApproval(m Move, owner, by string) error {
	switch by {
	case "":
		return Errorf(Unauthorized, "an approval needs a name")
	case m.By:
		return Errorf(Forbidden, "%s asked for this move and can't approve it", by).WithHint("ask somebody else to approve it")
	case m.Name, owner:
		return Errorf(Forbidden, "the move concerns %s, who can't approve it", by)
	}
	return nil
}
