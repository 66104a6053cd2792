package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/evidence"
)

// handedOver is a closing certificate with an artifact of the plan and one that was dropped, and their entries.
func handedOver() (evidence.Departure, []*audit.Entry) {
	d := departure()
	entry := func(kind string, facts map[string]string) *audit.Entry {
		return &audit.Entry{Format: audit.Format, At: noon, Kind: kind, Tenant: acme, Operation: d.Operation, Subject: string(d.Operation), Data: audit.Facts(facts)}
	}
	entries := []*audit.Entry{entry("task.done", map[string]string{"gate": "artifact/1", "artifact": "reassigned"}), entry("task.drop", map[string]string{"task": "tsk_1", "artifact": "dropped"})}
	d.Artifacts = []evidence.Artifact{
		{Name: evidence.NameDigest(acme, "Monthly report"), Outcome: "reassigned", By: "person:1", At: noon, Item: "artifact/1", Planned: true, Entry: digestOf(entries[0])},
		{Name: evidence.NameDigest(acme, "Old dashboard"), Outcome: "dropped", By: "person:1", At: noon, Item: "tsk_1", Entry: digestOf(entries[1])},
	}
	for _, e := range entries {
		d.Entries = append(d.Entries, digestOf(e))
	}
	return d, entries
}

// TestArtifact: what became of an artifact verifies as the log has it, and nothing else does.
func TestArtifact(t *testing.T) {
	t.Parallel()
	d, entries := handedOver()
	m := makeWith(t, d, append([]*audit.Entry{keyEntry(), goneEntry()}, entries...)...)
	if _, err := evidence.Verify(m.file, m.key()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*evidence.Artifact){
		"another outcome": func(a *evidence.Artifact) { a.Outcome = "archived" },
		"another item":    func(a *evidence.Artifact) { a.Item = "artifact/2" },
		"another day":     func(a *evidence.Artifact) { a.At = noon.Add(-time.Hour) },
		"added by hand":   func(a *evidence.Artifact) { a.Planned = false },
	} {
		d, entries := handedOver()
		change(&d.Artifacts[0])
		m := makeWith(t, d, append([]*audit.Entry{keyEntry(), goneEntry()}, entries...)...)
		if _, err := evidence.Verify(m.file, m.key()); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "log entry says something else") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestArtifactRefused: no certificate is made that says of an artifact what can't be.
func TestArtifactRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*evidence.Departure, *evidence.Artifact){
		"a name in the clear":     func(_ *evidence.Departure, a *evidence.Artifact) { a.Name = "Monthly report" },
		"nobody":                  func(_ *evidence.Departure, a *evidence.Artifact) { a.By = "" },
		"another word":            func(_ *evidence.Departure, a *evidence.Artifact) { a.Outcome = "sold" },
		"the plan's, and dropped": func(_ *evidence.Departure, a *evidence.Artifact) { a.Outcome = evidence.ArtifactDropped },
		"later":                   func(_ *evidence.Departure, a *evidence.Artifact) { a.At = noon.Add(time.Hour) },
		"twice":                   func(d *evidence.Departure, a *evidence.Artifact) { d.Artifacts = append(d.Artifacts, *a) },
		"supplementary":           func(d *evidence.Departure, _ *evidence.Artifact) { d.Kind, d.Closing = evidence.Supplementary, sum },
	} {
		d, _ := handedOver()
		change(&d, &d.Artifacts[0])
		if err := d.Check(); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, _ := handedOver()
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}
