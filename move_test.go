package tenure_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

// After a move somebody has exactly the roles that were asked for, save what an
// elevation gives them, and no two of them conflict.
func TestMakeMoveGivesWhatWasAsked(t *testing.T) {
	t.Parallel()
	scopes := []tenure.Scope{{All: true}, {Tiers: []string{"gold"}}, {Tiers: []string{"team"}, Labels: []string{"region=eu"}}}
	rapid.Check(t, func(t *rapid.T) {
		var have []tenure.Grant
		for i := range rapid.IntRange(0, 5).Draw(t, "grants") {
			g := tenure.Grant{ID: tenure.GrantID(fmt.Sprint("grt_", i)), Role: rapid.SampledFrom(tenure.Roles).Draw(t, "role"), Scope: rapid.SampledFrom(scopes).Draw(t, "scope")}
			if rapid.IntRange(0, 4).Draw(t, "ended") == 0 {
				g.RevokedAt = reviewDay
			}
			if rapid.IntRange(0, 4).Draw(t, "elevated") == 0 {
				g.Elevation = "elv_1"
			}
			have = append(have, g)
		}
		var to []tenure.MoveRole
		for range rapid.IntRange(0, 4).Draw(t, "roles") {
			to = append(to, tenure.MoveRole{Role: rapid.SampledFrom(tenure.Roles).Draw(t, "to"), Scope: rapid.SampledFrom(scopes).Draw(t, "to scope")})
		}
		m, err := tenure.MakeMove(tenure.Move{Name: "bob", By: "ann", Reason: "another desk", At: reviewDay}, have, to)
		if err != nil {
			if len(to) == 0 && tenure.CodeOf(err) == tenure.Conflict && len(m.Ends) > 0 {
				t.Fatalf("leaving every role was refused: %v", err)
			}
			return
		}
		if len(m.Keeps)+len(m.Begins) != len(to) {
			t.Fatalf("%d roles were asked for, and the move leaves %d and %d", len(to), len(m.Keeps), len(m.Begins))
		}
		ends := make(map[tenure.GrantID]bool)
		for _, e := range m.Ends {
			ends[e.ID] = true
		}
		var roles []tenure.Role
		for _, g := range have {
			if g.Active(reviewDay) && !ends[g.ID] {
				roles = append(roles, g.Role)
			}
			if ends[g.ID] && (g.Elevation != "" || !g.Active(reviewDay)) {
				t.Fatalf("the move ends %+v", g)
			}
		}
		for _, b := range m.Begins {
			for _, r := range roles {
				if why := tenure.RoleConflict(r, b.Role); why != "" {
					t.Fatalf("after the move somebody is %s and %s: %s", r, b.Role, why)
				}
			}
			roles = append(roles, b.Role)
		}
	})
}

func TestMoveNeedsTwoPersons(t *testing.T) {
	t.Parallel()
	m := tenure.Move{Name: "robot", By: "ann"}
	refusedWith(t, tenure.CheckMoveApproval(m, "cleo", "ann"), tenure.Forbidden, "asked for this move")
	refusedWith(t, tenure.CheckMoveApproval(m, "cleo", "cleo"), tenure.Forbidden, "concerns cleo")
	refusedWith(t, tenure.CheckMoveApproval(m, "cleo", "robot"), tenure.Forbidden, "concerns robot")
	refusedWith(t, tenure.CheckMoveApproval(m, "cleo", ""), tenure.Unauthorized, "name")
	refusedWith(t, tenure.CheckMoveApproval(m, "cleo", "bob"), "", "")
	_, err := tenure.MakeMove(tenure.Move{Name: "ann", By: "ann", Reason: "more"}, nil, []tenure.MoveRole{{Role: tenure.Admin, Scope: tenure.Scope{All: true}}})
	refusedWith(t, err, tenure.Forbidden, "nobody moves themselves")
}
