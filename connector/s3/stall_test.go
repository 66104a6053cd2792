package s3_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// A lifecycle rule that would delete what a hold covers is disabled while it stands, the
// others stay as they are, and the text comes back to the byte; what somebody changed
// meanwhile is left alone and said. On the stand-in: versitygw has no lifecycle rules.
func TestLifecycleIsSuspendedForAHold(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-held")
	rule := func(id, status, filter, what string) string {
		return "<Rule>\n <ID>" + id + "</ID><Status>" + status + "</Status>" + filter + what + "</Rule>"
	}
	const days = "<Expiration><Days>30</Days></Expiration>"
	text := `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		rule("all", "Enabled", "<Filter><Prefix></Prefix></Filter>", "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>") +
		rule("docs", "Enabled", "<Filter><And><Prefix>docs/2024</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>", days) +
		rule("logs", "Enabled", "<Prefix>logs/</Prefix>", days) + rule("off", "Disabled", "<Filter></Filter>", days) +
		rule("glacier", "Enabled", "<Filter></Filter>", "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>") + "</LifecycleConfiguration>"
	s.Set(r.Name, "lifecycle", []byte(text))
	d := s.driver.(connectortest.Staller)
	keep := []connector.Kept{{Hold: "hld_0", Prefix: "docs/"}}
	names := func(all []connector.Stalled) (out []string) {
		for _, one := range all {
			if !one.Suspended || !strings.Contains(text, one.Was) || one.Says == "" {
				t.Errorf("stall: %+v", one)
			}
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(one.Rule, "lifecycle rule "), " of bucket "+r.Name))
		}
		return out
	}
	off := func(text string, ids ...string) string {
		for _, id := range ids {
			text = strings.Replace(text, "<ID>"+id+"</ID><Status>Enabled", "<ID>"+id+"</ID><Status>Disabled", 1)
		}
		return text
	}
	stands := func(when, want string) {
		t.Helper()
		if got := string(s.Document(r.Name, "lifecycle")); got != want {
			t.Errorf("%s there stands:\n%s\nwant:\n%s", when, got, want)
		}
	}
	got := connectortest.StallAll(t, d, r, keep)
	if is := names(got); !slices.Equal(is, []string{"all", "docs"}) {
		t.Fatalf("suspended: %v", is)
	}
	stands("while it is held", off(text, "all", "docs"))
	if again := connectortest.StallAll(t, d, r, keep); len(again) != 0 {
		t.Errorf("a second time: %+v", again)
	}
	for _, one := range got { // the first one first, too: each is put back by itself
		if err := d.Unstall(t.Context(), r, one); err != nil {
			t.Fatal(err)
		}
	}
	stands("after the hold", text)
	back := connectortest.StallAll(t, d, r, nil) // the whole bucket
	if is := names(back); !slices.Equal(is, []string{"all", "docs", "logs"}) {
		t.Fatalf("after it was put back: %v", is)
	}
	// Somebody changes one rule, drops another and adds a third.
	changed := strings.Replace(string(s.Document(r.Name, "lifecycle")), "<NoncurrentDays>3", "<NoncurrentDays>4", 1)
	changed = strings.Replace(changed, back[2].Is, rule("more", "Enabled", "<Filter></Filter>", days), 1)
	s.Set(r.Name, "lifecycle", []byte(changed))
	for i, one := range back {
		if err := d.Unstall(t.Context(), r, one); (tenure.CodeOf(err) == tenure.Conflict) != (i != 1) || i == 1 && err != nil {
			t.Errorf("%s, after somebody changed two of three: %v", one.Rule, err)
		}
	}
	stands("after somebody changed two of three", strings.Replace(changed, back[1].Is, back[1].Was, 1))
}

// Rules without an id, and those that are called alike, are told apart.
func TestLifecycleRulesWithoutNames(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-nameless")
	const rule = "<Rule><Status>Enabled</Status><Filter><Prefix>a/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule>"
	other := strings.Replace(rule, "30", "60", 1)
	text := "<LifecycleConfiguration>" + rule + other + rule + "</LifecycleConfiguration>"
	s.Set(r.Name, "lifecycle", []byte(text))
	d := s.driver.(connectortest.Staller)
	got := connectortest.StallAll(t, d, r, nil)
	if is := string(s.Document(r.Name, "lifecycle")); len(got) != 3 || is != strings.ReplaceAll(text, "Enabled", "Disabled") {
		t.Fatalf("%d rules are suspended, and there stands %s", len(got), is)
	}
	for _, i := range []int{1, 2, 0} {
		if err := d.Unstall(t.Context(), r, got[i]); err != nil {
			t.Fatal(err)
		}
	}
	if is := string(s.Document(r.Name, "lifecycle")); is != text {
		t.Errorf("after the hold there stands:\n%s\nwant:\n%s", is, text)
	}
}
