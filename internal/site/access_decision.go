package site

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// permissions are all that there are, in the order of their names.
func permissions() []string {
	var out []string
	for _, r := range tenure.Roles {
		for _, p := range r.Permissions() {
			out = append(out, string(p))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (v *visit) decision(view *dashboard.AccessView) error {
	q := v.URL.Query()
	p := client.DecisionParams{}
	p.Body.Principal, p.Body.Permission, p.Body.Tenant = strings.TrimSpace(q.Get("principal")), tenure.Permission(q.Get("permission")), strings.TrimSpace(q.Get("tenant"))
	who := dashboard.Field{Kind: dashboard.FieldSearch, Name: "principal", Label: "Who", Value: p.Body.Principal, Hint: "blank: yourself"}
	what := choice("permission", "May they", q.Get("permission"), "choose", permissions()...)
	for i := range what.Options[1:] {
		what.Options[i+1].Label = what.Options[i+1].Value
	}
	over := dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Over the tenant", Value: p.Body.Tenant, Hint: "blank: over all of the installation"}
	view.Decision.Ask = filters("/access/decision", q, who, what, over)
	if p.Body.Permission == "" {
		return nil
	}
	d, err := ask(v, client.ExplainDecision, p)
	if err != nil {
		return err
	}
	view.Decision.Answer = d
	view.Decision.Asked = "May " + orElse(p.Body.Principal, v.caller.Name) + " " + string(p.Body.Permission) + " over " + orElse(p.Body.Tenant, "the installation") + "?"
	view.Decision.Steps = decisionSteps(d)
	return nil
}

// decisionSteps are what was looked at: the grants, which allow, and the policies,
// which deny further.
func decisionSteps(d tenure.Decision) []dashboard.DecisionStep {
	grants := dashboard.DecisionStep{What: "Grants", Found: d.Why, Outcome: "denied"}
	if d.Allowed || len(d.Denied) > 0 {
		grants.Outcome = "allowed"
		grants.Found = strings.TrimSpace("role " + string(d.Role) + " by " + string(d.Grant))
		if d.Grant == "" {
			grants.Found = d.Why
		}
	}
	out := []dashboard.DecisionStep{grants}
	switch {
	case len(d.Denied) > 0:
		out = append(out, dashboard.DecisionStep{What: "Policies", Found: strings.Join(d.Denied, ", "), Outcome: "denied"})
	case d.Allowed:
		out = append(out, dashboard.DecisionStep{What: "Policies", Found: "none denies it", Outcome: "nothing"})
	}
	return out
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
