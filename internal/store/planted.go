package store

import (
	"context"
	"strings"
)

// Planted is what stands in the store and changes what the program writes or reads there, such as triggers and
// views, each as "trigger NAME": the program makes none.
func (db *DB) Planted(ctx context.Context) ([]string, error) {
	return planted(db.reader(ctx), db.Dialect)
}

func planted(q querier, d Dialect) (out []string, err error) {
	find := `select type || ' ' || name from sqlite_master where type in ('trigger', 'view') order by 1`
	if d == Postgres {
		find = `with own as (select oid, relname, relkind, relrowsecurity from pg_class where relnamespace = current_schema()::regnamespace)
			select 'trigger ' || tgname from pg_trigger join own on own.oid = tgrelid where not tgisinternal
			union all select 'rule ' || rulename || ' of ' || relname from pg_rewrite join own on own.oid = ev_class where relkind in ('r', 'p')
			union all select 'view ' || relname from own where relkind in ('v', 'm', 'f')
			union all select 'row security of ' || relname from own where relrowsecurity
			order by 1`
	}
	err = q.Rows(find, nil, func(r scanner) error {
		var what string
		err := r.Scan(&what)
		out = append(out, what)
		return err
	})
	return out, err
}

// unplanted is Blocked where something was planted.
func unplanted(q querier, d Dialect) error {
	found, err := planted(q, d)
	if err == nil && len(found) > 0 {
		err = notAsLogged("somebody put into it what changes the program's words: " + strings.Join(found, "; "))
	}
	return err
}
