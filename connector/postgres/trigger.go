package postgres

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// A trigger is code that the server runs when rows of a table change: a trigger,
// with its function, a rule, or an expression of the table that calls functions.
type trigger struct {
	relation *relation
	name     string
	kind     string // trigger, rule, or expression; disabled for that of a foreign key which is off
	on       events
	before   bool     // for each row, before it changes or instead of that
	columns  []string // of an update: those at whose change it runs; none if at any
	olds     string   // what it calls the rows that went, "" if nothing
	news     string   // and those that are there instead
	function function
}

// events are what makes a trigger run, or what happens to a table.
type events struct{ insert, update, delete bool }

func (e events) and(o events) events {
	return events{e.insert && o.insert, e.update && o.update, e.delete && o.delete}
}

func (t trigger) String() string { return t.relation.root.String() + "." + t.name }

// function is a function as the catalog keeps it.
type function struct {
	name     name
	owner    string
	language string
	body     string
	when     string   // of a trigger: the condition under which it runs
	path     []string // the schemas in which its bare names are looked for; nil if it doesn't say
}

// text is all that is run.
func (f function) text() string {
	if f.when == "" {
		return f.body
	}
	return f.when + ";\n" + f.body
}

// The body of a function in the standard's form is kept apart from its text.
const bodySQL = `pg_get_userbyid(p.proowner), l.lanname, p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), ''),
 coalesce((select json_agg(trim(both '" ' from w)) from unnest(p.proconfig) c, regexp_split_to_table(substr(c, 13), ',') w where c like 'search\_path=%')::text, 'null')`

// Each part goes by the tables' oids, along an index: the planner is told so where it would go through
// the columns or the keys of all tables.
const triggersSQL = `select g.tgrelid::text, g.tgname, 'trigger', g.tgtype::text, (select coalesce(json_agg(a.attname), '[]') from pg_attribute a where a.attrelid = g.tgrelid and a.attnum = any (g.tgattr))::text,
 coalesce(g.tgoldtable, ''), coalesce(g.tgnewtable, ''), coalesce(substring(pg_get_triggerdef(g.oid) from ' WHEN (\(.*\)) EXECUTE '), ''), pn.nspname, p.proname, ` + bodySQL + `
 from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace pn on pn.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where not g.tgisinternal and g.tgenabled in ('O', 'A') and g.tgrelid {{oids}}
union all
select w.ev_class::text, w.rulename, 'rule', case w.ev_type when '2' then 19 when '3' then 7 when '4' then 11 else 0 end::text, '[]', '', '', '', '', '', '', 'rule', pg_get_ruledef(w.oid), 'null'
 from pg_rewrite w where w.rulename <> '_RETURN' and w.ev_enabled in ('O', 'A') and w.ev_class {{oids}}
union all
select d.adrelid::text, a.attname, 'expression', case a.attgenerated when '' then 4 else 20 end::text, '[]', '', '', '', '', '', '', 'sql', pg_get_expr(d.adbin, case a.attgenerated when '' then 0 else d.adrelid end), 'null'
 from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid {{oids}} and a.attrelid {{oids}}
union all
select k.conrelid::text, k.conname, 'expression', '20', '[]', '', '', '', '', '', '', 'sql', pg_get_constraintdef(k.oid), 'null' from pg_constraint k where k.contype = 'c' and k.conrelid {{oids}}
union all
select i.indrelid::text, c.relname, 'expression', '20', '[]', '', '', '', '', '', '', 'sql', concat_ws(' ', pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)), 'null'
 from pg_index i join pg_class c on c.oid = i.indexrelid where (i.indexprs is not null or i.indpred is not null) and i.indrelid {{oids}}
union all
select g.tgrelid::text, k.conname, 'disabled', '8', '[]', '', '', '', '', '', '', '', k.conrelid::regclass::text, 'null'
 from (select t.tgrelid, t.tgconstraint from pg_trigger t where t.tgisinternal and t.tgenabled in ('D', 'R') and t.tgtype & 8 = 8 and t.tgrelid {{oids}} offset 0) g
 join pg_constraint k on k.oid = g.tgconstraint where k.contype = 'f' and k.confdeltype in ('n', 'd')
order by 1, 2`

// An aggregate is what its functions do, under its own name.
const functionsSQL = `with f as (select n.nspname, p.proname, ` + bodySQL + ` from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where p.prokind in ('f', 'p') and ` + notOurs + `
 union all select n.nspname, a.proname, ` + bodySQL + ` from pg_aggregate g join pg_proc a on a.oid = g.aggfnoid join pg_namespace n on n.oid = a.pronamespace
 join pg_proc p on p.oid in (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn) join pg_language l on l.oid = p.prolang where ` + notOurs + `)
select * from f where proname = `

// What a text runs without naming it as a function: operators by their sign, and
// casts, which may go unsaid, with their types: whose each is, and whether a column of
// somebody else's table has it. Whose functions are meant is asked first, by lists: by the
// planner's guesses about a new schema it would go through all operators for each.
const unnamedSQL = `select sign, n.nspname, p.proname, ` + bodySQL + `, o.schema, o.owner, case when o.source is null then '[]' else (select json_agg(json_build_object('Name', t.typname, 'Owner', pg_get_userbyid(t.typowner),
 'Stands', t.oid >= 16384 and exists (select 1 from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p') where a.atttypid in (t.oid, t.typarray) and a.atttypid <> 0 and not a.attisdropped and c.relowner <> t.typowner)))
 from pg_type t where t.oid in (o.source, o.target))::text end from (
 select r.oprname, r.oprcode::oid, s.nspname, pg_get_userbyid(r.oprowner), null::oid, null::oid from pg_operator r join pg_namespace s on s.oid = r.oprnamespace
 union all select '', k.castfunc, '', '', k.castsource, k.casttarget from pg_cast k where k.castfunc <> 0) o (sign, code, schema, owner, source, target)
 join pg_proc p on p.oid = o.code join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where o.code = any (array(select p.oid from pg_proc p where p.prolang <> all (array(select oid from pg_language where lanname in ('internal', 'c'))) and p.pronamespace = any (array(select n.oid from pg_namespace n where ` + notOurs + `)))) order by 1, 2, 3`

// code finds triggers and rules on the tenant's tables, and on views of them,
// that write to a table which no data class covers, that touch rows of which can't
// be told whose they are, that keep rows from going, or of which can't be told
// what they do.
func (g *ground) code(ctx context.Context, s *session) (out []connector.Place, err error) {
	if g.whole && g.store == "" && len(g.classes()) < 2 { // within a database of the tenant's own all is its own
		return nil, nil
	}
	fired := g.changes()
	oids := g.heldOIDs()
	for _, r := range g.relations {
		if _, held := g.held[r.root]; !held && !g.own(r.name) && fired[r.root] != (events{}) {
			oids = append(oids, r.oid)
		}
	}
	views, err := g.views(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		if len(v.from) > 0 && (!v.relation.alien || g.own(v.relation.name)) {
			oids = append(oids, v.relation.oid)
		}
	}
	if len(oids) == 0 {
		return nil, nil
	}
	var all []trigger
	err = s.simple(ctx, strings.ReplaceAll(triggersSQL, "{{oids}}", isOneOf(oids)), func(_ int, v [][]byte) error {
		if r := g.byOID[oidOf(v[0])]; r != nil {
			all = append(all, triggerOf(r, v))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var vouched []trigger
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(t trigger) bool {
		id := t.kind + " " + t.String()
		if t.kind != "disabled" && seen[id] { // the same one on each partition
			return true
		}
		seen[id] = true
		if t.kind != "disabled" {
			if g.ignored(t) {
				vouched = append(vouched, t)
			}
			return g.ignored(t)
		}
		if h := g.held[t.relation.root]; h.class != "" || g.own(t.relation.root) {
			out = append(out, idles(t, g.classOf(t.relation)))
		}
		return true
	})
	known, err := called(ctx, s, all)
	if err != nil {
		return nil, err
	}
	owners := map[string]bool{}
	for _, t := range vouched {
		owners[t.function.owner] = true
	}
	theirs, err := tenantsOf(ctx, s, slices.Collect(maps.Keys(owners)))
	for _, t := range vouched { // nobody can answer for what a tenant may change
		if theirs[t.function.owner] {
			out = append(out, lent(t, t.function, g.classOf(t.relation)))
		}
	}
	if err != nil {
		return nil, err
	}
	effects, err := g.effects(ctx, s, all, known)
	if err != nil {
		return nil, err
	}
	return append(out, g.judgeAll(all, effects, known, fired)...), nil
}

// effects are what the triggers do. The catalog is read where they name another tenant's store.
func (g *ground) effects(ctx context.Context, s *session, all []trigger, known library) ([]effect, error) {
	out, schemas := make([]effect, len(all)), slices.Collect(maps.Keys(known.paths))
	for i, t := range all {
		out[i] = known.effect(t.function, map[string]bool{})
		for _, w := range out[i].writes {
			schemas = append(append(schemas, w.name.schema), w.by.path...) // of a tenant's function too
		}
	}
	return out, g.admit(ctx, s, schemas)
}

// lent is the place of code that runs a tenant's function where Tenure's rights are.
func lent(t trigger, f function, class string) connector.Place {
	return connector.Place{Name: t.String(), Kind: connector.PlaceCode, Class: class, Via: t.kind + " of " + t.relation.root.String(), Blocks: true,
		Says: t.kind + " " + t.name + " of " + t.relation.root.String() + " runs " + f.name.String() + ", which belongs to " + f.owner + ", a tenant's role: it would run with Tenure's rights",
		Fix:  "drop the " + t.kind + ", or give the function to a role that no tenant is a member of"}
}

// owners reads which of those to whom the functions, operators and types belong are
// tenants' roles, and the schemas in which others' functions look for bare names.
func (l *library) owners(ctx context.Context, s *session, triggers []trigger) (err error) {
	all := make([]function, 0, len(triggers)+len(l.unnamed))
	owners := map[string]bool{}
	for _, t := range triggers {
		all = append(all, t.function)
	}
	for _, u := range l.unnamed {
		all, owners[u.by] = append(all, u.function), true
		for _, t := range u.types {
			owners[t.Owner] = true
		}
	}
	for _, named := range l.functions {
		all = append(all, named...)
	}
	for _, f := range all {
		owners[f.owner] = true
	}
	if l.tenants, err = tenantsOf(ctx, s, slices.Collect(maps.Keys(owners))); err != nil {
		return err
	}
	l.paths = map[string]bool{}
	for _, f := range all {
		if l.tenants[f.owner] {
			continue
		}
		for _, schema := range f.path {
			l.paths[schema] = true
		}
	}
	return nil
}

// idles is the place of a foreign key that the server doesn't look after when the
// rows go to which it refers.
func idles(t trigger, class string) connector.Place {
	return connector.Place{Name: t.String(), Kind: connector.PlaceCode, Class: class, Via: "foreign key of " + t.function.body, Blocks: true,
		Says: "the triggers of foreign key " + t.name + " of " + t.function.body + " are disabled, so its references stay when rows of " + t.relation.root.String() + " go",
		Fix:  "alter table " + t.relation.root.String() + " enable trigger all"}
}

// changes are what the erasure does to tables: rows go, and references that may be
// null become so.
func (g *ground) changes() map[relational.TableName]events {
	out := map[relational.TableName]events{}
	for n := range g.held {
		out[n] = events{delete: true}
	}
	if g.record.Name != "" {
		out[g.record] = events{true, true, true}
	}
	for _, k := range g.graph.Keys() {
		if _, held := g.held[k.Parent]; !held {
			continue
		}
		e := out[k.Child]
		e.update = e.update || k.OnDelete == relational.SetNull || k.OnDelete == relational.SetDefault || len(g.loses(k)) > 0
		out[k.Child] = e
	}
	return out
}

// loses are the columns of a reference that an erasure may set to null.
func (g *ground) loses(k relational.ForeignKey) (out []string) {
	t, _ := g.graph.Table(k.Child)
	for _, name := range k.Columns {
		if c, _ := t.Column(name); !c.Required && !c.Generated {
			out = append(out, name)
		}
	}
	return out
}

// referring are the columns of a table's references that an erasure may change.
func (g *ground) referring(n relational.TableName) (out []string) {
	for _, k := range g.graph.Keys() {
		if _, held := g.held[k.Parent]; held && k.Child == n {
			out = append(out, g.loses(k)...)
		}
	}
	return out
}

func triggerOf(r *relation, v [][]byte) trigger {
	t := trigger{relation: r, name: string(v[1]), kind: string(v[2]), olds: string(v[5]), news: string(v[6]), function: functionOf(v[8:])}
	bits, _ := strconv.Atoi(string(v[3])) // pg_trigger.tgtype
	t.on = events{insert: bits&4 != 0, update: bits&16 != 0, delete: bits&8 != 0}
	t.before = bits&1 != 0 && bits&(2|64) != 0
	_ = json.Unmarshal(v[4], &t.columns)
	t.function.when = string(v[7])
	return t
}

func functionOf(v [][]byte) function {
	f := function{name: name{string(v[0]), string(v[1])}, owner: string(v[2]), language: string(v[3]), body: string(v[4])}
	_ = json.Unmarshal(v[5], &f.path)
	if f.language == "rule" { // what comes before do is its name and its event
		if _, body, ok := strings.Cut(f.body, " DO "); ok {
			f.body = "do " + body
		}
	}
	return f
}

// ignored says that the blueprint answers for the trigger.
func (g *ground) ignored(t trigger) bool {
	for as := range g.cover.Triggers {
		table, is := strings.CutSuffix(as, "."+t.name) // a name may have dots
		if is && (g.named(t.relation.root, table) || g.named(t.relation.name, table)) {
			return true
		}
	}
	return false
}

// functions are those that code may call, by name without schema.
type functions map[string][]function

// unnamed is a function that a text runs without its name.
type unnamed struct {
	sign   string // the operator; "" for a cast
	schema string // of the operator
	by     string // to whom the operator belongs
	types  []castType
	function
}

// castType is one of the types of a cast.
type castType struct {
	Name, Owner string
	Stands      bool // a column of a table of another owner has it
}

// library is all that triggers may run.
type library struct {
	functions
	unnamed []unnamed
	tenants map[string]bool // the tenants' roles among the owners
	paths   map[string]bool // where functions that are no tenant's look for bare names
}

// bare says that a function's bare names may mean something in a schema. Tenure's
// sessions look for them in the server's own schema, so what is a tenant's is found by
// code of its own alone, or where a function's own search path leads.
func (l library) bare(f function, schema string, theirs bool) bool {
	return !theirs || l.tenants[f.owner] || l.paths[schema]
}

// unsaid says that a function may run u. A cast of a tenant's type takes a value of
// it, which others' code comes by if it names the type, or a table of others has it.
func (l library) unsaid(f function, u unnamed) bool {
	text := f.text()
	if !strings.Contains(text, u.sign) {
		return false
	}
	if u.sign != "" {
		return l.bare(f, u.schema, l.tenants[u.by] || l.tenants[u.owner]) || strings.Contains(text, u.schema)
	}
	theirs := false
	for _, t := range u.types {
		if l.tenants[t.Owner] {
			if theirs = true; t.Stands || strings.Contains(text, t.Name) {
				return true
			}
		}
	}
	return !theirs || l.tenants[f.owner]
}

// called reads the functions that the triggers call, and those that these call,
// however far; one query for each step away.
func called(ctx context.Context, s *session, triggers []trigger) (library, error) {
	l, next := library{functions: functions{}}, map[string]bool{}
	want := func(f function) {
		for _, n := range read(f.text()).calls {
			if _, have := l.functions[n.name]; !have {
				next[n.name] = true
			}
		}
	}
	if len(triggers) == 0 {
		return l, nil
	}
	err := s.simple(ctx, unnamedSQL, func(_ int, v [][]byte) error {
		u := unnamed{sign: string(v[0]), function: functionOf(v[1:]), schema: string(v[7]), by: string(v[8])}
		l.unnamed = append(l.unnamed, u)
		return json.Unmarshal(v[9], &l.unnamed[len(l.unnamed)-1].types)
	})
	if err != nil {
		return l, err
	}
	for _, u := range l.unnamed {
		want(u.function)
	}
	for _, t := range triggers {
		want(t.function)
	}
	for len(next) > 0 {
		var names []string
		for n := range next {
			names, l.functions[n] = append(names, n), nil
		}
		next = map[string]bool{}
		slices.Sort(names)
		err := s.simple(ctx, functionsSQL+anyOf(names), func(_ int, v [][]byte) error {
			f := functionOf(v)
			l.functions[f.name.name] = append(l.functions[f.name.name], f)
			return nil
		})
		if err != nil {
			return l, err
		}
		for _, n := range names {
			for _, f := range l.functions[n] {
				want(f)
			}
		}
	}
	return l, l.owners(ctx, s, triggers)
}

// effect is what a function does, with all that it calls.
type effect struct {
	writes []written
	hidden string
	runs   []function // itself, and what it calls
}

// written is a statement by which a function writes.
type written struct {
	writing
	by     function
	direct bool // it stands in the trigger's own text, where old and new are the trigger's
}

func (l library) effect(f function, seen map[string]bool) (e effect) {
	id := f.name.String() + "\x00" + f.body
	if seen[id] {
		return e
	}
	seen[id] = true
	direct := len(seen) == 1
	e.runs = append(e.runs, f)
	switch f.language {
	case "sql", "plpgsql", "rule":
	case "internal": // the server's own triggers write nothing elsewhere
		if f.when == "" {
			return e
		}
		f.body = ""
	default:
		if f.language == "c" && f.name.name == "lo_manage" {
			return e // it unlinks what the column of its row names, which is counted
		}
		if !direct && f.language == "c" && !strings.HasPrefix(f.name.name, "dblink") {
			return e // an extension's function that gives a value
		}
		return effect{runs: e.runs, hidden: "runs " + f.name.String() + ", whose language is " + f.language}
	}
	d := read(f.text())
	if e.hidden = d.hidden; e.hidden != "" && f.name.name != "" {
		e.hidden = "runs " + f.name.String() + ", which " + e.hidden
	}
	for _, w := range d.writes {
		e.writes = append(e.writes, written{w, f, direct})
	}
	add := func(other function) {
		more := l.effect(other, seen)
		e.writes, e.runs = append(e.writes, more.writes...), append(e.runs, more.runs...)
		if e.hidden == "" {
			e.hidden = more.hidden
		}
	}
	for _, call := range d.calls {
		for _, other := range l.functions[call.name] {
			if call.schema == "" && l.bare(f, other.name.schema, l.tenants[other.owner]) || call.schema == other.name.schema {
				add(other)
			}
		}
	}
	for _, u := range l.unnamed {
		if l.unsaid(f, u) {
			add(u.function)
		}
	}
	return e
}

// earlier says that the table's class goes before the given one.
func (g *ground) earlier(n relational.TableName, class string) bool {
	at := func(c string) int {
		if i := slices.Index(g.survey.Order, c); i >= 0 {
			return i
		}
		return len(g.survey.Order)
	}
	r := g.byName[n]
	if r == nil {
		return false
	}
	own := g.classOf(r)
	return own != "" && class != "" && own != class && at(own) < at(class)
}

// resolve finds the tables that a bare or qualified name may mean: along the
// function's own search path if it sets one, else anywhere but in other tenants' stores.
func (j judgement) resolve(w written) (out []relational.TableName) {
	if w.name.schema != "" {
		if w.name.schema == "tenure" {
			return []relational.TableName{{Schema: "tenure", Name: w.name.name}}
		}
		if r := j.byName[relational.TableName{Schema: w.name.schema, Name: w.name.name}]; r != nil {
			return []relational.TableName{r.root}
		}
		return nil
	}
	for _, schema := range w.by.path {
		if r := j.byName[relational.TableName{Schema: schema, Name: w.name.name}]; r != nil {
			return []relational.TableName{r.root}
		}
	}
	for _, r := range j.relations {
		if r.name.Name == w.name.name && (!j.strangers[r.name.Schema] || j.known.paths[r.name.Schema]) && j.known.bare(w.by, r.name.Schema, r.alien) && !slices.Contains(out, r.root) {
			out = append(out, r.root)
		}
	}
	return out
}
