package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// copiesSQL are the tables of a list, by number, to which this transaction has
// added rows, also to their partitions and heirs.
const copiesSQL = `with recursive of (i, oid) as (select * from (values %s) v (i, oid) union select o.i, h.inhrelid from of o join pg_inherits h on h.inhparent = o.oid)
select i::text from of group by i having sum(pg_stat_get_xact_tuples_inserted(oid)) > 0 or current_setting('track_counts') <> 'on'`

// copies is Blocked if the transaction has itself made rows that name no tenant,
// in a table whose rows are found by the tenant's key: a trigger has copied what
// went, and nothing would find the copies.
func copies(ctx context.Context, s *session, h *relational.Holding) error {
	var tables []relational.Reached
	var list, added []string
	for _, t := range h.Tables {
		column := h.TenantColumn(t.Table.TableName)
		if c, _ := t.Table.Column(column); column != "" && !c.Required {
			list = append(list, fmt.Sprintf("(%d, %s::regclass::oid)", len(tables), literal(dialect{}.Name(t.Table.TableName))))
			tables = append(tables, t)
		}
	}
	if len(tables) == 0 {
		return nil
	}
	if err := s.simple(ctx, "set constraints all immediate", nil); err != nil { // a trigger may wait for the end
		return err
	}
	err := each(ctx, s, fmt.Sprintf(copiesSQL, strings.Join(list, ", ")), 1, func(v []string) { added = append(added, v[0]) })
	if err != nil {
		return err
	}
	for _, i := range added {
		var at int
		if _, err := fmt.Sscan(i, &at); err != nil {
			return err
		}
		t, found := tables[at], ""
		column := h.TenantColumn(t.Table.TableName)
		_, _, nobodys := dialect{}.Keyed(t.Table, "t", column, "")
		err := each(ctx, s, "select count(*)::text from "+dialect{}.Name(t.Table.TableName)+` "t" where "t".xmin = pg_current_xact_id()::xid and `+nobodys+" having count(*) > 0", 1, func(v []string) { found = v[0] })
		if err != nil {
			return err
		}
		if found != "" {
			return tenure.Errorf(tenure.Blocked, "the erasure itself adds rows to %s that name no tenant (%s is null): a trigger copies what goes", t.Table, column).
				WithHint("have the trigger write the tenant's key, or take it away, then retry")
		}
	}
	return nil
}
