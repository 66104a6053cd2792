package installation_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

const reviewsText = `reviews:
  - name: quarterly
    every: P3M
    from: "2027-01-01"
    lasts: P14D
    covers: [grant, token]
    tiers: [gold]
    reviewers: [rita]
    silence: keep
`

// TestReviewsOfTheSettings: a review of tenure.yaml opens by itself when it is due, and
// a file with one that can't be right opens nothing.
func TestReviewsOfTheSettings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	now := time.Date(2026, 12, 31, 9, 0, 0, 0, time.UTC)
	o := installation.Options{Dir: dir, Now: func() time.Time { return now }}
	i, err := installation.Init(ctx, o, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rita", "ada"} {
		if _, err := i.Governor.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson}, "root"); err != nil {
			t.Fatal(err)
		}
	}
	as, err := i.Governor.Asserted(ctx, "root")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []tenure.Grant{{Principal: "rita", Role: tenure.SecurityOfficer, Scope: tenure.Scope{All: true}}, {Principal: "ada", Role: tenure.Operator, Scope: tenure.Scope{Tiers: []string{"gold"}}}} {
		if _, err := i.Governor.Grant(ctx, as, g); err != nil {
			t.Fatal(err)
		}
	}
	_ = i.Close()
	open := func(text string) (*installation.Installation, error) {
		if err := os.WriteFile(filepath.Join(dir, "tenure.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return installation.Open(ctx, o)
	}
	for what, c := range map[string]struct{ from, to, says string }{
		"no date": {`"2027-01-01"`, "soon", "from is the date"}, "nobody": {"[rita]", "[]", "reviewers"}, "an unknown kind": {"token", "car", "car"}, "no period": {"P3M", "P0D", "every"}, "longer than its period": {"P14D", "P4M", "beyond"}, "another silence": {"keep", "escalate", "escalate"}, "a blank name": {"quarterly", "''", "is blank"},
	} {
		if i, err := open(strings.Replace(reviewsText, c.from, c.to, 1)); err == nil || tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want Invalid that says %q", what, err, c.says)
			if err == nil {
				_ = i.Close()
			}
		}
	}
	for after, want := range map[time.Duration]int{0: 0, 24 * time.Hour: 1} {
		i, err := open(reviewsText)
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Governor.TickReviews(ctx, now.Add(after)); err != nil {
			t.Error(err)
		}
		if list, err := i.DB.Campaigns(ctx, "", 10); err != nil || len(list) < want {
			t.Errorf("after %s there are %d reviews (%v)", after, len(list), err)
		}
		_ = i.Close()
	}
}
