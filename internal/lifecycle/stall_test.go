package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/s3test"
)

const bucketText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: bucket
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  docs: {connector: s3}
dataClasses:
  aa: {disposition: purge, retention: [{name: a, kind: keep_until, period: P10D, from: termination}]}
resources:
  - key: files
    system: docs
    type: bucket
    name: t-${tenant.name}
    data: [aa]
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

// What a bucket deletes by itself is suspended as soon as a hold covers it, again if
// somebody switches it on, and put back after the release by two; unless it was changed,
// which is a finding. On the stand-in.
func TestHoldSuspendsLifecycleRules(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := s3test.NewStandIn(t)
	s := newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, s3.Info())
		o.Settings["docs"] = lifecycle.SystemSettings{
			Connector: "s3", Options: map[string]string{"endpoint": server.URL, "own": "tenure-own", "names": "t-"},
			Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret("access"), "secretKey": tenure.NewSecret("secret key")},
		}
	})
	_, err := s.AddSystem(ctx, "docs", false, "operator")
	s.must(err)
	s.publishText(bucketText)
	s.begin("acme", "bucket") // parks: the stand-in answers no request without a signature, which a probe makes
	const text = `<LifecycleConfiguration><Rule><ID>month</ID><Status>Enabled</Status><Filter><Prefix>a/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>`
	off := strings.Replace(text, "Enabled", "Disabled", 1)
	stands := func(when, want string) {
		t.Helper()
		if got := string(server.Document("t-acme", "lifecycle")); got != want {
			t.Errorf("%s stands there:\n%s\nwant:\n%s", when, got, want)
		}
	}
	server.Set("t-acme", "lifecycle", []byte(text))
	other, err := s.partHold(tenure.HoldScope{Prefix: "b/"})
	s.must(err)
	stands("under a hold on another prefix", text)
	h, err := s.partHold(tenure.HoldScope{Prefix: "a/b"})
	s.must(err)
	stands("under the hold", off)
	if len(h.Stalled) != 1 || !h.Stalled[0].Suspended || h.Stalled[0].Was != text {
		t.Errorf("the hold remembers %+v", h.Stalled)
	}
	server.Set("t-acme", "lifecycle", []byte(text))
	_, err = s.Drift(ctx, "acme")
	s.must(err)
	stands("after a look", off)
	release := func(id tenure.HoldID) {
		t.Helper()
		for _, by := range []string{"counsel", "director"} {
			_, err := s.ReleaseHold(ctx, id, by)
			s.must(err)
		}
	}
	release(h.ID)
	stands("while another hold is on the bucket", off)
	release(other.ID)
	stands("after both releases", text)

	h, err = s.partHold(tenure.HoldScope{Prefix: "a/"})
	s.must(err)
	changed := strings.Replace(off, "30", "60", 1)
	server.Set("t-acme", "lifecycle", []byte(changed))
	release(h.ID)
	stands("after somebody changed it", changed)
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	found := false
	for _, f := range look.Findings {
		found = found || f.Field == "expiry" && strings.Contains(f.Detail, "wasn't put back")
	}
	if !found {
		t.Errorf("no finding says that the rules were changed: %+v", look.Findings)
	}
}
