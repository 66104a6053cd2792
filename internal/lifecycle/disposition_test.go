package lifecycle_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const disposedText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: disposed
version: "1.0"
parameters: {required: [country], properties: {country: {type: string, minLength: 2, maxLength: 2}}}
jurisdiction: ${params.country}
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: sqlite}
pseudonyms:
  people: {retention: [{name: key, kind: keep_until, period: P100D, from: termination}]}
dataClasses:
  people: {disposition: anonymise, personal: true, retention: [{name: a, kind: keep_until, period: P10D, from: termination}]}
  notes: {disposition: purge, retention: [{name: b, kind: keep_until, period: P20D, from: termination}]}
  invoices:
    disposition: purge
    retention: [{name: c, kind: keep_until, period: P5D, from: termination}]
    rules:
      - name: tax
        jurisdictions: [DE, AT]
        disposition: keep
        source: § 147 AO
        end: [{name: books, kind: keep_until, period: P1Y, from: termination, source: § 147 AO}]
  contacts:
    disposition: pseudonymise
    retention: [{name: d, kind: keep_until, period: P15D, from: termination}]
    end: [{name: warranty, kind: keep_until, period: P200D, from: termination}]
  orders: {disposition: aggregate, retention: [{name: e, kind: keep_until, period: P10D, from: termination}]}
resources:
  - key: data
    system: pool
    type: rows
    name: ${tenant.name}-data
    data: [people, notes, invoices, contacts, orders]
    attributes:
      column: tenant
      key: ${tenant.name}
      tables: {people: people, notes: notes, invoices: invoices, contacts: contacts, orders: orders}
      transforms:
        people: {columns: {id: keep, tenant: clear, name: clear, born: year}, identifying: [born], atLeast: 3}
        contacts: {columns: {id: keep, tenant: keep, email: {pseudonym: people}}}
      aggregates:
        sales: {from: orders, by: {month: {column: placed, as: month}}, sums: {revenue: cents}, count: n, atLeast: 2}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

func disposed(t *testing.T) (*site, *sql.DB) {
	t.Helper()
	s, db := pooled(t)
	s.sql(db, `drop table a; drop table b; drop table c; create table people (id integer primary key, tenant text, name text, born text);
create table notes (id integer primary key, tenant text not null, body text);
create table invoices (id integer primary key, tenant text not null, body text);
create table contacts (id integer primary key, tenant text not null, email text);
create table orders (id integer primary key, tenant text not null, placed text, cents integer);
create table sales (month text not null, n integer not null, revenue integer not null, unique (month))`)
	s.publishText(disposedText)
	return s, db
}

func moveIn(s *site, db *sql.DB, tenant, country string, from int) {
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: tenant, Blueprint: "disposed", Parameters: map[string]any{"country": country}}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	for i := range 6 {
		id := from + i
		s.sql(db, `insert into people values ($1, $2, $3, $4)`, id, tenant, "Name "+tenant+fmt.Sprint(i), fmt.Sprintf("19%d-03-0%d", 70+i%2, i+1))
		s.sql(db, `insert into notes values ($1, $2, $3)`, id, tenant, "note of "+tenant)
		s.sql(db, `insert into invoices values ($1, $2, $3)`, id, tenant, "invoice of "+tenant)
		s.sql(db, `insert into contacts values ($1, $2, $3)`, id, tenant, fmt.Sprintf("mail%d@%s.example", i, tenant))
		s.sql(db, `insert into orders values ($1, $2, $3, $4)`, id, tenant, fmt.Sprintf("2026-0%d-11", 1+i%2), 101+i)
	}
}

// Each class of data ends as its disposition says, and what stays is certified as such
// until its end: nothing is called gone that is there.
func TestEveryDisposition(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	moveIn(s, db, "birch", "FR", 100)
	op := s.leave("acme")
	s.passTimes(3, 5*day, op)
	if n := count(t, db, `select count(*) from people where tenant is null and name is null and born in ('1970-01-01', '1971-01-01')`); n != 6 {
		t.Errorf("%d persons are anonymised, want 6\n%s", n, s.show(op))
	}
	if n := count(t, db, `select count(*) from contacts where tenant = 'acme' and email not like '%@%' and length(email) = 26`); n != 6 {
		t.Errorf("%d contacts are pseudonymised, want 6", n)
	}
	if n := count(t, db, `select count(*) from invoices where tenant = 'acme'`); n != 6 {
		t.Errorf("%d invoices are kept, want 6", n)
	}
	if n := count(t, db, `select count(*) from notes where tenant = 'acme'`) + count(t, db, `select count(*) from orders where tenant = 'acme'`); n != 0 {
		t.Errorf("%d notes and orders are left, want none", n)
	}
	if n := count(t, db, `select sum(revenue) from sales where n = 3`); n != 101+102+103+104+105+106 {
		t.Errorf("the sums are %d", n)
	}
	_, err := s.Drift(t.Context(), "birch")
	s.must(err)
	found, err := s.Findings(t.Context(), "birch", false)
	s.must(err)
	for _, f := range found {
		if strings.Contains(f.Detail, "with no tenant") {
			t.Errorf("what was anonymised is found as uncovered: %+v", f)
		}
	}
	interim := s.paper(op, "interim")
	said := map[string]evidence.Method{}
	for _, c := range interim.Classes {
		said[c.Class] = c.Method
		if c.Class == "invoices" && (c.KeptUntil.IsZero() || !strings.Contains(c.Because, "books")) {
			t.Errorf("the interim certificate doesn't say until when invoices are kept, and why: %+v", c)
		}
	}
	for class, want := range map[string]evidence.Method{"people": evidence.Anonymised, "contacts": evidence.Pseudonymised, "invoices": evidence.Kept, "notes": evidence.LogicallyDeleted, "orders": evidence.Aggregated} {
		if said[class] != want {
			t.Errorf("the interim certificate says of %s %q, want %q", class, said[class], want)
		}
	}
	tenant, err := s.db.Tenant(t.Context(), "acme")
	s.must(err)
	if got := tenant.State; got != tenure.TenantAwaitingExpiry {
		t.Errorf("the tenant is %s while data is kept\n%s", got, s.show(op))
	}
	s.passTimes(9, 50*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	for _, table := range []string{"notes", "invoices", "contacts", "orders", "people"} {
		if n := count(t, db, `select count(*) from `+table+` where tenant = 'acme'`); n != 0 {
			t.Errorf("%d rows of %s are left at the end", n, table)
		}
		if n := count(t, db, `select count(*) from `+table+` where tenant = 'birch'`); n != 6 {
			t.Errorf("%d rows of the neighbour's %s, want 6", n, table)
		}
	}
	closing := s.paper(op, "closing")
	if slices.ContainsFunc(closing.Classes, func(c evidence.DataClass) bool {
		return c.Method == evidence.Kept || c.Method == evidence.Pseudonymised || !c.Verdict.Settled()
	}) {
		t.Errorf("the closing certificate: %+v", closing.Classes)
	}
	if !slices.ContainsFunc(closing.Keys, func(k evidence.Key) bool { return strings.Contains(k.Class, "pseudonym people") }) {
		t.Errorf("the closing certificate names no key for pseudonyms: %+v", closing.Keys)
	}
	s.audited()
}

// A hold on rows keeps them as they are, and nothing of other classes: what is to be
// pseudonymised is, but for what is held, and the rest once the hold ends.
func TestHoldOnRowsBesidePseudonyms(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "FR", 0)
	row, err := s.db.Tenant(t.Context(), "acme")
	s.must(err)
	id := row.ID
	for _, row := range []struct{ table, value string }{{"notes", "2"}, {"contacts", "3"}} {
		_, err := s.PlaceHold(t.Context(), tenure.Hold{Matter: "case", Scope: tenure.HoldScope{Tenant: id, Table: row.table, Rows: []tenure.RowCondition{{Column: "id", Operator: "=", Value: []byte(row.value)}}}}, "counsel")
		s.must(err)
	}
	op := s.leave("acme")
	s.passTimes(3, 10*day, op)
	if n := count(t, db, `select count(*) from notes where tenant = 'acme'`); n != 1 {
		t.Errorf("%d notes are left, want the held one\n%s", n, s.show(op))
	}
	const clear = `select count(*) from contacts where tenant = 'acme' and email like '%@%'`
	if n := count(t, db, clear); n != 1 {
		t.Errorf("%d contacts are in clear, want the held one\n%s", n, s.show(op))
	}
	holds, err := s.Holds(t.Context(), "", false)
	s.must(err)
	for _, h := range holds {
		s.releaseHold(h.ID)
	}
	s.pass(day)
	s.finish(op)
	if n := count(t, db, clear) + count(t, db, `select count(*) from notes where tenant = 'acme'`); n != 0 {
		t.Errorf("%d rows are as they were once the holds ended\n%s", n, s.show(op))
	}
	s.audited()
}

// Rows that come late and refer to what stays until its end are erased again before that
// goes, under their own class's confirmation.
func TestLateRowsBeforeAnEnd(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	s.sql(db, `drop table notes; create table notes (id integer primary key, tenant text not null, body text, contact integer not null default 0 references contacts)`)
	s.sql(db, `insert into contacts values (0, 'nobody', '')`)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "disposed", Parameters: map[string]any{"country": "FR"}}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	for i := 1; i <= 4; i++ {
		s.sql(db, `insert into contacts values ($1, 'acme', 'a@example.org')`, i)
		s.sql(db, `insert into notes values ($1, 'acme', 'first', $1)`, i)
	}
	op = s.leave("acme")
	s.passTimes(3, 10*day, op)
	if n := count(t, db, `select count(*) from notes where tenant = 'acme'`) + 10*count(t, db, `select count(*) from contacts where tenant = 'acme'`); n != 40 {
		t.Fatalf("notes and contacts before the end: %d\n%s", n, s.show(op))
	}
	s.sql(db, `insert into notes values (9, 'acme', 'late', 2)`)
	s.passTimes(6, 60*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	if n := count(t, db, `select count(*) from notes where tenant = 'acme'`) + count(t, db, `select count(*) from contacts where tenant = 'acme'`); n != 0 {
		t.Errorf("%d rows are left\n%s", n, s.show(op))
	}
	for _, c := range s.paper(op, "closing").Classes {
		if c.Class == "notes" && (c.Rows != 5 || c.Stores[0].Rounds != 1) {
			t.Errorf("notes: %+v", c)
		}
	}
	s.audited()
}

// The rule for a jurisdiction holds for its tenants alone.
func TestDispositionByJurisdiction(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "birch", "FR", 0)
	op := s.leave("birch")
	s.passTimes(3, 5*day, op)
	if n := count(t, db, `select count(*) from invoices where tenant = 'birch'`); n != 0 {
		t.Errorf("%d invoices are kept, want none: no rule says so in FR\n%s", n, s.show(op))
	}
}
