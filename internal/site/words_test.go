package site_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// names are columns whose words the program itself chooses, or by which rows are found:
// nobody outside writes into them as they like.
var names = regexp.MustCompile(`^(id|key|digest|kind|state|previous|verdict|fingerprint|severity|role|access|silence|decision|outcome|action|subject|operation|step|resource|principal|tenant|from_state|to_state|blueprint|plan|connector|trigger_key|lasts|salt|campaign|standing|elevation|label|tier|code|hash|purpose|on_behalf|roles|identity|secret|caller|method|issuer|trace|email|error_code|status|change_to|covers|wanted|requested_by|place|version|environment|features|anchors|labels|driver|owner|progress|classes|needs|allows|already_gone|release_by|login|blocked)$`)

// ours are tables that no page reads, or whose rows are proofs.
var ours = regexp.MustCompile(`^(meta|tenant_move|audit_.*|checkpoint|goose.*|sqlite_.*|one_time|idempotency|secret|touch|fleet_count|tenant_label|tenant_external|plan|certificate|session|elevation_scope|approval_wait)$|^(principal|system|blueprint)$`)

// TestEveryStoredWord: whatever a field holds that a tenant, a customer, a system or
// somebody of the staff fills, by whichever way it came into the store, no page takes
// it for markup. Each text column of each row is filled.
func TestEveryStoredWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	id := h.onboard("acme", "team")
	_, _, op := h.furnish(id, "acme", "plain")
	h.feed()
	told := h.tell("e-1", "deal.won", string(id), "company", `"Acme"`)
	officer := h.person("vera", tenure.SecurityOfficer, everything)
	admin := h.person("ada", tenure.Admin, everything)
	_, secret, err := h.svc.NewDepartureLink(ctx, string(id), "", 30*24*time.Hour, "olga")
	h.must(err)
	_, _, err = h.gov.NewToken(ctx, governance.Local("root"), "vera", store.Token{Name: "plain", ExpiresAt: h.gov.Now().Add(time.Hour)})
	h.must(err)
	var filled []string
	h.must(h.db.Write(ctx, func(tx *store.Tx) error {
		var columns string
		if err := tx.Row(`select group_concat(m.name || '.' || p.name) from sqlite_master m, pragma_table_info(m.name) p where m.type = 'table' and lower(p.type) = 'text'`, nil, &columns); err != nil {
			return err
		}
		for _, c := range strings.Split(columns, ",") {
			table, column, _ := strings.Cut(c, ".")
			if names.MatchString(column) || ours.MatchString(table) {
				continue
			}
			var have string
			if err := tx.Row(fmt.Sprintf(`select coalesce(max(%s), '') from %s`, column, table), nil, &have); err != nil {
				return err
			}
			if json.Valid([]byte(have)) && strings.ContainsAny(have, "{[") {
				continue
			}
			n, err := tx.Exec(fmt.Sprintf(`update or ignore %s set %s = $1`, table, column), hostile+"‹"+c+"›")
			if err != nil {
				continue // a constraint says what it may hold
			}
			if n > 0 {
				filled = append(filled, c)
			}
		}
		return nil
	}))
	if len(filled) < 35 {
		t.Fatalf("only %d columns are filled: %v", len(filled), filled)
	}
	shown := map[string]bool{}
	mark := regexp.MustCompile(`‹([a-z_.]+)›`)
	failed := map[string]int{}
	look := func(path string, a answer) {
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s lets words be markup", path)
		}
		if regexp.MustCompile(`(?i)(href|src|action)="\s*(javascript|data):`).MatchString(a.body) {
			t.Errorf("%s has a link that runs", path)
		}
		for _, m := range mark.FindAllStringSubmatch(a.body, -1) {
			shown[m[1]] = true
		}
		if a.StatusCode >= 500 {
			failed[path] = a.StatusCode
		}
	}
	for _, b := range []*browser{officer, admin} {
		b.crawl(look)
		look("the operation", b.get("/operations/"+string(op.ID)))
		look("the event", b.get("/events/"+string(told.ID)))
	}
	page := h.stranger().get(server.LeaverPath + secret.Reveal())
	look("the departure", page)
	for _, m := range mark.FindAllStringSubmatch(page.body, -1) {
		if table, _, _ := strings.Cut(m[1], "."); table != "tenant" && table != "agreement" {
			t.Errorf("the page of who leaves says what stands in %s", m[1])
		}
	}
	for _, c := range []string{"inbound.type", "inbound.source", "inbound.external_id", "inbound.why", "inbound.rule", "trigger_revision.body"} {
		if !shown[c] {
			t.Errorf("no page shows what stands in %s", c)
		}
	}
	var words []string
	for c := range shown {
		words = append(words, c)
	}
	slices.Sort(words)
	if len(words) < 25 || len(failed) > 0 {
		t.Errorf("of %d columns %d stand on pages: %v; pages that failed: %v", len(filled), len(words), words, failed)
	}
}
