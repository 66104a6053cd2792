package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// orderly gives the pooled tables references and columns to hold by: a refers to b, and
// b to c.
const orderly = `alter table c add column region text; alter table b add column c_id integer references c (id) on delete set null; alter table b add column status text;
alter table a add column b_id integer references b (id) on delete cascade; alter table a add column owner text`

// heldSite is acme in a shared database, with rows that refer to one another.
func heldSite(t *testing.T) (*site, func(text string) int, tenure.OperationID) {
	t.Helper()
	s, db := pooled(t)
	s.sql(db, orderly)
	s.publishText(strings.ReplaceAll(pooledText, "%s", "1.0"))
	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	s.sql(db, `insert into c (id, tenant, region) values (1, 'acme', 'north'), (2, 'acme', 'south'), (3, 'acme', null), (9, 'birch', 'north')`)
	s.sql(db, `insert into b (id, tenant, c_id, status) values (11, 'acme', 1, 'open'), (12, 'acme', 1, 'shut'), (13, 'acme', 2, 'open'), (19, 'birch', 9, 'open')`)
	s.sql(db, `insert into a (id, tenant, b_id, owner) values (21, 'acme', 11, 'ada'), (22, 'acme', 12, 'bob'), (23, 'acme', 13, 'ada'), (24, 'acme', null, 'ada'), (29, 'birch', 19, 'ada')`)
	op := s.leave("acme")
	return s, func(text string) int { return count(t, db, text) }, op
}

func (s *site) partHold(scope tenure.HoldScope) (tenure.Hold, error) {
	s.t.Helper()
	v, err := s.Tenant(context.Background(), "acme")
	s.must(err)
	scope.Tenant = v.ID
	return s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 11", Scope: scope}, "counsel")
}

func where(column string, op tenure.RowOperator, value string) tenure.RowCondition {
	c := tenure.RowCondition{Column: column, Operator: op}
	if value != "" {
		c.Value = json.RawMessage(value)
	}
	return c
}

// A hold on single rows keeps exactly these and what they refer to; the rest of their
// class and all other classes go, nothing certifies what is held, and the release by two
// lets the rest go too.
func TestHoldOnRowsKeepsThemAndWhatTheyNeed(t *testing.T) {
	t.Parallel()
	s, n, op := heldSite(t)
	ctx := context.Background()
	h, err := s.partHold(tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "=", `"ada"`), where("b_id", "<", "13")}})
	s.must(err)
	if h.EffectiveAt.IsZero() || h.Scope.System != "pool" || h.Scope.Resource == "" {
		t.Fatalf("the hold is %+v", h)
	}
	s.passTimes(12, 5*day, op)
	for text, want := range map[string]int{
		`select count(*) from a where tenant = 'acme'`:       1,
		`select count(*) from a where id = 21 and b_id = 11`: 1,
		`select count(*) from b where tenant = 'acme'`:       1,
		`select count(*) from b where id = 11 and c_id = 1`:  1,
		`select count(*) from c where tenant = 'acme'`:       1,
		`select count(*) from c where id = 1`:                1,
		`select count(*) from a where tenant = 'birch'`:      1,
		`select count(*) from b where tenant = 'birch'`:      1,
		`select count(*) from c where tenant = 'birch'`:      1,
	} {
		if got := n(text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	v := s.view(op)
	if v.State != tenure.OperationWaiting || !strings.Contains(v.Reason, "held: 1 row of a by hold "+string(h.ID)) || !strings.Contains(v.Reason, "1 row of c that what hold "+string(h.ID)+" keeps needs") {
		t.Fatalf("the operation is %s: %s\n%s", v.State, v.Reason, s.show(op))
	}
	_, err = s.ReleaseHold(ctx, h.ID, "counsel")
	s.must(err)
	s.settle()
	if n(`select count(*) from a where tenant = 'acme'`) != 1 {
		t.Fatal("one person's word released it")
	}
	_, err = s.ReleaseHold(ctx, h.ID, "director")
	s.must(err)
	s.passTimes(12, 5*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	if got := n(`select (select count(*) from a where tenant = 'acme') + (select count(*) from b where tenant = 'acme') + (select count(*) from c where tenant = 'acme')`); got != 0 {
		t.Errorf("%d rows are left after the release", got)
	}
	for _, c := range s.paper(op, "closing").Classes {
		if want := map[string]int64{"aa": 4, "bb": 3, "cc": 3}[c.Class]; c.Rows != want {
			t.Errorf("class %s: the certificate counts %d rows, want %d", c.Class, c.Rows, want)
		}
	}
	s.audited()
}

// What can't be a hold on rows is refused with what is wrong, and binds nothing.
func TestHoldOnRowsIsRefusedWhenPlaced(t *testing.T) {
	t.Parallel()
	s, _, _ := heldSite(t)
	for name, c := range map[string]struct {
		scope tenure.HoldScope
		says  string
	}{
		"no such table":            {tenure.HoldScope{Table: "nothing"}, `no table "nothing"`},
		"no such column":           {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("colour", "=", `"red"`)}}, `no column "colour"`},
		"an operator that isn't":   {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "like", `"%"`)}}, "isn't an operator"},
		"SQL for a column":         {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where(`owner" or 1=1 --`, "=", `"x"`)}}, "no column"},
		"no value":                 {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "=", "")}}, "needs a value"},
		"null as a value":          {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "=", "null")}}, "null"},
		"an empty list":            {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "in", "[]")}}, "1 to 1000"},
		"a prefix that is blank":   {tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "like-prefix", `""`)}}, "isn't blank"},
		"rows without a table":     {tenure.HoldScope{Rows: []tenure.RowCondition{where("owner", "=", `"x"`)}}, "need the table"},
		"objects in a database":    {tenure.HoldScope{Prefix: "a/"}, "a database has tables, and no keys"},
		"rows and objects":         {tenure.HoldScope{Table: "a", Prefix: "a/"}, "not both"},
		"an environment it hasn't": {tenure.HoldScope{Environment: "test"}, "environment"},
	} {
		_, err := s.partHold(c.scope)
		if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want Invalid with %q", name, err, c.says)
		}
	}
	list, err := s.Holds(context.Background(), "acme", true)
	if s.must(err); len(list) != 0 {
		t.Errorf("%d holds were placed", len(list))
	}
}

// Who places a hold on a part hears how much of it there is: values that are mistyped
// name nothing, and the hold binds what comes.
func TestHoldOnRowsSaysHowManyItNames(t *testing.T) {
	t.Parallel()
	s, _, _ := heldSite(t)
	for value, want := range map[string]int64{`"ada"`: 3, `"\"ada\""`: 0} {
		h, err := s.partHold(tenure.HoldScope{Table: "a", Rows: []tenure.RowCondition{where("owner", "=", value)}})
		if s.must(err); h.Named == nil || *h.Named != want {
			t.Errorf("a hold on rows of %s names %v, want %d", value, h.Named, want)
		}
	}
	h, err := s.partHold(tenure.HoldScope{Class: "aa"})
	if s.must(err); h.Named != nil {
		t.Errorf("a hold on a class names %d rows", *h.Named)
	}
}
