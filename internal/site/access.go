package site

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// section is one of the access pages: who it is for, and what fills it.
type section struct {
	name dashboard.AccessSection
	open func(*visit) bool
	fill func(*visit, *dashboard.AccessView) error
}

// sections are in the order of the page's tabs.
func sections() []section {
	anybody := func(*visit) bool { return true }
	readers := func(v *visit) bool { return v.may(tenure.AccessRead, tenure.Target{}) }
	any := func(of ...tenure.Permission) func(*visit) bool {
		return func(v *visit) bool { return slices.ContainsFunc(of, v.caller.May) }
	}
	return []section{
		{dashboard.AccessPrincipals, readers, (*visit).principals},
		{dashboard.AccessGrants, readers, (*visit).grants},
		{dashboard.AccessTokens, anybody, (*visit).tokens},
		{dashboard.AccessSessions, anybody, (*visit).sessions},
		{dashboard.AccessNotices, anybody, (*visit).notices},
		{dashboard.AccessElevations, any(tenure.ElevationRequest, tenure.ElevationApprove, tenure.AccessRead), (*visit).elevations},
		{dashboard.AccessBreakGlass, any(tenure.BreakGlassUse, tenure.BreakGlassReview, tenure.AccessRead), (*visit).breakGlasses},
		{dashboard.AccessDelegations, any(tenure.OperationApprove, tenure.AccessRead), (*visit).delegations},
		{dashboard.AccessStanding, any(tenure.StandingPropose, tenure.StandingApprove, tenure.AuditRead), (*visit).standings},
		{dashboard.AccessAgreements, any(tenure.AgreementRead), (*visit).agreements},
		{dashboard.AccessPolicies, readers, (*visit).policies},
		{dashboard.AccessDecision, anybody, (*visit).decision},
	}
}

func (s *Site) accessPages() {
	s.page("GET /access", (*visit).firstSection)
	for _, sec := range sections() {
		s.page("GET "+sec.name.Path(), func(v *visit) error { return v.section(sec, nil) })
	}
	s.page("POST /access/principals", (*visit).addPrincipal)
	s.page("POST /access/principals/{principal}", (*visit).changePrincipal)
	s.page("POST /access/grants", (*visit).giveGrant)
	s.page("POST /access/grants/{grant}/revoke", (*visit).revokeGrant)
	s.page("POST /access/tokens", (*visit).makeToken)
	s.page("POST /access/tokens/{token}/revoke", (*visit).revokeToken)
	s.page("POST /access/sessions/{session}/revoke", (*visit).revokeSession)
	s.page("POST /access/notices/settings", (*visit).setNotices)
	s.elevationForms()
	s.delegationForms()
	s.standingForms()
	s.agreementForms()
}

func (v *visit) firstSection() error {
	for _, sec := range sections() {
		if sec.open(v) {
			http.Redirect(v.w, v.Request, sec.name.Path(), http.StatusSeeOther)
			return nil
		}
	}
	return tenure.Errorf(tenure.Forbidden, "%s sees nothing of who has access", v.caller.Name)
}

// section shows one of the access pages. flash, if any, is what a change came to
// that is told in this very answer: a secret that is shown once.
func (v *visit) section(sec section, flash *dashboard.Flash) error {
	if !sec.open(v) {
		return tenure.Errorf(tenure.Forbidden, "%s may not see %s", v.caller.Name, strings.ToLower(sec.name.String()))
	}
	view := dashboard.AccessView{Section: sec.name}
	for _, s := range sections() {
		if s.open(v) {
			view.Sections = append(view.Sections, s.name)
		}
	}
	if err := sec.fill(v, &view); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	frame := v.frame(dashboard.AreaAccess, "")
	if flash != nil {
		frame.Flash = flash
	}
	return v.s.pages.Access(v.w, frame, view)
}

// once shows a section with a secret in the answer itself: a redirect would have
// to keep it somewhere.
func (v *visit) once(name dashboard.AccessSection, text, secret string) error {
	for _, sec := range sections() {
		if sec.name == name {
			return v.section(sec, &dashboard.Flash{Kind: dashboard.FlashDone, Text: text, Code: secret})
		}
	}
	return tenure.Errorf(tenure.NotFound, "there is no section %q", name)
}

// offer is an action for who has a permission over a target: as it is, or with the
// reason where only the sign-in is too weak. Nobody else is offered it.
func (v *visit) offer(a dashboard.Action, p tenure.Permission, t tenure.Target) []dashboard.Action {
	d := v.s.o.Governor.Decide(v.ctx, v.caller, p, t)
	switch {
	case d.Allowed:
	case p.NeedsStrong() && !v.caller.Strong && d.Grant != "" && len(d.Denied) == 0:
		a.Not = "It " + strings.TrimPrefix(d.Why, string(p)+" ") + "."
	default:
		return nil
	}
	return []dashboard.Action{a}
}

// people remembers the names of the principals on one page.
type people struct {
	v    *visit
	have map[tenure.PrincipalID]string
}

func (v *visit) people() *people {
	return &people{v, map[tenure.PrincipalID]string{v.caller.Principal: v.caller.Name}}
}

// of is the name of a principal whom the API has told of by its id.
func (p *people) of(id tenure.PrincipalID) string {
	if id == "" {
		return ""
	}
	name, ok := p.have[id]
	if !ok {
		name = string(id)
		if who, _, err := p.v.s.o.Governor.Principal(p.v.ctx, name); err == nil {
			name = who.Name
		}
		p.have[id] = name
	}
	return name
}

// scopeText is a scope in words, with the names of the tenants that the caller
// may know of.
func (v *visit) scopeText(s tenure.Scope, names *nameTable) string {
	var parts []string
	for _, id := range s.Tenants {
		if t, err := v.s.o.Governor.Target(v.ctx, string(id)); err == nil && v.caller.Sees(t) {
			parts = append(parts, names.of(id))
		} else {
			parts = append(parts, string(id))
		}
	}
	rest := s
	rest.Tenants = nil
	if !rest.IsZero() || len(parts) == 0 {
		parts = append(parts, rest.String())
	}
	return strings.Join(parts, ", ")
}

// scopeFields ask for a scope; scopeOf reads them.
func scopeFields(all bool) []dashboard.Field {
	out := []dashboard.Field{
		{Name: "tenants", Label: "Tenants", Max: 2000, Hint: "names or ids, with commas"},
		{Name: "tiers", Label: "Tiers", Max: 1000, Hint: "with commas"},
		{Name: "labels", Label: "Labels", Max: 2000, Hint: "key=value, with commas"},
	}
	if all {
		out = append(out, dashboard.Field{Kind: dashboard.FieldCheck, Name: "all", Label: "All tenants"})
	}
	return out
}

func (v *visit) scopeOf() (tenure.Scope, error) {
	s := tenure.Scope{All: v.PostFormValue("all") == "true", Tiers: listOf(v.PostFormValue("tiers")), Labels: listOf(v.PostFormValue("labels"))}
	for _, name := range listOf(v.PostFormValue("tenants")) {
		t, err := ask(v, client.ShowTenant, client.TenantParams{Tenant: name})
		if err != nil {
			return s, tenure.Errorf(tenure.Invalid, "there is no tenant %q", name)
		}
		s.Tenants = append(s.Tenants, t.ID)
	}
	return s, nil
}

// listOf splits what a person wrote with commas or on lines.
func listOf(text string) []string {
	var out []string
	for _, s := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func roleField(value tenure.Role) dashboard.Field {
	f := dashboard.Field{Kind: dashboard.FieldChoice, Name: "role", Label: "Role", Required: true}
	for _, r := range tenure.Roles {
		f.Options = append(f.Options, dashboard.Option{Value: string(r), Label: string(r), On: r == value})
	}
	return f
}

func reasonField() dashboard.Field {
	return dashboard.Field{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Required: true, Max: 1000}
}

// ended says how something with an end and a revocation stands.
func ended(revoked, expires, now time.Time) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case !expires.IsZero() && !now.Before(expires):
		return "expired"
	}
	return "active"
}
