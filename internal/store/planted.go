package store

import (
	"context"
	"strings"
	"sync"
)

// Planted is what stands in the store and changes what the program writes or reads there, such as triggers and
// views, each as "trigger NAME": the program makes none.
func (db *DB) Planted(ctx context.Context) ([]string, error) {
	return planted(db.reader(ctx), db.Dialect)
}

// plantedPostgres looks at what the names of the program's tables lead to, which the search path decides, and at
// the schema that they are in. What an extension brought under another name is nobody's plant.
const plantedPostgres = `with named as (select to_regclass(quote_ident(name)) as oid from unnest(string_to_array($1, ',')) as t (name)),
	own as (select c.oid, relname, relkind, relrowsecurity, relnamespace from named join pg_class c on c.oid = named.oid),
	home as (select relnamespace as oid from own where relname = 'meta')
	select 'trigger ' || tgname from pg_trigger join own on own.oid = tgrelid where not tgisinternal
	union all select 'rule ' || rulename || ' of ' || relname from pg_rewrite join own on own.oid = ev_class where relkind in ('r', 'p')
	union all select 'row security of ' || relname from own where relrowsecurity
	union all select 'table ' || relname || ' in another schema, ' || relnamespace::regnamespace from own where relnamespace <> (select oid from home)
	union all select 'table ' || inhrelid::regclass || ', a part of ' || relname from pg_inherits join own on own.oid = inhparent
	union all select 'view ' || relname from pg_class c where relkind in ('v', 'm', 'f')
		and (c.oid in (select oid from own) or relnamespace = (select oid from home)
			and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))
	union all select 'search path ' || array_to_string(current_schemas(false), ', ')
		where 'pg_catalog' <> (select s from unnest(current_schemas(true)) with ordinality as p (s, n) where s not like 'pg\_temp\_%' order by n limit 1)
	order by 1`

// tableNames is the program's tables, with commas between them.
var tableNames = sync.OnceValue(func() string {
	var names []string
	for _, t := range Declared() {
		names = append(names, t.Name)
	}
	return strings.Join(names, ",")
})

func planted(q querier, d Dialect) (out []string, err error) {
	find, args := `select type || ' ' || name from sqlite_master where type in ('trigger', 'view') order by 1`, []any(nil)
	if d == Postgres {
		find, args = plantedPostgres, []any{tableNames()}
	}
	err = q.Rows(find, args, func(r scanner) error {
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
