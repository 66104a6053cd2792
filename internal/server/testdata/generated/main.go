// The main story of a tenant, told by a client that another project's generator made
// from the document: moved in, approved, active, moved out, approved, certified. Its
// one argument is the server's address.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
)

func main() {
	if err := story(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ptr[T any](v T) *T { return &v }

// as is a client in somebody's name.
func as(server, name string) (*ClientWithResponses, error) {
	return NewClientWithResponses(server, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Tenure-Principal", name)
		return nil
	}))
}

func refused(what string, status string, body []byte) error {
	return fmt.Errorf("%s: %s %s", what, status, body)
}

func story(ctx context.Context, server string) error {
	olga, err := as(server, "olga")
	if err != nil {
		return err
	}
	rita, err := as(server, "rita")
	if err != nil {
		return err
	}
	carl, err := as(server, "carl")
	if err != nil {
		return err
	}
	added, err := olga.SystemAddWithResponse(ctx, nil, SystemAddJSONRequestBody{Name: "main"})
	if err != nil || added.JSON201 == nil {
		return errors.Join(err, refused("add the system", added.Status(), added.Body))
	}
	var source BlueprintSubmitJSONRequestBody
	if err := json.Unmarshal([]byte(os.Getenv("BLUEPRINT")), &source); err != nil {
		return err
	}
	draft, err := olga.BlueprintSubmitWithResponse(ctx, nil, source)
	if err != nil || draft.JSON201 == nil {
		return errors.Join(err, refused("submit the blueprint", draft.Status(), draft.Body))
	}
	published, err := rita.BlueprintPublishWithResponse(ctx, draft.JSON201.Digest, nil, BlueprintPublishJSONRequestBody{Digest: ptr(draft.JSON201.Digest)})
	if err != nil || published.JSON200 == nil || published.JSON200.PublishedBy == nil {
		return errors.Join(err, refused("publish the blueprint", published.Status(), published.Body))
	}

	in := OperationRequestJSONRequestBody{Kind: ptr("onboard"), Tenant: ptr("acme"), Blueprint: ptr("small"), Parameters: ptr(map[string]any{"login": "a@b.example"})}
	if err := through(ctx, in, olga, rita, carl); err != nil {
		return fmt.Errorf("onboard: %w", err)
	}
	tenant, err := olga.TenantShowWithResponse(ctx, "acme")
	if err != nil || tenant.JSON200 == nil || tenant.JSON200.State != "active" || len(tenant.JSON200.Resources) == 0 {
		return errors.Join(err, refused("show the tenant", tenant.Status(), tenant.Body))
	}
	id := tenant.JSON200.Id
	out := OperationRequestJSONRequestBody{Kind: ptr("offboard"), Tenant: ptr("acme"), Reason: ptr("the contract has ended"), EraseOnly: ptr(true)}
	if err := through(ctx, out, olga, rita, carl); err != nil {
		return fmt.Errorf("offboard: %w", err)
	}
	proof, err := olga.CertificateFetchWithResponse(ctx, id, "closing")
	if err != nil || proof.JSON200 == nil || len(proof.JSON200.Content) == 0 {
		return errors.Join(err, refused("fetch the certificate", proof.Status(), proof.Body))
	}
	fmt.Println("certified")
	return nil
}

// through asks for an operation and goes on with it until it has ended: the others
// approve each plan that waits for them, by its digest.
func through(ctx context.Context, in OperationRequestJSONRequestBody, asks *ClientWithResponses, others ...*ClientWithResponses) error {
	begun, err := asks.OperationRequestWithResponse(ctx, nil, in)
	if err != nil || begun.JSON202 == nil {
		return errors.Join(err, refused("request it", begun.Status(), begun.Body))
	}
	for range 300 { // each look moves the server's clock on by a day
		for _, c := range others {
			inbox, err := c.ApprovalListWithResponse(ctx, nil)
			if err != nil || inbox.JSON200 == nil {
				return errors.Join(err, refused("read the inbox", inbox.Status(), inbox.Body))
			}
			for _, w := range inbox.JSON200.Items {
				signed, err := c.OperationApproveWithResponse(ctx, w.Id, nil, OperationApproveJSONRequestBody{Digest: w.Digest, Gate: w.Gate})
				if err != nil || signed.JSON200 == nil {
					return errors.Join(err, refused("approve it", signed.Status(), signed.Body))
				}
			}
		}
		now, err := asks.OperationProgressWithResponse(ctx, begun.JSON202.Id)
		if err != nil || now.JSON200 == nil {
			return errors.Join(err, refused("look at it", now.Status(), now.Body))
		}
		switch now.JSON200.State {
		case "succeeded":
			return nil
		case "failed", "blocked", "cancelled":
			return refused("it ended otherwise", now.Status(), now.Body)
		}
	}
	return errors.New("it doesn't end")
}
