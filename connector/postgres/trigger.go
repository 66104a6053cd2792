package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// A trigger is code that the server runs when rows of a table change: a trigger,
// with its function, or a rule.
type trigger struct {
	relation *relation
	name     string
	kind     string // trigger or rule
	deletes  bool   // it runs when rows are deleted
	function function
}

func (t trigger) String() string { return t.relation.root.String() + "." + t.name }

// function is a function as the catalog keeps it.
type function struct {
	name     name
	language string
	body     string
	path     []string // the schemas in which its bare names are looked for; nil if it doesn't say
}

// The body of a function in the standard's form is kept apart from its text.
const bodySQL = `l.lanname, p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), ''),
 coalesce((select json_agg(trim(both '" ' from w)) from unnest(p.proconfig) c, regexp_split_to_table(substr(c, 13), ',') w where c like 'search\_path=%')::text, 'null')`

const triggersSQL = `select g.tgrelid::text, g.tgname, 'trigger', (g.tgtype & 8 <> 0)::text, pn.nspname, p.proname, ` + bodySQL + `
 from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace pn on pn.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where not g.tgisinternal and g.tgenabled in ('O', 'A') and g.tgrelid = {{oids}}
union all
select w.ev_class::text, w.rulename, 'rule', (w.ev_type = '4')::text, '', '', 'rule', pg_get_ruledef(w.oid), 'null'
 from pg_rewrite w where w.rulename <> '_RETURN' and w.ev_enabled in ('O', 'A') and w.ev_class = {{oids}}
order by 1, 2`

const functionsSQL = `select n.nspname, p.proname, ` + bodySQL + ` from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where p.prokind in ('f', 'p') and ` + notOurs + ` and p.proname = `

// code finds triggers and rules on the tenant's tables, and on views of them,
// that write to a table which no data class covers, or of which can't be told
// what they do.
func (g *ground) code(ctx context.Context, s *session) (out []connector.Place, err error) {
	oids := g.heldOIDs()
	if len(oids) == 0 || g.whole && g.store == "" { // within a database of the tenant's own all is its own
		return nil, nil
	}
	views, err := g.views(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		oids = append(oids, v.relation.oid)
	}
	var all []trigger
	var known functions
	err = s.simple(ctx, strings.ReplaceAll(triggersSQL, "{{oids}}", oidList(oids)), func(_ int, v [][]byte) error {
		if r := g.byOID[string(v[0])]; r != nil {
			all = append(all, trigger{relation: r, name: string(v[1]), kind: string(v[2]), deletes: string(v[3]) == "true", function: functionOf(v[4:])})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, g.ignored)
	if known, err = g.called(ctx, s, all); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range all {
		if seen[t.String()] {
			continue // the same one on each partition
		}
		seen[t.String()] = true
		out = append(out, g.judge(t, known)...)
	}
	return out, nil
}

func functionOf(v [][]byte) function {
	f := function{name: name{string(v[0]), string(v[1])}, language: string(v[2]), body: string(v[3])}
	_ = json.Unmarshal(v[4], &f.path)
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
		i := strings.LastIndexByte(as, '.')
		if i > 0 && as[i+1:] == t.name && (g.named(t.relation.root, as[:i]) || g.named(t.relation.name, as[:i])) {
			return true
		}
	}
	return false
}

// functions are those that code may call, by name without schema.
type functions map[string][]function

// called reads the functions that the triggers call, and those that these call,
// however far; one query for each step away.
func (g *ground) called(ctx context.Context, s *session, triggers []trigger) (functions, error) {
	known, next := functions{}, map[string]bool{}
	want := func(f function) {
		for _, n := range read(f.body).calls {
			if _, have := known[n.name]; !have {
				next[n.name] = true
			}
		}
	}
	for _, t := range triggers {
		want(t.function)
	}
	for len(next) > 0 {
		var names []string
		for n := range next {
			names, known[n] = append(names, n), nil
		}
		next = map[string]bool{}
		slices.Sort(names)
		err := s.simple(ctx, functionsSQL+anyOf(names), func(_ int, v [][]byte) error {
			f := functionOf(v)
			known[f.name.name] = append(known[f.name.name], f)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			for _, f := range known[n] {
				want(f)
			}
		}
	}
	return known, nil
}

// effect is what a function does, with all that it calls.
type effect struct {
	writes []written
	hidden string
}

// written is a table that a function names as its target.
type written struct {
	name name
	by   function
	adds bool // rows may be added to it
}

func (k functions) effect(f function, seen map[string]bool) (e effect) {
	id := f.name.String() + "\x00" + f.body
	if seen[id] {
		return e
	}
	seen[id] = true
	switch f.language {
	case "sql", "plpgsql", "rule":
	case "internal":
		return e // the server's own triggers write nothing elsewhere
	default:
		if len(seen) > 1 && f.language == "c" && !strings.HasPrefix(f.name.name, "dblink") {
			return e // an extension's function that gives a value
		}
		return effect{hidden: "runs " + f.name.String() + ", whose language is " + f.language}
	}
	d := read(f.body)
	if e.hidden = d.hidden; e.hidden != "" && f.name.name != "" {
		e.hidden = "runs " + f.name.String() + ", which " + e.hidden
	}
	for _, n := range d.writes {
		e.writes = append(e.writes, written{n, f, slices.Contains(d.adds, n)})
	}
	for _, call := range d.calls {
		for _, other := range k[call.name] {
			if call.schema != "" && call.schema != other.name.schema {
				continue
			}
			more := k.effect(other, seen)
			e.writes = append(e.writes, more.writes...)
			if e.hidden == "" {
				e.hidden = more.hidden
			}
		}
	}
	return e
}

// judge says what of a trigger's effect stands in the way.
func (g *ground) judge(t trigger, known functions) (out []connector.Place) {
	e := known.effect(t.function, map[string]bool{})
	class := g.classOf(t.relation)
	place := connector.Place{Name: t.String(), Kind: connector.PlaceCode, Class: class, Via: t.kind + " of " + t.relation.root.String(), Blocks: true}
	ignore := "triggers: {" + t.String() + ": ignore} if it keeps nothing of the tenant elsewhere"
	if e.hidden != "" {
		p := place
		p.Says = fmt.Sprintf("%s %s of %s %s: where it writes can't be told", t.kind, t.name, t.relation.root, e.hidden)
		p.Fix = ignore
		out = append(out, p)
	}
	told := map[string]bool{}
	for _, w := range e.writes {
		targets := g.resolve(w, t)
		if len(targets) == 0 && !told[w.name.String()] {
			p := place
			p.Says = fmt.Sprintf("%s %s of %s writes to %s, which can't be found", t.kind, t.name, t.relation.root, w.name)
			p.Fix = ignore
			out = append(out, p)
		}
		told[w.name.String()] = true
		for _, target := range targets {
			if told[target.String()+"\x00"] {
				continue
			}
			told[target.String()+"\x00"] = true
			_, held := g.held[target]
			lacks := ""
			if w.adds {
				lacks = g.lacks(t, target, t.function.body+" "+w.by.body)
			}
			switch {
			case target.Schema == "tenure":
			case !g.settled(target) && (!held || g.held[target].class == ""):
				p := place
				p.Says = fmt.Sprintf("%s %s of %s writes to %s, which no data class covers", t.kind, t.name, t.relation.root, target)
				p.Fix = fmt.Sprintf("tables: {%s: CLASS}, with columns: {%s: COLUMN} if its tenant column is called otherwise; or %s", target, target, ignore)
				out = append(out, p)
			case lacks != "":
				p := place
				p.Says = fmt.Sprintf("%s %s of %s copies its rows into %s, whose rows are found by %s, and %s has no %s: the copies are nobody's and stay", t.kind, t.name, t.relation.root, target,
					g.holding.TenantColumn(target), t.relation.root, lacks)
				p.Fix = fmt.Sprintf("give %s a column %s that has the tenant's key; or %s", t.relation.root, lacks, ignore)
				out = append(out, p)
			case t.deletes && g.earlier(target, class):
				first := g.classOf(g.byName[target])
				out = append(out, connector.Place{Name: t.String(), Kind: connector.PlaceOrder, Class: first, Via: place.Via, Blocks: true,
					Says: fmt.Sprintf("%s %s of %s writes to %s when rows of class %s go, and class %s goes before", t.kind, t.name, t.relation.root, target, class, first),
					Fix:  fmt.Sprintf("put %s and %s into one data class, or let %s go last", t.relation.root, target, first)})
			}
		}
	}
	return out
}

// wholeRow is how a text copies a row as it is: its columns alone say whose it is.
var wholeRow = regexp.MustCompile(`(?i)\b(to_jsonb?|row_to_json|jsonb?_agg|hstore|row)\s*\(\s*(old|new)\s*[),]|\b(old|new)\s*\.\s*\*|\(\s*(old|new)\s*\)|\b(old|new)\s*::`)

// lacks is the name by which the target's rows are found and that what the
// trigger writes there doesn't bear: its table has no such column, and its text
// doesn't name it or copies the row as a whole. "" if it bears it, or the target's
// rows are found in another way.
func (g *ground) lacks(t trigger, target relational.TableName, text string) string {
	key := g.holding.TenantColumn(target)
	source, ok := g.holding.Graph.Table(t.relation.root)
	if key == "" || !ok || target == t.relation.root {
		return ""
	}
	key = key[strings.LastIndexByte(key, '>')+1:]
	if source.Has(key) || !wholeRow.MatchString(text) && regexp.MustCompile(`(?i)\b`+regexp.QuoteMeta(key)+`\b`).MatchString(text) {
		return ""
	}
	return key
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
// function's own search path if it sets one, else anywhere.
func (g *ground) resolve(w written, t trigger) (out []relational.TableName) {
	if w.name.schema != "" {
		if w.name.schema == "tenure" {
			return []relational.TableName{{Schema: "tenure", Name: w.name.name}}
		}
		if r := g.byName[relational.TableName{Schema: w.name.schema, Name: w.name.name}]; r != nil {
			return []relational.TableName{r.root}
		}
		return nil
	}
	for _, schema := range w.by.path {
		if r := g.byName[relational.TableName{Schema: schema, Name: w.name.name}]; r != nil {
			return []relational.TableName{r.root}
		}
	}
	for _, r := range g.relations {
		if r.name.Name == w.name.name && !slices.Contains(out, r.root) {
			out = append(out, r.root)
		}
	}
	return out
}
