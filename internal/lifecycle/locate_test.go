package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

const locatedText = `# Nothing here is on the line on which it would be written without comments.
apiVersion: tenure.dev/v1
kind: Blueprint
name: located
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: sqlite}
dataClasses:
  orders:
    disposition: anonymise
    retention: [{name: a, kind: keep_until, period: P10D, from: termination}]
  notes:
    disposition: purge
    retention: [{name: b, kind: keep_until, period: P20D, from: termination}]
    rules:
      - {name: other, environments: [prod], disposition: purge}
resources:
  - key: data
    system: pool
    type: rows
    name: data-of-${tenant.name}
    data: [orders, notes]
    attributes:
      column: tenant
      key: ${tenant.name}
      tables:
        orders: orders
        notes: notes
      shared: [buyers]
      columns:
        notes: tenant
      transforms:
        orders:
          columns:
            id: keep
            tenant: clear
            email: clear
            placed: year
            card: keep
            buyer: clear
            note: clear
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

// What the live catalog refuses is refused at publish with the line of the file that has
// to change, and without a tenant that there isn't.
func TestRefusalOfCatalogHasItsLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, was, line string // what is replaced, and by what; the line with HERE is the one to name
		says            string
	}{
		{"type", "placed: year", "placed: network # HERE", "placed"},
		{"not null", "placed: year", "placed: clear # HERE", "null"},
		{"unique", "card: keep", "card: {constant: none} # HERE", "unique"},
		{"foreign key", "buyer: clear", "buyer: {constant: 7} # HERE", "lead nowhere"},
		{"missing column", "note: clear", "note: clear\n            phone: clear # HERE", "no column phone"},
		{"column without a transform", "          columns:\n            id: keep\n            tenant: clear\n            email: clear\n", "          columns: # HERE\n            id: keep\n            tenant: clear\n", "nothing says what becomes of email"},
		{"primary key", "id: keep", "id: clear # HERE", "primary key"},
		{"no transform", "  notes:\n    disposition: purge", "  notes:\n    disposition: anonymise # HERE", "transforms doesn't say"},
		{"no transform, by a rule", "{name: other, environments: [prod], disposition: purge}", "{name: other, environments: [prod], disposition: anonymise} # HERE", "transforms doesn't say"},
		{"missing table", "notes: notes", "notes: notes\n        letters: notes # HERE", "letters"},
		{"missing table of the tenant's own", "shared: [buyers]", "shared:\n        - buyers\n        - ${tenant.name}_letters # HERE", "${tenant.name}_letters is named and isn't there"},
		{"missing tenant column", "notes: tenant", "notes: customer # HERE", "customer"},
		{"uncovered table", "      shared: [buyers]\n", "", "neither tables nor shared"},
		{"no tenant column", "  orders: orders\n", "  orders: orders\n        countries: notes # HERE\n", "countries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, db := pooled(t)
			loose := "null"
			if c.name == "not null" {
				loose = "not null"
			}
			s.sql(db, `drop table a; drop table b; drop table c; create table buyers (id integer primary key);
create table orders (id integer primary key, tenant text, email text, placed date `+loose+`, card text unique, buyer integer references buyers (id), note text);
create table notes (id integer primary key, tenant text, body text); create table countries (code text)`)
			text := strings.Replace(locatedText, c.was, c.line, 1)
			if c.name == "uncovered table" {
				text = strings.Replace(text, "      tables:", "      tables: # HERE", 1)
			}
			if text == locatedText {
				t.Fatalf("there is no %q in the blueprint", c.was)
			}
			ctx := context.Background()
			b, err := s.SubmitBlueprint(ctx, []byte(text), "there.yaml", "author")
			s.must(err)
			_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
			wantCode(t, err, tenure.Blocked, fmt.Sprintf("there.yaml:%d:", lineOf(text)), c.says)
			wantNoTenant(t, err)

			text = strings.Replace(text, "systems:", "# One more.\nsystems:", 1) // the same revision, in another file
			again, err := s.SubmitBlueprint(ctx, []byte(text), "here.yaml", "author")
			s.must(err)
			if again.Digest != b.Digest {
				t.Fatal("a comment made another revision")
			}
			_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
			wantCode(t, err, tenure.Blocked, fmt.Sprintf("here.yaml:%d:", lineOf(text)), c.says)
		})
	}
}

func lineOf(text string) int {
	return 1 + slices.IndexFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasSuffix(line, "# HERE") })
}

// wantNoTenant sees that a text speaks of the tenant as the blueprint does.
func wantNoTenant(t *testing.T, err error) {
	t.Helper()
	for _, word := range []string{"placeholder", "tenantxname"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("a tenant that there isn't is named: %v", err)
		}
	}
}

// What a resource can't be at all is refused at its own line, in the blueprint's words.
func TestRefusalOfResourceHasItsLine(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	s.sql(db, `create table buyers (id integer primary key, tenant text); create table orders (id integer primary key, tenant text, buyer integer not null references buyers (id))`)
	text := strings.Replace(locatedText, "disposition: anonymise", "disposition: purge", 1)
	from, to := strings.Index(text, "      shared: [buyers]"), strings.Index(text, "failure: park")
	text = text[:from] + "      links:\n        orders.buyer: detach # HERE\n" + text[to:]
	text = strings.Replace(text, "notes: notes", "buyers: notes", 1)
	ctx := context.Background()
	b, err := s.SubmitBlueprint(ctx, []byte(text), "there.yaml", "author")
	s.must(err)
	_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Invalid, fmt.Sprintf("there.yaml:%d:", lineOf(text)), "can't be detached")
	wantNoTenant(t, err)
}
