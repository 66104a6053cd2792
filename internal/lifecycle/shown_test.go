package lifecycle_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// A live credential that a system shows in a field is a finding with the rotation that
// settles it. It stands in no finding itself, whatever form it is written in, and no longer
// counts once another one has taken its place.
func TestCredentialThatShows(t *testing.T) {
	t.Parallel()
	s, made, tv := newOverdue(t)
	ctx := context.Background()
	first, _ := s.claimed(made, "operator")
	secret := first["prod/password"]
	kept := s.secrets("acme")["prod/admin"]
	token := "ghp_" + strings.Repeat("k3J9", 9)
	var store tenure.Resource
	for _, r := range tv.Resources {
		if r.Type == "store" && r.Environment == "prod" {
			store = r.Resource
		}
	}
	for _, shape := range []string{secret, base64.StdEncoding.EncodeToString([]byte("basic:" + secret)), strings.Repeat("long ", 100) + secret + " " + token} {
		was, _ := s.world.Get("store", store.Name)
		s.world.Tamper("store", store.Name, func(th *memory.Thing) {
			var fields map[string]any
			s.must(json.Unmarshal(th.Attributes, &fields))
			fields["note"] = "ask for " + shape
			raw, err := json.Marshal(fields)
			s.must(err)
			th.Attributes = raw
		})
		look, err := s.Drift(ctx, "acme")
		s.must(err)
		shown, forms := []tenure.Finding{}, 0
		for _, f := range look.Findings {
			if text := fmt.Sprint(f); strings.Contains(text, secret) || strings.Contains(text, shape) || strings.Contains(text, token) {
				t.Errorf("a finding tells the credential: %+v", f)
			}
			if f.Kind == tenure.FindingCredential && f.Field == "shown" {
				shown = append(shown, f)
			}
			if f.Kind == tenure.FindingExposure && strings.Contains(f.Detail, "GitHub") {
				forms++
			}
		}
		if len(shown) != 1 || shown[0].Resource != kept.Resource || shown[0].Severity != tenure.Critical || !strings.Contains(shown[0].Detail, "note of store "+store.Name) {
			t.Fatalf("the findings are %+v", look.Findings)
		}
		if strings.Contains(shape, token) != (forms == 1) {
			t.Errorf("%d findings at a token of a known form", forms)
		}
		r, err := s.Remedy(ctx, shown[0])
		if s.must(err); r.Plan != "tenure plan repair acme --reissue --resource "+string(kept.Resource) {
			t.Errorf("what settles it: %+v", r)
		}
		s.pass(time.Minute)
		s.must(s.TickSecrets(ctx, s.Now()))
		if n := s.showing(); n != 1 {
			t.Errorf("%d findings at what shows before it was rotated", n)
		}
		s.world.Tamper("store", store.Name, func(th *memory.Thing) { th.Attributes = was.Attributes })
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	s.pass(2 * time.Minute)
	s.must(s.TickSecrets(ctx, s.Now()))
	if n := s.showing(); n != 0 {
		t.Errorf("%d findings after the rotation", n)
	}
}

// showing counts the open findings at credentials that show.
func (s *site) showing() (n int) {
	s.t.Helper()
	all, err := s.Findings(context.Background(), "", false)
	s.must(err)
	for _, f := range all {
		if f.Kind == tenure.FindingCredential && f.Field == "shown" {
			n++
		}
	}
	return n
}
