package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// A name that the system gives, such as a telephone number, comes in as a parameter. Two
// tenants can't have the same one: the second is refused, and the first keeps its own.
func TestNameByParameter(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	text := strings.Replace(fmt.Sprintf(blueprintText, "3.0"), "name: ${tenant.name}-${env.name}-key", "name: ${params.login}-${env.name}", 1)
	s.publishText(text)
	begin := func(tenant, login string) (tenure.OperationID, error) {
		in := lifecycle.Intent{Kind: tenure.Onboard, Tenant: tenant, Blueprint: "small@3.0", Tier: "team", Parameters: map[string]any{"login": login}}
		_, op, err := s.Request(context.Background(), in, "operator")
		s.settle()
		return op.ID, err
	}
	first, err := begin("acme", "4711")
	s.must(err)
	s.approve(first, "reviewer")
	s.wantState(first, tenure.OperationSucceeded)
	if _, err := begin("birch", "4711"); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("another tenant's number is %v", err)
	}
	second, err := begin("cedar", "4712")
	s.must(err)
	s.approve(second, "reviewer")
	s.wantState(second, tenure.OperationSucceeded)
	if _, there := s.world.Get("api_key", "4711-prod"); !there {
		t.Error("the first tenant's key is gone")
	}
}
