package s3_test

import (
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
	got := connectortest.StallAll(t, d, r, keep)
	if len(got) != 1 || !got[0].Suspended || got[0].Was != text || !strings.Contains(got[0].Says, "rules all, docs would") {
		t.Fatalf("stall: %+v", got)
	}
	want := strings.Replace(text, "<ID>all</ID><Status>Enabled", "<ID>all</ID><Status>Disabled", 1)
	want = strings.Replace(want, "<ID>docs</ID><Status>Enabled", "<ID>docs</ID><Status>Disabled", 1)
	if got[0].Is != want {
		t.Errorf("what stands there:\n%s\nwant:\n%s", got[0].Is, want)
	}
	if again := connectortest.StallAll(t, d, r, keep); len(again) != 0 {
		t.Errorf("a second time: %+v", again)
	}
	if err := d.Unstall(t.Context(), r, got[0]); err != nil {
		t.Fatal(err)
	}
	back := connectortest.StallAll(t, d, r, nil) // the whole bucket
	if len(back) != 1 || back[0].Was != text || !strings.Contains(back[0].Says, "all, docs, logs") {
		t.Fatalf("after it was put back: %+v", back)
	}
	changed := strings.Replace(back[0].Is, "30", "60", 1)
	s.Set(r.Name, "lifecycle", []byte(changed))
	if err := d.Unstall(t.Context(), r, back[0]); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("after somebody changed it: %v, want Conflict", err)
	}
}
