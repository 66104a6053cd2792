package planner

import (
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
)

// vendors adds the questions to the companies that hold data of the tenant and have no interface: once the
// tenant is past every point of no return of what goes now. The last reconciliation waits for the
// answers, and so does the closing certificate, since they can be withdrawn in between.
func (c *compiler) vendors(erased []string) (answers []string) {
	var needs []string
	for _, key := range erased {
		if key == "erasing" || strings.HasPrefix(key, "erasing/") {
			needs = append(needs, key)
		}
	}
	for i, v := range c.in.Blueprint.Offboarding.Vendors {
		if v.For(c.in.Tenant.Tier) {
			answers = append(answers, c.add(tenure.Step{Key: fmt.Sprintf("vendor/%d", i+1), Stage: tenure.StageErasure, Action: tenure.ActVendor, Needs: some(needs), Gate: &tenure.Gate{Vendor: &v}, Summary: v.Name + " answers that it holds nothing of the tenant any more: " + v.Holds}))
		}
	}
	return answers
}
