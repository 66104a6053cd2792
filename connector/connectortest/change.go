package connectortest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Changed is a platform's database in which rows are anonymised, pseudonymised and added
// up. Its tables are made and read past the connector.
type Changed struct {
	Open  func(t *testing.T) connector.Driver               // anew each time, on the same database
	Ref   func(name string, a map[string]any) connector.Ref // of type rows, in the tables' own place
	Exec  func(t *testing.T, sql string)
	Rows  func(t *testing.T, sql string) []string // one text a row
	Types map[string]string                       // what "date", "moment", "address", "json", "text" are called there; an address may be text

	Floating bool // it has no exact decimals, so sums have as many digits as floating numbers
}

const changedSchema = `create table people (id int not null primary key, tenant_key varchar(40), name varchar(100) not null, email varchar(100), born DATE, postcode varchar(10), salary decimal(12,2), remark TEXT, doc JSON, ip ADDRESS, seen MOMENT, country varchar(20));
create table visits (id int not null primary key, person_id int not null, place varchar(60), at MOMENT, foreign key (person_id) references people (id));
create table purchases (id int not null primary key, tenant_key varchar(40), placed DATE, region varchar(20) not null, buyer varchar(100), total decimal(12,2));
create table sales (month DATE not null, region varchar(20) not null, orders int not null, revenue decimal(14,2) not null, unique (month, region));`

func (c Changed) make(t *testing.T) {
	t.Helper()
	sql := changedSchema
	for _, word := range []string{"DATE", "TEXT", "JSON", "ADDRESS", "MOMENT"} {
		sql = strings.ReplaceAll(sql, word, c.Types[strings.ToLower(word)])
	}
	t.Cleanup(func() {
		for _, name := range []string{"sales", "purchases", "visits", "people"} {
			c.Exec(t, "drop table "+name)
		}
	})
	for s := range strings.SplitSeq(sql, ";\n") {
		c.Exec(t, strings.TrimSuffix(s, ";"))
	}
}

// fill writes rows of two tenants.
func (c Changed) fill(t *testing.T) {
	t.Helper()
	for who, tenant := range []string{"acme", "birch"} {
		for i := range 12 {
			id := 100*who + i
			c.Exec(t, fmt.Sprintf(`insert into people values (%d, '%s', 'Name-%s-%d', 'mail%d@%s.example', '19%d-0%d-1%d', '%d0115', %d.%d0, 'remark of Person-%s-%d, born there', '{"plan": "gold", "secret": "Hidden-%s-%d", "tags": [{"k": "a", "v": "Tag-%s-%d"}]}', '10.%d.7.%d', '2024-05-1%d 10:11:12', 'de')`,
				id, tenant, tenant, i, i, tenant, 70+i%2, 1+i%9, i%9, 1+i%2, 1000+id, i%10, tenant, i, tenant, i, tenant, i, who, i, i%9))
			c.Exec(t, fmt.Sprintf(`insert into visits values (%d, %d, 'Place-%s-%d', '2025-01-0%d 08:00:00')`, id, id, tenant, i, 1+i%9))
			c.Exec(t, fmt.Sprintf(`insert into purchases values (%d, '%s', '2025-0%d-1%d', 'north', 'Name-%s-%d', %d.%02d)`, id, tenant, 1+i%2, i%9, tenant, i, 10+i, (37*i)%100))
		}
	}
}

// all is every table's rows but those of a tenant, and of which table.
func (c Changed) rows(t *testing.T, what string) []string {
	t.Helper()
	out := c.Rows(t, what)
	slices.Sort(out)
	return out
}

type attributes = map[string]any

var changedPeople = attributes{"columns": attributes{
	"id": "keep", "tenant_key": "clear", "name": "clear", "email": "clear", "born": "year", "postcode": attributes{"prefix": 1}, "salary": "permute", "remark": "clear",
	"doc": attributes{"members": attributes{"plan": "keep", "tags[].k": "keep"}}, "ip": "network", "seen": "month", "country": "keep",
}, "identifying": []any{"born", "postcode"}, "atLeast": 3}

var changedVisits = attributes{"columns": attributes{"id": "keep", "person_id": "keep", "place": attributes{"constant": "somewhere"}, "at": "month"}}

func changedAttributes() attributes {
	return attributes{
		"column": "tenant_key", "key": "acme",
		"tables":     attributes{"people": "contacts", "visits": "contacts", "purchases": "trade"},
		"transforms": attributes{"people": changedPeople, "visits": changedVisits},
		"aggregates": attributes{"sales": attributes{"from": "purchases", "by": attributes{"month": attributes{"column": "placed", "as": "month"}, "region": attributes{"column": "region", "as": "keep"}}, "sums": attributes{"revenue": "total"}, "count": "orders", "atLeast": 3}},
	}
}

// Changes runs what every connector to a database owes whose type rows carries out
// dispositions.
func Changes(t *testing.T, c Changed) {
	t.Run("anonymise", c.anonymise)
	t.Run("pseudonymise", c.pseudonymise)
	t.Run("aggregate", c.aggregate)
	t.Run("groups", c.groups)
	t.Run("suppressed", c.suppressed)
	t.Run("lost", c.lost)
	t.Run("refused", c.refused)
	t.Run("odd", c.odd)
	t.Run("exact", c.exact)
	t.Run("held", c.held)
}

func (c Changed) ensured(t *testing.T, a attributes) connector.Ref {
	t.Helper()
	d := c.Open(t)
	r := c.Ref("acme-"+strings.ReplaceAll(strings.ToLower(t.Name()), "/", "-"), a)
	if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
		t.Fatalf("ensure: %v", err)
	}
	c.fill(t)
	return r
}

// run takes a class to its end in batches of a few rows, each by another driver: nothing
// that one remembers is needed.
func (c Changed) run(t *testing.T, r connector.Ref, class string, as tenure.Disposition, limit int) connector.Erased {
	t.Helper()
	var e connector.Erased
	for n := 0; ; n++ {
		d := c.Open(t)
		var err error
		e, err = d.(connector.Eraser).Erase(t.Context(), r, connector.Batch{Run: "run-" + string(as) + class, Class: class, Limit: limit, Cursor: e.Cursor, Disposition: as, Name: named})
		if err != nil {
			t.Fatalf("%s %s: %v", as, class, err)
		}
		if e.Done {
			return e
		}
		if n > 200 {
			t.Fatalf("%s %s doesn't end", as, class)
		}
	}
}

func named(key, value string, reversible bool) ([]byte, error) {
	sum := tenure.Digest([]byte(key + value + fmt.Sprint(reversible)))
	return []byte(sum[7:]), nil
}

func (c Changed) places(t *testing.T, r connector.Ref, changes map[string]tenure.Disposition) (blocking []string) {
	t.Helper()
	d := c.Open(t)
	m, err := d.(connector.Mapper).DataMap(context.Background(), connector.Survey{Ref: r, Order: []string{"contacts", "trade"}, Changes: changes, Groups: r.Resource != ""})
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	for _, p := range m.Places {
		if p.Blocks {
			blocking = append(blocking, p.Says+" ["+p.Fix+"]")
		}
	}
	return blocking
}

// everything is all that stands in the tables, as text.
func (c Changed) everything(t *testing.T) string {
	t.Helper()
	return strings.Join(slices.Concat(c.Rows(t, "select * from people"), c.Rows(t, "select * from visits"), c.Rows(t, "select * from purchases"), c.Rows(t, "select * from sales")), "\n")
}

func (c Changed) neighbours(t *testing.T) []string {
	t.Helper()
	return c.rows(t, "select * from people where id >= 100")
}

func (c Changed) anonymise(t *testing.T) {
	c.make(t)
	r := c.ensured(t, changedAttributes())
	before, salaries := c.neighbours(t), c.rows(t, "select salary from people where id < 100")
	pairs := c.rows(t, "select id, salary from people where id < 100")
	if stand := c.places(t, r, map[string]tenure.Disposition{"contacts": tenure.Anonymise}); len(stand) > 0 {
		t.Fatalf("the map blocks: %q", stand)
	}
	e := c.run(t, r, "contacts", tenure.Anonymise, 5)
	if total := summed(e.Total); total != 24 {
		t.Errorf("%d rows were changed by the tally (%v), want 24", total, e.Total)
	}
	left := strings.Join(slices.Concat(c.Rows(t, "select * from people where id < 100"), c.Rows(t, "select * from visits where id < 100")), "\n")
	for _, token := range []string{"acme", "Name-", "mail", "Person", "Hidden", "Tag-", "Place-", "-05-1", "10.0.7.1", "1970-01-1", "10115", "20115", "08:00"} {
		if strings.Contains(left, token) {
			t.Errorf("%q is left:\n%s", token, left)
		}
	}
	for _, want := range []string{"gold", "somewhere", "1970-01-01", "10.0.7.0", "2024-05-01", "de"} {
		if !strings.Contains(left, want) {
			t.Errorf("%q isn't there:\n%s", want, left)
		}
	}
	if n := len(c.Rows(t, "select 1 from people where id < 100 and tenant_key is null")); n != 12 {
		t.Errorf("%d rows are nobody's, want 12", n)
	}
	if now := c.rows(t, "select salary from people where id < 100"); !slices.Equal(now, salaries) {
		t.Errorf("the salaries are %v, want the same as before, %v", now, salaries)
	}
	for _, p := range c.rows(t, "select id, salary from people where id < 100") {
		if slices.Contains(pairs, p) {
			t.Errorf("row %s has its own salary", p)
		}
	}
	if now := c.neighbours(t); !slices.Equal(now, before) {
		t.Errorf("neighbours' rows changed:\n%s\n%s", strings.Join(before, "\n"), strings.Join(now, "\n"))
	}
	if e := c.run(t, r, "contacts", tenure.Anonymise, 5); summed(e.Counts) != 0 {
		t.Errorf("a second run changed %v", e.Counts)
	}
	c.leave(t, r)
}

// leave takes what is left of the tenant, with its mark.
func (c Changed) leave(t *testing.T, r connector.Ref) {
	t.Helper()
	c.run(t, r, "contacts", "", 100)
	c.run(t, r, "trade", "", 100)
	if _, err := c.Open(t).Delete(t.Context(), r); err != nil {
		t.Errorf("the deletion: %v", err)
	}
}

func summed(counts map[string]int64) (n int64) {
	for v := range maps.Values(counts) {
		n += v
	}
	return n
}

func (c Changed) pseudonymise(t *testing.T) {
	c.make(t)
	a := changedAttributes()
	a["tables"] = attributes{"people": "contacts", "visits": "contacts", "purchases": "contacts"}
	delete(a, "aggregates")
	a["transforms"] = attributes{
		"people": attributes{"columns": attributes{"id": "keep", "tenant_key": "keep", "name": attributes{"pseudonym": "people"}, "email": attributes{"pseudonym": "people", "suffix": "@example.invalid"},
			"born": "year", "postcode": "clear", "salary": "keep", "remark": "clear", "doc": "clear", "ip": "clear", "seen": "keep", "country": "keep"}},
		"visits":    attributes{"columns": attributes{"id": "keep", "person_id": "keep", "place": "clear", "at": "keep"}},
		"purchases": attributes{"columns": attributes{"id": "keep", "tenant_key": "keep", "placed": "keep", "region": "keep", "buyer": attributes{"pseudonym": "people"}, "total": "keep"}},
	}
	r := c.ensured(t, a)
	before := c.neighbours(t)
	if stand := c.places(t, r, map[string]tenure.Disposition{"contacts": tenure.Pseudonymise}); len(stand) > 0 {
		t.Fatalf("the map blocks: %q", stand)
	}
	e := c.run(t, r, "contacts", tenure.Pseudonymise, 5)
	if total := summed(e.Total); total != 36 {
		t.Errorf("%d rows were changed by the tally (%v), want 36", total, e.Total)
	}
	if n := len(c.Rows(t, "select 1 from people p join purchases o on o.buyer = p.name where p.tenant_key = 'acme' and o.tenant_key = 'acme'")); n != 12 {
		t.Errorf("%d orders and persons share a pseudonym, want 12", n)
	}
	names := c.rows(t, "select name from people where tenant_key = 'acme'")
	if e := c.run(t, r, "contacts", tenure.Pseudonymise, 5); summed(e.Counts) != 0 || !slices.Equal(names, c.rows(t, "select name from people where tenant_key = 'acme'")) {
		t.Errorf("a second run changed %v", e.Counts)
	}
	c.Exec(t, "insert into people values (50, 'acme', 'Name-acme-late', null, null, null, null, null, null, null, null, null)")
	c.run(t, r, "contacts", tenure.Pseudonymise, 5)
	if left := strings.Join(slices.Concat(c.Rows(t, "select * from people where tenant_key = 'acme'"), c.Rows(t, "select * from purchases where tenant_key = 'acme'")), "\n"); strings.Contains(left, "Name-acme") || strings.Contains(left, "@acme") {
		t.Errorf("originals are left:\n%s", left)
	}
	c.run(t, r, "contacts", "", 100)
	if n := len(c.Rows(t, "select 1 from people where tenant_key = 'acme'")); n != 0 {
		t.Errorf("%d rows are left at the end", n)
	}
	if now := c.neighbours(t); !slices.Equal(now, before) {
		t.Errorf("neighbours' rows changed")
	}
	if _, err := c.Open(t).Delete(t.Context(), r); err != nil {
		t.Errorf("the deletion: %v", err)
	}
}

func (c Changed) aggregate(t *testing.T) {
	c.make(t)
	c.Exec(t, "insert into sales values ('2025-01-01', 'north', 4, 100.50)")
	r := c.ensured(t, changedAttributes())
	if stand := c.places(t, r, map[string]tenure.Disposition{"trade": tenure.Aggregate}); len(stand) > 0 {
		t.Fatalf("the map blocks: %q", stand)
	}
	c.run(t, r, "trade", tenure.Aggregate, 5)
	var january, february int
	for i := range 12 {
		if cents := 100*(10+i) + (37*i)%100; i%2 == 0 {
			january += cents
		} else {
			february += cents
		}
	}
	january += 10050
	want := []string{fmt.Sprintf("10|%d.%02d", january/100, january%100), fmt.Sprintf("6|%d.%02d", february/100, february%100)}
	got := c.Rows(t, "select orders, revenue from sales order by month")
	for i := range got {
		if !strings.Contains(got[i], ".") {
			got[i] += ".00"
		} else if strings.IndexByte(got[i], '.') == len(got[i])-2 {
			got[i] += "0"
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("sums are %v, want %v", got, want)
	}
	if n := len(c.Rows(t, "select 1 from purchases where tenant_key = 'acme'")); n != 0 {
		t.Errorf("%d rows of orders are left", n)
	}
	if n := len(c.Rows(t, "select 1 from purchases where tenant_key = 'birch'")); n != 12 {
		t.Errorf("%d rows of the neighbour's are there, want 12", n)
	}
	c.leave(t, r)
}

// groups: who would be told by too small a group isn't, and nothing is done.
func (c Changed) groups(t *testing.T) {
	c.make(t)
	r := c.ensured(t, changedAttributes())
	c.Exec(t, "update people set born = '1950-01-01' where id = 3")
	c.Exec(t, "update purchases set region = 'south' where id = 3")
	before := c.everything(t)
	for class, as := range map[string]tenure.Disposition{"contacts": tenure.Anonymise, "trade": tenure.Aggregate} {
		stand := c.places(t, r, map[string]tenure.Disposition{class: as})
		if len(stand) != 1 || !strings.Contains(stand[0], "has 1") || class == "contacts" && !strings.Contains(stand[0], "1950-01-01") || class == "trade" && !strings.Contains(stand[0], "south") {
			t.Errorf("%s: the map blocks %q, want the one group of one", as, stand)
		}
		if _, err := c.Open(t).(connector.Eraser).Erase(t.Context(), r, connector.Batch{Run: "r", Class: class, Limit: 5, Disposition: as, Name: named}); tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("%s: %v, want it blocked", as, err)
		}
	}
	if now := c.everything(t); now != before {
		t.Errorf("something changed:\n%s\n%s", before, now)
	}
	c.leave(t, r)
}

// suppressed: where the blueprint says so, small groups lose what tells them apart.
func (c Changed) suppressed(t *testing.T) {
	c.make(t)
	a := changedAttributes()
	people := maps.Clone(changedPeople)
	people["short"] = "suppress"
	a["transforms"] = attributes{"people": people, "visits": changedVisits}
	sales := maps.Clone(a["aggregates"].(attributes)["sales"].(attributes))
	sales["short"], sales["by"] = "suppress", attributes{"month": attributes{"column": "placed", "as": attributes{"constant": "2025-01-01"}}, "region": attributes{"column": "region", "as": "keep"}}
	if c.Types["date"] == "date" { // which nothing is empty in
		c.Exec(t, "drop table sales")
		c.Exec(t, "create table sales (month date, region varchar(20) not null, orders int not null, revenue decimal(14,2) not null, unique (month, region))")
	}
	a["aggregates"] = attributes{"sales": sales}
	r := c.ensured(t, a)
	c.Exec(t, "update people set born = '1950-01-01' where id = 3")
	c.Exec(t, "update purchases set region = 'south' where id = 3")
	c.Exec(t, "update purchases set region = 'west' where id = 4")
	if stand := c.places(t, r, map[string]tenure.Disposition{"contacts": tenure.Anonymise, "trade": tenure.Aggregate}); len(stand) > 0 {
		t.Fatalf("the map blocks: %q", stand)
	}
	c.run(t, r, "contacts", tenure.Anonymise, 5)
	if n := len(c.Rows(t, "select 1 from people where id = 3 and born is null and postcode is null and tenant_key is null")); n != 1 {
		t.Errorf("the group of one is %q", c.Rows(t, "select * from people where id = 3"))
	}
	if n := len(c.Rows(t, "select 1 from people where id < 100 and born is not null and tenant_key is null")); n != 11 {
		t.Errorf("%d others are anonymised, want 11", n)
	}
	c.run(t, r, "trade", tenure.Aggregate, 5)
	if got := c.rows(t, "select region, orders from sales"); !slices.Equal(got, []string{"north|10", "|2"}) && !slices.Equal(got, []string{"|2", "north|10"}) {
		t.Errorf("the sums are %q, want two small groups in one without a name", got)
	}
	c.leave(t, r)
}

// lost: a run whose cursor was lost after a batch, by a kill, goes on to its end, and a
// kept text that repeats what is taken away keeps nobody from leaving.
func (c Changed) lost(t *testing.T) {
	c.make(t)
	a := changedAttributes()
	people, columns := maps.Clone(changedPeople), maps.Clone(changedPeople["columns"].(attributes))
	columns["salary"] = "clear" // without it, rows don't go by whole groups
	people["columns"] = columns
	a["transforms"] = attributes{"people": people, "visits": changedVisits}
	r := c.ensured(t, a)
	c.Exec(t, "update people set country = 'NAME-ACME-2 was here' where id = 2")
	for class, as := range map[string]tenure.Disposition{"contacts": tenure.Anonymise, "trade": tenure.Aggregate} {
		for n := 0; ; n++ {
			e, err := c.Open(t).(connector.Eraser).Erase(t.Context(), r, connector.Batch{Run: "run-lost-" + class, Class: class, Limit: 5, Disposition: as, Name: named})
			if err != nil || n > 100 {
				t.Fatalf("%s, batch %d: %v", class, n, err)
			}
			if e.Done {
				break
			}
		}
	}
	if got := c.rows(t, "select orders from sales"); !slices.Equal(got, []string{"6", "6"}) {
		t.Errorf("the sums are %q, want 6 rows in each month", got)
	}
	if n := len(c.Rows(t, "select 1 from people where id = 2 and country is null and tenant_key is null")); n != 1 {
		t.Errorf("what repeats a name is %q", c.Rows(t, "select * from people where id = 2"))
	}
	if n := len(c.Rows(t, "select 1 from people where id < 100 and country = 'de'")); n != 11 {
		t.Errorf("%d rows keep their country, want 11", n)
	}
	c.leave(t, r)
}

// refused: what can't be is said of a blueprint before any tenant is there.
func (c Changed) refused(t *testing.T) {
	c.make(t)
	c.Exec(t, "create unique index people_mail on people (email, tenant_key)")
	yet := func(a attributes) connector.Ref {
		r := c.Ref("acme-rows", a)
		r.Resource = ""
		return r
	}
	change := func(column string, rule any) attributes {
		a := changedAttributes()
		columns := maps.Clone(changedPeople["columns"].(attributes))
		if columns[column] = rule; rule == nil {
			delete(columns, column)
		}
		people := maps.Clone(changedPeople)
		people["columns"] = columns
		a["transforms"] = attributes{"people": people, "visits": changedVisits}
		return a
	}
	for name, x := range map[string]struct {
		a    attributes
		says string
	}{
		"nothing said of a column":  {change("country", nil), "country"},
		"a column that isn't there": {change("shoe", "clear"), "shoe"},
		"year of a number":          {change("salary", "year"), "salary"},
		"bucket of a text":          {change("name", attributes{"bucket": 10}), "name"},
		"null where it can't be":    {change("name", attributes{"constant": nil}), "name"},
		"the tenant's own key":      {change("tenant_key", attributes{"constant": "acme"}), "tenant_key"},
		"the key stays":             {change("tenant_key", "keep"), "tenant_key"},
		"a primary key":             {change("id", attributes{"bucket": 10}), "id"},
		"unique": {func() attributes {
			a := change("email", attributes{"constant": "x@example.invalid"})
			p := a["transforms"].(attributes)["people"].(attributes)["columns"].(attributes)
			p["tenant_key"] = attributes{"constant": "gone"}
			return a
		}(), "unique"},
		"a reference": {func() attributes {
			a := changedAttributes()
			a["transforms"] = attributes{"people": changedPeople, "visits": attributes{"columns": attributes{"id": "keep", "person_id": attributes{"bucket": 10}, "place": "clear", "at": "month"}}}
			return a
		}(), "person_id"},
		"no transforms": {func() attributes { a := changedAttributes(); delete(a, "transforms"); return a }(), "people"},
	} {
		stand := c.places(t, yet(x.a), map[string]tenure.Disposition{"contacts": tenure.Anonymise})
		if len(stand) == 0 || !strings.Contains(strings.Join(stand, "; "), x.says) {
			t.Errorf("%s: the map blocks %q, want it to name %s", name, stand, x.says)
		}
	}
	a := changedAttributes()
	a["aggregates"] = attributes{"sales": attributes{"from": "purchases", "by": attributes{"month": attributes{"column": "placed", "as": "month"}}, "sums": attributes{"revenue": "buyer", "nothing": "total"}, "atLeast": 3}}
	stand := strings.Join(c.places(t, yet(a), map[string]tenure.Disposition{"trade": tenure.Aggregate}), "; ")
	for _, says := range []string{"nothing", "buyer", "unique", "region"} {
		if !strings.Contains(stand, says) {
			t.Errorf("the map blocks %q, want it to name %s", stand, says)
		}
	}
}
