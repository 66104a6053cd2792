package installation

import (
	"github.com/tenurehq/tenure"
)

// maxApprovalRules bounds how many rules tenure.yaml holds: all are asked for every
// plan.
const maxApprovalRules = 200

// checkApprovals refuses rules of tenure.yaml that can't be right. A file with one
// wrong rule opens nothing: to go on with the others would weaken what was meant.
func checkApprovals(rules []tenure.ApprovalRule, groups map[string][]string) error {
	if err := tenure.CheckGroups(groups); err != nil {
		return tenure.Errorf(tenure.Invalid, "tenure.yaml: %w", err)
	}
	if len(rules) > maxApprovalRules {
		return tenure.Errorf(tenure.Invalid, "tenure.yaml: there are %d approval rules; at most %d are read", len(rules), maxApprovalRules)
	}
	names := make(map[string]bool, len(rules))
	for i, r := range rules {
		if err := r.Check(); err != nil {
			return tenure.Errorf(tenure.Invalid, "tenure.yaml: approvals[%d]: %w", i, err)
		}
		if e := r.Escalate; e != nil && e.Group != "" && len(groups[e.Group]) == 0 {
			return tenure.Errorf(tenure.Invalid, "tenure.yaml: approvals[%d]: it escalates to the group %q, which groups doesn't have", i, e.Group)
		}
		if names[r.Name] {
			return tenure.Errorf(tenure.Invalid, "tenure.yaml: approvals[%d]: there are two rules named %q", i, r.Name)
		}
		names[r.Name] = true
	}
	return nil
}
