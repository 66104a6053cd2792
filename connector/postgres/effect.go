package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// mineSQL says that this transaction, or a part of it that is through, has made the
// row of the alias ROW. Numbers of transactions of other ages would be taken for
// later ones, and so are left out by what the last snapshot knows.
const mineSQL = `(select case when m.d < past - top then m.d = 0 or pg_xact_status((top + m.d)::text::xid8) = 'in progress' else false end
 from (select (ROW.xmin::text::bigint - top % 4294967296 + 4294967296) % 4294967296 as d, top, past
 from (select pg_current_xact_id()::text::bigint as top, pg_snapshot_xmax(pg_current_snapshot())::text::bigint as past) now) m)`

func mine(alias string) string { return strings.ReplaceAll(mineSQL, "ROW", quote(alias)) }

// upToNow makes every snapshot from here on know the numbers that parts of this
// transaction have.
func (s *session) upToNow() string {
	takes := "insert into tenure.parent values ('', '', '', '')"
	if s.deputy != nil {
		takes = "select tenure.step()"
	}
	return "savepoint upto; " + takes + "; rollback to savepoint upto; release savepoint upto"
}

// effectSQL is what this connection did to the rows of each table since its last
// report to the server's statistics, so only the difference between two looks
// means something; and whether this transaction has made or emptied the table. A
// table comes with those above it, whose rows it holds, the nearest first.
var effectSQL = `select c.oid::text, x.i::text, x.u::text, x.d::text, x.made::text, (select string_agg(a.attname, ' ') from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attname = COLUMNS),
 (with recursive up (oid, i) as (select c.oid, 0 union all select (select h.inhparent from pg_inherits h where h.inhrelid = up.oid order by h.inhseqno limit 1), i + 1 from up where up.oid is not null)
  select json_agg(json_build_array(n.nspname, t.relname) order by up.i) from up join pg_class t on t.oid = up.oid join pg_namespace n on n.oid = t.relnamespace)::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 cross join lateral (select pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid), pg_stat_get_xact_tuples_deleted(c.oid), ` + mine("c") + `) x (i, u, d, made)
 where c.relkind in ('r', 'p') and (n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_toast%' or c.oid in (2613, 2995)) and (x.i + x.u + x.d > 0 or x.made)`

// touched is a table to which something was done.
type touched struct {
	relational.TableName // the one that shows its rows
	relational.Effect
	oids   []oid
	made   bool // or emptied, or altered
	bears  bool // it has a tenant column, as far as its name tells
	object bool // it holds large objects
}

// effects looks at what was done to every table of the database.
func (f footing) effects(ctx context.Context, s *session) (map[relational.TableName]touched, error) {
	h := f.Holding
	names, _ := h.TenantColumns(relational.TableName{})
	out := map[relational.TableName]touched{}
	err := s.simple(ctx, strings.ReplaceAll(effectSQL, "COLUMNS", anyOf(names)), func(_ int, v [][]byte) error {
		var up [][2]string
		if err := json.Unmarshal(v[6], &up); err != nil {
			return err
		}
		n := relational.TableName{Schema: up[len(up)-1][0], Name: up[len(up)-1][1]}
		for _, above := range up {
			if t, known := h.Graph.Table(relational.TableName{Schema: above[0], Name: above[1]}); known {
				n = t.TableName
				break
			}
		}
		t := out[n]
		t.TableName, t.oids = n, append(t.oids, oidOf(v[0]))
		for i, did := range []*int64{&t.Inserted, &t.Updated, &t.Deleted} {
			n, _ := strconv.ParseInt(string(v[i+1]), 10, 64)
			*did += n
		}
		t.made, t.bears = t.made || string(v[4]) == "true", t.bears || len(v[5]) > 0
		t.object = n.Schema == "pg_catalog"
		out[n] = t
		return nil
	})
	return out, err
}

// counting lets the server count what is done, or is Blocked: where it doesn't, what
// triggers, rules and constraints do besides can't be told.
func counting(ctx context.Context, s *session) error {
	on, err := textsOf(ctx, s, "select current_setting('track_counts')")
	if err != nil || on[0] == "on" {
		return err
	}
	may, err := textsOf(ctx, s, "select rolsuper::text from pg_roles where rolname = current_user")
	if err != nil {
		return err
	}
	if may[0] == "true" {
		return s.simple(ctx, "set local track_counts to on", nil)
	}
	return tenure.Errorf(tenure.Blocked, "the server's setting track_counts is off, so what triggers and constraints do in a batch can't be told").
		WithHint("set track_counts to on in the server, or for the role of the option dsn (alter role … set track_counts to on), then retry")
}

// settles is how often what waits for the end of the transaction is run before the
// accounting: a trigger that runs then may have more wait.
const settles = 4

// take takes one batch. Where more than its deletes may happen in it, it holds what
// the whole transaction did to every table against what it was to do: the text of a
// trigger never tells all.
func (f footing) take(ctx context.Context, s *session, b connector.Batch) (e connector.Erased, err error) {
	if !f.Stirs() {
		return f.Batch(ctx, s, b)
	}
	if err := counting(ctx, s); err != nil {
		return e, err
	}
	before, err := f.effects(ctx, s)
	if err != nil {
		return e, err
	}
	if err := lurking(ctx, s, f.Takes()); err != nil {
		return e, err
	}
	if e, err = f.Batch(ctx, s, b); err != nil {
		return e, err
	}
	if err := lurking(ctx, s, f.Takes()); err != nil { // it came meanwhile; what it did is rolled back
		return e, err
	}
	if err := s.simple(ctx, strings.Repeat("set constraints all immediate; ", settles)+s.upToNow(), nil); err != nil { // a trigger may wait for the end
		return e, err
	}
	on, err := textsOf(ctx, s, "select current_setting('track_counts')")
	if err != nil {
		return e, err
	}
	if on[0] != "on" {
		return e, tenure.Errorf(tenure.Blocked, "a trigger has switched track_counts off, so what it does in a batch can't be told").
			WithHint("change it so that it leaves the setting alone, then retry; nothing was erased in this batch")
	}
	after, err := f.effects(ctx, s)
	if err != nil {
		return e, err
	}
	var all []touched
	for n, t := range after {
		was := before[n]
		t.Effect, t.made = t.Minus(was.Effect), t.made && !was.made
		if t.made || t.Effect != (relational.Effect{}) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b touched) int { return a.Compare(b.TableName) })
	for _, t := range all {
		if err := f.judge(ctx, s, t, all, e.Counts); err != nil {
			return e, err
		}
	}
	if e.Done && slices.ContainsFunc(all, func(t touched) bool { return t.Inserted > 0 }) { // by what waited for the end
		left, err := f.Remains(ctx, s)
		if err != nil {
			return e, err
		}
		e.Done = left == ""
	}
	return e, f.kept(ctx, s, after, before)
}

// judge is Blocked if something was done to a table that isn't the batch's to do.
func (f footing) judge(ctx context.Context, s *session, t touched, all []touched, counts map[string]int64) error {
	x := f.Excess(t.TableName, counts, t.Effect)
	switch {
	case t.object:
		x = f.objects(t, counts)
	case t.Schema == "tenure":
		if t.Name == "parent" { // the batch itself writes down what goes later
			x.Inserted = 0
		}
	case f.free(t):
		return nil
	case f.tenants(t.TableName) && !f.Holding.Needs(t.TableName): // a trigger of the tenant's own, on what goes with it
		if x.Deleted > 0 {
			counts[t.String()] += x.Deleted
		}
		return nil
	}
	says := ""
	switch {
	case t.made:
		says = t.String() + " would be made, altered or emptied"
	case x.Deleted > 0:
		says = relational.Plural(x.Deleted, "row") + " of " + t.String() + " would be deleted"
	case x.Updated > 0:
		if own, err := f.keeps(ctx, s, t); err != nil || own {
			return err
		}
		says = relational.Plural(x.Updated, "row") + " of " + t.String() + " would be changed"
	case x.Inserted > 0:
		strays, err := f.strays(ctx, s, t, x.Inserted)
		if err != nil || strays == 0 {
			return err
		}
		says = relational.Plural(strays, "row") + " would be added to " + t.String() + ", where the erasure doesn't find them as the tenant's"
		if f.Holding.Classes[t.TableName] == "" {
			says = relational.Plural(strays, "row") + " would be added to " + t.String() + ", which no data class covers"
		}
	default:
		return nil
	}
	by, err := suspects(ctx, s, t, all)
	if err != nil {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "the erasure doesn't account for this: %s, by %s", says, by).
		WithHint("change it so that it leaves other rows alone, and copies none without the tenant's key, then retry; nothing was erased in this batch")
}

// free says that a trigger that somebody answers for may do with the table what it
// likes: it isn't covered, and no column of it says that it has rows of tenants.
func (f footing) free(t touched) bool {
	h := f.Holding
	_, held := h.Table(t.TableName)
	_, said := h.TenantColumns(t.TableName)
	bears := t.bears && !said && !h.Shared(t.TableName) || said && h.TenantColumn(t.TableName) != ""
	return h.Vouches() && !held && !bears && t.Schema != "tenure" && !t.object
}

// tenants says that all of a table's rows are the tenant's and of the class that goes.
func (f footing) tenants(n relational.TableName) bool {
	class := f.Holding.Classes[n]
	return f.Holding.Own(n) && class != "" && (f.Class == "" || class == f.Class)
}

// objects is what was done to large objects besides the unlinking that is counted.
func (f footing) objects(t touched, counts map[string]int64) relational.Effect {
	x := relational.Effect{Inserted: t.Inserted, Updated: t.Updated}
	if t.Name == "pg_largeobject_metadata" {
		x.Deleted = t.Deleted
		for name, n := range counts {
			if strings.HasPrefix(name, objectsOf) {
				x.Deleted -= n
			}
		}
	}
	return x
}

// keeps says that a trigger that somebody answers for has changed rows of a covered
// table which are found as the tenant's, such as a counter, and no others.
func (f footing) keeps(ctx context.Context, s *session, t touched) (bool, error) {
	h := f.Holding
	r, held := h.Table(t.TableName)
	if !h.Vouches() || !held || h.Classes[t.TableName] == "" || slices.Contains(f.Nulled(), t.TableName) {
		return false, nil
	}
	others, err := textsOf(ctx, s, "select '' from "+dialect{}.Name(t.TableName)+` "t" where (`+r.Where()+") is not true and "+mine("t")+" limit 1")
	return len(others) == 0, err
}

// strays counts the rows that this transaction has added to a table and that aren't
// found there as the tenant's, in a class: n were added.
func (f footing) strays(ctx context.Context, s *session, t touched, n int64) (int64, error) {
	h := f.Holding
	r, held := h.Table(t.TableName)
	switch {
	case h.Own(t.TableName):
		return 0, nil
	case !held || h.Classes[t.TableName] == "":
		return n, nil
	}
	found, from := int64(0), "select count(*)::text from "+dialect{}.Name(t.TableName)+` "t" where `
	count := func(where string) error {
		return each(ctx, s, from+where+" and "+mine("t"), 1, func(v []string) { found, _ = strconv.ParseInt(v[0], 10, 64) })
	}
	if err := count("(" + r.Where() + ")"); err != nil || found >= n { // an index may lead to these
		return 0, err
	}
	err := count("(" + r.Where() + ") is not true")
	return found, err
}

// suspectsSQL names what may have changed a table, of code that runs when one of the
// tables of CHANGED does, and of what constraints do about changes of these.
const suspectsSQL = `select 'trigger ' || g.tgname || ' of ' || g.tgrelid::regclass from pg_trigger g where g.tgrelid CHANGED and not g.tgisinternal and g.tgenabled <> 'D'
union select 'rule ' || w.rulename || ' of ' || w.ev_class::regclass from pg_rewrite w where w.ev_class CHANGED and w.rulename <> '_RETURN'
union select 'constraint ' || k.conname || ' of ' || k.conrelid::regclass from pg_constraint k where k.contype = 'f' and k.conrelid HERE and k.confrelid CHANGED
 and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd')) order by 1`

func suspects(ctx context.Context, s *session, t touched, all []touched) (string, error) {
	var oids []oid
	for _, o := range all {
		oids = append(oids, o.oids...)
	}
	by, err := textsOf(ctx, s, strings.NewReplacer("CHANGED", isOneOf(oids), "HERE", isOneOf(t.oids)).Replace(suspectsSQL))
	if err != nil {
		return "", err
	}
	const named = 5
	if more := len(by) - named; more > 0 {
		by = append(by[:named], fmt.Sprintf("one of %d more", more))
	}
	if len(by) == 0 {
		return "something that the catalog doesn't show", nil
	}
	return strings.Join(by, " or "), nil
}

// kept is an error if references that were to become null are as they were.
func (f footing) kept(ctx context.Context, s *session, after, before map[relational.TableName]touched) error {
	for _, n := range f.Nulled() {
		x := f.Excess(n, nil, after[n].Minus(before[n].Effect))
		if x.Updated >= 0 || f.Entwined(n) {
			continue
		}
		by, err := dialect{}.Obstacles(ctx, s, n)
		if err != nil {
			return err
		}
		if by == "" {
			if by, err = idle(ctx, s, n); err != nil {
				return err
			}
		}
		if by == "" { // somebody else has changed or deleted them meanwhile
			return tenure.Errorf(tenure.Unavailable, "rows of %s changed while references of theirs became null", n).Retryable()
		}
		return tenure.Errorf(tenure.Blocked, "%s of %s keep references to rows that go: %s stands in the way of the update", relational.Plural(-x.Updated, "row"), n, by).
			WithHint("change it so that these references can become null, then retry")
	}
	return nil
}

// idle says why the foreign keys of a table, and of its parts, aren't looked after by
// the server; "" if they are.
func idle(ctx context.Context, s *session, n relational.TableName) (string, error) {
	off, err := textsOf(ctx, s, hereSQL(n)+`select 'foreign key ' || k.conname || ', whose triggers are disabled,' from pg_constraint k join pg_trigger g on g.tgconstraint = k.oid
 where k.contype = 'f' and k.conrelid in (select oid from here) and g.tgenabled in ('D', 'R')
union select 'session_replication_role, which is replica,' where current_setting('session_replication_role') = 'replica' order by 1 limit 1`)
	if err != nil || len(off) == 0 {
		return "", err
	}
	return off[0], nil
}
