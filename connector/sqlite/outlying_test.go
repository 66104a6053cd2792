package sqlite

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestRowsBesideAFile: what has the tenant's key in the platform's file is found from
// a file of the tenant's own too, else it would stay under a certificate. A resource
// of type rows erases it.
func TestRowsBesideAFile(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		sql    string
		more   map[string]any
		beside map[string]any // tables that a resource of type rows covers
		finds  []string
	}{
		"nothing":              {},
		"no key":               {sql: "create table usage (tenant_key text)", more: map[string]any{"key": nil, "column": nil}},
		"the column":           {sql: "create table usage (tenant_key text)", finds: []string{"table usage of the platform's file"}},
		"an alias":             {sql: "create table usage (org text)", more: map[string]any{"aliases": []any{"org"}}, finds: []string{"table usage of the platform's file"}},
		"the value":            {sql: "create table usage (who text); insert into usage values ('Acme ')", finds: []string{"table usage of the platform's file"}},
		"the value, no column": {sql: "create table usage (who text); insert into usage values ('acme')", more: map[string]any{"column": nil}, finds: []string{"table usage of the platform's file"}},
		"in a document":        {sql: `create table history (body text); insert into history values ('{"a": [{"tenant_key": "acme"}]}')`, finds: []string{"table history of the platform's file"}},
		"another's value":      {sql: "create table usage (who text); insert into usage values ('birch')"},
		"covered":              {sql: "create table usage (tenant_key text); create table history (who text); insert into history values ('acme')", beside: map[string]any{"usage": "a", "history": "a"}},
		"a resource by itself": {sql: "create table usage (tenant_key text primary key, tenure_mark text)"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "1s")
			own := ref("acme", twoTables, map[string]any{"*": "all"})
			own.Attributes["key"], own.Attributes["column"] = "acme", "tenant_key"
			for k, v := range c.more {
				if own.Attributes[k] = v; v == nil {
					delete(own.Attributes, k)
				}
			}
			d.made(t, own)
			exec(t, w.shared, c.sql)
			v := connector.Survey{Ref: own, Search: time.Minute}
			if c.beside != nil {
				v.Beside = []connector.Ref{pool("tenant_key", "acme", c.beside)}
			}
			if what == "a resource by itself" {
				account := connector.Ref{Type: "account", Name: "ann", Resource: tenure.DeriveID[tenure.ResourceID](epoch, "ann"),
					Attributes: map[string]any{"table": "usage", "key": map[string]any{"tenant_key": "acme"}}}
				before := v
				before.Ref.Resource, before.Beside = "", []connector.Ref{account}
				if got := blocking(d.mapped(t, before)); got != nil {
					t.Errorf("before it is made it is blocked by %q", got)
				}
				d.made(t, account)
			}
			places := d.mapped(t, v)
			if got := blocking(places); !slices.Equal(got, c.finds) {
				t.Errorf("blocked by %q, want %q: %+v", got, c.finds, places)
			}
			for _, p := range places {
				if p.Blocks && (p.Says == "" || !strings.Contains(p.Fix, "type rows")) {
					t.Errorf("%s says %q, and is to be mended by %q", p.Name, p.Says, p.Fix)
				}
			}
		})
	}
}

// TestPublishWithoutAKey: whoever publishes a file whose neighbours can't be searched
// is told, and isn't stopped.
func TestPublishWithoutAKey(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	for _, key := range []string{"", "acme"} {
		own := ref("acme", twoTables, map[string]any{"*": "all"})
		own.Resource = ""
		if key != "" {
			own.Attributes["key"] = key
		}
		places := d.mapped(t, connector.Survey{Ref: own, Search: time.Second})
		told := slices.ContainsFunc(places, func(p connector.Place) bool { return strings.Contains(p.Says, "no key") && p.Fix != "" })
		if told == (key != "") || blocking(places) != nil {
			t.Errorf("with the key %q: told %v, blocked by %q", key, told, blocking(places))
		}
	}
}

// TestTriggersOfRecords: a record is a row too, and what a trigger makes of it stays
// when it goes, unless a store of the tenant's covers it.
func TestTriggersOfRecords(t *testing.T) {
	t.Parallel()
	const history = "create table history (tenant text, body text); create trigger copies after EVENT on member begin insert into history (tenant, body) values (VALUES); end"
	on := func(event, values string) string {
		return strings.NewReplacer("EVENT", event, "VALUES", values).Replace(history)
	}
	covers := []connector.Ref{pool("tenant", "acme", map[string]any{"history": "a"})}
	for what, c := range map[string]struct {
		sql    string
		beside []connector.Ref
		more   map[string]any
		finds  []string
	}{
		"nothing":                         {},
		"a copy as it goes":               {sql: on("delete", "old.tenant, old.login"), finds: []string{"code member.copies"}},
		"a copy as it comes":              {sql: on("insert", "new.tenant, new.login"), finds: []string{"code member.copies"}},
		"a copy as it is disabled":        {sql: on("update of active", "new.tenant, new.login"), finds: []string{"code member.copies"}},
		"covered":                         {sql: on("delete", "old.tenant, old.login"), beside: covers},
		"covered, as it comes":            {sql: on("insert", "new.tenant, new.login"), beside: covers},
		"covered, and it can't be found":  {sql: on("delete", "null, old.login"), beside: covers, finds: []string{"code member.copies"}},
		"covered, and found as another's": {sql: on("insert", "new.login, ''"), beside: covers, finds: []string{"code member.copies"}},
		"covered for another tenant":      {sql: on("delete", "old.tenant, old.login"), beside: []connector.Ref{pool("tenant", "birch", map[string]any{"history": "a"})}, finds: []string{"code member.copies"}},
		"shared":                          {sql: "create table counts (n int); create trigger counts_members after delete on member begin insert into counts values (1); end", more: map[string]any{"triggers": map[string]any{"member.counts_members": "ignore"}}},
		"somebody else's rows":            {sql: "create trigger sweeps after delete on member begin delete from notes where id = old.org; end", beside: []connector.Ref{pool("tenant", "acme", tablesOf("a", "notes"))}, finds: []string{"code member.sweeps"}},
		"it keeps the row":                {sql: "create trigger keeps before delete on member begin select raise(ignore); end", finds: []string{"code member.keeps"}},
		"its own row":                     {sql: "create trigger stamps after update on member begin update member set org = 1 where login = new.login; end"},
		"another table's":                 {sql: "create table history (body text); create trigger copies after delete on notes begin insert into history values (old.id); end"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "1s")
			exec(t, w.shared, "create table member (login text primary key, tenant text, org int, active int, tenure_mark text);"+c.sql)
			account := connector.Ref{Type: "account", Name: "ann", Resource: tenure.DeriveID[tenure.ResourceID](epoch, "ann"),
				Attributes: map[string]any{"table": "member", "key": map[string]any{"login": "ann"}, "values": map[string]any{"tenant": "acme", "active": 1}, "disable": map[string]any{"active": 0}}}
			maps.Copy(account.Attributes, c.more)
			for _, id := range []tenure.ResourceID{account.Resource, ""} {
				account.Resource = id
				places := d.mapped(t, connector.Survey{Ref: account, Beside: c.beside})
				if got := blocking(places); !slices.Equal(got, c.finds) {
					t.Errorf("resource %q: blocked by %q, want %q: %+v", id, got, c.finds, places)
				}
				for _, p := range places {
					if p.Says == "" || p.Fix == "" || !p.Blocks {
						t.Errorf("%s says %q, and is to be mended by %q", p.Name, p.Says, p.Fix)
					}
				}
			}
		})
	}
}

// TestCoveredTwice: a table that two of a tenant's resources cover would be counted,
// and certified, for both; it is refused when it is published and when it is planned.
func TestCoveredTwice(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "drop table lines; drop table orders; drop table notes; create table a (tenant text, org text); create table b (org text)")
	own := d.made(t, pool("tenant", "acme", tablesOf("x", "a")))
	for key, want := range map[string][]string{"acme": {"table a"}, "acme-test": nil} {
		other := pool("org", key, tablesOf("y", "a", "b"))
		for _, id := range []tenure.ResourceID{own.Resource, ""} {
			r := own
			r.Resource = id
			if got := blocking(d.mapped(t, connector.Survey{Ref: r, Beside: []connector.Ref{other}})); !slices.Equal(got, want) {
				t.Errorf("beside the key %s, resource %q: blocked by %q, want %q", key, id, got, want)
			}
		}
	}
}
