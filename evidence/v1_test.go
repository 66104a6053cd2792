package evidence_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/evidence"
)

// A certificate that was issued before there was this format still verifies, and
// its reader is told what it doesn't prove.
func TestFirstFormat(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("testdata", "departure-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join("testdata", "departure-v1.pub"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := evidence.Verify(file, string(key))
	if err != nil {
		t.Fatal(err)
	}
	if report.Format != evidence.PredicateV1 || len(report.Unproven) == 0 {
		t.Errorf("format %s, unproven %q", report.Format, report.Unproven)
	}
	for i := 0; i < len(file); i += 7 {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, err := evidence.Verify(bad, string(key)); err == nil {
			t.Fatalf("byte %d changed goes unnoticed", i)
		}
	}
}

// A certificate of the second format, which lists the holds itself, still verifies.
func TestSecondFormat(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("testdata", "departure-v2.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join("testdata", "departure-v2.pub"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := evidence.Verify(file, strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	if report.Format != evidence.PredicateV2 || len(report.Departure.Holds) != 1 {
		t.Errorf("format %s, holds %+v", report.Format, report.Departure.Holds)
	}
	if _, err := evidence.CheckAnnex([]byte("{}"), &report.Departure); err == nil {
		t.Error("it has no annex, and one is taken for its own")
	}
}

// An annex is the certificate's by its digest alone, whoever hands it over.
func TestAnnex(t *testing.T) {
	t.Parallel()
	d := departure()
	a := evidence.Annex{Type: evidence.AnnexType, Kind: d.Kind, Tenant: d.Tenant.ID, Operation: d.Operation, Issued: noon, Salt: "s", Holds: []evidence.AnnexHold{{Matter: "M-1", PlacedBy: "person:1", Placed: noon}}}
	file, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.Annex = tenure.Digest(file)
	m := make1(t, d)
	report, err := evidence.Verify(m.file, m.key())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.CheckAnnex(file, &report.Departure); err != nil || got.Holds[0].Matter != "M-1" {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, err := evidence.CheckAnnex(bad, &report.Departure); err == nil {
			t.Fatalf("byte %d of the annex changed goes unnoticed", i)
		}
	}
}

// An entry that says something else than the certificate bears nothing out,
// though the log holds both.
func TestItemsAreHeldToTheirEntries(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(e *audit.Entry){
		"another resource": func(e *audit.Entry) { e.Subject = "res_other" },
		"another step": func(e *audit.Entry) {
			e.Data = facts("step", "prod/db/export", "state", "done", "verdict", "verified", "resource", "gone")
		},
		"not verified": func(e *audit.Entry) {
			e.Data = facts("step", deleting, "state", "failed", "verdict", "unknown", "resource", "gone")
		},
		"not gone": func(e *audit.Entry) {
			e.Data = facts("step", deleting, "state", "done", "verdict", "verified", "resource", "erasing")
		},
		"another kind":   func(e *audit.Entry) { e.Kind = "step.claimed" },
		"another tenant": func(e *audit.Entry) { e.Tenant = "" },
		"another time":   func(e *audit.Entry) { e.At = noon.AddDate(0, 0, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := goneEntry()
			change(e)
			d := departure()
			d.Entries[1] = digestOf(e)
			d.Resources[0].Entry = d.Entries[1]
			for i := range d.Classes {
				d.Classes[i].Stores[0].Entry = d.Entries[1]
			}
			m := makeWith(t, d, keyEntry(), e)
			report, err := evidence.Verify(m.file, m.key())
			if err == nil {
				t.Fatal("it verifies")
			}
			if last := report.Checks[len(report.Checks)-1]; last.Name != "what its items rest on" || !strings.Contains(last.Detail, string(resource)) {
				t.Errorf("the last check is %+v", last)
			}
		})
	}
}

// A person's word about what is physically left, and a cleaning, are held to the log.
func TestRemnantsAreHeldToTheirEntries(t *testing.T) {
	t.Parallel()
	op := departure().Operation
	word := audit.Entry{Format: audit.Format, At: noon, Kind: "task.done", Tenant: departure().Tenant.ID, Operation: op, Subject: string(op), Data: facts("gate", "remnants/main/snapshots")}
	done := audit.Entry{Format: audit.Format, At: noon, Kind: "step.result", Tenant: word.Tenant, Operation: op, Subject: string(op), Data: facts("step", "remnants/main/dead-rows/clean", "state", "done", "verdict", "verified")}
	attested := evidence.Remnant{System: "main", Kind: tenure.RemnantSnapshots, Says: "can't be seen", Task: "they are gone", Attested: "per_1", At: noon, Step: "remnants/main/snapshots"}
	cleaned := evidence.Remnant{System: "main", Kind: tenure.RemnantRows, Cleaned: noon, Step: "remnants/main/dead-rows/clean"}
	for name, c := range map[string]struct {
		remnant evidence.Remnant
		entry   audit.Entry
		change  func(r *evidence.Remnant, e *audit.Entry)
		fails   bool
	}{
		"attested":              {remnant: attested, entry: word},
		"cleaned":               {remnant: cleaned, entry: done},
		"another task":          {remnant: attested, entry: word, fails: true, change: func(_ *evidence.Remnant, e *audit.Entry) { e.Data = facts("gate", "task/1") }},
		"another moment":        {remnant: attested, entry: word, fails: true, change: func(_ *evidence.Remnant, e *audit.Entry) { e.At = noon.AddDate(0, 0, -1) }},
		"another tenant's word": {remnant: attested, entry: word, fails: true, change: func(_ *evidence.Remnant, e *audit.Entry) { e.Tenant = "" }},
		"a cleaning for a word": {remnant: attested, entry: done, fails: true},
		"a word for a cleaning": {remnant: cleaned, entry: word, fails: true},
		"a cleaning that failed": {remnant: cleaned, entry: done, fails: true, change: func(_ *evidence.Remnant, e *audit.Entry) {
			e.Data = facts("step", cleaned.Step, "state", "failed", "verdict", "failed")
		}},
		"attested without a task": {remnant: attested, entry: word, fails: true, change: func(r *evidence.Remnant, _ *audit.Entry) { r.Task = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, r, e := departure(), c.remnant, c.entry
			if c.change != nil {
				c.change(&r, &e)
			}
			r.Entry = digestOf(&e)
			d.Remnants, d.Entries = []evidence.Remnant{r}, append(d.Entries, r.Entry)
			err := d.Check()
			if err == nil {
				m := makeWith(t, d, keyEntry(), goneEntry(), &e)
				_, err = evidence.Verify(m.file, m.key())
			}
			if (err != nil) != c.fails {
				t.Errorf("it fails: %v, want %v", err, c.fails)
			}
		})
	}
}

func facts(kv ...string) []byte {
	m := make(map[string]string)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return audit.Facts(m)
}

// Proofs under two checkpoints could be of two histories.
func TestOneCheckpoint(t *testing.T) {
	t.Parallel()
	m := make1(t, departure())
	m.log.add(t, &audit.Entry{Format: audit.Format, At: noon, Kind: "later still"})
	file, err := evidence.NewBundle(m.env, m.bundle.Proofs[0], m.others(t)...).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Verify(file, m.key()); err == nil || !strings.Contains(err.Error(), "another checkpoint") {
		t.Errorf("proofs under two checkpoints: %v", err)
	}
}
