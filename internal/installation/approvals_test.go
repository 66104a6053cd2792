package installation_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
)

const rulesText = `approvals:
  - name: leaving
    when:
      kinds: [offboard]
      tiers: [gold]
      labels: [region=eu]
      environments: [production]
      blastRadius: {resources: 5, destructive: 1}
      gates: [gate.approval, gate.noreturn]
    count: 2
    from: [{role: legal, count: 1}]
    expires: P14D
    remind: P2D
    escalate: {after: P4D, role: security-officer}
`

func TestApprovalRulesAreReadStrictly(t *testing.T) {
	t.Parallel()
	dir := initialized(t)
	open := func(text string) ([]tenure.ApprovalRule, error) {
		if err := os.WriteFile(filepath.Join(dir, "tenure.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := installation.Open(context.Background(), installation.Options{Dir: dir})
		if err != nil {
			return nil, err
		}
		defer i.Close()
		return i.Settings.Approvals, nil
	}
	got, err := open(rulesText)
	if err != nil {
		t.Fatal(err)
	}
	period := func(s string) tenure.Period {
		p, err := tenure.ParsePeriod(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := []tenure.ApprovalRule{{
		Name: "leaving",
		When: tenure.ApprovalMatch{
			Kinds: []tenure.OperationKind{tenure.Offboard}, Tiers: []string{"gold"}, Labels: []string{"region=eu"}, Environments: []string{"production"},
			BlastRadius: tenure.BlastRadius{Resources: 5, Destructive: 1}, Gates: []tenure.Action{tenure.ActApproval, tenure.ActNoReturn},
		},
		Count: 2, From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}, Expires: period("P14D"), Remind: period("P2D"),
		Escalate: &tenure.Escalation{After: period("P4D"), Role: tenure.SecurityOfficer},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b tenure.Period) bool { return a == b })); diff != "" {
		t.Errorf("the rules as read (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"a misspelt field":       {"count: 2", "cuont: 2", "cuont"},
		"a misspelt condition":   {"tiers:", "teirs:", "teirs"},
		"a misspelt role":        {"role: legal", "role: leagl", "leagl"},
		"a role without power":   {"role: legal", "role: viewer", "can't approve"},
		"an unknown kind":        {"[offboard]", "[ofboard]", "ofboard"},
		"a bad period":           {"P14D", "14 days", "14 days"},
		"an expiry too early":    {"P14D", "P3D", "before it escalates"},
		"an unknown gate":        {"gate.noreturn", "gate.date", "gate.date"},
		"a label without value":  {"region=eu", "region", "key=value"},
		"a negative radius":      {"resources: 5", "resources: -5", "negative"},
		"more persons than nine": {"count: 2", "count: 12", "0 to 9"},
		"escalation to no group": {"role: security-officer", "group: heads", "groups doesn't have"},
		"escalation to two":      {"role: security-officer", "role: legal, group: heads", "one of the two"},
		"escalation to nobody":   {", role: security-officer", "", "one of the two"},
		"no name":                {"name: leaving", "name: ''", "name"},
	} {
		if _, err := open(strings.Replace(rulesText, c.from, c.to, 1)); err == nil || tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an Invalid that says %q", name, err, c.says)
		}
	}
	heads := strings.Replace(rulesText, "role: security-officer", "group: heads", 1)
	for groups, says := range map[string]string{
		"groups: {heads: [hanna, otto]}": "", "groups: {heads: []}": "lists nothing", "groups: {heads: [hanna, Hanna]}": "twice", "groups: {heads: ['']}": "is blank", "groups: {'': [hanna], heads: [hanna]}": "blank name",
	} {
		if _, err := open(heads + groups); (says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", groups, err, says)
		}
	}
	if _, err := open(rulesText + strings.TrimPrefix(rulesText, "approvals:\n")); err == nil || !strings.Contains(err.Error(), "two rules named") {
		t.Errorf("two rules of one name: %v", err)
	}
}
