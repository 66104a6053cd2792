package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

const (
	lockTime = 4 * time.Second  // how long a look, a batch or a drop waits for a lock that somebody else holds
	lockMost = 15 * time.Second // how long everything else does, where the option dsn doesn't say
)

// lockBound begins what waits for locks no longer than lockTime.
var lockBound = fmt.Sprintf("set local lock_timeout = %d", lockTime.Milliseconds())

// patient runs f in a transaction that waits for locks no longer than lockTime.
func (d *Driver) patient(ctx context.Context, s *session, f func(s *session) error) error {
	return s.within(ctx, "begin; "+lockBound, f)
}

// naming runs f on a session and, where it waited for a lock in vain, says who holds it.
func (d *Driver) naming(ctx context.Context, s *session, f func() error) error {
	watch, stop := context.WithCancel(ctx)
	found := make(chan holders, 1)
	go func() {
		defer close(found)
		tick := time.NewTicker(lockTime / 2)
		defer tick.Stop()
		var last holders
		for {
			select {
			case <-watch.Done():
				found <- last
				return
			case <-tick.C:
			}
			if who := d.blockers(watch, s.conn.PgConn().PID()); who.says != "" {
				last = who
			}
		}
	}()
	err := f()
	stop()
	who := <-found
	if state(err) != "55P03" {
		return err
	}
	switch {
	case who.says == "" && s.deputy != nil:
		return err // code on the premises may have raised it
	case who.prepared: // nobody's session that could come to its end
		return tenure.Errorf(tenure.Blocked, "a lock is held by %s", who.says).WithHint("%s, then retry", endPrepared)
	case who.says == "":
		who.says = "another session"
	}
	return tenure.Errorf(tenure.Unavailable, "a lock is held by %s", who.says).
		WithHint("end that session or transaction, as a tenant's are when its access is cut; the call is tried again").Retryable()
}

// holders are who holds what a backend waits for.
type holders struct {
	says     string
	prepared bool // a prepared transaction is among them
}

// sessionSQL names a session under the alias a.
const sessionSQL = `'process ' || a.pid || ' of ' || coalesce(a.usename, 'the server') || ' (' || coalesce(nullif(a.application_name, ''), a.backend_type, 'unnamed') || ', ' || coalesce(a.state, '') || ')'`

// blockersSQL names what a backend waits for.
const blockersSQL = `select coalesce(string_agg(who, ', ' order by who), '') || coalesce((select ' on ' || string_agg(distinct w.relation::regclass::text, ', ') from pg_locks w where w.pid = $1 and not w.granted and w.relation is not null), ''),
 coalesce(bool_or(prepared), false)::text from (
 select false as prepared, ` + sessionSQL + ` as who
 from pg_stat_activity a where a.pid = any (pg_blocking_pids($1))
 union
 select true, 'the prepared transaction ' || x.gid from pg_prepared_xacts x where 0 = any (pg_blocking_pids($1)) and exists (
  select 1 from pg_locks w join pg_locks l on l.pid is null and l.granted and (l.transactionid = w.transactionid or l.relation = w.relation and l.database = w.database)
  join pg_locks t on t.pid is null and t.transactionid = x.transaction and t.virtualtransaction = l.virtualtransaction
  where w.pid = $1 and not w.granted)) x having count(*) > 0`

func (d *Driver) blockers(ctx context.Context, pid uint32) (who holders) {
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return who
	}
	defer release(c)
	_ = each(ctx, &session{conn: c.Conn()}, strings.ReplaceAll(blockersSQL, "$1", fmt.Sprint(pid)), 2, func(v []string) { who = holders{v[0], v[1] == "true"} })
	return who
}

// idleTooLong is how old a transaction is that sits idle before it is named.
const idleTooLong = time.Minute

// hinderingModes are those of locks that let nobody change rows (PostgreSQL §13.3). A
// tenant's own store is dropped, which any lock hinders; and what was prepared may bring
// rows back.
const hinderingModes = "'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'"

// keepingSQL lists who keeps tables from being read or emptied: by a lock that lets nobody
// in, by a transaction that was prepared, or by one that sits idle on what it wrote. It
// reads what the server has of locks, and waits for none.
const keepingSQL = `with of as (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where $tables),
 held as (select l.pid, l.virtualtransaction, l.relation, l.mode from pg_locks l join of on of.oid = l.relation
  where l.granted and l.database = (select oid from pg_database where datname = current_database()) and l.pid is distinct from pg_backend_pid() and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
select min(h.relation::regclass::text), count(distinct h.relation)::text, ` + sessionSQL + `, a.pid::text, '', coalesce(a.usename, ''), bool_or(h.mode = 'AccessExclusiveLock')::text, bool_or(h.mode in ($hinder))::text
 from held h join pg_stat_activity a on a.pid = h.pid where (a.usename is null or a.usename <> current_user or not starts_with(coalesce(a.application_name, ''), 'tenure')) and not starts_with(coalesce(a.usename, ''), '` + deputyPrefix + `')
 and (h.mode = 'AccessExclusiveLock' or starts_with(a.state, 'idle in transaction') and a.xact_start < clock_timestamp() - interval '$idle seconds') group by a.pid, a.usename, a.application_name, a.backend_type, a.state
union all select min(h.relation::regclass::text), count(distinct h.relation)::text, 'the prepared transaction ' || x.gid || ' of ' || x.owner, '', x.gid, '', bool_or(h.mode = 'AccessExclusiveLock')::text, bool_or(h.mode in ($hinder))::text
 from held h join pg_locks t on t.pid is null and t.virtualtransaction = h.virtualtransaction join pg_prepared_xacts x on x.transaction = t.transactionid
 where h.pid is null group by x.gid, x.owner order by 1, 3`

// keeping says who keeps the tables from being read or emptied, and whether they can't
// be read now. What a tenant's own session holds ends with its access, so that it stands
// in no way.
func (d *Driver) keeping(ctx context.Context, s *session, r connector.Ref, at reading) (out []connector.Place, shut bool, err error) {
	held, err := at.all(ctx, s)
	if err != nil {
		return nil, false, err
	}
	names := make([]string, len(held.Tables))
	for i, t := range held.Tables {
		names[i] = literal(quote(t.Table.Schema, t.Table.Name)) + "::regclass"
	}
	tables, owner := "c.oid in (with recursive here (oid) as (select unnest(array["+strings.Join(names, ", ")+"]::oid[]) union select h.inhrelid from here join pg_inherits h on h.inhparent = here.oid) select oid from here)", ""
	if at.premises != nil {
		tables, owner = tables+" or "+at.premises.schemas(), at.premises.owner
	}
	var users []string
	err = s.simple(ctx, replaced(keepingSQL, "$tables", tables, "$hinder", hinderingModes, "$idle", fmt.Sprint(int(d.idle.Seconds()))), func(_ int, v [][]byte) error {
		p := connector.Place{Name: string(v[0]), Kind: connector.PlaceLock, Blocks: at.premises != nil || string(v[4]) != "" || string(v[7]) == "true", Says: string(v[2]) + " holds a lock on " + string(v[0])}
		if n := string(v[1]); n != "1" {
			p.Says += " and others, " + n + " in all"
		}
		if gid := string(v[4]); gid != "" {
			p.Fix = "rollback prepared " + literal(gid) + ", or commit it"
		} else {
			p.Fix = "let it come to its end, or select pg_terminate_backend(" + string(v[3]) + ")"
		}
		if !p.Blocks {
			p.Says += "; the tenant's rows go beside it, but for what it has changed of them"
		}
		shut = shut || string(v[6]) == "true"
		out, users = append(out, p), append(users, string(v[5]))
		return nil
	})
	for i, user := range users { // after the rows are read: these are queries of their own
		if err != nil || user == "" {
			continue
		}
		var own bool
		if own, err = d.acts(ctx, s, r, owner, user); own {
			out[i].Blocks, out[i].Fix = false, ""
			out[i].Says += ", until the tenant's access is cut"
		}
	}
	return out, shut, err
}

// acts says whether a login is the tenant's: its owner's, or a member of a role of its.
func (d *Driver) acts(ctx context.Context, s *session, r connector.Ref, owner, user string) (own bool, err error) {
	super, err := textsOf(ctx, s, "select rolname from pg_roles where rolname = "+literal(user)+" and not rolsuper")
	if err != nil || len(super) == 0 {
		return false, err
	}
	member, err := textsOf(ctx, s, "select rolname from pg_roles where rolname = "+literal(owner)+" and pg_has_role("+literal(user)+", oid, 'member')")
	if err != nil || len(member) > 0 {
		return len(member) > 0, err
	}
	if kept, err := keeps(ctx, s, "mark"); err != nil || !kept {
		return false, err
	}
	err = s.simple(ctx, "select "+roleClass.columns()+roleClass.from()+"where m.name is not null and pg_has_role("+literal(user)+", o.oid, 'member')", func(_ int, v [][]byte) error {
		b := d.marked(roleClass, v)
		_, whose := b.note.Read(d.marker, "role")
		own = own || whose == connector.Ours && r.Tenant != "" && b.note.Get("tenant") == string(r.Tenant)
		return nil
	})
	return own, err
}
