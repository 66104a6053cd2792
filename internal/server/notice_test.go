package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// A shop that has to stop is told that a tenant is suspended; it says nothing, which is found, and
// says it later; its notices are listed, sent again, and go on once a person enables it.
func TestNotices(t *testing.T) {
	t.Parallel()
	f := breaking(t)
	var status atomic.Int64
	status.Store(200)
	var came atomic.Int64
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		came.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(shop.Close)
	notices, err := notify.New(notify.Options{DB: f.s.Engine.DB, Targets: []notify.Target{{
		Name: "shop", Kind: notify.CloudEvents, URL: shop.URL, Acknowledge: 2 * time.Hour, Notices: []string{"tenant.suspended"},
		Secrets: []tenure.Secret{tenure.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")},
	}}})
	f.must(err)
	srv, err := server.New(server.Options{Service: f.s, Governor: governorOf(f.s), Notices: notices})
	f.must(err)
	t.Cleanup(srv.Close)
	ctx, rita := t.Context(), as(t, srv, "rita")
	send := func(after time.Duration) {
		t.Helper()
		f.pass(after)
		f.must(notices.Tick(ctx, f.now()))
		f.must(f.s.TickAcknowledgements(ctx, f.now()))
	}
	f.person(client.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Parameters: map[string]any{"login": "a@b.example"}})
	f.person(client.Intent{Kind: tenure.Suspend, Tenant: "acme"})
	f.is("acme", tenure.TenantSuspended)
	send(time.Minute)
	list := func() []client.Delivery {
		t.Helper()
		page, err := client.ListDeliveries.Call(ctx, rita, client.DeliveryFilter{Tenant: "acme", Target: "shop"})
		f.must(err)
		return page.Items
	}
	got := list()
	if len(got) != 1 || got[0].Kind != "tenant.suspended" || got[0].State != "sent" || got[0].DueAt.IsZero() || got[0].Text != "acme is suspended: nobody of it has access." {
		t.Fatalf("%+v", got)
	}
	found := func() int {
		t.Helper()
		page, err := client.ListFindings.Call(ctx, rita, client.FindingFilter{Kind: tenure.FindingUnacknowledged})
		f.must(err)
		return len(page.Items)
	}
	send(time.Hour)
	if found() != 0 {
		t.Error("it is found before its time is over")
	}
	send(2 * time.Hour)
	send(2 * time.Hour)
	if d := list()[0]; found() != 1 || d.Answer != "missed" {
		t.Errorf("%d findings, and the answer is %q, though the shop has said nothing in time", found(), d.Answer)
	}
	one := client.DeliveryParams{Delivery: got[0].ID}
	for range 2 { // the same again changes nothing
		if d, err := client.AcknowledgeDelivery.Call(ctx, rita, one); err != nil || d.Answer != "done" || found() != 0 {
			t.Errorf("acknowledged: %+v %v; %d findings", d, err, found())
		}
	}
	if _, err := client.ReplayDelivery.Call(ctx, rita, one); err != nil {
		t.Error(err)
	}
	send(time.Minute)
	if came.Load() != 2 || list()[0].State != "sent" {
		t.Errorf("it came %d times, and is %s", came.Load(), list()[0].State)
	}
	status.Store(410)
	if _, err := client.TryNotifyTarget.Call(ctx, rita, client.NotifyTargetParams{Target: "shop"}); err != nil {
		t.Error(err)
	}
	send(time.Minute)
	targets, err := client.ListNotifyTargets.Call(ctx, rita, client.Paging{})
	f.must(err)
	if len(targets.Items) != 1 || targets.Items[0].DisabledAt.IsZero() || !strings.Contains(targets.Items[0].Reason, "410") {
		t.Errorf("%+v", targets.Items)
	}
	status.Store(200)
	send(time.Hour)
	if came.Load() != 3 {
		t.Errorf("%d came, and it was given up after three", came.Load())
	}
	if target, err := client.EnableNotifyTarget.Call(ctx, rita, client.NotifyTargetParams{Target: "shop"}); err != nil || !target.DisabledAt.IsZero() {
		t.Errorf("%+v %v", target, err)
	}
	send(time.Hour)
	if came.Load() != 4 {
		t.Errorf("%d came once it was enabled", came.Load())
	}
	for name, err := range map[string]error{
		"replay": func() error {
			_, err := client.ReplayDelivery.Call(ctx, rita, client.DeliveryParams{Delivery: "msg_x"})
			return err
		}(),
		"acknowledge": func() error {
			_, err := client.AcknowledgeDelivery.Call(ctx, rita, client.DeliveryParams{Delivery: "msg_x"})
			return err
		}(),
		"enable": func() error {
			_, err := client.EnableNotifyTarget.Call(ctx, rita, client.NotifyTargetParams{Target: "nobody"})
			return err
		}(),
		"try": func() error {
			_, err := client.TryNotifyTarget.Call(ctx, rita, client.NotifyTargetParams{Target: "nobody"})
			return err
		}(),
	} {
		if tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("%s of what there isn't: %v", name, err)
		}
	}
	if _, err := client.ListDeliveries.Call(ctx, rita, client.DeliveryFilter{Target: "nobody"}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a target that there isn't: %v", err)
	}
	letter, err := client.PreviewLetter.Call(ctx, rita, client.PreviewParams{Kind: "tenant.suspended", Language: "de", To: "contact"})
	if err != nil || letter.Subject != "example: Ihr Zugang ist gesperrt" || !strings.Contains(letter.HTML, `lang="de"`) {
		t.Errorf("%+v %v", letter, err)
	}
	if rep, err := f.s.VerifyAudit(ctx); err != nil || len(rep.Problems) > 0 {
		t.Errorf("the audit: %v %v", rep, err)
	}
	if row, err := f.s.Engine.DB.Delivery(ctx, got[0].ID); err != nil || row.State != store.DeliverySent {
		t.Errorf("%+v %v", row, err)
	}
}
