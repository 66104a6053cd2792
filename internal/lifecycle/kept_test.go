package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// classOf is what a certificate says of a class.
func classOf(t *testing.T, d *evidence.Departure, name string) evidence.DataClass {
	t.Helper()
	for _, c := range d.Classes {
		if c.Class == name {
			return c
		}
	}
	t.Fatalf("the certificate says nothing of %s", name)
	return evidence.DataClass{}
}

// What stays until its class's end is certified with that end's date, how much of it
// stays, and, once it has gone, still with the end that it waited for.
func TestCertificateOfWhatStays(t *testing.T) {
	t.Parallel()
	s, db := disposed(t)
	moveIn(s, db, "acme", "DE", 0)
	op := s.leave("acme")
	for range 3 {
		s.pass(5 * day)
		s.finish(op)
	}
	interim := s.paper(op, "interim")
	for _, class := range []string{"contacts", "invoices"} {
		c := classOf(t, &interim, class)
		if stays, counted := c.Stays(); !counted || stays.Rows != 6 || stays.Words() != "6 rows" {
			t.Errorf("the interim certificate says that of %s %q stays (counted: %v), want 6 rows", class, stays.Words(), counted)
		}
	}
	for range 9 {
		s.pass(50 * day)
		s.finish(op)
	}
	closing := s.paper(op, "closing")
	row, err := s.db.Tenant(t.Context(), string(closing.Tenant.ID))
	s.must(err)
	for _, w := range []struct {
		class, rule string
		period      string
	}{{"contacts", "warranty", "P200D"}, {"invoices", "books", "P1Y"}, {"notes", "b", "P20D"}} {
		p, err := tenure.ParsePeriod(w.period)
		s.must(err)
		c := classOf(t, &closing, w.class)
		if want := p.After(row.Anchors[tenure.FromTermination]); !c.KeptUntil.Equal(want) || !strings.HasPrefix(c.Because, w.rule+" keeps") {
			t.Errorf("the closing certificate says of %s: until %s, %s; want %s by %s", w.class, c.KeptUntil.Format(time.DateOnly), c.Because, want.Format(time.DateOnly), w.rule)
		}
		if stays, _ := c.Stays(); stays != (evidence.Amount{}) || c.Rows != 6 {
			t.Errorf("the closing certificate says of %s: %d rows went, %s stays", w.class, c.Rows, stays.Words())
		}
	}
}

// Where nothing but what is kept is in a store, no point of no return counts it before the
// interim certificate, which counts it itself.
func TestCertificateCountsWhatIsKeptAlone(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	s.sql(db, `drop table a; drop table b; drop table c; create table invoices (id integer primary key, tenant text not null, body text)`)
	s.publishText(`
apiVersion: tenure.dev/v1
kind: Blueprint
name: alone
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: sqlite}
dataClasses:
  invoices:
    disposition: keep
    retention: [{name: c, kind: keep_until, period: P5D, from: termination}]
    end: [{name: books, kind: keep_until, period: P1Y, from: termination, source: § 147 AO}]
resources:
  - key: data
    system: pool
    type: rows
    name: ${tenant.name}-data
    data: [invoices]
    attributes: {column: tenant, key: "${tenant.name}", tables: {invoices: invoices}}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "alone"}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	for i := range 4 {
		s.sql(db, `insert into invoices values ($1, 'acme', 'x')`, i)
	}
	op = s.leave("acme")
	for range 3 {
		s.pass(10 * day)
		s.finish(op)
	}
	interim := s.paper(op, "interim")
	c := classOf(t, &interim, "invoices")
	if stays, counted := c.Stays(); !counted || stays.Rows != 4 || c.Method != evidence.Kept {
		t.Errorf("the interim certificate says %s, %s stays (counted: %v); want 4 rows kept", c.Method, stays.Words(), counted)
	}
}
