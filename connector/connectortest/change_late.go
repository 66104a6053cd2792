package connectortest

import (
	"maps"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// late: a row that comes after the first batch doesn't stay in a group that is too small:
// it is named and blocks, or is suppressed; and a lost cursor makes no group small that
// wasn't.
func (c Changed) late(t *testing.T) {
	for _, short := range []string{"", "suppress"} {
		t.Run("short "+short, func(t *testing.T) {
			c.make(t)
			a := changedAttributes()
			people, columns := maps.Clone(changedPeople), maps.Clone(changedPeople["columns"].(attributes))
			columns["salary"] = "clear"
			people["columns"] = columns
			sales := maps.Clone(a["aggregates"].(attributes)["sales"].(attributes))
			if short != "" {
				people["short"] = short
				if c.Types["date"] == "date" { // which nothing is empty in
					c.Exec(t, "drop table sales")
					c.Exec(t, "create table sales (month date, region varchar(20), orders int not null, revenue decimal(14,2) not null, unique (month, region))")
				}
				sales["short"] = short
			}
			a["transforms"] = attributes{"people": people, "visits": changedVisits}
			a["aggregates"] = attributes{"sales": sales}
			r := c.ensured(t, a)
			take := func(class string, as tenure.Disposition) error {
				for n := 0; ; n++ {
					e, err := c.Open(t).(connector.Eraser).Erase(t.Context(), r, connector.Batch{Run: "run-late-" + class, Class: class, Limit: 5, Disposition: as, Name: named})
					if err != nil || e.Done || n > 100 {
						return err
					}
					if n == 1 {
						c.Exec(t, map[string]string{
							"contacts": "insert into people (id, tenant_key, name, born, postcode) values (77, 'acme', 'Late', '1911-02-03', '90000')",
							"trade":    "insert into purchases (id, tenant_key, placed, region, total) values (77, 'acme', '2019-02-03', 'moon', 1)",
						}[class])
					}
				}
			}
			for class, as := range map[string]tenure.Disposition{"contacts": tenure.Anonymise, "trade": tenure.Aggregate} {
				err := take(class, as)
				says := map[string]string{"contacts": "1911-01-01", "trade": "moon"}[class]
				if short == "" && (tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), says)) {
					t.Errorf("%s: %v, want it Blocked by the group of %s", class, err, says)
				}
				if short != "" && err != nil {
					t.Errorf("%s: %v", class, err)
				}
				c.Exec(t, "delete from people where tenant_key = 'acme' and id = 77")
				c.Exec(t, "delete from purchases where tenant_key = 'acme' and id = 77")
			}
			if n := len(c.Rows(t, "select 1 from people where id < 70 and tenant_key is null and born is null")); n != 0 {
				t.Errorf("%d rows of groups that are large enough were suppressed", n)
			}
			if short != "" {
				if n := len(c.Rows(t, "select 1 from people where id = 77 and born is null and postcode is null")); n != 1 {
					t.Errorf("the late row is %q, want it suppressed", c.Rows(t, "select * from people where id = 77"))
				}
			}
			if got := c.rows(t, "select region, orders from sales where orders > 1"); len(got) != 2 {
				t.Errorf("the sums are %q, want two months of north", got)
			}
			c.leave(t, r)
		})
	}
}
