package site_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	says "github.com/tenurehq/tenure/internal/words"
)

var markup = regexp.MustCompile(`(?s)<script.*?</script>|<svg.*?</svg>|<[^>]*>`)

// onlyIn fails if one of Tenure's texts stands in what is in the other language, as far as it is longer
// than a word or two.
func onlyIn(t *testing.T, lang says.Language, what, text string) {
	t.Helper()
	other := says.English
	if lang == says.English {
		other = says.German
	}
	text = html.UnescapeString(markup.ReplaceAllString(text, ""))
	for _, k := range says.Keys() {
		for _, part := range other.Parts(k) {
			if p := strings.Trim(part.Text, " .:,;"); len(p) > 12 && strings.Contains(p, " ") && strings.Contains(text, p) {
				t.Errorf("%s says %q (%s), and is in %s", what, p, k, lang)
			}
		}
	}
}

// in is a get or, with pairs, a post of somebody whose browser wants a language.
func (b *browser) in(lang, method, path string) answer {
	b.h.t.Helper()
	r, err := http.NewRequest(method, b.h.at.URL+path, nil)
	b.h.must(err)
	r.Header.Set("Accept-Language", lang)
	if method == http.MethodPost {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.do(r)
}

// TestLanguageOfPages: who has a link reads mail and page in the tenant's language, and none of Tenure's
// sentences in another; of whom nothing is known reads the browser's. What others wrote stays text.
func TestLanguageOfPages(t *testing.T) {
	t.Parallel()
	for _, lang := range []says.Language{says.German, says.English} {
		t.Run(lang.Tag(), func(t *testing.T) {
			t.Parallel()
			readsIn(t, lang)
		})
	}
}

// readable is what the notices of a kind say.
func readable(h *house, of tenure.TenantID, kind tenure.NoticeKind) (out string) {
	list, err := h.db.Notices(context.Background(), of)
	h.must(err)
	for _, n := range list {
		if n.Kind == kind {
			out += n.Body + "\n"
		}
	}
	return out
}

func readsIn(t *testing.T, lang says.Language) {
	h, ctx := newHouse(t), context.Background()
	h.t = t
	other := map[says.Language]string{says.German: "en", says.English: "de"}[lang] // the browser's, which doesn't count where the reader is known
	vendor := "vendors:\n    - {name: Example Print, email: desk@print.example, holds: Briefe <i>, due: P14D, language: " + lang.Tag() + "}"
	text := strings.Replace(fmt.Sprintf(blueprintText, "2.0"), "approvals:", "lease: {period: P30D, ask: P7D, silence: suspend, extensions: 2}\nnotices: [{on: transition, to: contact, text: {en: it ends, de: es endet}}, {on: transition, to: platform, text: {en: it ends, de: es endet}}]\napprovals:", 1)
	text = strings.Replace(text, "offboarding:", "offboarding:\n  tasks: [{task: Schlüssel, owner: contact}]\n  "+vendor, 1)
	_, err := h.svc.SubmitBlueprint(ctx, []byte(text), "small.yaml", "author")
	h.must(err)
	_, err = h.svc.PublishBlueprint(ctx, "small@2.0", "reviewer")
	h.must(err)
	label := map[string]string{lifecycle.LanguageLabel: lang.Tag() + "-CH"} // a region of it
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Organization: `<b>acme</b> & "Söhne"`, Contact: "kim@acme.example", Blueprint: "small@2.0", Labels: label})
	h.sign(op.ID, "rita")
	row, err := h.db.Tenant(ctx, "acme")
	h.must(err)
	_, err = h.svc.SetKnownBy(ctx, "acme", tenure.KnownBy{Domains: []string{"acme.example"}}, row.Version, "olga")
	h.must(err)
	anybody := h.stranger()
	look := func(what, path string, status int) string {
		t.Helper()
		page := anybody.in(other, http.MethodGet, path)
		if page.StatusCode != status || !strings.Contains(page.body, `<html lang="`+lang.Tag()+`">`) || strings.Contains(page.body, "<b>acme</b>") || strings.Contains(page.body, "Briefe <i>") {
			t.Errorf("%s answers %d, or in another language:\n%s", what, page.StatusCode, page.body)
		}
		onlyIn(t, lang, what, page.body)
		return page.body
	}
	link := func(kind tenure.NoticeKind, to string) string {
		t.Helper()
		list, err := h.db.Notices(ctx, op.Tenant)
		h.must(err)
		at := ""
		for _, n := range list {
			if n.Kind != kind || n.Recipient != to {
				continue
			}
			if n.Language != lang.Tag() {
				t.Errorf("the notice %s is in %q", n.ID, n.Language)
			}
			onlyIn(t, lang, n.ID, n.Body)
			if found := regexp.MustCompile(`https://tenure\.example(/\S+)`).FindStringSubmatch(n.Body); found != nil {
				at = found[1]
			}
		}
		return at
	}

	h.pass(24 * 24 * time.Hour)
	h.must(h.svc.TickLeases(ctx, h.svc.Now()))
	lease := link(tenure.NoticeLease, "kim@acme.example")
	if body := look("a lease", lease, 200); !strings.Contains(body, lang.Day(h.svc.Now().Add(7*24*time.Hour))) && !strings.Contains(body, lang.Day(h.svc.Now().Add(6*24*time.Hour))) {
		t.Errorf("the lease's page says its date otherwise:\n%s", body)
	}
	anybody.change(lease, "answer", "extend")
	look("an answered lease", lease, 200)

	h.must(h.svc.AskLeave(ctx, lifecycle.LeaveAsk{Tenant: "acme", Address: "bo@acme.example", Reason: "<i>"}))
	h.must(h.svc.TickLeaves(ctx, h.svc.Now()))
	bo := link(tenure.NoticeLeave, "bo@acme.example")
	look("who asks", bo, 200)
	anybody.change(bo, "answer", "confirm")
	look("who waits", bo, 200)
	kim := link(tenure.NoticeLeave, "kim@acme.example")
	look("who is asked", kim, 200)
	anybody.change(kim, "answer", "refuse", "reason", "wir bleiben")
	look("who has refused", kim, 200)
	link(tenure.NoticeLeave, "bo@acme.example")

	leaving := h.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"})
	_, secret, err := h.svc.NewDepartureLink(ctx, "acme", "", 300*24*time.Hour, "olga")
	h.must(err)
	look("a departure", "/departure/"+secret.Reveal(), 200)
	h.sign(leaving.ID, "rita")
	told := map[string]string{}
	list, err := h.db.Notices(ctx, op.Tenant)
	h.must(err)
	for _, n := range list {
		if n.Kind == tenure.NoticeOf(tenure.TenantTransition) {
			told[n.Recipient] = n.Body
		}
	}
	if want := map[says.Language]string{says.German: "es endet", says.English: "it ends"}[lang]; told["contact"] != want || told["platform"] != "it ends" || !strings.Contains(told[tenure.Timeline], "has given notice") {
		t.Errorf("of the notice are told: %q", told)
	}
	for range 80 {
		v, err := h.svc.Operation(ctx, leaving.ID)
		h.must(err)
		if strings.Contains(v.Reason, "hasn't been asked yet") {
			break
		}
		h.must(h.svc.TickChecklist(ctx, h.svc.Now()))
		for _, st := range v.Body.Steps {
			if st.Action == tenure.ActTask {
				_, _ = h.svc.FinishTask(ctx, leaving.ID, st.Key, "olga", "")
			}
			if st.Action == tenure.ActNoReturn {
				for _, by := range []string{"rita", "cora"} {
					_, _ = h.svc.Approve(ctx, leaving.ID, st.Key, v.Plan, by, "")
				}
			}
		}
		look("a departure", "/departure/"+secret.Reveal(), 200)
		h.pass(2 * 24 * time.Hour)
	}
	link(tenure.NoticeTask, "contact")
	if !strings.Contains(readable(h, op.Tenant, tenure.NoticeTask), "Schlüssel") {
		t.Error("the contact wasn't told of the task")
	}
	h.must(h.svc.TickVendors(ctx, h.svc.Now()))
	vendorLink := link(tenure.NoticeVendor, "desk@print.example")
	look("a vendor", vendorLink, 200)
	wrong := anybody.post(vendorLink, "answer", "gone", "name", "k", "role", "")
	onlyIn(t, lang, "a wrong answer", wrong.body)
	if said, _ := lang.Translate("the role of who answers is missing"); !strings.Contains(wrong.body, said) {
		t.Errorf("a wrong answer isn't told in %s:\n%s", lang, wrong.body)
	}
	anybody.change(vendorLink, "answer", "kept", "name", "k", "role", "r", "reason", "HGB", "until", h.svc.Now().AddDate(1, 0, 0).Format(time.DateOnly))
	look("a vendor's answer", vendorLink, 200)

	for _, path := range []string{"/leave", "/leave/sent", "/leave/x.y", "/lease/x.y", "/vendor/x.y", "/departure/x.y"} {
		page := anybody.in(lang.Tag()+",fr;q=0.5", http.MethodGet, path)
		if !strings.Contains(page.body, `<html lang="`+lang.Tag()+`">`) {
			t.Errorf("%s isn't in the browser's language:\n%s", path, page.body)
		}
		onlyIn(t, lang, path, page.body)
	}
	if page := anybody.in("fr", http.MethodGet, "/leave"); !strings.Contains(page.body, `<html lang="en">`) {
		t.Errorf("a language that there isn't gives\n%s", page.body)
	}
	_, other2, err := h.svc.NewDepartureLink(ctx, "acme", store.Stakeholder, 24*time.Hour, "olga")
	h.must(err)
	onlyIn(t, says.English, "a stakeholder's page", anybody.in("de", http.MethodGet, "/departure/"+other2.Reveal()).body)
}
