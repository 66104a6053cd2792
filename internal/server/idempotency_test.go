package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// onboarded brings a tenant's onboarding to its gate, in an installation with one
// system and a published blueprint.
func onboarding(t *testing.T, c, reviewer *client.Client, name string) client.Operation {
	t.Helper()
	ctx := context.Background()
	var in client.OperationRequest
	in.Body.Intent = client.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Parameters: map[string]any{"login": "a@b.example"}}
	op, err := client.RequestOperation.Call(ctx, c, in)
	if tenure.CodeOf(err) == tenure.NotFound {
		addMain(t, c)
		var p client.SourceParams
		if err := json.Unmarshal([]byte(client.SubmitBlueprint.Example), &p.Body); err != nil {
			t.Fatal(err)
		}
		if _, err := client.SubmitBlueprint.Call(ctx, c, p); err != nil {
			t.Fatal(err)
		}
		if _, err := client.PublishBlueprint.Call(ctx, reviewer, client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: "small@1.0"}}); err != nil {
			t.Fatal(err)
		}
		op, err = client.RequestOperation.Call(ctx, c, in)
	}
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestIdempotencyKey: the same request under the same key does its work once; what
// isn't the same, or isn't the same caller's, isn't answered with another's answer.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	onboarding(t, olga, rita, "first")
	h := srv.LocalHandler()
	send := func(by, key, body string) (int, string, string) {
		code, header, answer := do(t, h, "POST", "/v1/operations", body, map[string]string{client.PrincipalHeader: by, "Idempotency-Key": key})
		return code, header.Get("Idempotency-Replayed"), answer
	}
	const acme = `{"kind":"onboard","tenant":"acme","blueprint":"small","parameters":{"login":"a"}}`
	code, replayed, one := send("olga", "k1", acme)
	if code != 202 || replayed != "" {
		t.Fatalf("%d %q %s", code, replayed, one)
	}
	if code, replayed, two := send("olga", "k1", acme); code != 202 || replayed != "true" || one != two {
		t.Errorf("again: %d %q %s", code, replayed, two)
	}
	if code, _, body := send("olga", "k1", strings.Replace(acme, "acme", "other", 1)); code != 409 || !strings.Contains(body, "another request") {
		t.Errorf("another body: %d %s", code, body)
	}
	if code, replayed, body := send("mallory", "k1", acme); code != 409 || replayed != "" || strings.Contains(body, "op_") {
		t.Errorf("another caller: %d %q %s", code, replayed, body)
	}
	if code, _, body := send("olga", strings.Repeat("k", 201), acme); code != 400 {
		t.Errorf("a long key: %d %s", code, body)
	}
	// A refusal is an answer too; one that may pass isn't kept.
	if code, _, _ := send("olga", "k2", `{"kind":"suspend","tenant":"nobody"}`); code != 404 {
		t.Errorf("nobody: %d", code)
	}
	if code, replayed, _ := send("olga", "k2", `{"kind":"suspend","tenant":"nobody"}`); code != 404 || replayed != "true" {
		t.Errorf("nobody again: %d %q", code, replayed)
	}
}

// TestIfMatch: who read an older version doesn't change the newer one.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "acme")
	h := srv.LocalHandler()
	header := map[string]string{client.PrincipalHeader: "olga"}
	_, got, _ := do(t, h, "GET", "/v1/operations/"+string(op.ID), "", header)
	tag := got.Get("ETag")
	if tag == "" {
		t.Fatal("an operation has no ETag")
	}
	header["If-Match"] = tag
	if code, _, body := do(t, h, "POST", "/v1/operations/"+string(op.ID)+"/pause", "", header); code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	code, _, body := do(t, h, "POST", "/v1/operations/"+string(op.ID)+"/cancel", "", header)
	if c, _ := codeOf(t, body); code != 412 || c != tenure.Conflict {
		t.Errorf("an older version was changed: %d %s", code, body)
	}
}

// TestSecretsAreNotReplayed: a claim's answer is given once, also under its key.
func TestSecretsAreNotReplayed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	op := onboarding(t, olga, rita, "acme")
	var p client.GateParams
	p.Operation, p.Body.Digest = string(op.ID), op.Plan
	settle(t, s)
	if _, err := client.ApproveOperation.Call(ctx, rita, p); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	header := map[string]string{client.PrincipalHeader: "olga", "Idempotency-Key": "once"}
	claim := func() (int, string) {
		code, _, body := do(t, srv.LocalHandler(), "POST", "/v1/operations/"+string(op.ID)+"/claim", "", header)
		return code, body
	}
	code, body := claim()
	var first client.Page[client.Output]
	if err := json.Unmarshal([]byte(body), &first); err != nil || code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	secret := ""
	for _, o := range first.Items {
		secret += o.Secret
	}
	if secret == "" {
		t.Fatalf("no secret was claimed: %s", body)
	}
	if code, body := claim(); code != 409 || strings.Contains(body, secret) || !strings.Contains(body, "given once") {
		t.Errorf("the replay: %d %s", code, body)
	}
}

// TestAnswersGoWithTheirTenant: what is kept of the requests about a tenant goes when
// it is forgotten, and a neighbour's stays, however the tenant was named.
func TestAnswersGoWithTheirTenant(t *testing.T) {
	t.Parallel()
	svc := newService(t)
	srv := newServer(t, svc)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	op, other := onboarding(t, olga, rita, "acme"), onboarding(t, olga, rita, "birch")
	h := srv.LocalHandler()
	plan := func(login string) string {
		return `{"kind":"onboard","tenant":"zzplanned","blueprint":"small","parameters":{"login":"` + login + `"}}`
	}
	var planned client.Plan
	asked := []struct{ path, body string }{
		{"/v1/plans", plan("a")},
		{"/v1/operations/" + string(op.ID) + "/cancel", ``},
		{"/v1/tenants/acme/incidents", `{"id":"i","severity":"low","source":"s","detail":"d"}`},
		{"/v1/operations", `{"kind":"suspend","tenant":"acme","reason":"it isn't active yet"}`}, // refused, and named
		{"/v1/operations/" + string(other.ID) + "/cancel", ``},
		{"/v1/tenants/birch/incidents", `{"id":"i","severity":"low","source":"s","detail":"d"}`},
	}
	send := func(i int, body string) (int, string) {
		code, _, answer := do(t, h, "POST", asked[i].path, body, map[string]string{client.PrincipalHeader: "olga", "Idempotency-Key": fmt.Sprint("key", i)})
		return code, answer
	}
	for i, c := range asked {
		code, answer := send(i, c.body)
		if code >= 500 || code == 404 {
			t.Fatalf("%s: %d %s", c.path, code, answer)
		}
		if i == 0 {
			if err := json.Unmarshal([]byte(answer), &planned); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, err := planned.Read()
	if err != nil {
		t.Fatal(err)
	}
	// Another request under a key is refused for as long as its answer is kept.
	left := func() (kept []int) {
		for i := range asked {
			if _, answer := send(i, `{"x":1}`); strings.Contains(answer, "another request was sent under this") {
				kept = append(kept, i)
			}
		}
		return kept
	}
	forget := func(id tenure.TenantID) {
		err := svc.Engine.DB.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.FreeNames(id); err != nil {
				return err
			}
			_, err := tx.Forget(id, svc.Now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, left()); d != "" {
		t.Fatal(d)
	}
	if code, _, answer := do(t, h, "POST", "/v1/operations", `{"plan":"`+planned.Digest+`"}`, map[string]string{client.PrincipalHeader: "olga"}); code >= 300 {
		t.Fatalf("%d %s", code, answer)
	}
	forget(p.Tenant)
	forget(op.Tenant)
	if d := cmp.Diff([]int{4, 5}, left()); d != "" {
		t.Error("when two tenants are forgotten:", d)
	}
}
