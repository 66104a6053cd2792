package site_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// TestChecklistPages: who may steer a departure keeps its checklist on the operation's page; a stakeholder's link shows
// it with its owners and hands none of the customer's data out; who leaves sees what they themselves are to do.
func TestChecklistPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	h.onboard("acme", "team")
	op := h.request(offboarding("acme"))
	at := "/operations/" + string(op.ID)
	staff := h.person("oda", tenure.Operator, everything)
	staff.change(at+"/add-task", "task", "Tell the auditors <b>now</b>", "owner", "group:legal", "due", "2027-01-31").wants(t, 200, "Tell the auditors &lt;b&gt;now", "group:legal", "2027-01-31")
	staff.change(at+"/add-task", "task", "Name the new owner of the flows", "owner", "contact").wants(t, 200, "Name the new owner")
	if a := staff.post(at+"/add-task", "task", ""); a.StatusCode == 200 || strings.Contains(a.body, "on the checklist") {
		t.Errorf("no task: %d", a.StatusCode)
	}
	reader := h.person("vic", tenure.Viewer, everything)
	reader.get(at).wants(t, 200, "Tell the auditors")
	if strings.Contains(reader.get(at).body, "Add a task") {
		t.Error("who may only read is asked for a task")
	}
	_, customer, err := h.svc.NewDepartureLink(ctx, "acme", "", 24*time.Hour, "olga")
	h.must(err)
	_, other, err := h.svc.NewDepartureLink(ctx, "acme", store.Stakeholder, 24*time.Hour, "olga")
	h.must(err)
	for secret, sees := range map[string]bool{customer.Reveal(): false, other.Reveal(): true} {
		page := h.stranger().get("/departure/" + secret)
		page.wants(t, 200, "Name the new owner of the flows")
		if strings.Contains(page.body, "group:legal") != sees || strings.Contains(page.body, "Tell the auditors") != sees {
			t.Errorf("a stakeholder: %v\n%s", sees, page.body)
		}
		if strings.Contains(page.body, "Your data, to take with you") == sees {
			t.Errorf("a stakeholder: %v, and the export is there or not", sees)
		}
		if a := h.stranger().get("/departure/" + secret + "/files/x"); a.StatusCode != 404 {
			t.Errorf("a file: %d", a.StatusCode)
		}
	}
	if _, _, err := h.svc.NewDepartureLink(ctx, "acme", "anybody", 24*time.Hour, "olga"); tenure.CodeOf(err) != tenure.Invalid {
		t.Error(err)
	}
	staff.change(at+"/add-task", "task", "Old <i>dashboard</i>", "artifact", "true", "where", "Charts, shared folder").wants(t, 200, "Old &lt;i&gt;dashboard", "Charts, shared folder", "to be handed over or archived", "It is handed over")
	list, err := h.svc.Checklist(ctx, op.ID)
	h.must(err)
	items := make(map[string]string)
	for _, it := range list {
		items[strings.Fields(it.Text)[0]] = it.Item
	}
	staff.change(at+"/done", "gate", items["Tell"], "note", "by phone").wants(t, 200, "by phone")
	if a := staff.change(at+"/done", "gate", items["Old"], "outcome", "reassigned"); strings.Contains(a.body, "reassigned to") {
		t.Error("an artifact is handed over to nobody")
	}
	staff.change(at+"/done", "gate", items["Old"], "outcome", "reassigned", "destination", "the <b>finance</b> team").wants(t, 200, "reassigned to the &lt;b&gt;finance")
	h.stranger().get("/departure/"+other.Reveal()).wants(t, 200, "Charts, shared folder", "reassigned to the &lt;b&gt;finance")
	if a := h.stranger().get("/departure/" + customer.Reveal()); strings.Contains(a.body, "Charts, shared folder") {
		t.Error("who leaves sees what isn't theirs to hand over")
	}
	staff.change(at+"/drop", "item", items["Name"], "reason", "there are no flows").wants(t, 200, "there are no flows")
}
