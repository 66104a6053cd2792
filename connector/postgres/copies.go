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

// freshSQL is the condition for rows under the alias t that this transaction made,
// or one within it, as a block with an exception clause is in a function: theirs are
// the transactions under way that can be seen here at all.
const freshSQL = `case when age("t".xmin) <= age(pg_current_xact_id()::xid) then pg_xact_status((pg_current_xact_id()::text::numeric + age(pg_current_xact_id()::xid) - age("t".xmin))::text::xid8) = 'in progress' end`

// addedSQL are the tables to which this connection has added rows since its last
// report to the server's statistics, each with all that show its rows.
const addedSQL = `with recursive up (oid, at) as (
 select c.oid, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and pg_stat_get_xact_tuples_inserted(c.oid) > 0
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_toast%' and (n.nspname, c.relname) <> ('tenure', 'parent')
 union select up.oid, h.inhparent from up join pg_inherits h on h.inhrelid = up.at)
select up.oid::text, pg_stat_get_xact_tuples_inserted(up.oid)::text, n.nspname, c.relname from up join pg_class c on c.oid = up.at join pg_namespace n on n.oid = c.relnamespace order by 1, up.at = up.oid`

// added is how many rows were added to one table, and the tables that show them.
type added struct {
	rows int64
	in   []relational.TableName
}

// additions looks at where rows were added, by table.
func additions(ctx context.Context, s *session) (map[string]added, error) {
	out := map[string]added{}
	err := each(ctx, s, addedSQL, 4, func(v []string) {
		a := out[v[0]]
		_, _ = fmt.Sscan(v[1], &a.rows)
		a.in = append(a.in, relational.TableName{Schema: v[2], Name: v[3]})
		out[v[0]] = a
	})
	return out, err
}

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
		err := each(ctx, s, "select count(*)::text from "+dialect{}.Name(t.Table.TableName)+` "t" where `+freshSQL+" and "+nobodys+" having count(*) > 0", 1, func(v []string) { found = v[0] })
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
