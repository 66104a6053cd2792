package lifecycle_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

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

const expiring = `<LifecycleConfiguration><Rule><ID>month</ID><Status>Enabled</Status><Filter><Prefix>a/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>`

// bucketSite has a tenant, acme, whose bucket is on a stand-in.
func bucketSite(t *testing.T) (*site, *s3test.StandIn) {
	t.Helper()
	server := s3test.NewStandIn(t)
	s := newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, s3.Info())
		o.Settings["docs"] = lifecycle.SystemSettings{
			Connector: "s3", Options: map[string]string{"endpoint": server.URL, "own": "tenure-own", "names": "t-", "shared": "shared/"},
			Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret("access"), "secretKey": tenure.NewSecret("secret key")},
		}
	})
	_, err := s.AddSystem(context.Background(), "docs", false, "operator")
	s.must(err)
	s.publishText(bucketText)
	s.begin("acme", "bucket") // parks: the stand-in answers no request without a signature, which a probe makes
	return s, server
}

// What a bucket deletes by itself is suspended as soon as a hold covers it, again if
// somebody switches it on, and put back after the release by two; unless it was changed,
// which is a finding. On the stand-in.
func TestHoldSuspendsLifecycleRules(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, server := bucketSite(t)
	const text = expiring
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
	if len(h.Stalled) != 1 || !h.Stalled[0].Suspended || !strings.Contains(text, h.Stalled[0].Was) {
		t.Errorf("the hold remembers %+v", h.Stalled)
	}
	server.Set("t-acme", "lifecycle", []byte(text))
	_, err = s.Drift(ctx, "acme")
	s.must(err)
	stands("after a look", off)
	release := s.releaseHold
	needs, err := s.partHold(tenure.HoldScope{Prefix: "a/c"})
	s.must(err)
	release(h.ID)
	stands("while another hold needs it suspended", off)
	release(needs.ID)
	stands("while another hold is on the bucket that doesn't", text)
	release(other.ID)
	stands("after all releases", text)

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

// Tenure is killed as soon as a rule was suspended, before that could be written down: the
// end of the hold puts the rule back, with or without a look before. A rule that stands as
// it stood is left alone, also if it was changed. On the stand-in.
func TestSuspendedRuleComesBackAfterAKill(t *testing.T) {
	t.Parallel()
	off := strings.Replace(expiring, "Enabled", "Disabled", 1)
	changed := strings.Replace(expiring, "30", "60", 1)
	changedOff := strings.Replace(off, "30", "60", 1)
	extended := strings.Replace(off, "</LifecycleConfiguration>", "<Rule><ID>new</ID><Status>Enabled</Status><Filter><Prefix>z/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>", 1)
	for _, c := range []struct {
		name      string
		before    bool   // killed before the suspension
		meanwhile string // what somebody writes after the kill
		look      bool   // Tenure looks before the hold ends
		during    string // what stands there then
		want      string
		finding   bool
	}{
		{name: "no look", during: off, want: expiring},
		{name: "a look", look: true, during: off, want: expiring},
		{name: "before", before: true, during: expiring, want: expiring},
		{name: "before, a look", before: true, look: true, during: off, want: expiring},
		{name: "before, changed", before: true, meanwhile: changed, during: changed, want: changed},
		{name: "before, changed, a look", before: true, meanwhile: changed, look: true, during: strings.Replace(changed, "Enabled", "Disabled", 1), want: changed},
		{name: "extended", meanwhile: extended, during: extended, want: strings.Replace(extended, "Disabled", "Enabled", 1)},
		{name: "extended, a look", meanwhile: extended, look: true, during: strings.Replace(extended, "Enabled", "Disabled", 1), want: strings.Replace(extended, "Disabled", "Enabled", 1)},
		{name: "changed while it was off", meanwhile: changedOff, during: changedOff, want: changedOff, finding: true},
		{name: "changed while it was off, a look", meanwhile: changedOff, look: true, during: changedOff, want: changedOff, finding: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, server := bucketSite(t)
			server.Set("t-acme", "lifecycle", []byte(expiring))
			v, err := s.Tenant(context.Background(), "acme")
			s.must(err)
			ctx, kill := context.WithCancel(context.Background())
			defer kill()
			written := false
			server.Fault = func(r *http.Request) (int, string) {
				if r.URL.Query().Has("lifecycle") {
					switch {
					case r.Method == http.MethodPut && c.before:
						kill()
						return http.StatusServiceUnavailable, "SlowDown"
					case r.Method == http.MethodPut:
						written = true
					case written:
						kill()
						return http.StatusServiceUnavailable, "SlowDown"
					}
				}
				return 0, ""
			}
			_, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 11", Scope: tenure.HoldScope{Tenant: v.ID}}, "counsel")
			if err == nil {
				t.Fatal("the kill came too late")
			}
			server.Fault = nil
			all, err := s.Holds(context.Background(), "acme", false)
			s.must(err)
			if len(all) != 1 || len(all[0].Stalled) != 1 || !all[0].Stalled[0].Intended {
				t.Fatalf("after the kill there are %+v", all)
			}
			if c.meanwhile != "" {
				server.Set("t-acme", "lifecycle", []byte(c.meanwhile))
			}
			stands := func(when, want string) {
				t.Helper()
				if got := string(server.Document("t-acme", "lifecycle")); got != want {
					t.Errorf("%s stands there:\n%s\nwant:\n%s", when, got, want)
				}
			}
			if c.look {
				s.must(s.SettleHolds(context.Background()))
			}
			stands("under the hold", c.during)
			s.releaseHold(all[0].ID)
			stands("after the hold", c.want)
			look, err := s.Drift(context.Background(), "acme")
			s.must(err)
			if got := slices.ContainsFunc(look.Findings, func(f tenure.Finding) bool { return f.Field == "expiry" }); got != c.finding {
				t.Errorf("findings of its expiry: %v, want %v: %+v", got, c.finding, look.Findings)
			}
		})
	}
}

// A rule of what tenants share goes from one tenant's hold to another's, in either order,
// and never runs in between; one that the other doesn't need is put back at once. On the
// stand-in.
func TestHoldsOfTwoTenantsOnWhatTheyShare(t *testing.T) {
	t.Parallel()
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		s, server := bucketSite(t)
		ctx := context.Background()
		var ids [2]tenure.HoldID
		rule := func(id, status, prefix string) string {
			return "<Rule><ID>" + id + "</ID><Status>" + status + "</Status><Filter><Prefix>" + prefix + "</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule>"
		}
		text := func(both, first, second string) string {
			return "<LifecycleConfiguration>" + rule("both", both, "") + rule("first", first, "birch/") + rule("second", second, "cedar/") + "</LifecycleConfiguration>"
		}
		stands := func(when, want string) {
			t.Helper()
			if got := string(server.Document("shared", "lifecycle")); got != want {
				t.Errorf("released in order %v, %s there stands:\n%s\nwant:\n%s", order, when, got, want)
			}
		}
		const on, off = "Enabled", "Disabled"
		names := [2]string{"birch", "cedar"}
		made, err := http.NewRequest(http.MethodPut, server.URL+"/shared", nil)
		s.must(err)
		made.Header.Set("Authorization", "anybody")
		answer, err := http.DefaultClient.Do(made)
		s.must(err)
		s.must(answer.Body.Close())
		s.publishText(strings.NewReplacer("name: bucket\n", "name: shared\n", "type: bucket", "type: prefix", "name: t-${tenant.name}", "name: shared/${tenant.name}").Replace(bucketText))
		server.Set("shared", "lifecycle", []byte(text(on, on, on)))
		for i, name := range names {
			s.begin(name, "shared")
			v, err := s.Tenant(ctx, name)
			s.must(err)
			h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 11", Scope: tenure.HoldScope{Tenant: v.ID}}, "counsel")
			s.must(err)
			ids[i] = h.ID
		}
		stands("under both holds", text(off, off, off))
		ran := false
		server.Fault = func(*http.Request) (int, string) {
			ran = ran || strings.Contains(string(server.Document("shared", "lifecycle")), rule("both", on, ""))
			return 0, ""
		}
		s.releaseHold(ids[order[0]])
		want := [2]string{off, off}
		want[order[0]] = on
		stands("after the first release", text(off, want[0], want[1]))
		if ran {
			t.Errorf("released in order %v, the rule of both ran in between", order)
		}
		s.releaseHold(ids[order[1]])
		stands("after the second release", text(on, on, on))
	}
}

// Holds that are placed and released at the same moment find and put back what the other
// one suspended: the rule stands as it did, and is nobody's finding.
func TestHoldsAtOnceLeaveRulesAsTheyWere(t *testing.T) {
	t.Parallel()
	s, server := bucketSite(t)
	ctx := context.Background()
	v, err := s.Tenant(ctx, "acme")
	s.must(err)
	server.Set("t-acme", "lifecycle", []byte(expiring))
	server.Fault = func(*http.Request) (int, string) { time.Sleep(5 * time.Millisecond); return 0, "" } // as far away as a real one
	atOnce := func(do ...func() error) {
		t.Helper()
		var all errgroup.Group
		for _, f := range do {
			all.Go(f)
		}
		s.must(all.Wait())
	}
	for n := range 20 {
		var ids [2]tenure.HoldID
		place := func(i int) func() error {
			return func() error {
				h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 11", Scope: tenure.HoldScope{Tenant: v.ID}}, "counsel")
				ids[i] = h.ID
				return err
			}
		}
		release := func(i int, by string) func() error {
			return func() error { _, err := s.ReleaseHold(ctx, ids[i], by); return err }
		}
		if n%2 == 0 {
			atOnce(place(0), place(1))
		} else { // the second one finds nothing left to suspend
			s.must(place(0)())
			s.must(place(1)())
		}
		if got := string(server.Document("t-acme", "lifecycle")); got == expiring {
			t.Fatal("the rule isn't suspended")
		}
		atOnce(release(0, "counsel"), release(1, "counsel"))
		atOnce(release(0, "director"), release(1, "director"))
		if got := string(server.Document("t-acme", "lifecycle")); got != expiring {
			t.Fatalf("after both holds there stands:\n%s", got)
		}
	}
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	for _, f := range look.Findings {
		if f.Field == "expiry" {
			t.Errorf("a finding: %s", f.Detail)
		}
	}
}
