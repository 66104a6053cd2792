package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// TestOnePersonInEverySpelling: who asks can't approve under another spelling of their
// name, nor count twice, at gates, holds and blueprints.
func TestOnePersonInEverySpelling(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	op := onboarding(t, as(t, srv, "ada"), as(t, srv, "rita"), "alder")
	settle(t, s)
	gate := approval(op)
	others := []string{"Ada", "ADA", "ａｄａ", "ada\u200b", "\u2060ada", " ada", "a\u00adda"}
	for _, name := range others {
		if _, err := client.ApproveOperation.Call(ctx, as(t, srv, name), gate); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("ada asked, and %q approves: %v", name, err)
		}
	}
	place := client.HoldParams{}
	place.Body.Matter, place.Body.Scope.Tenant = "M-1", "alder"
	hold, err := client.PlaceHold.Call(ctx, as(t, srv, "lena"), place)
	if err != nil {
		t.Fatal(err)
	}
	let := client.HoldID{Hold: string(hold.ID)}
	if _, err := client.ReleaseHold.Call(ctx, as(t, srv, "Ada"), let); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(others, "ada") {
		if h, err := client.ReleaseHold.Call(ctx, as(t, srv, name), let); tenure.CodeOf(err) != tenure.Forbidden || !h.ReleasedAt.IsZero() {
			t.Errorf("Ada asked for the release, and %q is the second person: %v", name, err)
		}
	}
	var draft client.SourceParams
	if err := json.Unmarshal([]byte(strings.Replace(client.SubmitBlueprint.Example, "1.0", "1.1", 1)), &draft.Body); err != nil {
		t.Fatal(err)
	}
	b, err := client.SubmitBlueprint.Call(ctx, as(t, srv, "Ada"), draft)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(others, "ada") {
		if _, err := client.PublishBlueprint.Call(ctx, as(t, srv, name), client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: b.Digest}}); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("Ada wrote it, and %q publishes it: %v", name, err)
		}
	}
}
