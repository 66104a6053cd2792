package lifecycle_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// staff is a site with people who sign in.
type staff struct {
	*site
	gov    *governance.Governor
	tokens map[string]tenure.Secret
}

func newStaff(t *testing.T, s *site) *staff {
	t.Helper()
	f := &staff{site: s, tokens: make(map[string]tenure.Secret)}
	f.gov = governance.New(governance.Options{DB: s.db, Now: s.Now, Entry: s.Entry})
	s.Govern(f.gov.Decide)
	return f
}

// hire adds a person, or a machine that somebody answers for, with roles.
func (f *staff) hire(name, owner string, scope tenure.Scope, roles ...tenure.Role) {
	f.t.Helper()
	ctx := context.Background()
	p := store.Principal{Name: name, Kind: tenure.CallerPerson}
	if owner != "" {
		p.Kind, p.Owner = tenure.CallerMachine, owner
	}
	p, err := f.gov.AddPrincipal(ctx, p, "root")
	f.must(err)
	for _, r := range roles {
		_, err := f.gov.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: p.ID, Role: r, Scope: scope, Reason: "r"})
		f.must(err)
	}
	_, f.tokens[name], err = f.gov.NewToken(ctx, governance.Local("root"), name, store.Token{Name: "t", ExpiresAt: f.Now().Add(300 * day)})
	f.must(err)
}

// as is somebody who has just signed in, strongly.
func (f *staff) as(name string) tenure.Caller {
	f.t.Helper()
	c, err := f.gov.Authenticate(context.Background(), governance.Credential{Bearer: f.tokens[name]})
	f.must(err)
	c.Strong = true
	return c
}

func (f *staff) delegate(from, to string, scope tenure.Scope) (tenure.Delegation, error) {
	return f.gov.Delegate(context.Background(), f.as(from), tenure.Delegation{To: to, Scope: scope, Reason: "on leave", EndsAt: f.Now().Add(10 * day)})
}

func (f *staff) sign(name string, op tenure.OperationID) error {
	_, err := f.ApproveAs(context.Background(), f.as(name), op, "", f.view(op).Plan, "")
	f.settle()
	return err
}

func TestDelegationGivesApprovalsAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newStaff(t, strict(t))
	ctx := context.Background()
	all, eu, team := tenure.Scope{All: true}, tenure.Scope{Labels: []string{"region=eu"}}, tenure.Scope{Tiers: []string{"team"}}
	f.hire("olga", "", all, tenure.Operator)
	f.hire("rita", "", all, tenure.Approver)
	f.hire("lena", "", team, tenure.Legal)
	f.hire("dora", "", tenure.Scope{Tiers: []string{"none"}}, tenure.Viewer)
	f.hire("audi", "", all, tenure.Auditor)
	f.hire("robo", "olga", all, tenure.Viewer)
	op, _ := f.ask("acme", "olga")

	wantCode(t, f.sign("dora", op), tenure.NotFound) // she may not even know of it
	for name, c := range map[string]struct {
		from, to string
		scope    tenure.Scope
		code     tenure.Code
	}{
		"more than one has": {"lena", "dora", all, tenure.Forbidden},
		"another scope":     {"lena", "dora", eu, tenure.Forbidden},
		"what one hasn't":   {"olga", "dora", team, tenure.Forbidden},
		"to an auditor":     {"lena", "audi", team, tenure.Conflict},
		"to a machine":      {"lena", "robo", team, tenure.Invalid},
		"to nobody":         {"lena", "nobody", team, tenure.NotFound},
		"by a machine":      {"robo", "dora", team, tenure.Forbidden},
	} {
		if _, err := f.delegate(c.from, c.to, c.scope); tenure.CodeOf(err) != c.code {
			t.Errorf("%s: %v (%s), want %s", name, err, tenure.CodeOf(err), c.code)
		}
	}
	d, err := f.delegate("lena", "dora", team)
	f.must(err)
	if _, err := f.delegate("dora", "rita", team); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("handed on: %v", err)
	}
	dora := f.as("dora")
	v, err := f.Tenant(ctx, "acme")
	f.must(err)
	target := tenure.Target{Tenant: v.ID, Tier: "team", Labels: map[string]string{"region": "eu"}}
	for _, p := range []tenure.Permission{tenure.HoldRelease, tenure.HoldPlace, tenure.AuditRead, tenure.TenantChange, tenure.ReviewDecide} {
		if dora.Decide(p, target).Allowed {
			t.Errorf("a delegation of approvals gives %s", p)
		}
	}
	items, _, err := f.Inbox(ctx, dora, "", 0)
	f.must(err)
	if len(items) != 1 || items[0].Delegator != "lena" {
		t.Errorf("the inbox of the delegate is %+v", items)
	}
	f.must(f.sign("dora", op)) // in lena's role
	wantCode(t, f.sign("lena", op), tenure.Conflict, "count once together")
	if a := f.view(op).Approvals; len(a) != 1 || a[0].For != "lena" || !slices.Equal(a[0].Roles, []tenure.Role{tenure.Legal}) {
		t.Errorf("the approval is %+v", a)
	}
	f.must(f.sign("rita", op))
	f.wantState(op, tenure.OperationSucceeded)
	log, err := f.Log(ctx, 0, 10_000, "")
	f.must(err)
	for _, kind := range []string{"delegation.give", "approval"} {
		if !slices.ContainsFunc(log, func(l lifecycle.LogEntry) bool { return l.Kind == kind }) {
			t.Errorf("the log has no %s", kind)
		}
	}
	// Revoked, and by who may: it is gone with the next request.
	second, _ := f.ask("beta", "olga")
	_, err = f.gov.RevokeDelegation(ctx, f.as("rita"), d.ID)
	wantCode(t, err, tenure.NotFound)
	_, err = f.gov.RevokeDelegation(ctx, f.as("dora"), d.ID)
	f.must(err)
	wantCode(t, f.sign("dora", second), tenure.NotFound)
	mine, err := f.gov.Delegations(ctx, f.as("lena"), false, true)
	f.must(err)
	if len(mine) != 1 || mine[0].RevokedBy != "dora" {
		t.Errorf("lena's delegations are %+v", mine)
	}
	if _, err := f.gov.Delegations(ctx, f.as("lena"), true, true); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("everybody's, to who reads no access: %v", err)
	}
	f.audited()
}

// While a delegation stands, its two persons count as one: neither approves what
// the other requested, whoever of them has the right.
func TestDelegationNeverServesTheRequester(t *testing.T) {
	t.Parallel()
	f := newStaff(t, newSite(t, nil))
	ctx := context.Background()
	all := tenure.Scope{All: true}
	f.hire("olga", "", all, tenure.Operator, tenure.Approver)
	f.hire("rita", "", all, tenure.Approver)
	f.hire("dora", "", all, tenure.Operator)
	f.hire("sam", "", all, tenure.Approver)
	f.hire("shop", "sam", all)
	for _, to := range []string{"rita", "dora"} {
		_, err := f.delegate("olga", to, all)
		f.must(err)
	}
	op, _ := f.ask("acme", "olga")
	wantCode(t, f.sign("olga", op), tenure.Forbidden, "requested this operation")
	wantCode(t, f.sign("rita", op), tenure.Forbidden, "count as one person")
	wantCode(t, f.sign("dora", op), tenure.Forbidden, "count as one person")
	f.must(f.sign("sam", op))
	f.wantState(op, tenure.OperationSucceeded)
	// The delegate requests, and the delegator approves: the same two.
	second, _ := f.ask("beta", "dora")
	wantCode(t, f.sign("olga", second), tenure.Forbidden, "count as one person")
	// A machine's request is that of the person who answers for it.
	third, _ := f.ask("gamma", "shop")
	wantCode(t, f.sign("sam", third), tenure.Forbidden, "answers for shop")
	items, _, err := f.Inbox(ctx, f.as("sam"), "", 0)
	f.must(err)
	if slices.ContainsFunc(items, func(i lifecycle.InboxItem) bool { return i.ID == string(third) }) {
		t.Error("the inbox offers sam what his machine asked for")
	}
	_, err = f.Reject(ctx, f.as("sam"), third, "", "no")
	wantCode(t, err, tenure.Forbidden)
	f.must(f.sign("rita", third))
	f.wantState(third, tenure.OperationSucceeded)
}

// What the delegator has lost, or the delegation's end has taken, the delegate
// hasn't either, with the very next request.
func TestDelegationEndsWithWhatItIsOf(t *testing.T) {
	t.Parallel()
	f := newStaff(t, newSite(t, nil))
	ctx := context.Background()
	all := tenure.Scope{All: true}
	f.hire("rita", "", all, tenure.Approver)
	f.hire("dora", "", all, tenure.Viewer)
	_, err := f.delegate("rita", "dora", all)
	f.must(err)
	op, _ := f.ask("acme", "olga")
	before := f.Now()
	f.clock.Add((10*day + time.Second).Microseconds())
	wantCode(t, f.sign("dora", op), tenure.Forbidden)
	f.clock.Store(before.UnixMicro())
	p, grants, err := f.gov.Principal(ctx, "rita")
	f.must(err)
	f.must(f.gov.RevokeGrant(ctx, governance.Local("root"), grants[0].ID))
	wantCode(t, f.sign("dora", op), tenure.Forbidden)
	_, err = f.gov.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: p.ID, Role: tenure.Approver, Scope: all, Reason: "r"})
	f.must(err)
	_, err = f.gov.DisablePrincipal(ctx, "rita", true, 0, "root")
	f.must(err)
	wantCode(t, f.sign("dora", op), tenure.Forbidden)
	_, err = f.gov.DisablePrincipal(ctx, "rita", false, 0, "root")
	f.must(err)
	f.must(f.sign("dora", op))
	f.wantState(op, tenure.OperationSucceeded)
}
