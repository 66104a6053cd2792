package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// facts are what approval rules look at.
func facts(in Input, p *tenure.Plan) tenure.PlanFacts {
	f := tenure.PlanFacts{Plan: p, Labels: in.Tenant.Labels, WasTier: in.WasTier, Kinds: make(map[string]string, len(in.Blueprint.Environments))}
	for _, e := range in.Blueprint.Environments {
		f.Kinds[e.Name] = e.Kind
	}
	return f
}

// asks says whether some rule asks for anything at a gate of the plan, or at the
// approval gate that it doesn't have.
func asks(in Input, p *tenure.Plan) bool {
	if len(in.Rules) == 0 {
		return false
	}
	f := facts(in, p)
	if tenure.RaiseGate(in.Rules, tenure.ActApproval, tenure.Gate{}, f).Approvals > 0 {
		return true
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if (s.Action == tenure.ActApproval || s.Action == tenure.ActNoReturn) && len(tenure.RaiseGate(in.Rules, s.Action, *s.Gate, f).Rules) > 0 {
			return true
		}
	}
	return false
}

// lacksGate says whether rules ask for persons where the plan has no approval gate.
func lacksGate(in Input, p *tenure.Plan) bool {
	return tenure.RaiseGate(in.Rules, tenure.ActApproval, tenure.Gate{}, facts(in, p)).Approvals > 0 &&
		!slices.ContainsFunc(p.Steps, func(s tenure.Step) bool { return s.Key == tenure.ApprovalKey })
}

// raise writes what the rules ask for into the plan's gates, so that the digest
// covers it and a later change of the rules weakens nothing.
func raise(in Input, p *tenure.Plan) {
	f := facts(in, p)
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Action != tenure.ActApproval && s.Action != tenure.ActNoReturn {
			continue
		}
		g := tenure.RaiseGate(in.Rules, s.Action, *s.Gate, f)
		if len(g.Rules) == 0 {
			continue
		}
		s.Gate = &g
		switch s.Action {
		case tenure.ActApproval:
			if s.Key == tenure.ApprovalKey { // another says what it is about
				s.Summary = approvalOf(g.Approvals) + ofRoles(g)
			}
		default:
			label := strings.TrimPrefix(s.Key, "noreturn/")
			s.Summary = fmt.Sprintf("point of no return for %s: %d persons confirm the counts", label, g.Approvals) + ofRoles(g)
		}
	}
}

func approvalOf(n int) string {
	return fmt.Sprintf("approval of this plan's digest by %d other than the requester", n)
}

func ofRoles(g tenure.Gate) string {
	var parts []string
	for _, q := range g.From {
		parts = append(parts, fmt.Sprintf("%d of %s", q.Count, q.Role))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", among them " + strings.Join(parts, " and ")
}
