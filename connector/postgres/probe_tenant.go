package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// sharedTable is a table that holds rows of several tenants.
type sharedTable struct {
	schema, table, column string
	key                   string   // the role's own; "" if no policy of Tenure's gives it one
	lent                  []string // those of tenants who made the role a member of theirs
}

// placesSQL finds one note of each place where rows of many tenants stand, and each note
// of an older release, which doesn't say its place in a way that can be found.
const placesSQL = `with recursive place (type, by) as (
 select t.type, (select min(` + bySQL + `) from tenure.mark m where m.type = t.type) from (values ('policy'), ('rows')) t (type)
 union all select p.type, (select min(` + bySQL + `) from tenure.mark m where m.type = p.type and ` + bySQL + ` > p.by) from place p where p.by is not null)
select n.note from place p, lateral (select m.note from tenure.mark m where m.type = p.type and ` + bySQL + ` = p.by limit 1) n
union all select m.note from tenure.mark m where m.type in ('policy', 'rows') and ` + bySQL + ` is null`

// shared lists the shared tables that notes name, with the role's own key.
func (d *Driver) shared(ctx context.Context, role string) (out []sharedTable, err error) {
	err = d.with(ctx, func(s *session) error {
		keys, places := map[[3]string]string{}, map[[2]string]bool{}
		read := func(_ int, v [][]byte) error {
			var p policySpec
			_ = json.Unmarshal([]byte(relational.ParseNote(string(v[0])).Get("spec")), &p)
			places[[2]string{p.Schema, p.Column}] = true
			for _, t := range p.Tables {
				if p.Role == role {
					keys[[3]string{p.Schema, t, p.Column}] = p.Key
				}
			}
			return nil
		}
		err := s.simple(ctx, placesSQL+"; select m.note from tenure.role_key k join tenure.mark m on m.type = 'policy' and m.name = k.name where k.role = to_regrole("+literal(quote(role))+")", read)
		if err != nil {
			return err
		}
		for p := range places {
			tables, _, err := bearers(ctx, s, p[0], p[1])
			if err != nil {
				return err
			}
			for _, t := range tables {
				out = append(out, sharedTable{schema: p[0], table: t.table, column: p[1], key: keys[[3]string{p[0], t.table, p[1]}]})
			}
		}
		return nil
	})
	return out, err
}

// leak says what the role can do with other tenants' rows of the table, as the
// role itself sees it; "" is nothing. It counts and reads nothing out.
func (t sharedTable) leak(ctx context.Context, s *session) (string, error) {
	name := quote(t.schema, t.table)
	has, err := textsOf(ctx, s, `select (c.relrowsecurity and row_security_active(c.oid))::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = `+literal(t.schema)+` and c.relname = `+literal(t.table)+` and has_schema_privilege(n.oid, 'usage')
 and (has_table_privilege(c.oid, 'select, insert, update, delete') or has_any_column_privilege(c.oid, 'select, insert, update'))`)
	if err != nil || len(has) == 0 {
		return "", err // no rights on it at all
	}
	if has[0] != "true" {
		return "row security doesn't bind it on " + name, nil
	}
	var test []string
	for _, key := range append([]string{t.key}, t.lent...) {
		if key != "" {
			test = append(test, quote(t.column)+" is distinct from "+literal(key))
		}
	}
	if says, err := t.sees(ctx, s, strings.Join(append(test, "true"), " and ")); says != "" || err != nil {
		return says, err
	}
	return t.open(ctx, s)
}

// sees counts the rows that the role sees and for which a condition holds.
func (t sharedTable) sees(ctx context.Context, s *session, test string) (string, error) {
	name := quote(t.schema, t.table)
	rows, err := textsOf(ctx, s, "select count(*)::text from "+name+" where "+test)
	if state(err) == "42501" {
		return "", nil // it may write there, which the policy checks, and read nothing
	}
	if err != nil || rows[0] == "0" {
		return "", err
	}
	return "it sees " + rows[0] + " rows of " + name + " that aren't its tenant's", nil
}

// open names a policy that lets the role see more than its key's rows, whether
// such rows are there yet or not.
func (t sharedTable) open(ctx context.Context, s *session) (found string, err error) {
	name, bound := quote(t.schema, t.table), []string(nil)
	err = s.simple(ctx, `select p.polname, coalesce(pg_get_expr(p.polqual, p.polrelid), 'true'), `+keyColumnSQL+`
 from pg_policy p join pg_attribute a on a.attrelid = p.polrelid and a.attname = `+literal(t.column)+` where p.polrelid = `+literal(name)+`::regclass and p.polpermissive
 and exists (select 1 from unnest(p.polroles) x where x = 0 or pg_has_role(x, 'usage'))`, func(_ int, v [][]byte) error {
		policy, text, column := string(v[0]), string(v[1]), keyColumnOf(v[2:])
		switch {
		case strings.HasPrefix(policy, boundPrefix) && column.printed(text, policySpec{group: policy}):
			bound = append(bound, policy)
		case t.key == "" && text != "true", column.equals(text, t.key):
		default:
			found = "policy " + policy + " of " + name + " lets it see more than its tenant's rows"
		}
		return nil
	})
	if err != nil || found != "" || len(bound) == 0 {
		return found, err
	}
	keys, err := textsOf(ctx, s, "select key from tenure_shared.own_key where policy = "+anyOf(bound))
	for _, k := range keys {
		if k != t.key && !slices.Contains(t.lent, k) {
			found = "it has the key " + strconv.Quote(k) + " on " + name + ", which isn't its tenant's"
		}
	}
	return found, err
}

// probeEnvironment tries the role's credential on the other resource.
func (d *Driver) probeEnvironment(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	if c.Other == nil {
		return o, tenure.Errorf(tenure.Invalid, "probe environment needs a second resource")
	}
	other := *c.Other
	switch other.Type {
	case "database":
		return d.refusedOn(ctx, c, other.Name, c.Ref.Name)
	case "role":
		if o, err := d.refusedOn(ctx, c, "", other.Name); err != nil || !o.Passed {
			return o, err
		}
	}
	s, err := d.tenant(ctx, c)
	if err != nil {
		return o, err
	}
	defer s.close(ctx)
	var sql string
	switch other.Type {
	case "schema":
		sql = "select 'may use schema ' || n.nspname from pg_namespace n where n.nspname = " + literal(other.Name) +
			" and (has_schema_privilege(n.oid, 'usage') or has_schema_privilege(n.oid, 'create'))"
	case "role":
		sql = "select 'may act as role ' || r.rolname from pg_roles r where r.rolname = " + literal(other.Name) + " and pg_has_role(r.oid, 'member')"
	case "rows", "policy":
		return d.noRows(ctx, s, c, other)
	default:
		return o, tenure.Errorf(tenure.Invalid, "probe environment can't try a %s", other.Type)
	}
	can, err := textsOf(ctx, s, sql)
	if err != nil {
		return o, err
	}
	if len(can) > 0 {
		return failed("role " + c.Ref.Name + " " + can[0])
	}
	return passed("role " + c.Ref.Name + " is refused on " + other.Type + " " + other.Name)
}

// refusedOn passes if the credential can't log in to a database as a role.
func (d *Driver) refusedOn(ctx context.Context, c connector.Check, db, role string) (o connector.Outcome, err error) {
	if c.Credential.IsZero() {
		return o, tenure.Errorf(tenure.Invalid, "probe environment of %q needs its credential", c.Ref.Name)
	}
	s, err := d.as(ctx, role, c.Credential, db)
	if err == nil {
		s.close(ctx)
		return failed("the credential of " + c.Ref.Name + " is taken on " + c.Other.Type + " " + c.Other.Name)
	}
	if !refusal(err) {
		return o, err
	}
	return passed("the credential of " + c.Ref.Name + " is refused on " + c.Other.Type + " " + c.Other.Name)
}

// noRows counts, as the role, the rows of the other's key.
func (d *Driver) noRows(ctx context.Context, s *session, c connector.Check, other connector.Ref) (o connector.Outcome, err error) {
	text := func(k string) string { v, _ := other.Attributes[k].(string); return v }
	schema, column, key := text("schema"), text("column"), text("key")
	var tables []bearing
	err = d.with(ctx, func(p *session) (err error) {
		tables, _, err = bearers(ctx, p, schema, column)
		return err
	})
	if err != nil {
		return o, err
	}
	for _, b := range tables {
		t := b.table
		n, err := textsOf(ctx, s, "select count(*)::text from "+quote(schema, t)+" where "+quote(column)+" = "+literal(key))
		if state(err) == "42501" {
			continue
		}
		if err != nil {
			return o, err
		}
		if n[0] != "0" {
			return failed("role " + c.Ref.Name + " sees " + n[0] + " rows of " + other.Name + " in " + t)
		}
		bound, err := textsOf(ctx, s, "select row_security_active("+literal(quote(schema, t))+"::regclass)::text")
		if err != nil {
			return o, err
		}
		if bound[0] != "true" {
			return failed("row security doesn't bind role " + c.Ref.Name + " on " + t)
		}
	}
	return passed("role " + c.Ref.Name + " sees no row of " + other.Name)
}

// probeSQL runs a blueprint's query in a transaction that can't write.
func (d *Driver) probeSQL(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	query, expect := c.Params["query"], c.Params["expect"]
	if err := sqltext.PostgreSQL().One(query); err != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe sql: %w", err)
	}
	var rows int
	var first string
	try := func(s *session) error { return s.readOnly(ctx, query, &rows, &first) }
	switch c.Params["as"] {
	case "tenant":
		s, login := d.tenant(ctx, c)
		if login != nil {
			err = login
			break
		}
		defer s.close(ctx)
		err = try(s)
	case "platform", "":
		err = d.asPlatform(ctx, c.Ref, query, try)
	default:
		return o, tenure.Errorf(tenure.Invalid, "probe sql: parameter as is %q, not tenant or platform", c.Params["as"])
	}
	return judge(expect, c.Params["value"], rows, first, err)
}

// inReadOnly says when the transaction began, if it can't write.
const inReadOnly = "select pg_catalog.now()::text where pg_catalog.current_setting('transaction_read_only') = 'on'"

// readOnly asks one statement by the extended protocol, which takes no second, in a
// transaction that can't write, and sees that it was the same one to the end.
func (s *session) readOnly(ctx context.Context, query string, rows *int, first *string) error {
	if err := s.simple(ctx, "begin read only", nil); err != nil {
		return err
	}
	before, err := textsOf(ctx, s, inReadOnly)
	if err != nil {
		return err
	}
	r := s.conn.PgConn().ExecParams(ctx, query, nil, nil, nil, nil)
	for ; r.NextRow(); *rows++ {
		if v := r.Values(); *rows == 0 && len(v) > 0 {
			*first = string(v[0])
		}
	}
	if _, err := r.Close(); err != nil {
		return err
	}
	after, err := textsOf(ctx, s, inReadOnly)
	if err == nil && (s.conn.PgConn().TxStatus() != 'T' || !slices.Equal(before, after) || len(after) != 1) {
		err = tenure.Errorf(tenure.Invalid, "probe sql: the query ends the read-only transaction that it runs in")
	}
	return err
}

// judge compares an answer with what was expected of it.
func judge(expect, value string, rows int, first string, err error) (connector.Outcome, error) {
	refused := refusal(err) || tenure.CodeOf(err) == tenure.Forbidden || tenure.CodeOf(err) == tenure.Unauthorized
	if err != nil && !refused {
		return connector.Outcome{}, err
	}
	return relational.Judge(expect, value, rows, first, refused)
}
