package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// employ puts persons with their roles over all tenants into the store.
func (s *site) employ(staff map[string][]tenure.Role) {
	s.t.Helper()
	now := s.Now()
	s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
		for name, roles := range staff {
			p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](now), Name: name, Kind: tenure.CallerPerson, CreatedAt: now}
			if err := tx.SavePrincipal(p); err != nil {
				return err
			}
			for _, r := range roles {
				g := tenure.Grant{ID: tenure.NewID[tenure.GrantID](now), Principal: p.ID, Role: r, Scope: tenure.Scope{All: true}, By: "root", At: now}
				if err := tx.SaveGrant(g); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// TestEscalationGoesAbove: an escalation tells others than the reminder did, says
// whom and why in the notice, the log and the inbox, and where nobody is above it
// says that and doesn't write to the same persons again.
func TestEscalationGoesAbove(t *testing.T) {
	t.Parallel()
	officer := tenure.Escalation{After: span("P2D"), Role: tenure.SecurityOfficer}
	heads := tenure.Escalation{After: span("P2D"), Group: "heads"}
	for name, c := range map[string]struct {
		staff map[string][]tenure.Role
		to    tenure.Escalation
		from  []tenure.Quorum // blank: one of legal
		asked []string        // whom the reminder goes to
		told  []string        // whom the escalation goes to
		says  string
	}{
		"to a role of others":                 {map[string][]tenure.Role{"lena": {tenure.Legal}, "sam": {tenure.SecurityOfficer}}, officer, nil, []string{"role:legal"}, []string{"role:security-officer"}, "nobody answered within P2D, though role legal was reminded"},
		"to those of a role who are others":   {map[string][]tenure.Role{"lena": {tenure.Legal, tenure.SecurityOfficer}, "sam": {tenure.SecurityOfficer}}, officer, nil, []string{"role:legal"}, []string{"person:sam"}, "was reminded"},
		"to nobody, all were reminded":        {map[string][]tenure.Role{"lena": {tenure.Legal, tenure.SecurityOfficer}}, officer, nil, []string{"role:legal"}, nil, "all of role security-officer were reminded already"},
		"to nobody, the role has no person":   {map[string][]tenure.Role{"lena": {tenure.Legal}}, officer, nil, []string{"role:legal"}, nil, "role security-officer has no person"},
		"to nobody, the requester alone":      {map[string][]tenure.Role{"lena": {tenure.Legal}, "operator": {tenure.SecurityOfficer}}, officer, nil, []string{"role:legal"}, nil, "or requested it"},
		"to the role that was reminded":       {map[string][]tenure.Role{"sam": {tenure.SecurityOfficer}}, officer, []tenure.Quorum{{Role: tenure.SecurityOfficer, Count: 1}}, []string{"role:security-officer"}, nil, "reminded already"},
		"to a group":                          {map[string][]tenure.Role{"lena": {tenure.Legal}, "hanna": {tenure.Viewer}, "otto": nil}, heads, nil, []string{"role:legal"}, []string{"group:heads"}, "was reminded"},
		"to those of a group who are others":  {map[string][]tenure.Role{"hanna": {tenure.Legal}, "otto": nil}, heads, nil, []string{"role:legal"}, []string{"person:otto"}, "was reminded"},
		"to nobody of a group, all reminded":  {map[string][]tenure.Role{"hanna": {tenure.Legal}, "otto": {tenure.Legal}}, heads, nil, []string{"role:legal"}, nil, "all of group heads were reminded"},
		"to nobody of a group, nobody can in": {map[string][]tenure.Role{"lena": {tenure.Legal}}, heads, nil, []string{"role:legal"}, nil, "group heads has no person"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *lifecycle.Options) {
				if c.from == nil {
					c.from = []tenure.Quorum{{Role: tenure.Legal, Count: 1}}
				}
				o.Groups = map[string][]string{"heads": {"hanna", "otto"}}
				o.Approvals = []tenure.ApprovalRule{{Name: "slow", When: tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Onboard}}, From: c.from, Remind: span("P1D"), Escalate: &c.to}}
			})
			s.employ(c.staff)
			op, _ := s.ask("acme", "operator")
			tenant := s.view(op).Tenant
			s.pass(day + time.Minute)
			s.tick()
			if got := s.notices(tenant); !slices.Equal(got, c.asked) {
				t.Fatalf("the reminder went to %q, want %q", got, c.asked)
			}
			s.pass(day)
			for range 3 {
				s.tick()
			}
			told := c.told
			if told == nil {
				told = []string{"platform"}
			}
			want := slices.Sorted(slices.Values(slices.Concat(c.asked, told)))
			if got := s.notices(tenant); !slices.Equal(got, want) {
				t.Errorf("after the escalation notices went to %q, want %q", got, want)
			}
			list, err := s.db.Notices(context.Background(), tenant)
			s.must(err)
			if last := list[len(list)-1].Body; !strings.Contains(last, "This is an escalation to ") || !strings.Contains(last, c.says) {
				t.Errorf("the notice says %q, want whom it went to and %q", last, c.says)
			}
			log, err := s.Log(context.Background(), 0, 10_000, string(tenant))
			s.must(err)
			i := slices.IndexFunc(log, func(l lifecycle.LogEntry) bool { return l.Kind == "approval.escalation" })
			if i < 0 || !strings.Contains(string(log[i].Data), c.says) || c.told == nil != strings.Contains(string(log[i].Data), `"to":"nobody"`) {
				t.Errorf("the log's entries are %+v", log)
			}
			items, _, err := s.Inbox(context.Background(), everywhere("lars", c.from[0].Role), "", 10)
			s.must(err)
			if len(items) != 1 || items[0].EscalatedTo != strings.Join(c.told, ", ") || !strings.Contains(items[0].Escalation, c.says) {
				t.Errorf("the inbox has %+v", items)
			}
			s.audited()
		})
	}
}

// TestReminderLeavesTheRoleAboveOut: where anybody who approves can sign, the role
// that the gate escalates to isn't among those whom the reminder goes to.
func TestReminderLeavesTheRoleAboveOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) {
		o.Approvals = []tenure.ApprovalRule{{Name: "slow", When: tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Onboard}}, Count: 1, Remind: span("P1D"), Escalate: &tenure.Escalation{After: span("P2D"), Role: tenure.Legal}}}
	})
	s.employ(map[string][]tenure.Role{"lena": {tenure.Legal}, "rita": {tenure.Approver}})
	op, _ := s.ask("acme", "operator")
	tenant := s.view(op).Tenant
	s.pass(day + time.Minute)
	s.tick()
	if got := s.notices(tenant); slices.Contains(got, "role:legal") || !slices.Contains(got, "role:approver") {
		t.Errorf("the reminder went to %q", got)
	}
	s.pass(day)
	s.tick()
	if got := s.notices(tenant); !slices.Contains(got, "role:legal") {
		t.Errorf("with the escalation notices went to %q", got)
	}
}
