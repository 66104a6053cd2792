package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// boundText is a blueprint that writes parameters into SQL wherever they may stand.
const boundText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: bound
version: "1.0"
parameters:
  required: [title]
  properties:
    title: {type: string}
    seats: {type: integer, default: 3}
    words: {type: array, items: {type: string}, default: [a]}
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: CONNECTOR}
dataClasses:
  aa: {disposition: purge, retention: [{name: a, kind: keep_until, period: PT0S, from: termination}]}
resources:
  - key: store
    system: pool
    type: TYPE
    name: ${tenant.name}
    data: [aa]
    attributes:
      tables: {"*": aa}
      ddl: |
        create table if not exists notes (kind text, title text);
        create table if not exists "n_${params.title}" (title text default '${params.title}', n int default ${params.seats});
      seed: |
        insert into notes values ('literal', '${params.title}'), ('whole', ${params.title}), ('within', 'a ${params.title} z'); -- it's one
        /* isn't */ insert into notes select 'number', 5-${params.seats} where 'b' in (${params.words}) or '${params.title}' like '%${params.title}%';
probes:
  - name: what was written is there
    system: pool
    kind: sql
    resource: store
    params:
      as: PROBE
      query: select 1 from PLACEnotes where kind = 'whole' and title = '${params.title}' union select 2 where 'x' = ${params.title}
      expect: rows
failure: park
approvals: {onboard: 1, offboard: 1, change: 0, repair: 0}
offboarding: {grace: PT0S, retrieval: PT0S, quarantine: P7D}
`

// textOn is the blueprint for the pool's database.
func (p *pool) textOn(text string) string {
	if p.options.Settings["pool"].Connector == "postgres" {
		return strings.NewReplacer("CONNECTOR", "postgres", "TYPE", "schema", "PROBE", "platform", "PLACE", `"${tenant.name}".`).Replace(text)
	}
	return strings.NewReplacer("CONNECTOR", "sqlite", "TYPE", "database", "PROBE", "tenant", "PLACE", "").Replace(text)
}

// titles are what customers may call themselves.
var titles = []string{
	`x'); create table evil (a int); --`,
	`x''); create table evil (a int); --`,
	`\'); create table evil (a int); --`,
	`\`, `'`, `''`, `"`, `'"`, `O'Brien & "Sons"`, `$$; create table evil (a int); $$`, `$1 :a @b ?1`, `*/ create table evil (a int); /*`, `-- x`,
	`x"; create table evil (a int); --`, `]; create table evil (a int); --`, "it\u2019s \u02bc \uff07", `%s %I _ %`, `NULL`, `0`, `-1`, `1e400`, `<script>alert(1)</script>`,
	`select`, `public`, `x${y}`, `E'x'`, `U&'\0027'`, `x', (select 'y')) --`,
}

// A customer's title is a value wherever the blueprint writes it into SQL: it is read
// back as it was given, and does nothing else.
func TestParametersInSQL(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		p.publishText(p.textOn(boundText))
		for i, title := range titles {
			name := fmt.Sprintf("t%d", i)
			op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "bound", Parameters: map[string]any{"title": title, "seats": -7, "words": []any{"b", title}}}, "operator")
			p.approve(op, "reviewer")
			p.wantState(op, tenure.OperationSucceeded)
			for kind, want := range map[string]string{"literal": title, "whole": title, "within": "a " + title + " z", "number": "12"} {
				if got := p.note(name, kind); got != want {
					t.Errorf("%q, %s: what stands in the store is %q", title, kind, got)
				}
			}
			if p.has(name, "evil") || !p.has(name, "n_"+title) {
				t.Errorf("%q: it made another table than its own", title)
			}
		}
	})
}

// A value that no store can hold, or that would be cut off, is refused before
// anything is made.
func TestParametersThatNoSQLHolds(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		p.publishText(p.textOn(boundText))
		for _, title := range []string{"a\x00b", "a\nb"} {
			_, err := p.Plan(context.Background(), lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "bound", Parameters: map[string]any{"title": title}}, "operator")
			wantCode(t, err, tenure.Invalid, "params.title")
		}
		_, err := p.Plan(context.Background(), lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "bound", Parameters: map[string]any{"title": strings.Repeat("x", 62)}}, "operator")
		if p.options.Settings["pool"].Connector == "postgres" {
			wantCode(t, err, tenure.Invalid, "63 bytes")
		} else {
			p.must(err)
		}
		_, err = p.Plan(context.Background(), lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "bound", Parameters: map[string]any{"title": "x", "words": []any{}}}, "operator")
		wantCode(t, err, tenure.Invalid, "list")
	})
}

// note reads a note of a tenant's own store.
func (p *pool) note(tenant, kind string) (title string) {
	p.t.Helper()
	q := "select title from notes where kind = '" + kind + "'"
	if p.options.Settings["pool"].Connector == "postgres" {
		p.must(p.db.QueryRow(`select title from "` + tenant + `".notes where kind = '` + kind + `'`).Scan(&title))
		return title
	}
	db := p.file(tenant)
	defer func() { _ = db.Close() }()
	p.must(db.QueryRow(q).Scan(&title))
	return title
}

// has says whether a tenant's store has a table.
func (p *pool) has(tenant, table string) bool {
	p.t.Helper()
	n := 0
	if p.options.Settings["pool"].Connector == "postgres" {
		p.must(p.db.QueryRow(`select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and c.relname = $1 and n.nspname = any (array[$2, 'public'])`, table, tenant).Scan(&n))
		return n > 0
	}
	db := p.file(tenant)
	defer func() { _ = db.Close() }()
	p.must(db.QueryRow(`select count(*) from sqlite_schema where type = 'table' and name = $1`, table).Scan(&n))
	return n > 0
}

// older lets the pool go on as a release did that put values into SQL as they were;
// newer undoes it.
func (p *pool) older() (newer func()) {
	now := p.Service
	o := p.options
	o.Catalog = append([]connector.Info{}, o.Catalog...)
	for i := range o.Catalog {
		o.Catalog[i].SQL = nil
	}
	p.Service = p.service(o)
	return func() { p.Service = now }
}

// What an older release published goes on for those who have it, with values that can
// do no harm, is listed with its lines, and is no more for others.
func TestRevisionsOfOlderReleases(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		ctx := context.Background()
		text := p.textOn(boundText)
		text = strings.Replace(text, "name: bound", "name: loose", 1)
		text = strings.Replace(text, `"n_${params.title}" (`, "n_${tenant.name} (", 1)
		text = strings.Replace(text, " default '${params.title}'", "", 1)
		text = strings.Replace(text, "('whole', ${params.title})", "('whole', '${params.title}')", 1)
		text = strings.Replace(text, "in (${params.words})", "in ('b')", 1)
		text = strings.Replace(text, " and title = '${params.title}' union select 2 where 'x' = ${params.title}", "", 1)
		text = strings.Replace(text, "-- it's one", "-- for ${params.title}", 1)
		newer := p.older()
		loose := p.publishText(text)
		start := func(name, title string) {
			op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "loose", Parameters: map[string]any{"title": title}}, "operator")
			p.approve(op, "reviewer")
			p.wantState(op, tenure.OperationSucceeded)
		}
		start("acme", "Acme EU")
		_, err := p.SubmitBlueprint(ctx, []byte(strings.Replace(text, `version: "1.0"`, `version: "2.0"`, 1)), "draft.yaml", "author")
		p.must(err)
		newer()

		faulty, err := p.FaultyBlueprints(ctx)
		p.must(err)
		var said []string
		for _, f := range faulty {
			for _, u := range f.Unbound {
				said = append(said, fmt.Sprintf("%s@%s %s:%d ${%s}", f.Name, f.Version, u.Path, u.Line, u.Expression))
			}
		}
		want := "loose@1.0 $.resources[0].attributes.ddl:2 ${tenant.name}, loose@1.0 $.resources[0].attributes.seed:1 ${params.title}"
		if got := strings.Join(said, ", "); got != want {
			t.Errorf("at fault are %s, want %s", got, want)
		}
		_, err = p.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "birch", Blueprint: "loose", Parameters: map[string]any{"title": "x"}}, "operator")
		wantCode(t, err, tenure.Blocked, "middle of a word", "comment", "line 2")
		_, err = p.PublishBlueprint(ctx, "loose@2.0", "reviewer")
		wantCode(t, err, tenure.Blocked, "middle of a word")
		_, err = p.SubmitBlueprint(ctx, []byte(text), "loose.yaml", "author")
		wantCode(t, err, tenure.Invalid, "loose.yaml:28:40", "middle of a word")

		op := p.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"title": "Acme 2"}}, "operator")
		p.wantState(op, tenure.OperationSucceeded)
		_, err = p.Plan(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"title": "x\n; create table evil (a int)"}}, "operator")
		wantCode(t, err, tenure.Invalid, "params.title")
		if b, err := p.Blueprint(ctx, loose.Digest); err != nil || !b.Published() {
			t.Errorf("the revision is gone for those who have it: %v", err)
		}
		if _, err := p.Plan(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme"}, "operator"); err != nil {
			t.Errorf("the tenant can't leave: %v", err)
		}
	})
}

// plainText is the blueprint with a table alone; at stands for its ddl's second line.
func (p *pool) plainText(at string) string {
	a, rest, _ := strings.Cut(p.textOn(boundText), `        create table if not exists "n_`)
	_, rest, _ = strings.Cut(rest, "failure:")
	return a + "        create table if not exists kept (title text default '${params.title}'); " + at + "\nfailure:" + rest
}

// A tenant whose value an older release ran as SQL doesn't run it again.
func TestHostileTenantOfAnOlderRelease(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		ctx := context.Background()
		newer := p.older()
		p.publishText(p.plainText(""))
		op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "bound", Parameters: map[string]any{"title": "x'); create table if not exists evil (a int); --"}}, "operator")
		p.approve(op, "reviewer")
		p.wantState(op, tenure.OperationSucceeded)
		newer()
		if !p.has("acme", "evil") {
			t.Fatal("the older release didn't run the value, so there is nothing to see")
		}
		p.drop("acme", "evil")
		p.drop("acme", "kept")
		_, err := p.Drift(ctx, "acme")
		p.must(err)
		op = p.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
		p.wantState(op, tenure.OperationSucceeded)
		if p.has("acme", "evil") || !p.has("acme", "kept") {
			t.Error("the repair ran the customer's value, or didn't repair")
		}
		look, err := p.Drift(ctx, "acme")
		p.must(err)
		if len(look.Findings) > 0 {
			t.Errorf("after the repair there is drift: %+v", look.Findings)
		}
	})
}

// A value that stands where none can be written keeps nobody from leaving.
func TestLeavingWithAValueThatCantBeWritten(t *testing.T) {
	bothPools(t, func(t *testing.T, p *pool) {
		ctx := context.Background()
		newer := p.older()
		p.publishText(p.plainText("-- ${params.title}"))
		op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "bound", Parameters: map[string]any{"title": "x\n; create table evil (a int)"}}, "operator")
		p.approve(op, "reviewer")
		p.wantState(op, tenure.OperationSucceeded)
		newer()
		_, err := p.Plan(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 4}}, "operator")
		wantCode(t, err, tenure.Invalid, "params.title")
		op = p.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true}, "operator")
		p.approve(op, "reviewer")
		for range 5 {
			if p.view(op).State == tenure.OperationSucceeded {
				break
			}
			p.pass(10 * day)
			if p.view(op).State == tenure.OperationWaiting {
				p.confirm(op)
			}
		}
		p.wantState(op, tenure.OperationSucceeded)
	})
}

// file is a tenant's own store of SQLite's.
func (p *pool) file(tenant string) *sql.DB {
	p.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.options.Settings["pool"].Options["dir"], tenant+".db"))
	p.must(err)
	return db
}

// drop takes a table out of a tenant's own store.
func (p *pool) drop(tenant, table string) {
	p.t.Helper()
	if p.options.Settings["pool"].Connector == "postgres" {
		_, err := p.db.Exec(`drop table "` + tenant + `".` + table)
		p.must(err)
		return
	}
	db := p.file(tenant)
	defer func() { _ = db.Close() }()
	_, err := db.Exec("drop table " + table)
	p.must(err)
}
