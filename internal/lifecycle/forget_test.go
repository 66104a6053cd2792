package lifecycle_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// files reads every file of the site: the store with its log, and the keystore.
func (s *site) files() map[string][]byte {
	s.t.Helper()
	out := make(map[string][]byte)
	s.must(filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[d.Name()] = b
		return err
	}))
	if len(out["tenure.db"]) == 0 {
		s.t.Fatalf("there is no store to look into: %d files", len(out))
	}
	return out
}

// After a tenant is closed and forgotten nothing in the files of this
// installation says who it was, and log and certificate still verify.
func TestForgottenTenantLeavesNoTextInTheFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(strings.NewReplacer("name: small", "name: parting", `"%s"`, `"1.0"`, "notices:\n", `notices:
  - {on: closed, to: platform, text: "${tenant.name} of ${tenant.organization} is closed"}
  - {on: terminating, to: platform, text: "${tenant.name} is terminating"}
`).Replace(blueprintText))
	marks := []string{"zzmarktenant", "Zzmark Organisation", "zzmark.contact", "zzmark-login", "zzmark reason", "zzmark row", "zzmark note", "zzmark-trigger"}
	op := s.request(lifecycle.Intent{
		Kind: tenure.Onboard, Tenant: marks[0], Organization: marks[1], Contact: marks[2] + "@customer.example", Blueprint: "parting", Tier: "team",
		Parameters: map[string]any{"login": marks[3]}, Trigger: marks[7],
	}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	for _, class := range []string{"orders", "invoices"} {
		s.world.Fill("store", marks[0]+"-prod", class, marks[5])
	}
	leaving := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: marks[0], AtOnce: true, Reason: marks[4]}, "operator")
	_, err := s.Approve(ctx, leaving, "", s.view(leaving).Plan, "reviewer", marks[6])
	s.must(err)
	s.settle()
	before := bytes.Join(values(s.files()), nil)
	for _, m := range []string{marks[0], marks[1], marks[3], marks[4], marks[6]} {
		if !bytes.Contains(before, []byte(m)) {
			t.Errorf("%q isn't in the files of a living tenant: this test would prove nothing", m)
		}
	}
	for range 4 {
		s.pass(200 * day)
		s.finish(leaving)
	}
	s.wantState(leaving, tenure.OperationSucceeded)
	id := string(s.view(leaving).Tenant)
	file, err := s.Certificate(ctx, id, "closing")
	s.must(err)
	key, err := s.VerifierKey()
	s.must(err)
	if _, err := evidence.Verify(file, key); err != nil {
		t.Error(err)
	}
	for _, m := range marks {
		if bytes.Contains(file, []byte(m)) {
			t.Errorf("the certificate says %q", m)
		}
	}
	s.audited()
	s.must(s.db.Close())
	for name, body := range s.files() {
		for _, m := range marks {
			if i := bytes.Index(body, []byte(m)); i >= 0 {
				t.Errorf("%s still says %q: …%q…", name, m, body[max(0, i-120):min(len(body), i+60)])
			}
		}
	}
}

// Who is told that a tenant has closed is told so: its notices go with the rest of what is
// forgotten, and only once they were sent, or nobody tries any more.
func TestForgettingWaitsForNotices(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]bool{"sent": true, "a receiver that never works": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := newSite(t, func(o *lifecycle.Options) { o.Sends = true }), t.Context()
			s.publishText(strings.NewReplacer("name: small", "name: parting", `"%s"`, `"1.0"`, "P1Y", "P40D", "notices:\n", "notices:\n  - {on: closed, to: platform, text: \"${tenant.name} is closed\"}\n").Replace(blueprintText))
			op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "parting", Tier: "team", Parameters: map[string]any{"login": "a@acme.example"}}, "operator")
			s.approve(op, "reviewer")
			s.wantState(op, tenure.OperationSucceeded)
			leaving := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true}, "operator")
			s.approve(leaving, "reviewer")
			id := string(s.view(leaving).Tenant)
			for i := 0; s.state(id) != tenure.TenantClosed && i < 100; i++ {
				s.pass(day)
				s.confirmIll(leaving)
			}
			all, err := s.db.Notices(ctx, tenure.TenantID(id))
			s.must(err)
			due := slices.DeleteFunc(slices.Clone(all), func(n store.Notice) bool {
				return n.Kind != tenure.NoticeOf(tenure.TenantClosed) || n.Recipient == tenure.Timeline
			})
			if v := s.view(leaving); len(due) != 1 || due[0].Body != "acme is closed" || v.State != tenure.OperationWaiting {
				t.Fatalf("the tenant is %s, its departure is %s: %s, and these notices are to be sent: %v; want a departure that waits until its last notice was sent", s.state(id), v.State, v.Reason, due)
			}
			if sent {
				s.must(s.db.Write(ctx, func(tx *store.Tx) error {
					for _, n := range all {
						if _, err := tx.RouteNotice(n, []store.Delivery{{ID: n.ID, Target: "hooks"}}, s.Now()); err != nil {
							return err
						}
						if err := tx.EndDelivery(n.ID, store.DeliverySent, "", "", s.Now()); err != nil {
							return err
						}
					}
					return nil
				}))
				s.pass(6 * time.Hour)
			} else {
				s.pass(6 * day)
				s.wantState(leaving, tenure.OperationWaiting)
				s.pass(2 * day)
			}
			s.wantState(leaving, tenure.OperationSucceeded)
			if there, err := s.db.Noticed(ctx, due[0].ID); err != nil || there {
				t.Errorf("the notice of a tenant that is forgotten is still there (%v)", err)
			}
		})
	}
}

func values(m map[string][]byte) (out [][]byte) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// TestClosedTenantsFindings: what was found of a tenant is resolved when it closes, save
// what somebody's access was used for; what comes back afterwards is found anew.
func TestClosedTenantsFindings(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.fill("acme-prod", 4, 2)
	row, err := s.db.Tenant(ctx, "acme")
	s.must(err)
	kinds := []tenure.FindingKind{
		tenure.FindingDrift, tenure.FindingResidue, tenure.FindingOrphan, tenure.FindingExposure, tenure.FindingGhost, tenure.FindingUncovered, tenure.FindingForeign,
		tenure.FindingLostMark, tenure.FindingAnomaly, tenure.FindingUnproven, tenure.FindingLimit, tenure.FindingIsolation, tenure.FindingUnseenStart,
	}
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		for _, k := range kinds {
			f := tenure.Finding{ID: tenure.NewID[tenure.FindingID](s.Now()), Kind: k, Severity: tenure.Low, Tenant: row.ID, System: "store", Name: string(k), Detail: "d", SeenAt: s.Now()}
			if err := tx.SaveFinding(f); err != nil {
				return err
			}
		}
		return nil
	}))
	s.pass(time.Hour)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	s.through(op)
	if got := s.state(string(row.ID)); got != tenure.TenantClosed {
		t.Fatalf("it is %s", got)
	}
	open := func() (out []tenure.FindingKind) {
		all, err := s.db.Findings(ctx, row.ID)
		s.must(err)
		for _, f := range all {
			out = append(out, f.Kind)
		}
		return out
	}
	if got := open(); !slices.Equal(got, []tenure.FindingKind{tenure.FindingAnomaly}) {
		t.Errorf("of a closed tenant stand open: %q", got)
	}
	s.audited()
}
