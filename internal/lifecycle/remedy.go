package lifecycle

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/hygiene"
)

// Remedy is what settles a finding.
type Remedy struct {
	Plan    string   // the command that plans it, "" if none does
	Steps   []string // what a person does, in this order
	Checked string   // how it is seen that it worked
}

// Remedy says what settles a finding. What bears our own mark goes by a plan, with its
// approvals; anything else is a person's: Tenure deletes nothing that isn't authenticated
// as its own.
func (s *Service) Remedy(ctx context.Context, f tenure.Finding) (out Remedy, err error) {
	name, state := string(f.Tenant), tenure.TenantState("")
	if f.Tenant != "" {
		t, err := s.o.DB.Tenant(ctx, string(f.Tenant))
		if err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return out, err
		}
		if state = t.State; t.Name != "" && state != tenure.TenantClosed {
			name = t.Name
		}
	}
	out.Checked = "The next sweep closes the finding when it is gone: tenure sweep"
	let := "or, if it may stay, have somebody else than who asked for the departure let it be: tenure finding waive " + string(f.ID) + " --until DATE --reason REASON"
	thing := f.Type + " " + f.Name + " in " + f.System
	switch {
	case f.Kind == tenure.FindingDrift, f.Kind == tenure.FindingExposure, f.Kind == tenure.FindingLostMark:
		if f.Tenant != "" {
			out.Plan = "tenure plan repair " + name
		}
		out.Checked = "The next look closes the finding when it is mended: tenure drift"
	case f.Kind == tenure.FindingCredential && (f.Field == ageField || f.Field == hygiene.Shown) && f.Resource != "":
		out.Plan = "tenure plan repair " + name + " --reissue --resource " + string(f.Resource)
		out.Checked = "The finding closes when the new credential was made: tenure secret list"
	case f.Kind == tenure.FindingCredential && (f.Field == ageField || f.Field == hygiene.Shown):
		out.Steps = []string{"put a new credential where systems.yaml says that it is kept", "have it take over: tenure system rotate " + f.System, "take the old one off in " + f.System}
		out.Checked = "The finding closes when the new credential has taken over: tenure secret list"
	case f.Kind == tenure.FindingRevision:
		out.Steps = append(slices.Clone(f.Steps), let)
		out.Checked = fmt.Sprintf("The finding closes when fewer than %d of the tenants that moved in by it within the last 90 days had an incident", tenure.RevisionTrouble)
	case len(f.Steps) > 0:
		out.Steps = append(out.Steps, "make sure whose it is ("+string(f.Confidence)+")")
		out.Steps = append(out.Steps, f.Steps...)
		out.Steps = append(out.Steps, let)
	case f.Kind == tenure.FindingDormant:
		out.Steps = []string{"ask the tenant whether " + thing + " is still needed", "take it out of the blueprint, or revoke it by name: tenure tenant revoke " + name + " --resource ENVIRONMENT/KEY", let}
	case state == tenure.TenantClosed && (f.Kind == tenure.FindingResidue || f.Confidence == tenure.Certain):
		out.Plan = "tenure plan supplement " + name
	case f.Kind == tenure.FindingGhost && f.Resource != "":
		out.Steps = []string{"switch " + thing + " off now", "see why the departure hasn't: tenure explain " + name, "have it go on: its steps cut and delete " + thing}
	case f.Kind == tenure.FindingOrphan, f.Kind == tenure.FindingResidue, f.Kind == tenure.FindingGhost:
		out.Steps = []string{"find out who made " + thing + ", and what uses it", "switch it off there, and delete it when nobody misses it", let}
	default:
		out.Steps = []string{"see what it says: " + f.Detail, let}
	}
	return out, nil
}
