package postgres

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure/connector"
)

// longestList is what an access control list may take: pg_class and pg_attribute store
// no value out of line, so a row must fit a page of 8 KiB with its other columns
// (PostgreSQL §73.2). The server compresses a long list; about 2,400 roles fill it.
const longestList = 7900

const listsSQL = `select 'the access list of ' || c.oid::regclass, pg_column_size(c.relacl) from pg_class c where pg_column_size(c.relacl) >= $half
union all select 'the access list of column ' || a.attname || ' of ' || a.attrelid::regclass, pg_column_size(a.attacl) from pg_attribute a where pg_column_size(a.attacl) >= $half
order by 1`

// Gauge is described at connector.Gauger.
func (d *Driver) Gauge(ctx context.Context) (out []connector.Level, err error) {
	err = d.with(ctx, func(s *session) error {
		return s.simple(ctx, replaced(listsSQL, "$half", strconv.Itoa(longestList/2)), func(_ int, v [][]byte) error {
			used, err := strconv.ParseInt(string(v[1]), 10, 64)
			out = append(out, connector.Level{Name: string(v[0]), Used: used, Limit: longestList, Unit: "bytes", Fix: "Grant to one group role what many roles have there."})
			return err
		})
	})
	return out, coded(err)
}
