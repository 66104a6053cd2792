package daemon_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/chromiumtest"
)

// TestLife: people take a tenant through its whole life at their browsers: in with
// another person's approval, held, out through its retention, and the certificate
// holds without Tenure.
func TestLife(t *testing.T) {
	t.Parallel()
	h := open(t)
	op := h.movesIn()
	h.handedOver(op)
	out := h.moves("maple")
	h.held(out)
	h.gone(out)
}

// badLine gives pages a bad connection: the first stream of events is refused, and what
// is fetched fails until the operation has ended and once more.
const badLine = `(() => {
	const Stream = window.EventSource, real = window.fetch;
	let refused = false, ended = false, failed = false;
	window.EventSource = function (url) {
		if (!refused) { refused = true; return new Stream('/v1/nowhere'); }
		const stream = new Stream(url);
		stream.addEventListener('end', () => { ended = true; });
		return stream;
	};
	window.EventSource.CLOSED = Stream.CLOSED;
	window.fetch = async (...request) => {
		if (ended && failed) return real(...request);
		failed = ended;
		return new Response('', { status: 503 });
	};
})()`

// movesIn: the requester can't approve; another person does, and the requester's
// open page follows by itself.
func (h *house) movesIn() tenure.OperationID {
	t := h.t
	t.Helper()
	operator := h.at("operator", "/")
	op := requested(h, operator, "maple")
	operator.Press("Approve")
	operator.Sees("You asked for this operation, so somebody else must approve it.")
	operator.Press("Approve")
	chromiumtest.Eval[bool](operator, "window.untouched = true")
	far := h.browser.Visit(t, "auditor")
	far.Go(h.url + "/")
	h.signIn(far, "auditor")
	far.Before(badLine)
	far.Go(h.url + "/operations/" + string(op))
	chromiumtest.Eval[bool](far, "window.untouched = true")

	approver := h.at("approver", "/approvals")
	approver.Sees("maple", "For you to decide")
	approver.Go(h.url + "/operations/" + string(op))
	approver.Press("Approve")
	v, err := h.inst.Operation(t.Context(), op)
	check(t, err)
	approver.Sees("You sign exactly this plan", v.Plan)
	approver.Fill("note", "as agreed")
	approver.Follow("Approve")
	approver.Sees("You have signed the plan.", "as agreed")

	t.Cleanup(func() { // which of the two stands still, the operation or the page that follows it
		if v, err := h.inst.Operation(context.Background(), op); t.Failed() && err == nil {
			t.Logf("the onboarding is %s; the requester's page has fetched %s", v.State, chromiumtest.Eval[string](operator, "performance.getEntriesByType('resource').slice(-3).map((r) => r.name + ' ' + r.responseStatus + ' at ' + Math.round(r.startTime)).join(', ') + '; it is now ' + Math.round(performance.now())"))
		}
	})
	operator.Until("the requester's page says that it succeeded", "document.querySelector('main .lead .status')?.innerText.includes('succeeded')")
	far.Until("a page on a bad line says so, too", "document.querySelector('main .lead .status')?.innerText.includes('succeeded')")
	for _, v := range []*chromiumtest.Visitor{operator, far} {
		if !chromiumtest.Eval[bool](v, "window.untouched === true") {
			t.Errorf("%s's page was loaded again; it should follow by itself", v.Name)
		}
	}
	for env, n := range map[string]int{"prod": 20, "test": 5} {
		_, err := h.platform.Fill(t.Context(), "maple-"+env, n)
		check(t, err)
	}
	return op
}

// handedOver: the outputs reach the requester, with their secrets once.
func (h *house) handedOver(op tenure.OperationID) {
	t := h.t
	t.Helper()
	approver := h.at("approver", "/operations/"+string(op))
	if approver.Has("Show what is handed over") {
		t.Error("somebody else than the requester is offered the outputs")
	}
	operator := h.at("operator", "/operations/"+string(op))
	operator.Press("Show what is handed over")
	operator.Follow("Show what is handed over")
	operator.Sees("prod/apiKey = ", "It is shown this once.")
	secret := ""
	for _, line := range strings.Split(chromiumtest.Eval[string](operator, "document.querySelector('code.secret').textContent"), "\n") {
		if name, value, ok := strings.Cut(line, " = "); ok && name == "prod/apiKey" {
			secret = value
		}
	}
	if got := h.call(secret); got != http.StatusOK {
		t.Fatalf("the key that was handed over opens nothing: the platform answers %d", got)
	}
	operator.Go(h.url + "/operations/" + string(op))
	operator.Lacks(secret)
	operator.Press("Show what is handed over")
	operator.Follow("Show what is handed over")
	operator.Lacks(secret)
}

// call asks the example platform with a tenant's key.
func (h *house) call(key string) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://"+h.platform.Addr()+"/prod/v1/apps", nil)
	check(h.t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	check(h.t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// moves asks for the tenant's departure: its name is typed, and two persons sign.
func (h *house) moves(name string) tenure.OperationID {
	t := h.t
	t.Helper()
	operator := h.at("operator", "/tenants?q="+name)
	operator.Follow("Offboard")
	operator.Fill("reason", "the customer gave notice")
	operator.Follow("Show the plan")
	operator.Sees("What will be gone", "destroy data")
	operator.Follow("Start it")
	operator.Sees("Until when it can be undone", "Type "+name+" to confirm")
	operator.Fill("confirm", name+"x")
	operator.Press("Offboard " + name)
	if chromiumtest.Eval[bool](operator, "document.querySelector('[name=confirm]').checkValidity()") {
		t.Error("the page takes a wrong name")
	}
	// A browser that checks nothing is refused by the server.
	chromiumtest.Eval[bool](operator, "document.querySelector('[name=confirm]').form.noValidate = true")
	operator.Follow("Offboard " + name)
	operator.Sees("The name isn't " + name + ". Nothing was started.")
	operator.Fill("confirm", name)
	operator.Follow("Offboard " + name)
	operator.Sees("It has begun.")
	op := tenure.OperationID(strings.TrimPrefix(operator.Path(), "/operations/"))
	for _, who := range []string{"approver", "officer"} {
		v := h.at(who, "/operations/"+string(op))
		v.Press("Approve")
		v.Sees("destroy data")
		v.Follow("Approve")
		v.Sees("You have signed the plan.")
	}
	return op
}

// held: a hold placed by one person stops the erasure past its dates, and two
// persons release it.
func (h *house) held(op tenure.OperationID) {
	t := h.t
	t.Helper()
	h.carry(op, h.now().AddDate(0, 0, 40), tenure.ActNoReturn)
	tenant, err := h.inst.Tenant(t.Context(), "maple")
	check(t, err)
	counsel := h.at("counsel", "/tenants/"+string(tenant.ID))
	counsel.Follow("Place a hold")
	counsel.Press("Place a hold")
	counsel.Fill("matter", "case 26-117")
	counsel.Fill("reason", "claim by a former customer")
	counsel.Follow("Place a hold")
	counsel.Sees("The hold binds", "case 26-117", "maple")

	h.leaver(tenant.ID)
	before := h.records(t)
	h.carry(op, h.now().AddDate(0, 4, 0))
	if after := h.records(t); before == 0 || after != before {
		t.Fatalf("four months on the hold should keep all %d records, and there are %d", before, after)
	}
	h.at("operator", "/tenants/"+string(tenant.ID)).Sees("held", "case 26-117")

	counsel = h.at("counsel", "/holds")
	counsel.Press("Ask for the release")
	counsel.Follow("Ask for the release")
	counsel.Sees("a second person must say the same")
	counsel.Press("Release")
	counsel.Sees("You have asked for this release; a second person must.")
	second := h.at("second-counsel", "/holds")
	second.Press("Release")
	second.Sees("counsel asked for it")
	second.Follow("Release")
	second.Sees("The hold is released.")
}

// records counts the customers and orders in the tenant's databases, wherever the
// files of its name are now.
func (h *house) records(t *testing.T) (n int) {
	t.Helper()
	check(t, filepath.WalkDir(h.platform.Tenants, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "maple-") || !strings.HasSuffix(path, ".db") {
			return err
		}
		db := h.sql(path)
		defer db.Close()
		for _, table := range []string{"customers", "orders"} {
			var rows int
			if err := db.QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&rows); err != nil {
				return err
			}
			n += rows
		}
		return nil
	}))
	return n
}

// sql opens one of the platform's databases.
func (h *house) sql(path string) *sql.DB {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	check(h.t, err)
	return db
}

// gone: two persons confirm a point of no return in the browser, the others follow,
// and the one who left reads and verifies the certificate.
func (h *house) gone(op tenure.OperationID) {
	t := h.t
	t.Helper()
	far := h.now().AddDate(12, 0, 0)
	v := h.carry(op, far, tenure.ActNoReturn)
	if v.State.Ended() {
		t.Fatalf("no point of no return was asked for: %s: %s", v.State, v.Reason)
	}
	for _, who := range []string{"approver", "officer"} {
		p := h.at(who, "/operations/"+string(op))
		p.Follow("css:main .actions a[href*='no-return']")
		p.Sees("After this nobody can bring it back.", "What will be gone")
		p.Fill("confirm", "maple")
		p.Follow("Confirm for maple")
		p.Sees("Your confirmation is noted.")
	}
	if v = h.carry(op, far); v.State != tenure.OperationSucceeded {
		t.Fatalf("the offboarding is %s: %s", v.State, v.Reason)
	}
	if n := h.records(t); n != 0 {
		t.Errorf("after the certificate %d records are left", n)
	}
	auditor := h.at("auditor", "/tenants/"+string(v.Tenant))
	auditor.Sees("closed", "closing certificate")
	certs, err := h.inst.Certificates(t.Context(), string(v.Tenant))
	check(t, err)
	auditor.Go(fmt.Sprintf("%s/tenants/%s/certificates/%s/view", h.url, v.Tenant, certs[len(certs)-1].ID))
	auditor.Sees("Nothing of this tenant remains.", "tenure certificate verify")
	bundle := h.download(auditor, fmt.Sprintf("/tenants/%s/certificates/%s", v.Tenant, certs[len(certs)-1].ID))
	key, err := h.inst.VerifierKey()
	check(t, err)
	if _, err := evidence.Verify(bundle, key); err != nil {
		t.Errorf("the downloaded certificate: %v", err)
	}
	if _, err := evidence.Verify(bytes.Replace(bundle, []byte("a"), []byte("b"), 1), key); err == nil {
		t.Error("a certificate with a byte changed verifies")
	}
}

// download fetches a file as the visitor's browser would.
func (h *house) download(v *chromiumtest.Visitor, path string) []byte {
	h.t.Helper()
	file := chromiumtest.Eval[string](v, fmt.Sprintf("fetch(%q).then(async (r) => r.ok ? [...new Uint8Array(await r.arrayBuffer())].map((b) => b.toString(16).padStart(2, '0')).join('') : 'status ' + r.status)", path))
	body, err := hex.DecodeString(file)
	if err != nil || len(body) == 0 {
		h.t.Fatalf("%s: %.40s", path, file)
	}
	return body
}

// leaver: the one who leaves opens their page without an account, downloads the
// export, and is refused once the link is revoked.
func (h *house) leaver(id tenure.TenantID) {
	t := h.t
	t.Helper()
	operator := h.at("operator", "/tenants/"+string(id))
	operator.Press("Make a link")
	operator.Fill("days", "30")
	operator.Follow("Make a link")
	link := chromiumtest.Eval[string](operator, "document.querySelector('code.secret').textContent")
	if !strings.HasPrefix(link, h.url+"/") {
		t.Fatalf("the link is %q", link)
	}
	customer := h.browser.Visit(t, "customer")
	customer.Go(link)
	customer.Sees("Maple & Sons <Ltd>", "Your data, to take with you", "What we still have, and why")
	file := chromiumtest.Eval[string](customer, "document.querySelector('a[download]').href")
	resp, err := http.Get(file)
	check(t, err)
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	check(t, err)
	if resp.StatusCode != http.StatusOK || len(body) == 0 {
		t.Errorf("the export comes as %s with %d bytes", resp.Status, len(body))
	}
	if customer.Go(h.url + "/tenants"); !strings.HasPrefix(customer.Path(), "/sign-in") {
		t.Errorf("with a link alone one gets to %s", customer.Path())
	}
	operator.Go(h.url + "/tenants/" + string(id))
	operator.Follow("Revoke")
	operator.Sees("The link opens nothing any more.")
	customer.Go(link)
	customer.Lacks("Maple")
	if resp, err = http.Get(file); err == nil {
		_ = resp.Body.Close()
	}
	check(t, err)
	if resp.StatusCode == http.StatusOK {
		t.Error("the export of a revoked link is still given")
	}
}
