package blueprint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// What a revision means names it, not how its file was written.
func TestDigestIsOfTheMeaning(t *testing.T) {
	t.Parallel()
	whole := shop(t)
	base := compiled(t, whole)
	same := map[string]string{
		"a comment":         "# nothing\n" + whole,
		"the order of keys": edit(t, edit(t, whole, "name: shop\n", ""), "failure: compensate", "name: shop\nfailure: compensate"),
		"other quotes":      edit(t, whole, `version: "1"`, `version: '1'`),
		"line ends":         strings.ReplaceAll(whole, "\n", "\r\n"),
		"an alias":          edit(t, edit(t, whole, "data: [orders, people]", "data: &all [orders, people]"), "      tables: {orders: orders, people: people}", "      tables: {orders: &o orders, people: people}"),
		"an explicit need":  edit(t, whole, "    name: ${resources.store.name}-key", "    name: ${resources.store.name}-key\n    needs: [store]"),
		"what is implied":   edit(t, whole, "  required: [plan]", "  type: object\n  additionalProperties: false\n  required: [plan]"),
	}
	for name, yaml := range same {
		if c := compiled(t, yaml); c.Digest != base.Digest {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, yaml := range map[string]string{
		"a period":     edit(t, whole, "grace: P30D", "grace: P31D"),
		"an attribute": edit(t, whole, "seats * 2", "seats * 3"),
		"a version":    edit(t, whole, `version: "1"`, `version: "2"`),
		"an approval":  edit(t, whole, "offboard: 2", "offboard: 3"),
	} {
		if c := compiled(t, yaml); c.Digest == base.Digest {
			t.Errorf("%s doesn't change the digest", name)
		}
	}
}

// A revision that was published before its contradictions were looked for goes on: its
// tenants could never leave otherwise.
func TestStoredContradictionsGoOn(t *testing.T) {
	t.Parallel()
	rule := func(kind tenure.RuleKind, period string, from tenure.Anchor) tenure.RetentionRule {
		length, err := tenure.ParsePeriod(period)
		if err != nil {
			t.Fatal(err)
		}
		return tenure.RetentionRule{Name: period + string(kind), Kind: kind, Period: length, From: from}
	}
	early, late := rule(tenure.KeepUntil, "P1D", tenure.FromNotice), rule(tenure.KeepUntil, "P1Y", tenure.FromNotice)
	at := func(change func(*tenure.DataClass)) func(*tenure.Blueprint) {
		return func(b *tenure.Blueprint) { change(&b.DataClasses[0]) }
	}
	for name, change := range map[string]func(*tenure.Blueprint){
		"an end of what goes": at(func(c *tenure.DataClass) { c.End = []tenure.RetentionRule{late} }),
		"an end before the retention": at(func(c *tenure.DataClass) {
			c.Disposition, c.Retention, c.End = tenure.Keep, []tenure.RetentionRule{late}, []tenure.RetentionRule{early}
		}),
		"an end with the retention": at(func(c *tenure.DataClass) {
			c.Disposition, c.Retention, c.End = tenure.Keep, []tenure.RetentionRule{late}, []tenure.RetentionRule{late}
		}),
		"an end that wants it gone before": at(func(c *tenure.DataClass) {
			c.Disposition, c.Retention, c.End = tenure.Keep, []tenure.RetentionRule{late}, []tenure.RetentionRule{rule(tenure.KeepUntil, "P1Y", tenure.FromContractEnd), rule(tenure.GoneBy, "P1D", tenure.FromNotice)}
		}),
		"an end of a rule by which it goes": at(func(c *tenure.DataClass) {
			c.Disposition, c.Retention, c.End = tenure.Keep, []tenure.RetentionRule{early}, []tenure.RetentionRule{late}
			c.Rules = []tenure.DispositionRule{{Name: "r", Jurisdictions: []string{"DE"}, Disposition: tenure.Purge, End: []tenure.RetentionRule{late}}}
		}),
		"rules from different days": at(func(c *tenure.DataClass) {
			c.Retention = []tenure.RetentionRule{rule(tenure.KeepUntil, "P1Y", tenure.FromTermination), rule(tenure.GoneBy, "P1D", tenure.FromNotice)}
		}),
		"a remnant that is gone at once": func(b *tenure.Blueprint) {
			db := b.Systems["db"]
			db.Remnants = []tenure.RemnantSpec{{Kinds: []tenure.RemnantKind{tenure.RemnantLog}, Expires: rule("", "PT0S", "").Period}, {Kinds: []tenure.RemnantKind{tenure.RemnantRows}, Clean: true}}
			b.Systems["db"] = db
		},
		"what a connector finds since then": func(b *tenure.Blueprint) { b.Title = "checked" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := compiled(t, shop(t))
			change(&c.Blueprint)
			c.Blueprint.Jurisdiction = "DE"
			if err := c.seal(); err != nil {
				t.Fatal(err)
			}
			stricter := catalog()
			if c.Blueprint.Title == "checked" {
				stricter[0].Check = func(string, map[string]any, map[string][]tenure.Disposition) []connector.Fault {
					return []connector.Fault{{Says: "it can't be"}}
				}
			}
			if _, err := Decode(c.Encode(), c.Digest, stricter); err != nil {
				t.Errorf("its tenants can't leave: %v", err)
			}
		})
	}
}

// What the store kept is what was published, and does the same.
func TestEncodeAndDecode(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	back, err := Decode(c.Encode(), c.Digest, catalog())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Blueprint, back.Blueprint, cmp.Comparer(func(a, b tenure.Period) bool { return a == b })); diff != "" {
		t.Errorf("decoded (-published +stored):\n%s", diff)
	}
	want, err := c.Evaluate(input())
	if err != nil {
		t.Fatal(err)
	}
	got, err := back.Evaluate(input())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("evaluated (-published +stored):\n%s", diff)
	}
	if got := back.Ref(); got != (tenure.BlueprintRef{Name: "shop", Version: "1", Digest: c.Digest}) {
		t.Errorf("ref %+v", got)
	}
}

// A stored revision that was changed, or whose connector no longer offers what
// it uses, isn't run.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	changed := []byte(strings.Replace(string(c.Encode()), `"offboard":2`, `"offboard":1`, 1))
	if _, err := Decode(changed, c.Digest, catalog()); tenure.CodeOf(err) != tenure.Conflict || !strings.Contains(err.Error(), "it was changed") {
		t.Errorf("a changed body: %v", err)
	}
	loose := []byte(" " + string(c.Encode()))
	if _, err := Decode(loose, tenure.Digest(loose), catalog()); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a body that isn't canonical: %v", err)
	}
	if _, err := Decode([]byte("{"), tenure.Digest([]byte("{")), catalog()); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a body that isn't JSON: %v", err)
	}
	_, err := Decode(c.Encode(), c.Digest, []connector.Info{catalog()[1]})
	if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(fmt.Sprint(err), `$.systems.db.connector: unknown connector "fake"`) {
		t.Errorf("a connector that is gone: %v", err)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	whole := shop(t)
	a := compiled(t, whole)
	changed := edit(t, whole, "period: P7Y", "period: P10Y")
	changed = edit(t, changed, "limit: ${params.seats * 2}", "limit: 7")
	changed = edit(t, changed, "  mail: {title: Mail}\n", "")
	changed = edit(t, changed, "tiers: [gold]", "tiers: [gold, silver]")
	changed = edit(t, changed, "offboard: 2", "offboard: 3")
	changed = edit(t, changed, `version: "1"`, `version: "2"`)
	b := compiled(t, changed)
	want := []tenure.Difference{
		{Resource: "approvals/offboard", From: "2", To: "3"},
		{Resource: "dataClasses/orders", Field: "retention.tax.period", From: "P7Y", To: "P10Y"},
		{Resource: "features/mail", Field: "title", From: "Mail"},
		{Resource: "features/reports", Field: "tiers.silver", To: "silver"},
		{Resource: "resources/store", Field: "attributes.limit", From: "${params.seats * 2}", To: "7"},
		{Resource: "version", From: "1", To: "2"},
	}
	if diff := cmp.Diff(want, Diff(&a.Blueprint, &b.Blueprint)); diff != "" {
		t.Errorf("diff (-want +got):\n%s", diff)
	}
	if d := Diff(&a.Blueprint, &a.Blueprint); len(d) != 0 {
		t.Errorf("a revision differs from itself: %v", d)
	}
}
