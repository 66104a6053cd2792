package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// withResources is the pooled blueprint on PostgreSQL with other resources.
func withResources(name, version, resources string) string {
	i, j := strings.Index(pooledText, "resources:"), strings.Index(pooledText, "failure:")
	return strings.NewReplacer("name: pooled", "name: "+name, "%s", version, "connector: sqlite", "connector: postgres").Replace(pooledText[:i] + "resources:\n" + resources + "\n" + pooledText[j:])
}

// A schema of the tenant's own whose blueprint says the tenant's key: its rows in
// shared tables go with their classes, the last class's before the drop, and the
// certificate counts them.
func TestSchemaTakesItsRowsElsewhere(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	ctx := context.Background()
	text := withResources("silo", "2.0", `  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", data: [aa, bb, cc], attributes: {key: "${tenant.name}", column: tenant,
      ddl: "create table if not exists a (i int); create table if not exists b (i int); create table if not exists c (i int)", tables: {a: aa, b: bb, c: cc, public.a: aa, public.c: cc}}}`)
	b, err := p.SubmitBlueprint(ctx, []byte(text), "silo.yaml", "author")
	p.must(err)
	_, err = p.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Blocked, "public.b")
	p.publishText(strings.NewReplacer(`"2.0"`, `"2.1"`, "public.c: cc", "public.b: bb, public.c: cc").Replace(text))
	p.wantState(p.begin("acme", "silo"), tenure.OperationSucceeded)
	for _, table := range []string{"a", "b", "c"} {
		p.insert(table, "acme", 1, 10)
		p.insert(table, "birch", 100, 3)
		p.sql(p.db, "insert into s_acme."+table+" select * from generate_series(1, 5)")
	}
	op := p.leave("acme")
	for range 16 {
		p.pass(5 * day)
		p.finish(op)
	}
	p.wantState(op, tenure.OperationSucceeded)
	if n, others := p.left("acme"), p.left("birch"); n != 0 || others != 9 {
		t.Errorf("%d rows of the leaver's and %d of its neighbour's are left, want 0 and 9\n%s", n, others, p.show(op))
	}
	for _, c := range p.paper(op, "closing").Classes {
		if c.Rows != 15 {
			t.Errorf("the certificate says that %d rows of %s went, want 15: %+v", c.Rows, c.Class, c.Stores)
		}
	}
	p.audited()
}

// A trigger that copies a record as it goes: nothing is published past it, and one
// that came later is found by a look and stands against the record's deletion.
func TestTriggerOfARecord(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	ctx := context.Background()
	const copies = `create function copied() returns trigger language plpgsql as 'begin insert into public.history values (old.login); return null; end'; create trigger copies after delete on accounts for each row execute function copied()`
	p.sql(p.db, `create table accounts (login text primary key, tenure_mark text); create table history (login text);`+copies)
	text := withResources("member", "2.0", `  - {key: admin, system: pool, type: account, name: "${tenant.name}-admin", attributes: {table: accounts, key: {login: "${tenant.name}"}}}`)
	b, err := p.SubmitBlueprint(ctx, []byte(text), "member.yaml", "author")
	p.must(err)
	_, err = p.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Blocked, "public.history")
	p.sql(p.db, "drop trigger copies on accounts; drop function copied")
	p.publishText(strings.Replace(text, `"2.0"`, `"2.1"`, 1))
	p.wantState(p.begin("acme", "member"), tenure.OperationSucceeded)
	op := p.leave("acme")
	p.sql(p.db, copies)
	look, err := p.Drift(ctx, "acme")
	p.must(err)
	if !slices.ContainsFunc(look.Findings, func(f tenure.Finding) bool { return f.Kind == tenure.FindingUncovered && f.Field == "public.accounts.copies" }) {
		t.Errorf("a look doesn't find the trigger: %+v", look.Findings)
	}
	for range 3 {
		p.pass(5 * day)
		p.finish(op)
	}
	if n := count(t, p.db, "select count(*) from history"); n != 0 {
		t.Fatalf("the account was copied as it went\n%s", p.show(op))
	}
	p.wantState(op, tenure.OperationBlocked)
}
