package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestEqualKeys onboards a second tenant whose key the tenant column takes for the
// first one's: erasing the one would take the other's rows.
func TestEqualKeys(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create schema kinds; create extension citext schema kinds; create collation kinds.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create schema n; create table n.q (tenant_key numeric); create schema f; create table f.q (tenant_key double precision); create schema i; create table i.q (tenant_key kinds.citext);
create schema c; create table c.q (tenant_key text collate kinds.ci); create schema t; create table t.q (tenant_key text)`)
	for _, c := range []struct {
		schema, one, other string
		taken              bool
	}{
		{"n", "1", "1.0", true}, {"n", "2", "20", false}, {"i", "acme", "ACME", true}, {"i", "oak", "elm", false},
		{"c", "acme", "Acme", true}, {"c", "oak", "elm", false}, {"t", "acme", "ACME", false},
	} {
		made := func(key string) error {
			_, _, err := d.Ensure(t.Context(), desired("rows", c.schema+"-"+key, map[string]any{"schema": c.schema, "column": "tenant_key", "key": key, "tables": map[string]any{"q": "data"}}))
			return err
		}
		if err := made(c.one); err != nil {
			t.Fatal(err)
		}
		if err := made(c.other); (tenure.CodeOf(err) == tenure.Conflict) != c.taken && (c.taken || err != nil) {
			t.Errorf("%s: %q beside %q: %v", c.schema, c.other, c.one, err)
		}
	}
}

// TestKeysWrittenAlike looks for rows that somebody wrote under another spelling of
// the tenant's key: they would stay, under a certificate.
func TestKeysWrittenAlike(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema a; create table a.q (tenant_key text)")
	made := map[string]connector.Ref{}
	for _, c := range []struct{ key, stored string }{
		{"acme", "acme\t"}, {"acme", "\nACME"}, {"acme", "acme\u00a0"}, {"acme", "ac\u200bme"}, {"caf\u00e9", "cafe\u0301"}, {"caf\u00e9", "CAF\u00c9"}, {"1", "01"}, {"1", "1.0"},
		{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"}, {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "urn:uuid:a0eebc999c0b4ef8bb6d6bb9bd380a11"},
	} {
		postgrestest.Exec(t, w.dsn, "truncate a.q")
		ref, is := made[c.key]
		if !is {
			own := desired("rows", "a-"+c.key, map[string]any{"schema": "a", "column": "tenant_key", "key": c.key, "tables": map[string]any{"q": "data"}})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			ref, made[c.key] = own.Ref, own.Ref
		}
		postgrestest.Exec(t, w.dsn, "insert into a.q values ("+literal(c.key)+"), ("+literal(c.stored)+"), ('birch')")
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: ref, Order: []string{"data"}, Search: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(m.Places, func(p connector.Place) bool {
			return p.Kind == connector.PlaceKey && p.Blocks && p.Rows == 1 && strings.Contains(p.Says, "looks like")
		}) {
			t.Errorf("%q beside %q isn't a place: %+v", c.stored, c.key, m.Places)
		}
	}
}
