package postgres

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

const droppersSQL = `select e.evtname, n.nspname, p.proname, ` + bodySQL + ` from pg_event_trigger e join pg_proc p on p.oid = e.evtfoid join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where e.evtenabled in ('O', 'A') and e.evtevent in ('sql_drop', 'ddl_command_start', 'ddl_command_end') and (e.evttags is null or 'DROP SCHEMA' = any (e.evttags)) order by 1`

// droppers finds event triggers that run when the tenant's schema is dropped, and
// that write: they learn the names of all that is in it.
func (g *ground) droppers(ctx context.Context, s *session) (out []connector.Place, err error) {
	if g.store == "" {
		return nil, nil
	}
	var all []trigger
	err = s.simple(ctx, droppersSQL, func(_ int, v [][]byte) error {
		all = append(all, trigger{name: string(v[0]), function: functionOf(v[1:])})
		return nil
	})
	if err != nil {
		return nil, err
	}
	known, err := called(ctx, s, all)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		e := known.effect(t.function, map[string]bool{})
		if g.cover.Triggers[t.name] == "ignore" || e.hidden == "" && len(e.writes) == 0 {
			continue
		}
		does := e.hidden + ": where it writes can't be told"
		if e.hidden == "" {
			does = "writes to " + e.writes[0].name.String()
		}
		out = append(out, connector.Place{Name: t.name, Kind: connector.PlaceCode, Via: "event trigger", Blocks: true,
			Says: "event trigger " + t.name + " runs when the schema is dropped, learns the names of all that is in it, and " + does,
			Fix:  "triggers: {" + t.name + ": ignore} if it keeps nothing of the tenant"})
	}
	return out, nil
}
