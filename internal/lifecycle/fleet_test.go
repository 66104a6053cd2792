package lifecycle_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// The fleet's figures are those of what happened: who moved in and how long it
// took, whose first month had trouble, what is held.
func TestFleet(t *testing.T) {
	t.Parallel()
	l, ctx := newLife(t), context.Background()
	for _, name := range []string{"acme", "birch", "cedar"} {
		l.onboard(name)
	}
	if _, err := l.SetLabels(ctx, "acme", map[string]string{"region": "eu"}, 0, "ada", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReportIncident(ctx, "birch", store.Incident{ID: "p-1", Severity: tenure.High, Source: "pager", Detail: "logins fail"}, "pager"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReportIncident(ctx, "birch", store.Incident{ID: "p-1", Severity: tenure.High, Source: "pager"}, "pager"); err != nil {
		t.Fatal(err)
	}
	f, err := l.Fleet(ctx, store.All)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, c := range f.Counts {
		if c.State == tenure.TenantActive {
			n += c.N
		}
	}
	if o := f.Onboarding; n != 3 || o.Runs != 3 || o.Failed != 0 || o.Settled != 3 || o.Incidents != 1 || o.P95 < o.P50 {
		t.Errorf("%d active, onboarding %+v", n, o)
	}
	eu := store.Visible{Reach: tenure.Scope{Labels: []string{"region=eu"}}, Limit: tenure.Scope{All: true}}
	if f, err = l.Fleet(ctx, eu); err != nil || f.Onboarding.Runs != 1 || f.Onboarding.Incidents != 0 || f.Cost != nil {
		t.Errorf("who sees region=eu is told of %+v (%v)", f.Onboarding, err)
	}
	list, err := l.db.Incidents(ctx, rowOf(t, l, "birch").ID)
	if err != nil || len(list) != 1 {
		t.Errorf("incidents %v, %v", list, err)
	}
	l.pass(100 * 24 * time.Hour)
	if f, err = l.Fleet(ctx, store.All); err != nil || f.Onboarding.Runs != 0 {
		t.Errorf("after the window: %+v (%v)", f.Onboarding, err)
	}
}

func rowOf(t *testing.T, l *life, name string) store.TenantRow {
	t.Helper()
	row, err := l.db.Tenant(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// A departure link opens one tenant's departure until it expires or is revoked;
// nothing else, and not after a change of one letter.
func TestDepartureLink(t *testing.T) {
	t.Parallel()
	l, ctx := newLife(t), context.Background()
	l.onboard("acme")
	link, secret, err := l.NewDepartureLink(ctx, "acme", "", 30*24*time.Hour, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.OpenDepartureLink(ctx, secret); err != nil || got.Tenant != link.Tenant {
		t.Fatalf("the link opens %+v, %v", got, err)
	}
	text := secret.Reveal()
	for _, wrong := range []string{"", text + "x", text[:len(text)-1], strings.ToUpper(text), strings.Replace(text, "lnk_", "lnk_0", 1), string(link.ID), strings.Repeat("a", 5000)} {
		if _, err := l.OpenDepartureLink(ctx, tenure.NewSecret(wrong)); tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("%.60q opens: %v", wrong, err)
		}
	}
	if _, _, err := l.NewDepartureLink(ctx, "acme", "", 0, "ada"); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a link for no time: %v", err)
	}
	l.pass(31 * 24 * time.Hour)
	if _, err := l.OpenDepartureLink(ctx, secret); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("an expired link: %v", err)
	}
	link, secret, err = l.NewDepartureLink(ctx, "acme", "", time.Hour, "ada")
	if err == nil {
		err = l.RevokeDepartureLink(ctx, "acme", link.ID, "ada")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.OpenDepartureLink(ctx, secret); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a revoked link: %v", err)
	}
}

// Only whole exports of the tenant's own folder can be named.
func TestHandoverFiles(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.onboard("acme")
	id := rowOf(t, l, "acme").ID
	dir := filepath.Join(l.folder, string(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"prod-db.tar": "data", "prod-db.tar.part": "half", "../outside": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := l.HandoverFiles(id)
	if err != nil || len(files) != 1 || files[0].Name != "prod-db.tar" || files[0].Bytes != 4 {
		t.Errorf("files %+v, %v", files, err)
	}
	for _, name := range []string{"../outside", "prod-db.tar.part", "", ".", "..", "prod-db.tar/", "/etc/passwd", "prod-db.tar\x00"} {
		if f, err := l.OpenHandover(id, name); tenure.CodeOf(err) != tenure.NotFound {
			_ = f.Close()
			t.Errorf("%q opens (%v)", name, err)
		}
	}
	f, err := l.OpenHandover(id, "prod-db.tar")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// An operation that is blocked counts as trouble, also when it was mended since.
func TestBlocksAreKept(t *testing.T) {
	t.Parallel()
	l, ctx := newLife(t), context.Background()
	l.onboard("acme")
	l.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod-seats", Err: tenure.Errorf(tenure.Forbidden, "the setting is locked")})
	op := l.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 9}}, "operator")
	l.settle()
	if v, err := l.Operation(ctx, op); err != nil || v.State != tenure.OperationBlocked {
		t.Fatalf("the change is %v (%v)", l.show(op), err)
	}
	for range 2 {
		if err := l.TickBlocks(ctx, l.Now()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := l.db.Incidents(ctx, rowOf(t, l, "acme").ID)
	if err != nil || len(list) != 1 || list[0].Source != "tenure" {
		t.Fatalf("incidents %+v, %v", list, err)
	}
	f, err := l.Fleet(ctx, store.All)
	if err != nil || f.StuckAll != 1 || f.Onboarding.Incidents != 1 {
		t.Errorf("the fleet has %d stuck and %+v (%v)", f.StuckAll, f.Onboarding, err)
	}
}

// A revision by which tenants move in into trouble, one after the other, is a finding; two
// incidents of one tenant are no repetition, and what happens later than 30 days isn't the onboarding's.
func TestRevisionTrouble(t *testing.T) {
	t.Parallel()
	l, ctx := newLife(t), context.Background()
	names := []string{"acme", "birch", "cedar", "dill", "elder"}
	for _, name := range names {
		l.onboard(name)
	}
	trouble := func(name, id string) {
		t.Helper()
		_, err := l.ReportIncident(ctx, name, store.Incident{ID: id, Severity: tenure.High, Source: "pager"}, "pager")
		l.must(err)
	}
	open := func() []tenure.Finding {
		t.Helper()
		l.must(l.TickIncidents(ctx, l.Now()))
		out, err := l.db.FindingsPage(ctx, store.FindingFilter{Kind: tenure.FindingRevision, Limit: 10})
		l.must(err)
		return out
	}
	trouble("acme", "1")
	trouble("acme", "2")
	trouble("birch", "1")
	if found := open(); len(found) != 0 {
		t.Fatalf("two tenants' trouble is a finding: %+v", found)
	}
	l.pass(29 * 24 * time.Hour)
	trouble("cedar", "1")
	found := open()
	if len(found) != 1 || found[0].Name != "small 1.0" || found[0].Got != "3" || !strings.Contains(found[0].Detail, string(rowOf(t, l, "cedar").ID)) {
		t.Fatalf("three tenants' trouble: %+v", found)
	}
	id := found[0].ID
	l.pass(2 * 24 * time.Hour)
	trouble("dill", "1") // after 31 days
	if found := open(); len(found) != 1 || found[0].ID != id || found[0].Got != "3" {
		t.Errorf("later: %+v", found)
	}
	if r, err := l.Remedy(ctx, found[0]); err != nil || len(r.Steps) < 3 || !strings.Contains(r.Checked, "fewer than 3") {
		t.Errorf("the remedy %+v (%v)", r, err)
	}
	l.publish("1.1") // who moves in by another revision isn't counted with them
	for _, name := range []string{"fern", "gorse"} {
		l.onboard(name)
		trouble(name, "1")
	}
	l.pass(time.Hour)
	if found := open(); len(found) != 1 || found[0].Got != "3" {
		t.Errorf("with another revision's: %+v", found)
	}
	l.pass(60 * 24 * time.Hour) // they moved in more than 90 days ago
	if found := open(); len(found) != 0 {
		t.Errorf("it isn't resolved: %+v", found)
	}
}
