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

// grants are privileges of one role on one schema, on named tables of it, or on
// one database. What a role has there beyond all of its grants is drift.
type grants struct{ *Driver }

type grantSpec struct {
	Database   string   `json:"database,omitempty"`
	Privileges []string `json:"privileges"`
	Role       string   `json:"role"`
	Schema     string   `json:"schema,omitempty"`
	Tables     []string `json:"tables,omitempty"`
}

var grantable = map[string][]string{
	"table":    {"delete", "insert", "references", "select", "trigger", "truncate", "update"},
	"schema":   {"create", "usage"},
	"database": {"connect", "create", "temporary"},
}

func (g grantSpec) on() string {
	switch {
	case g.Database != "":
		return "database"
	case len(g.Tables) > 0:
		return "table"
	}
	return "schema"
}

func (k grants) parse(r connector.Ref) (g grantSpec, err error) {
	if err := relational.CheckName("grant", r.Name, 200); err != nil {
		return g, err
	}
	if err := relational.Decode(r, &g); err != nil {
		return g, err
	}
	if err := checkRole(r, g.Role); err != nil {
		return g, err
	}
	if (g.Schema == "") == (g.Database == "") || g.Database != "" && len(g.Tables) > 0 {
		return g, tenure.Errorf(tenure.Invalid, "grant %q needs either a schema, with tables or without, or a database", r.Name)
	}
	if err := checkNames("what a grant names", append(slices.Clone(g.Tables), g.Schema+g.Database)...); err != nil {
		return g, err
	}
	if slices.Contains(g.Tables, "*") {
		return g, tenure.Errorf(tenure.Invalid, "grant %q must name its tables", r.Name)
	}
	for i, p := range g.Privileges {
		p = strings.ToLower(p)
		if p == "temp" {
			p = "temporary"
		}
		if !slices.Contains(grantable[g.on()], p) {
			return g, tenure.Errorf(tenure.Invalid, "grant %q: %q is no privilege of a %s", r.Name, p, g.on()).
				WithHint("choose from %s", strings.Join(grantable[g.on()], ", "))
		}
		g.Privileges[i] = p
	}
	if len(g.Privileges) == 0 {
		return g, tenure.Errorf(tenure.Invalid, "grant %q names no privilege", r.Name)
	}
	g.Privileges, g.Tables = sorted(g.Privileges), sorted(g.Tables)
	return g, nil
}

func (k grants) normalise(d connector.Desired) (json.RawMessage, error) {
	g, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(g)
}

// right is one privilege on one object: a table by its name, "" for the schema
// or database itself.
type right struct{ table, privilege string }

// rights are what the grant gives; a grant on tables includes the use of their
// schema.
func (g grantSpec) rights() map[right]bool {
	out := map[right]bool{}
	if g.on() != "table" {
		for _, p := range g.Privileges {
			out[right{"", p}] = true
		}
		return out
	}
	out[right{"", "usage"}] = true
	for _, t := range g.Tables {
		for _, p := range g.Privileges {
			out[right{t, p}] = true
		}
	}
	return out
}

func (g grantSpec) object() string { return g.Database + "\x00" + g.Schema + "\x00" + g.Role }

// held reads what each grant's role has on what the grant names, in one query.
func (k grants) held(ctx context.Context, s *session, specs []grantSpec) ([]map[right]bool, error) {
	out := make([]map[right]bool, len(specs))
	for i := range out {
		out[i] = map[right]bool{}
	}
	if len(specs) == 0 {
		return out, nil
	}
	return out, s.simple(ctx, heldSQL(specs), func(_ int, v [][]byte) error { return readHeld(out, v) })
}

// one is held for one grant, by a statement that the server keeps planned.
func (k grants) one(ctx context.Context, s *session, g grantSpec) (map[right]bool, error) {
	out := []map[right]bool{{}}
	read := func(v [][]byte) error { return readHeld(out, v) }
	role := quote(g.Role)
	if g.Database != "" {
		return out[0], s.prepared(ctx, `select '0', '', lower(x.privilege_type) from pg_database d, aclexplode(d.datacl) x
 where d.datname = $1 and x.grantee = to_regrole($2)`, read, g.Database, role)
	}
	return out[0], s.prepared(ctx, `select '0', '', lower(x.privilege_type) from pg_namespace n, aclexplode(n.nspacl) x
 where n.nspname = $1 and x.grantee = to_regrole($2)
union all
select '0', c.relname::text, lower(x.privilege_type) from pg_class c, aclexplode(c.relacl) x
 where c.relnamespace = to_regnamespace($3) and c.relname = any ($4) and x.grantee = to_regrole($2)`, read, g.Schema, role, quote(g.Schema), append([]string{}, g.Tables...))
}

func readHeld(out []map[right]bool, v [][]byte) error {
	i, err := strconv.Atoi(string(v[0]))
	if err == nil {
		out[i][right{string(v[1]), string(v[2])}] = true
	}
	return err
}

// heldSQL gives, for each spec by its number, the objects and privileges. It
// asks for no more kinds of object than the specs name.
func heldSQL(specs []grantSpec) string {
	values := make([]string, len(specs))
	var database, schema, table bool
	for i, g := range specs {
		tables := "'{}'"
		if len(g.Tables) > 0 {
			tables = "array[" + literals(g.Tables) + "]"
		}
		database, schema, table = database || g.Database != "", schema || g.Schema != "", table || len(g.Tables) > 0
		values[i] = fmt.Sprintf("(%d, to_regrole(%s)::oid, to_regnamespace(%s)::oid, %s::name, %s::name[])",
			i, literal(quote(g.Role)), literal(quote(g.Schema)), literal(g.Database), tables)
	}
	var parts []string
	add := func(wanted bool, object, from, acl string) {
		if wanted {
			parts = append(parts, "select g.i::text as "+seen+", "+object+", lower(x.privilege_type) from g join "+from+", aclexplode("+acl+") x where x.grantee = g.role")
		}
	}
	add(schema || !database, "''", "pg_namespace n on n.oid = g.ns", "n.nspacl")
	add(database, "''", "pg_database d on d.datname = g.db", "d.datacl")
	add(table, "c.relname::text", "pg_class c on c.relnamespace = g.ns and c.relname = any (g.tables)", "c.relacl")
	return "with g (i, role, ns, db, tables) as materialized (values " + strings.Join(values, ", ") + ")\n" + strings.Join(parts, "\nunion all\n")
}

// noted is a grant as its note has it.
type noted struct {
	note relational.Note
	spec grantSpec
}

// notes reads the notes of grants on the same objects as the specs; of all
// grants if there are none.
func (k grants) notes(ctx context.Context, s *session, specs []grantSpec) (out []noted, err error) {
	err = s.simple(ctx, notesSQL(specs), func(_ int, v [][]byte) error {
		out = append(out, readNoted(v))
		return nil
	})
	return out, err
}

func readNoted(v [][]byte) noted {
	n := noted{note: relational.ParseNote(string(v[0]))}
	_ = json.Unmarshal([]byte(n.note.Get("spec")), &n.spec)
	return n
}

func notesSQL(specs []grantSpec) string {
	sql := "select note from tenure.mark where type = 'grant'"
	if specs != nil {
		var on []string
		for _, g := range specs {
			on = append(on, place(g.object()))
		}
		sql += " and " + placeSQL + " in (" + literals(append(sorted(on), "")) + ")"
	}
	return sql + " order by " + dialect{}.Rest("note")
}

// index groups grants by what they are on.
func index(all []noted) map[string][]noted {
	out := map[string][]noted{}
	for _, n := range all {
		out[n.spec.object()] = append(out[n.spec.object()], n)
	}
	return out
}

// others are the rights that further notes give the same role on the same object.
func others(same []noted, name string) map[right]bool {
	out := map[right]bool{}
	for _, o := range same {
		if o.note.Name != name && o.note.Get("state") == "" {
			for r := range o.spec.rights() {
				out[r] = true
			}
		}
	}
	return out
}

// shown is the grant as it is: its attributes where the role has just these
// rights, and what is missing or too much by name where it hasn't.
func (k grants) shown(name string, n *noted, g grantSpec, held, others map[right]bool) connector.Observed {
	o := connector.Observed{Type: "grant", Name: name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked}
	want := g.rights()
	given := 0
	var missing, extra []string
	for r := range want {
		switch {
		case held[r]:
			if !others[r] {
				given++
			}
		default:
			missing = append(missing, strings.TrimSpace(r.table+" "+r.privilege))
		}
	}
	for r := range held {
		if !want[r] && !others[r] && (r.table != "" || g.on() != "table") {
			extra = append(extra, strings.TrimSpace(r.table+" "+r.privilege))
		}
	}
	if n == nil {
		o.Found = given > 0
		if !o.Found {
			return connector.Observed{Type: "grant", Name: name}
		}
	} else {
		o.Resource, o.Owner = n.note.Read(k.marker, "grant")
		if s := n.note.Get("state"); s != "" && given == 0 {
			o.State, missing = tenure.ResourceState(s), nil
		}
	}
	attributes := map[string]any{"privileges": g.Privileges, "role": g.Role}
	for key, v := range map[string][]string{"missing": sorted(missing), "extra": sorted(extra), "tables": g.Tables} {
		if len(v) > 0 {
			attributes[key] = v
		}
	}
	for key, v := range map[string]string{"schema": g.Schema, "database": g.Database} {
		if v != "" {
			attributes[key] = v
		}
	}
	o.Attributes, _ = tenure.Canonical(attributes)
	return o
}

// statements give or take rights.
func (g grantSpec) statements(give bool, rights map[right]bool) []string {
	byTable := map[string][]string{}
	for r := range rights {
		byTable[r.table] = append(byTable[r.table], r.privilege)
	}
	byRights := map[string][]string{} // privileges to tables
	for t, p := range byTable {
		slices.Sort(p)
		list := strings.Join(p, ", ")
		byRights[list] = append(byRights[list], t)
	}
	var out []string
	for list, tables := range byRights {
		slices.Sort(tables)
		if tables[0] == "" {
			out = append(out, g.statement(give, list, map[bool]string{true: "schema " + quote(g.Schema), false: "database " + quote(g.Database)}[g.Schema != ""]))
			tables = tables[1:]
		}
		if len(tables) == 0 {
			continue
		}
		quoted := make([]string, len(tables))
		for i, t := range tables {
			quoted[i] = quote(g.Schema, t)
		}
		out = append(out, g.statement(give, list, "table "+strings.Join(quoted, ", ")))
	}
	slices.Sort(out)
	return out
}

func (g grantSpec) statement(give bool, privileges, on string) string {
	if give {
		return "grant " + privileges + " on " + on + " to " + quote(g.Role)
	}
	return "revoke " + privileges + " on " + on + " from " + quote(g.Role)
}
