package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
)

// remnantText is pooledText with what becomes of the remnants in the shared file.
var remnantText = strings.Replace(strings.ReplaceAll(pooledText, "%s", "1.0"), "pool: {connector: sqlite}", `pool:
    connector: sqlite
    remnants:
      - {kinds: [free-space], clean: true}
      - {kinds: [log], expires: P14D, source: the log's own schedule}
      - {kinds: [snapshots], attest: {task: The volume's snapshots are gone, confirmedBy: another}, source: backup policy 4.2}`, 1)

func remnantOf(t *testing.T, d evidence.Departure, kind tenure.RemnantKind) evidence.Remnant {
	t.Helper()
	i := slices.IndexFunc(d.Remnants, func(r evidence.Remnant) bool { return r.Kind == kind && r.System == "pool" })
	if i < 0 {
		t.Fatalf("the certificate says nothing of %s: %+v", kind, d.Remnants)
	}
	return d.Remnants[i]
}

// What physically stays stands in the certificate with what was done about it: cleaned by a
// step, gone by a date that the closing waits for, attested by another person. Rows that
// come late are erased, and all of that again.
func TestRemnantsAreCertified(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	s.publishText(remnantText)
	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	s.sql(db, many+`insert into a (tenant) select 'acme' from n`, 20)
	op := s.leave("acme")
	s.passTimes(4, 10*day, op)
	interim := s.paper(op, "interim")
	if r := remnantOf(t, interim, tenure.RemnantSpace); r.Cleaned.IsZero() || r.Step != "remnants/pool/clean/free-space" || r.Entry == "" {
		t.Errorf("free space, interim: %+v", r)
	}
	if r := remnantOf(t, interim, tenure.RemnantSnapshots); r.Attested != "" || r.Ended(interim.Issued) {
		t.Errorf("snapshots, interim: %+v", r)
	}
	const gate = "remnants/pool/3"
	if _, err := s.FinishTask(context.Background(), op, gate, "operator", ""); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("who asked for the offboarding attests: %v", err)
	}
	said := func() {
		_, err := s.FinishTask(context.Background(), op, gate, "second", "")
		s.must(err)
	}
	said()
	s.sql(db, `insert into b (tenant) values ('acme')`) // late
	cleaned := s.row(op, "remnants/pool/clean/free-space").EndedAt
	s.pass(15 * day)
	s.confirmIll(op)
	s.settle()
	if s.row(op, gate).State == tenure.StepDone {
		t.Fatalf("rows came after the attestation, and it isn't asked for again\n%s", s.show(op))
	}
	if again := s.row(op, "remnants/pool/clean/free-space").EndedAt; !again.After(cleaned) {
		t.Error("rows came late, and what they left isn't cleaned")
	}
	said()
	looked := s.row(op, "remnants/pool").EndedAt
	s.pass(looked.Add(14*day - time.Minute).Sub(s.Now()))
	if s.view(op).State == tenure.OperationSucceeded {
		t.Error("it closes before the log has expired")
	}
	s.pass(time.Hour)
	s.wantState(op, tenure.OperationSucceeded)
	d := s.paper(op, "closing")
	if r := remnantOf(t, d, tenure.RemnantSnapshots); r.Attested == "" || r.Task != "The volume's snapshots are gone" || r.Source != "backup policy 4.2" || !r.Ended(d.Issued) {
		t.Errorf("snapshots: %+v", r)
	}
	if r := remnantOf(t, d, tenure.RemnantLog); !r.Until.Equal(looked.Add(14*day).UTC().Truncate(time.Microsecond)) || r.Source == "" || !r.Ended(d.Issued) {
		t.Errorf("log: %+v, want until %s", r, looked.Add(14*day))
	}
	if r := remnantOf(t, d, tenure.RemnantSpace); r.Says == "" || r.Ended(d.Issued) {
		t.Errorf("free space has no date, and is said to have ended: %+v", r)
	}
	s.audited()
}

// Without a word of the blueprint's the certificate still says what may be left.
func TestRemnantsWithoutAWord(t *testing.T) {
	t.Parallel()
	s, _ := pooled(t)
	s.publishText(strings.ReplaceAll(pooledText, "%s", "1.0"))
	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	op := s.leave("acme")
	s.passTimes(12, 5*day, op)
	d := s.paper(op, "closing")
	for _, kind := range []tenure.RemnantKind{tenure.RemnantSpace, tenure.RemnantSnapshots} {
		if r := remnantOf(t, d, kind); r.Says == "" || r.Ended(d.Issued) || r.Step != "" {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}
