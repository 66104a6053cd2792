package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// TestTenantsListSaysWhatIsNext: beside each tenant of the list stand how many of its
// findings are open, and what is next for it, with who must act.
func TestTenantsListSaysWhatIsNext(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	olga := as(t, srv, "olga")
	op := onboarding(t, olga, as(t, srv, "rita"), "acme")
	settle(t, s)
	err := s.Engine.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.SaveFinding(tenure.Finding{ID: tenure.NewID[tenure.FindingID](s.Now()), Kind: tenure.FindingDrift, Severity: tenure.High, Tenant: op.Tenant, System: "main", Name: "n", Detail: "d", SeenAt: s.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ListTenants.Call(ctx, olga, client.TenantFilter{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("the list is %+v (%v)", list, err)
	}
	got := list.Items[0]
	if got.OpenFindings[tenure.High] != 1 || len(got.OpenFindings) != 1 {
		t.Errorf("the open findings are %v", got.OpenFindings)
	}
	if n := got.Next; n == nil || n.Operation != op.ID || !strings.Contains(n.What, "waits for approval") || !strings.Contains(n.Who, "approves") {
		t.Errorf("what is next is %+v", n)
	}
}
