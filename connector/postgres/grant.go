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

// grants are privileges of one role on one schema, on named objects of it, or on
// one database. What a role has there beyond all of its grants is drift. Rights on
// objects that tenants share a role has through a group (group.go).
type grants struct{ *Driver }

type grantSpec struct {
	Database   string   `json:"database,omitempty"`
	Functions  []string `json:"functions,omitempty"` // name(type,type)
	Privileges []string `json:"privileges"`
	Role       string   `json:"role"`
	Schema     string   `json:"schema,omitempty"`
	Sequences  []string `json:"sequences,omitempty"`
	Tables     []string `json:"tables,omitempty"` // views too

	group string // through which the role has it, "" where the role has it itself
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
	kinds := 0
	for _, list := range [][]string{g.Tables, g.Sequences, g.Functions} {
		kinds += min(len(list), 1)
	}
	if (g.Schema == "") == (g.Database == "") || kinds > 1 || g.Database != "" && kinds > 0 {
		return g, tenure.Errorf(tenure.Invalid, "grant %q needs a database, or a schema with tables, sequences or functions of it or without", r.Name)
	}
	for i, f := range g.Functions {
		if g.Functions[i], err = signature(r, f); err != nil {
			return g, err
		}
	}
	if err := checkNames("what a grant names", append(append(slices.Clone(g.Tables), g.Sequences...), g.Schema+g.Database)...); err != nil {
		return g, err
	}
	if slices.Contains(g.names(), "*") {
		return g, tenure.Errorf(tenure.Invalid, "grant %q must name its %ss", r.Name, g.on())
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
	g.Privileges, g.Tables, g.Sequences, g.Functions = sorted(g.Privileges), sorted(g.Tables), sorted(g.Sequences), sorted(g.Functions)
	return g, nil
}

func (k grants) Normalise(d connector.Desired) (json.RawMessage, error) {
	g, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(g)
}

// right is one privilege on one object of the schema, by its name; "" for the schema
// or database itself.
type right struct{ object, privilege string }

// rights are what the grant gives; a grant on objects of a schema includes the use of it.
func (g grantSpec) rights() map[right]bool {
	out := map[right]bool{}
	objects := g.names()
	if len(objects) == 0 {
		for _, p := range g.Privileges {
			out[right{"", p}] = true
		}
		return out
	}
	out[right{"", "usage"}] = true
	for _, o := range objects {
		for _, p := range g.Privileges {
			out[right{o, p}] = true
		}
	}
	return out
}

// object is what grants of one role meet on.
func (g grantSpec) object() string { return g.Database + "\x00" + g.Schema + "\x00" + g.Role }

// held is what there is of a grant: the rights that its role has itself, those of its
// group, and whether the role is a member of that.
type held struct {
	own, group map[right]bool
	there      bool // the group is there
	bond
}

func newHeld() held { return held{own: map[right]bool{}, group: map[right]bool{}} }

// through are the rights that the role has through its group.
func (h held) through() map[right]bool {
	if !h.heir {
		return nil
	}
	return h.group
}

// held reads what each grant's role has on what the grant names, in one query.
func (k grants) held(ctx context.Context, s *session, specs []grantSpec) ([]held, error) {
	out := make([]held, len(specs))
	for i := range out {
		out[i] = newHeld()
	}
	if len(specs) == 0 {
		return out, nil
	}
	return out, s.simple(ctx, heldSQL(specs), func(_ int, v [][]byte) error { return readHeld(out, v) })
}

// one is held for one grant, by a statement that the server keeps planned.
func (k grants) one(ctx context.Context, s *session, g grantSpec) (held, error) {
	out := []held{newHeld()}
	read := func(v [][]byte) error { return readHeld(out, v) }
	role := quote(g.Role)
	if g.Database != "" {
		err := s.prepared(ctx, `select '0', '', lower(x.privilege_type), '' from pg_database d, aclexplode(d.datacl) x
 where d.datname = $1 and x.grantee = to_regrole($2)`, read, g.Database, role)
		return out[0], err
	}
	err := s.prepared(ctx, `select '0', '', lower(x.privilege_type), case when x.grantee = to_regrole($2) then '' else 'group' end from pg_namespace n, aclexplode(n.nspacl) x
 where n.nspname = $1 and x.grantee in (to_regrole($2), to_regrole($5))
union all
select '0', c.relname::text, lower(x.privilege_type), case when x.grantee = to_regrole($2) then '' else 'group' end from pg_class c, aclexplode(c.relacl) x
 where c.relnamespace = to_regnamespace($3) and c.relname = any ($4) and x.grantee in (to_regrole($2), to_regrole($5))
union all
select '0', f.name, lower(x.privilege_type), case when x.grantee = to_regrole($2) then '' else 'group' end from unnest($6::text[], $7::text[]) f (name, call) join pg_proc p on p.oid = to_regprocedure(f.call), aclexplode(p.proacl) x
 where x.grantee in (to_regrole($2), to_regrole($5))
union all
select '0', '', '', coalesce(`+memberSQL("o.oid", "to_regrole($2)")+`, 'there') from pg_roles o where o.oid = to_regrole($5)`, read, g.Schema, role, quote(g.Schema), append(append([]string{}, g.Tables...), g.Sequences...), quote(g.group), append([]string{}, g.Functions...), g.calls())
	return out[0], err
}

func readHeld(out []held, v [][]byte) error {
	i, err := strconv.Atoi(string(v[0]))
	if err != nil {
		return err
	}
	r := right{string(v[1]), string(v[2])}
	switch string(v[3]) {
	case "":
		out[i].own[r] = true
	case "group":
		out[i].group[r] = true
	default:
		out[i].there, out[i].bond = true, bondOf(string(v[3]))
	}
	return nil
}

// heldSQL gives, for each spec by its number, the objects and privileges. It
// asks for no more kinds of object than the specs name.
func heldSQL(specs []grantSpec) string {
	list := func(names []string, typ string) string {
		if len(names) == 0 {
			return "'{}'::" + typ + "[]"
		}
		return "array[" + literals(names) + "]::" + typ + "[]"
	}
	values := make([]string, len(specs))
	asked := map[string]bool{}
	for i, g := range specs {
		asked[g.on()] = true
		values[i] = fmt.Sprintf("(%d, to_regrole(%s)::oid, to_regrole(%s)::oid, to_regnamespace(%s)::oid, %s::name, %s, %s, %s)", i, literal(quote(g.Role)), literal(quote(g.group)), literal(quote(g.Schema)), literal(g.Database),
			list(append(slices.Clone(g.Tables), g.Sequences...), "name"), list(g.Functions, "text"), list(g.calls(), "text"))
	}
	var parts []string
	add := func(wanted bool, object, from, acl string) {
		if wanted {
			parts = append(parts, "select g.i::text as "+seen+", "+object+", lower(x.privilege_type), case when x.grantee = g.role then '' else 'group' end from g join "+from+", aclexplode("+acl+") x where x.grantee in (g.role, g.via)")
		}
	}
	add(len(asked) > 1 || !asked["database"], "''", "pg_namespace n on n.oid = g.ns", "n.nspacl")
	add(asked["database"], "''", "pg_database d on d.datname = g.db", "d.datacl")
	add(asked["table"] || asked["sequence"], "c.relname::text", "pg_class c on c.relnamespace = g.ns and c.relname = any (g.relations)", "c.relacl")
	add(asked["function"], "f.name", "lateral unnest(g.functions, g.calls) f (name, call) on true join pg_proc p on p.oid = to_regprocedure(f.call)", "p.proacl")
	parts = append(parts, "select g.i::text, '', '', coalesce("+memberSQL("o.oid", "g.role")+", 'there') from g join pg_roles o on o.oid = g.via")
	return "with g (i, role, via, ns, db, relations, functions, calls) as materialized (values " + strings.Join(values, ", ") + ")\n" + strings.Join(parts, "\nunion all\n")
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

// others are the rights that further notes give the same role on the same object
// itself, and not through a group.
func others(same []noted, name string) map[right]bool {
	out := map[right]bool{}
	for _, o := range same {
		if o.note.Name != name && o.note.Get("state") == "" && o.note.Get(viaKey) == "" {
			for r := range o.spec.rights() {
				out[r] = true
			}
		}
	}
	return out
}

// kin says whether a further note gives the same role the same rights through the group.
func kin(same []noted, name, group string) bool {
	return group != "" && slices.ContainsFunc(same, func(o noted) bool {
		return o.note.Name != name && o.note.Get("state") == "" && o.note.Get(viaKey) == group
	})
}

// shown is the grant as it is: its attributes where the role has just these
// rights, and what is missing or too much by name where it hasn't. What those that come
// give the role isn't too much.
func (k grants) shown(name string, n *noted, g grantSpec, h held, same []noted, coming ...noted) connector.Observed {
	o := connector.Observed{Type: "grant", Name: name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked}
	given, beside, shared := 0, others(same, name), kin(same, name, g.group)
	var missing, extra []string
	want := g.rights()
	has := h.own
	if g.group != "" {
		has = h.through()
		if h.chief {
			extra = append(extra, "group admin option")
		}
		for r := range minus(h.group, want) {
			extra = append(extra, strings.TrimSpace("group "+r.object+" "+r.privilege))
		}
	}
	for r := range want {
		switch {
		case has[r]:
			if g.group != "" && !shared || g.group == "" && !beside[r] {
				given++
			}
		default:
			missing = append(missing, strings.TrimSpace(r.object+" "+r.privilege))
		}
	}
	for r := range g.excess(h.own, others(slices.Concat(same, coming), name)) {
		extra = append(extra, strings.TrimSpace(r.object+" "+r.privilege))
	}
	if g.group != "" && (n == nil || n.note.Get(viaKey) == "") { // as an older release, or a stranger, gave it
		given += len(minus(h.own, minus(h.own, want), beside, map[right]bool{{"", "usage"}: true}))
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
	for key, v := range map[string][]string{"missing": sorted(missing), "extra": sorted(extra), "tables": g.Tables, "sequences": g.Sequences, "functions": g.Functions} {
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

// excess are the rights that the role has itself beyond what its grants give it so. Of
// a grant on tables the use of their schema may be another grant's matter.
func (g grantSpec) excess(own, others map[right]bool) map[right]bool {
	want := g.rights()
	if g.group != "" {
		want = nil
	}
	out := minus(own, want, others)
	if len(g.names()) > 0 {
		for r := range out {
			if r.object == "" && (g.group == "" || r.privilege != "usage") {
				delete(out, r)
			}
		}
	}
	return out
}

// statements give or take rights.
func (g grantSpec) statements(give bool, rights map[right]bool) []string {
	byObject := map[string][]string{}
	for r := range rights {
		byObject[r.object] = append(byObject[r.object], r.privilege)
	}
	byRights := map[string][]string{} // privileges to objects
	for o, p := range byObject {
		slices.Sort(p)
		list := strings.Join(p, ", ")
		byRights[list] = append(byRights[list], o)
	}
	var out []string
	for list, objects := range byRights {
		slices.Sort(objects)
		if objects[0] == "" {
			out = append(out, g.statement(give, list, map[bool]string{true: "schema " + quote(g.Schema), false: "database " + quote(g.Database)}[g.Schema != ""]))
			objects = objects[1:]
		}
		if len(objects) == 0 {
			continue
		}
		for i, o := range objects {
			objects[i] = g.named(o)
		}
		out = append(out, g.statement(give, list, g.on()+" "+strings.Join(objects, ", ")))
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

// ofGroup is what the grant's group has.
func (g grantSpec) ofGroup() grantSpec {
	g.Role = g.group
	return g
}
