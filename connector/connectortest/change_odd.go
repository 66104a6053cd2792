package connectortest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// oddDocuments are documents of every kind, as SQL writes a text without backslashes.
var oddDocuments = []string{`"abcdef"`, `{"a": "it''s"}`, `[1, [2, null], []]`, `true`, `12`, `"{}"`, `""`}

// odd: what tenants write doesn't stop their exit, and goes to other rows as it is.
func (c Changed) odd(t *testing.T) {
	c.Exec(t, strings.ReplaceAll("create table odd (id int not null primary key, tenant_key varchar(40), part varchar(10) not null, doc JSON)", "JSON", c.Types["json"]))
	t.Cleanup(func() { c.Exec(t, "drop table odd") })
	r := c.Ref("acme-odd", attributes{"column": "tenant_key", "key": "acme", "tables": attributes{"odd": "contacts"}, "transforms": attributes{"odd": attributes{
		"columns": attributes{"id": "keep", "tenant_key": "clear", "part": "keep", "doc": "permute"}, "identifying": []any{"part"}, "atLeast": 2}}})
	c.begun(t, r)
	for i, doc := range oddDocuments {
		c.Exec(t, fmt.Sprintf("insert into odd values (%d, 'acme', 'x', '%s')", i, doc))
	}
	before := c.documents(t, "select cast(doc as char(200)) from odd")
	c.run(t, r, "contacts", tenure.Anonymise, 100)
	if now := c.documents(t, "select cast(doc as char(200)) from odd where tenant_key is null"); !slices.Equal(now, before) {
		t.Errorf("the documents are %q, want the same as before, %q", now, before)
	}
	c.run(t, r, "contacts", "", 100)
	if _, err := c.Open(t).Delete(t.Context(), r); err != nil {
		t.Errorf("the deletion: %v", err)
	}
}

// exact: sums lose no digit, and none that the table of sums can't hold is begun.
func (c Changed) exact(t *testing.T) {
	for _, sql := range []string{
		"create table paid (id int not null primary key, tenant_key varchar(40), region varchar(20) not null, amount decimal(28,4))",
		"create table paid_sums (region varchar(20) not null unique, revenue decimal(30,4) not null)",
		"create table coarse_sums (region varchar(20) not null unique, revenue decimal(30,2) not null, whole int)",
	} {
		c.Exec(t, sql)
	}
	t.Cleanup(func() {
		for _, name := range []string{"paid", "paid_sums", "coarse_sums"} {
			c.Exec(t, "drop table "+name)
		}
	})
	with := func(aggregates attributes) attributes {
		return attributes{"column": "tenant_key", "key": "acme", "tables": attributes{"paid": "trade"}, "aggregates": aggregates}
	}
	by := attributes{"region": attributes{"column": "region", "as": "keep"}}
	yet := c.Ref("acme-exact", with(attributes{"coarse_sums": attributes{"from": "paid", "by": by, "sums": attributes{"revenue": "amount", "whole": "amount"}, "atLeast": 2}}))
	yet.Resource = ""
	if says := strings.Join(c.places(t, yet, map[string]tenure.Disposition{"trade": tenure.Aggregate}), "; "); !strings.Contains(says, "revenue") || !strings.Contains(says, "whole") {
		t.Errorf("the map blocks %q, want it to name revenue and whole", says)
	}
	r := c.Ref("acme-exact", with(attributes{"paid_sums": attributes{"from": "paid", "by": by, "sums": attributes{"revenue": "amount"}, "atLeast": 2}}))
	c.begun(t, r)
	for i, amount := range []string{"123456789012345678901234.0001", "0.0002", "-0.0001", "0.1"} {
		c.Exec(t, fmt.Sprintf("insert into paid values (%d, 'acme', 'north', %s)", i, amount))
	}
	c.run(t, r, "trade", tenure.Aggregate, 1)
	if got := c.Rows(t, "select revenue from paid_sums"); !c.Floating && !slices.Equal(got, []string{"123456789012345678901234.1002"}) || len(got) != 1 {
		t.Errorf("the sum is %v, want 123456789012345678901234.1002", got)
	}
	if _, err := c.Open(t).Delete(t.Context(), r); err != nil {
		t.Errorf("the deletion: %v", err)
	}
}

// documents are rows of one document each, however it is spaced.
func (c Changed) documents(t *testing.T, sql string) []string {
	t.Helper()
	out := c.Rows(t, sql)
	for i, s := range out {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Errorf("%q is no document: %v", s, err)
		}
		raw, err := tenure.Canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(raw)
	}
	slices.Sort(out)
	return out
}

func (c Changed) begun(t *testing.T, r connector.Ref) {
	t.Helper()
	if _, _, err := c.Open(t).Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
		t.Fatalf("ensure: %v", err)
	}
}
