package postgres

import (
	"slices"
	"strconv"
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

// TestPolicyOfAnEqualKey gives a second tenant's role a policy by a key that the column
// takes for the first one's: each would read the other's rows.
func TestPolicyOfAnEqualKey(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	postgrestest.Exec(t, w.dsn, `create schema kinds; create extension citext schema kinds; create collation kinds.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create domain kinds.money as numeric(10,2)`)
	long := strings.Repeat("k", 63)
	for i, c := range []struct {
		typ, one, other string
		code            tenure.Code
	}{
		{"numeric", "1", "1.0", tenure.Conflict}, {"double precision", "0", "-0", tenure.Conflict}, {"interval", "1 day", "24:00:00", tenure.Conflict}, {"jsonb", "1", "1.0", tenure.Conflict},
		{"text collate kinds.ci", "acme", "ACME", tenure.Conflict}, {"integer", "7", "007", tenure.Invalid}, {"kinds.money", "1.00", "1.000", tenure.Conflict}, {`"char"`, "a", "acme", tenure.Invalid}, {"char(8)", "acme", "acme ", tenure.Invalid},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", tenure.Invalid}, {"bytea", `\x61`, "a", tenure.Invalid}, {"date", "2026-01-02", "01/02/2026", tenure.Invalid},
		{"bigint", "9223372036854775807", "-9223372036854775808", ""}, {"text", "acme", "ACME", ""}, {"kinds.citext", "acme", "ACME", ""}, {"varchar(4)", "acme", "acmex", ""}, {"numeric", "2", "20", ""},
		{"name", long, long + "x", ""},
	} {
		schema, roles := "e"+strconv.Itoa(i), []string{}
		postgrestest.Exec(t, w.dsn, "create schema "+schema+"; create table "+schema+".q (k "+c.typ+", whose text)")
		var last error
		for _, key := range []string{c.one, c.other} {
			if last != nil {
				t.Fatalf("%s: the first key: %v", c.typ, last)
			}
			role := w.token + schema + "_" + strconv.Itoa(len(roles))
			roles = append(roles, role)
			for _, r := range []connector.Desired{
				desired("role", role, map[string]any{"login": true}),
				desired("grant", role, map[string]any{"role": role, "schema": schema, "tables": []any{"q"}, "privileges": []any{"select"}}),
				desired("policy", role, map[string]any{"role": role, "schema": schema, "tables": []any{"q"}, "column": "k", "key": key}),
			} {
				if _, _, _, last = system.Ensure(t.Context(), r); last != nil && r.Type != "policy" {
					t.Fatal(last)
				}
			}
		}
		if code := tenure.CodeOf(last); last != nil && code != c.code || (last == nil) != (c.code == "") {
			t.Errorf("%s: a policy by %q beside one by %q: %v, want %q", c.typ, c.other, c.one, last, c.code)
		}
		if _, err := connect(t, w.dsn).Exec(t.Context(), "insert into "+schema+".q values ("+literal(c.one)+", 'one')"); err != nil {
			t.Fatal(err)
		}
		if seen := strs(t, connect(t, postgrestest.As(t, w.dsn, roles[1], "credential-of-"+roles[1])), "select whose from "+schema+".q"); len(seen) > 0 {
			t.Errorf("%s: the role of key %q sees a row of key %q", c.typ, c.other, c.one)
		}
	}
}

// TestRowsByACutKey: a column of type name cuts a long key, so that it is another's too.
func TestRowsByACutKey(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema n; create table n.q (k name)")
	for _, key := range []string{strings.Repeat("k", 63) + "x", strings.Repeat("k", 63) + "y"} {
		r := desired("rows", key, map[string]any{"schema": "n", "column": "k", "key": key, "tables": map[string]any{"q": "data"}})
		if _, _, err := d.Ensure(t.Context(), r); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("a key that the column can't hold: %v", err)
		}
	}
}

// TestRowsByAnIncomparableKey: a column whose values the server doesn't compare is refused
// before its tenant is let in, not at its erasure.
func TestRowsByAnIncomparableKey(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema n")
	for typ, key := range map[string]string{"json": "1", "xml": "acme", "regclass": "pg_class", "point": "(1,2)"} {
		postgrestest.Exec(t, w.dsn, "drop table if exists n.q; create table n.q (k "+typ+")")
		r := desired("rows", typ, map[string]any{"schema": "n", "column": "k", "key": key, "tables": map[string]any{"q": "data"}})
		if _, _, err := d.Ensure(t.Context(), r); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("a tenant column of type %s: %v", typ, err)
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
