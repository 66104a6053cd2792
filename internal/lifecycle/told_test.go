package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
)

// TestCustomersLearnNoHold: the page of who leaves and the paper that they carry away
// hold no matter, person or scope of a hold, and nothing at all of one that they may
// not know of; an auditor reads the whole of it, and can tell that it is the whole.
func TestCustomersLearnNoHold(t *testing.T) {
	t.Parallel()
	for name, untold := range map[string]bool{"told": false, "untold": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := newSite(t, nil)
			var placed tenure.Hold
			op := toErasure(s, func() {
				v, err := s.Tenant(ctx, "acme")
				s.must(err)
				placed, err = s.PlaceHold(ctx, tenure.Hold{Matter: "Ruritania v. Acme", Reason: "seized by the court", Scope: tenure.HoldScope{Tenant: v.ID}, Untold: untold}, "counsel")
				s.must(err)
			})
			secrets := []string{"Ruritania", "seized", "counsel", "director", string(placed.ID)}
			says := func(what, text string) {
				t.Helper()
				for _, w := range secrets {
					if strings.Contains(text, w) {
						t.Errorf("%s says %q: %s", what, w, text)
					}
				}
				legal := strings.Contains(strings.ToLower(text), "legal")
				if legal == untold {
					t.Errorf("%s speaks of a legal reason: %v: %s", what, legal, text)
				}
			}
			reasons, err := s.ExplainToCustomer(ctx, "acme")
			s.must(err)
			var page strings.Builder
			for _, r := range reasons {
				page.WriteString(r.Reason + "\n")
				if strings.Contains(strings.ToLower(r.Reason), "hold") {
					t.Errorf("the page speaks of a hold: %s", r.Reason)
				}
			}
			says("the page", page.String())
			if held, err := s.Explain(ctx, "acme"); err != nil || !strings.Contains(held[0].Reason, "Ruritania") {
				t.Errorf("the staff's explanation: %+v, %v", held, err)
			}
			dates, past, err := s.DepartureDates(ctx, "acme")
			s.must(err)
			promised := false
			for _, d := range dates {
				promised = promised || strings.HasSuffix(d.Step, "/delete") && !past[d.Step] && !d.At.IsZero()
			}
			for _, r := range reasons {
				promised = promised || !r.GoneAt.IsZero()
			}
			if promised != untold {
				t.Errorf("the page promises when something goes: %v, under a hold that they may not know of: %v; %+v, %+v", promised, untold, dates, reasons)
			}
			for _, by := range []string{"counsel", "director"} {
				_, err := s.ReleaseHold(ctx, placed.ID, by)
				s.must(err)
			}
			s.settle()
			s.through(op)
			id := string(s.view(op).Tenant)
			key, err := s.VerifierKey()
			s.must(err)
			for _, kind := range []string{"interim", "closing"} {
				file, err := s.Certificate(ctx, id, kind)
				s.must(err)
				rep, err := evidence.Verify(file, key)
				s.must(err)
				says("the "+kind+" certificate", jsonText(t, rep.Departure))
				if len(rep.Departure.Holds) > 0 {
					t.Errorf("the %s certificate lists holds: %+v", kind, rep.Departure.Holds)
				}
				annex, err := s.Annex(ctx, id, kind)
				s.must(err)
				a, err := evidence.CheckAnnex(annex, &rep.Departure)
				s.must(err)
				if len(a.Holds) != 1 || a.Holds[0].Matter != placed.Matter || a.Holds[0].Reason != placed.Reason || len(a.Holds[0].ReleaseBy) != 2 || a.Holds[0].Released.IsZero() || a.Holds[0].Untold != untold {
					t.Errorf("the annex of the %s certificate: %+v", kind, a.Holds)
				}
				if strings.Contains(string(annex), "counsel") {
					t.Errorf("the annex names a person in the clear: %s", annex)
				}
			}
			s.audited()
		})
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
