package sqlite

import (
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
