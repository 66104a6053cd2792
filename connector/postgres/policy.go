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

// policies let one role see one tenant's rows of shared tables and nothing
// else (row level security, PostgreSQL §5.8).
type policies struct{ *Driver }

type policySpec struct {
	Column string   `json:"column"`
	Force  bool     `json:"force,omitempty"` // the tables' owner is bound too
	Key    string   `json:"key"`
	Role   string   `json:"role"`
	Schema string   `json:"schema"`
	Tables []string `json:"tables"`
}

func (k policies) parse(r connector.Ref) (p policySpec, err error) {
	if err := relational.CheckName("policy", r.Name, maxName); err != nil {
		return p, err
	}
	if err := relational.Decode(r, &p); err != nil {
		return p, err
	}
	if err := checkRole(r, p.Role); err != nil {
		return p, err
	}
	if err := checkNames("what a policy names", append(slices.Clone(p.Tables), p.Schema, p.Column)...); err != nil {
		return p, err
	}
	if len(p.Tables) == 0 {
		return p, tenure.Errorf(tenure.Invalid, "policy %q names no table", r.Name)
	}
	p.Tables = sorted(p.Tables)
	return p, checkKey(r, p.Key)
}

// checkKey accepts the value of a tenant column.
func checkKey(r connector.Ref, key string) error {
	if strings.TrimSpace(key) == "" || strings.ContainsRune(key, 0) {
		return tenure.Errorf(tenure.Invalid, "%s %q: the tenant's key is missing", r.Type, r.Name)
	}
	return nil
}

func (k policies) normalise(d connector.Desired) (json.RawMessage, error) {
	p, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(p)
}

// secured is one table as the catalog has it for a policy.
type secured struct {
	rowSecurity, forced bool
	there               bool // a policy of that name is there
	sound               bool // and it is the one that was asked for
	open                []string
}

const securedSQL = `select g.i::text, c.relname, c.relrowsecurity::text, c.relforcerowsecurity::text, (p.oid is not null)::text,
 coalesce(p.polpermissive and p.polcmd = '*' and p.polroles = array[r.oid], false)::text,
 coalesce(quote_ident(a.attname), ''), coalesce(format_type(a.atttypid, null), ''),
 coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
 coalesce((select json_agg(o.polname)::text from pg_policy o where o.polrelid = c.oid and o.polpermissive and o.oid is distinct from p.oid
  and exists (select 1 from unnest(o.polroles) x where x = 0 or pg_has_role(r.oid, x, 'usage'))), '')
 from g join pg_namespace n on n.nspname = g.schema::name join pg_class c on c.relnamespace = n.oid and c.relname = any (g.tables)
 left join pg_roles r on r.rolname = g.role::name
 left join pg_policy p on p.polrelid = c.oid and p.polname = g.name::name
 left join pg_attribute a on a.attrelid = c.oid and a.attname = g.col::name and not a.attisdropped`

// expression says whether a policy's text, as the server writes it, compares the
// column with the key and does nothing else. The server writes the comparison
// by the column's type.
func expression(text, column, typ, key string) bool {
	k := "'" + strings.ReplaceAll(key, "'", "''") + "'"
	switch text {
	case "(" + column + " = " + k + "::" + typ + ")", "((" + column + ")::text = " + k + "::text)", "(" + column + " = " + k + "::bpchar)":
		return true
	case "(" + column + " = " + key + ")":
		_, err := strconv.ParseInt(key, 10, 64)
		return err == nil
	}
	return false
}

func (k policies) secured(ctx context.Context, s *session, names []string, specs []policySpec) ([]map[string]secured, error) {
	out := make([]map[string]secured, len(specs))
	values := make([]string, len(specs))
	for i, p := range specs {
		out[i] = map[string]secured{}
		values[i] = fmt.Sprintf("(%d, %s, array[%s]::name[])", i, literals([]string{names[i], p.Role, p.Schema, p.Column}), literals(p.Tables))
	}
	if len(specs) == 0 {
		return out, nil
	}
	sql := "with g (i, name, role, schema, col, tables) as materialized (values " + strings.Join(values, ", ") + ") " + securedSQL
	err := s.simple(ctx, sql, func(_ int, v [][]byte) error {
		i, err := strconv.Atoi(string(v[0]))
		if err != nil {
			return err
		}
		is := func(n int) bool { return string(v[n]) == "true" }
		t := secured{rowSecurity: is(2), forced: is(3), there: is(4)}
		column, typ, key := string(v[6]), string(v[7]), specs[i].Key
		t.sound = is(5) && expression(string(v[8]), column, typ, key) && expression(string(v[9]), column, typ, key)
		if len(v[10]) > 0 {
			_ = json.Unmarshal(v[10], &t.open)
		}
		out[i][string(v[1])] = t
		return nil
	})
	return out, err
}

// shown is the policy as it is. What lets the role see more than the key's rows
// stands under problems.
func (k policies) shown(name string, note *relational.Note, p policySpec, tables map[string]secured) connector.Observed {
	o := connector.Observed{Type: "policy", Name: name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked}
	var problems []string
	there := false
	for _, t := range p.Tables {
		is, found := tables[t]
		there = there || is.there
		switch {
		case !found:
			problems = append(problems, t+": no such table")
			continue
		case !is.there:
			problems = append(problems, t+": no policy")
		case !is.sound:
			problems = append(problems, t+": the policy isn't the one that was made")
		}
		if !is.rowSecurity {
			problems = append(problems, t+": row security is off")
		} else if p.Force && !is.forced {
			problems = append(problems, t+": row security isn't forced")
		}
		for _, other := range is.open {
			problems = append(problems, t+": policy "+strconv.Quote(other)+" lets more through")
		}
	}
	if note != nil {
		o.Resource, o.Owner = note.Read(k.marker, "policy")
	} else if !there {
		return connector.Observed{Type: "policy", Name: name}
	}
	attributes := map[string]any{"column": p.Column, "key": p.Key, "role": p.Role, "schema": p.Schema, "tables": p.Tables}
	if p.Force {
		attributes["force"] = true
	}
	if len(problems) > 0 {
		attributes["problems"] = sorted(problems)
	}
	o.Attributes, _ = tenure.Canonical(attributes)
	return o
}

// stands reads what there is of a policy; a policy of that name without a note
// is Conflict.
func (k policies) stands(ctx context.Context, s *session, r connector.Ref) (note *relational.Note, p, was policySpec, tables, before map[string]secured, err error) {
	if p, err = k.parse(r); err != nil {
		return note, p, was, nil, nil, err
	}
	if note, err = k.noteOf(ctx, s, r); err != nil {
		return note, p, was, nil, nil, err
	}
	was = p
	if note != nil {
		var old policySpec
		if json.Unmarshal([]byte(note.Get("spec")), &old) == nil {
			was = old
		}
	}
	both, err := k.secured(ctx, s, []string{r.Name, r.Name}, []policySpec{p, was})
	if err != nil {
		return note, p, was, nil, nil, err
	}
	if note == nil && k.shown(r.Name, nil, p, both[0]).Found {
		err = relational.Claim(k.marker, relational.Note{}, r)
	}
	return note, p, was, both[0], both[1], err
}

func (k policies) ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, p, was, tables, before, err := k.stands(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		var statements []string
		for _, t := range was.Tables {
			if before[t].there && (was.Schema != p.Schema || !slices.Contains(p.Tables, t)) {
				statements = append(statements, dropPolicy(d.Name, was.Schema, t))
			}
		}
		for _, t := range p.Tables {
			statements = append(statements, secure(d.Name, p, t, tables[t])...)
		}
		spec, err := tenure.Canonical(p)
		if err != nil {
			return err
		}
		note := k.note(d.Ref, spec, p.Schema+"\x00"+p.Role)
		if have == nil || have.String() != note.String() {
			statements = append(statements, k.putNote(note))
		}
		if len(statements) > 0 {
			rec.Changed = true
			if err := s.run(ctx, statements, "", nil); err != nil {
				return err
			}
			both, err := k.secured(ctx, s, []string{d.Name}, []policySpec{p})
			if err != nil {
				return err
			}
			tables = both[0]
		}
		o = k.shown(d.Name, &note, p, tables)
		return nil
	})
	return o, rec, err
}

func dropPolicy(name, schema, table string) string {
	return "drop policy if exists " + quote(name) + " on " + quote(schema, table)
}

func secure(name string, p policySpec, table string, is secured) []string {
	var out []string
	on := quote(p.Schema, table)
	if !is.rowSecurity {
		out = append(out, "alter table "+on+" enable row level security")
	}
	if p.Force && !is.forced {
		out = append(out, "alter table "+on+" force row level security")
	}
	if is.sound {
		return out
	}
	if is.there {
		out = append(out, dropPolicy(name, p.Schema, table))
	}
	test := "(" + quote(p.Column) + " = " + literal(p.Key) + ")"
	return append(out, "create policy "+quote(name)+" on "+on+" as permissive for all to "+quote(p.Role)+" using "+test+" with check "+test)
}

func (k policies) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		note, _, was, _, before, err := k.stands(ctx, s, r)
		if err != nil || note == nil {
			return err
		}
		var statements []string
		for _, t := range was.Tables {
			if before[t].there {
				statements = append(statements, dropPolicy(r.Name, was.Schema, t))
			}
		}
		rec.Changed = true
		return s.run(ctx, append(statements, dropNote(r)), "", nil)
	})
	return rec, err
}

func (k policies) observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	names, specs, notes := make([]string, len(refs)), make([]policySpec, len(refs)), map[string]relational.Note{}
	for i, r := range refs {
		var err error
		if specs[i], err = k.parse(r); err != nil {
			return false, err
		}
		names[i] = r.Name
	}
	err := s.simple(ctx, "select note from tenure.mark where type = 'policy' and name in ("+literals(append(slices.Clone(names), ""))+")", func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[0]))
		notes[n.Name] = n
		return nil
	})
	if err != nil {
		return false, err
	}
	for i, r := range refs {
		if n, ok := notes[r.Name]; ok {
			var p policySpec
			if json.Unmarshal([]byte(n.Get("spec")), &p) == nil {
				specs[i] = p
			}
		}
	}
	return true, k.yield(ctx, s, names, specs, notes, yield)
}

func (k policies) yield(ctx context.Context, s *session, names []string, specs []policySpec, notes map[string]relational.Note, yield func(connector.Observed) error) error {
	tables, err := k.secured(ctx, s, names, specs)
	if err != nil {
		return err
	}
	for i, name := range names {
		var note *relational.Note
		if n, ok := notes[name]; ok {
			note = &n
		}
		if err := yield(k.shown(name, note, specs[i], tables[i])); err != nil {
			return &stopped{err}
		}
	}
	return nil
}

func (k policies) discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "policy")
	if err != nil {
		return false, err
	}
	var names []string
	var specs []policySpec
	notes := map[string]relational.Note{}
	for _, n := range all {
		if k.elsewhere(n, sc) {
			continue
		}
		var p policySpec
		_ = json.Unmarshal([]byte(n.Get("spec")), &p)
		names, specs, notes[n.Name] = append(names, n.Name), append(specs, p), n
	}
	return true, k.yield(ctx, s, names, specs, notes, yield)
}
