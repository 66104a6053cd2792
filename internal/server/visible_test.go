package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// TestScopesHide: who has a grant over another tier gets no word of a tenant: not
// in a list, not by its name, its id, its operation, its plan, its entries or its
// events, and what isn't there looks the same.
func TestScopesHide(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	op := onboarding(t, olga, rita, "acme")
	settle(t, s)
	h := remote(t, srv)
	far := signedIn(t, s, h, "far", tenure.Operator, tenure.Scope{Tiers: []string{"gold"}})
	auditor := signedIn(t, s, h, "auditor", tenure.Auditor, tenure.Scope{Tiers: []string{"gold"}})
	near := signedIn(t, s, h, "near", tenure.Operator, tenure.Scope{Tenants: []tenure.TenantID{op.Tenant}})

	for name, c := range map[string]*client.Client{"by name": far, "by auditor": auditor} {
		for what, err := range map[string]error{
			"name":      second(client.ShowTenant.Call(ctx, c, client.TenantParams{Tenant: "acme"})),
			"id":        second(client.ShowTenant.Call(ctx, c, client.TenantParams{Tenant: string(op.Tenant)})),
			"explain":   second(client.ExplainTenant.Call(ctx, c, client.TenantParams{Tenant: "acme"})),
			"operation": second(client.ShowOperation.Call(ctx, c, client.OperationParams{Operation: string(op.ID)})),
			"plan":      second(client.ShowPlan.Call(ctx, c, client.DigestParams{Digest: op.Plan})),
			"filter":    second(client.ListOperations.Call(ctx, c, client.OperationFilter{Tenant: "acme"})),
			"findings":  second(client.ListFindings.Call(ctx, c, client.FindingFilter{Tenant: "acme"})),
			"events":    second(client.WatchOperation.Call(ctx, c, client.OperationEvents{OperationParams: client.OperationParams{Operation: string(op.ID)}})),
		} {
			if tenure.CodeOf(err) != tenure.NotFound {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	there := second(client.ShowTenant.Call(ctx, far, client.TenantParams{Tenant: "acme"}))
	absent := second(client.ShowTenant.Call(ctx, far, client.TenantParams{Tenant: "none"}))
	if there == nil || absent == nil || strings.Replace(there.Error(), "acme", "none", 1) != absent.Error() {
		t.Errorf("what is hidden says %v, what isn't there says %v", there, absent)
	}
	tenants, err := client.ListTenants.Call(ctx, far, client.TenantFilter{})
	if err != nil || len(tenants.Items) != 0 {
		t.Errorf("tenants: %v, %v", tenants, err)
	}
	operations, err := client.ListOperations.Call(ctx, far, client.OperationFilter{})
	if err != nil || len(operations.Items) != 0 {
		t.Errorf("operations: %v, %v", operations, err)
	}
	entries, err := client.ReadLog.Call(ctx, auditor, client.LogFilter{})
	if err != nil || len(entries.Items) != 0 {
		t.Errorf("entries: %v, %v", entries, err)
	}
	// Who has a grant over it sees it, and may not do what their role doesn't let them.
	if got, err := client.ShowTenant.Call(ctx, near, client.TenantParams{Tenant: "acme"}); err != nil || got.Name != "acme" {
		t.Errorf("near: %v, %v", got, err)
	}
	if got, err := client.ListTenants.Call(ctx, near, client.TenantFilter{}); err != nil || len(got.Items) != 1 {
		t.Errorf("near: %v, %v", got, err)
	}
	var p client.GateParams
	p.Operation, p.Body.Digest = string(op.ID), op.Plan
	if err := second(client.ApproveOperation.Call(ctx, near, p)); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("an operator approves: %v", err)
	}
	// A new tenant is asked for within one's reach alone.
	var in client.OperationRequest
	in.Body.Intent = client.Intent{Kind: tenure.Onboard, Tenant: "new", Blueprint: "small", Parameters: map[string]any{"login": "a"}}
	if err := second(client.RequestOperation.Call(ctx, far, in)); err == nil || tenure.CodeOf(err) == tenure.Internal {
		t.Errorf("an onboarding out of reach: %v", err)
	}
	in.Body.Tier = "gold"
	if _, err := client.RequestOperation.Call(ctx, far, in); err != nil {
		t.Errorf("an onboarding within reach: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
