package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// A transform that names a key which the blueprint doesn't have is refused with its line,
// long before a tenant leaves.
func TestPseudonymKeyThatIsNotThere(t *testing.T) {
	t.Parallel()
	s, _ := disposed(t)
	text := strings.Replace(strings.Replace(disposedText, `"1.0"`, `"1.1"`, 1), "{pseudonym: people}", "{pseudonym: persons}", 1)
	_, err := s.SubmitBlueprint(context.Background(), []byte(text), "test.yaml", "author")
	wantCode(t, err, tenure.Invalid, `43:73`, `the blueprint has no key "persons" for pseudonyms`)
}

// Rows that come after their class was pseudonymised are named at the next look, not at the
// class's end.
func TestRowsAfterPseudonymsAreNamed(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	op := s.leave("acme")
	s.passTimes(4, 5*day, op)
	if n := count(t, db, `select count(*) from contacts where tenant = 'acme' and length(email) = 26`); n != 6 {
		t.Fatalf("%d contacts are pseudonymised, want 6\n%s", n, s.show(op))
	}
	s.sql(db, `insert into contacts values (77, 'acme', 'late@acme.example')`)
	_, err := s.Drift(context.Background(), "acme")
	s.must(err)
	findings, err := s.Findings(context.Background(), "acme", false)
	s.must(err)
	if !slices.ContainsFunc(findings, func(f tenure.Finding) bool {
		return strings.Contains(f.Detail, "contacts") && strings.Contains(f.Detail, "no pseudonyms")
	}) {
		t.Errorf("nothing names the late contact: %+v", findings)
	}
}

// A revision that says something else of a class is for tenants that take it: a departure
// that runs ends as its plan says, and its drift looks ask what its own blueprint says.
func TestRevisionWhileDepartureRuns(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	op := s.leave("acme")
	s.publishText(strings.NewReplacer(`"1.0"`, `"1.1"`, "people: {disposition: anonymise,", "people: {disposition: purge,", "contacts:\n    disposition: pseudonymise", "contacts:\n    disposition: keep").Replace(disposedText))
	s.passTimes(4, 5*day, op)
	if n := count(t, db, `select count(*) from people where tenant is null and name is null`); n != 6 {
		t.Errorf("%d persons are anonymised, want 6 by the plan that was approved\n%s", n, s.show(op))
	}
	if n := count(t, db, `select count(*) from contacts where length(email) = 26`); n != 6 {
		t.Errorf("%d contacts are pseudonymised, want 6", n)
	}
}

// What is kept or pseudonymised stays beyond its end while a hold is on it, and goes once
// the hold is released.
func TestHoldOnWhatStays(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	op := s.leave("acme")
	s.passTimes(4, 5*day, op)
	v, err := s.Tenant(context.Background(), "acme")
	s.must(err)
	var holds []tenure.Hold
	for _, class := range []string{"invoices", "contacts"} {
		h, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 12 " + class, Scope: tenure.HoldScope{Tenant: v.ID, Class: class}}, "counsel")
		s.must(err)
		holds = append(holds, h)
	}
	s.passTimes(10, 50*day, op)
	for _, table := range []string{"invoices", "contacts"} {
		if n := count(t, db, `select count(*) from `+table+` where tenant = 'acme'`); n != 6 {
			t.Errorf("%d rows of %s are there under a hold, want 6\n%s", n, table, s.show(op))
		}
	}
	for _, h := range holds {
		s.releaseHold(h.ID)
	}
	s.passTimes(6, 5*day, op)
	for _, table := range []string{"invoices", "contacts"} {
		if n := count(t, db, `select count(*) from `+table+` where tenant = 'acme'`); n != 0 {
			t.Errorf("%d rows of %s are left after the release\n%s", n, table, s.show(op))
		}
	}
	s.wantState(op, tenure.OperationSucceeded)
}

// Anonymising can't be undone, so it is past a point of no return, which the plan shows
// before it: nobody is brought back afterwards.
func TestNoReinstatementAfterAnonymising(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	op := s.leave("acme")
	plan := s.view(op).Body
	for _, class := range []string{"people", "contacts", "orders"} {
		step := -1
		for i, st := range plan.Steps {
			if st.Class == class && st.Destructive && (st.Action == tenure.ActErase || st.Action == tenure.ActPseudonymise) && step < 0 {
				step = i
			}
		}
		if step < 0 {
			t.Fatalf("nothing changes %s", class)
		}
		var behind func(key string, deep int) bool
		behind = func(key string, deep int) bool {
			for _, st := range plan.Steps {
				if st.Key != key || deep > 40 {
					continue
				}
				if st.Action == tenure.ActNoReturn {
					return true
				}
				for _, n := range st.Needs {
					if behind(n, deep+1) {
						return true
					}
				}
			}
			return false
		}
		if !behind(plan.Steps[step].Key, 0) {
			t.Errorf("%s is changed by %s, before any point of no return", class, plan.Steps[step].Key)
		}
	}
	s.passTimes(3, 5*day, op)
	if n := count(t, db, `select count(*) from people where tenant is null`); n != 6 {
		t.Fatalf("%d persons are anonymised", n)
	}
	wantCode(t, s.Steer(context.Background(), op, "cancel", "operator"), tenure.Blocked, "point of no return")
	_, _, err := s.Request(context.Background(), lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme"}, "operator")
	if tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a reinstatement after the anonymising: %v, want Conflict", err)
	}
}

// A key for pseudonyms that was destroyed makes none: the contacts stay as they are, nothing
// says that they were pseudonymised, and the operation names the key.
func TestDestroyedPseudonymKey(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	v, err := s.Tenant(context.Background(), "acme")
	s.must(err)
	id, err := s.keys.Create(context.Background(), keystore.PlannedKey(v.ID, tenure.PseudonymKey+"people"))
	s.must(err)
	_, err = s.keys.Destroy(context.Background(), id)
	s.must(err)
	op := s.leave("acme")
	s.passTimes(4, 5*day, op)
	if n := count(t, db, `select count(*) from contacts where tenant = 'acme' and email like '%@acme.example'`); n != 6 {
		t.Errorf("%d contacts are as they were, want 6", n)
	}
	said := false
	for _, step := range s.view(op).Steps {
		if strings.Contains(step.Key, "/pseudonymise/") && step.State == tenure.StepDone && step.Verdict == tenure.Verified {
			t.Errorf("%s is %s: %s", step.Key, step.State, step.Error)
		}
		said = said || strings.Contains(step.Error, "key")
	}
	if !said {
		t.Errorf("no step says that the key is destroyed\n%s", s.show(op))
	}
}
