package postgres

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// version16 is the first server on which createrole is power over a role's own roles
// alone, and on which a membership has options of its own.
const version16 = 160000

// checkup is what Tenure's role is seen to have.
type checkup struct {
	connector.Checkup
	session  *session
	version  int // as server_version_num
	role     string
	database string
	traits   map[string]bool
	lacks    []string // the grants that give a superuser what it has by being one, to a grantee
}

const traitsSQL = `select current_user, current_setting('server_version_num'), current_setting('server_version'), current_database(), concat_ws(' ',
 case when rolsuper then 'superuser' end, case when oid = 10 then 'first' end, case when rolinherit then 'inherit' end, case when rolcreaterole then 'createrole' end,
 case when rolcreatedb then 'createdb' end, case when rolbypassrls then 'bypassrls' end, case when rolreplication then 'replication' end,
 case when has_database_privilege(current_database(), 'create') then 'create' end) from pg_roles where rolname = current_user`

// Check is described at connector.Checker.
func (d *Driver) Check(ctx context.Context, asked []connector.Asked) (out connector.Checkup, err error) {
	err = d.with(ctx, func(s *session) error {
		c := checkup{session: s, traits: map[string]bool{}}
		err := s.simple(ctx, traitsSQL, func(_ int, v [][]byte) error {
			c.role, c.database = string(v[0]), string(v[3])
			c.version, _ = strconv.Atoi(string(v[1]))
			c.Role, c.Version = c.role, "PostgreSQL "+string(v[2])
			for _, t := range strings.Fields(string(v[4])) {
				c.traits[t] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		c.notes(asked != nil)
		for _, part := range []func(context.Context) error{c.basics, c.keeps, c.made, func(ctx context.Context) error { return c.features(ctx, asked) }, c.beyond} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		order := []connector.RightState{connector.RightMissing, connector.RightBeyond, connector.RightOptional, connector.RightHeld}
		slices.SortStableFunc(c.Rights, func(a, b connector.Right) int {
			return cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State))
		})
		out = c.Checkup
		return nil
	})
	return out, coded(err)
}

// needs adds a right that is held, or in the given state if it isn't.
func (c *checkup) needs(held bool, otherwise connector.RightState, name, use, fix string) {
	r := connector.Right{Name: name, State: connector.RightHeld, For: use}
	if !held {
		r.State, r.Fix = otherwise, fix
	}
	c.Rights = append(c.Rights, r)
}

func (c *checkup) has(trait string) bool { return c.traits[trait] || c.traits["superuser"] }

func (c *checkup) alter(trait string) string { return "alter role " + quote(c.role) + " " + trait }

// notes say what this version of the server makes of the rights.
func (c *checkup) notes(asked bool) {
	add := func(text string) { c.Notes = append(c.Notes, text) }
	if c.version < version16 {
		add("on this version createrole makes its holder a member of any role but a superuser, pg_execute_server_program too: guard this login as you would a superuser's, or upgrade to PostgreSQL 16")
	} else {
		add("on this version createrole is power over the roles that Tenure makes, and over no others without their admin option; createrole_self_grant isn't needed")
	}
	if c.version < 150000 || c.version >= 180000 {
		add("this version isn't among those that Tenure is tested with: 15, 16 and 17")
	}
	if c.traits["first"] {
		add("the server keeps " + c.role + " a superuser: make another role, and name it in the option dsn")
	}
	if !asked {
		add("which roles own the shared tables only a blueprint says: name one with --blueprint")
	}
}

// basics are the rights without which nothing works.
func (c *checkup) basics(ctx context.Context) error {
	c.needs(c.has("createrole"), connector.RightMissing, "createrole", "roles of tenants, and the logins in whose name Tenure acts in a tenant's own place or lends access", c.alter("createrole"))
	c.needs(c.traits["create"], connector.RightMissing, "create on database "+c.database, "schemas of tenants, Tenure's own, and the copies on which an erasure is tried out",
		"grant create on database "+quote(c.database)+" to "+quote(c.role))
	for _, g := range []struct{ name, use string }{
		{"pg_monitor", "sessions and settings of others, which a cut of access is read from"},
		{"pg_signal_backend", "the end of sessions when access is cut"},
	} {
		held, fix, err := c.member(ctx, g.name)
		if err != nil {
			return err
		}
		c.needs(held, connector.RightMissing, "member of "+g.name, g.use, fix)
	}
	return nil
}

// member says whether Tenure's role has the rights of a group without further ado, and
// how it gets them.
func (c *checkup) member(ctx context.Context, group string) (held bool, fix string, err error) {
	is, err := textsOf(ctx, c.session, "select pg_has_role(oid, 'usage')::text || ' ' || pg_has_role(oid, 'member')::text from pg_roles where rolname = "+literal(group))
	if err != nil || len(is) == 0 {
		return false, "", err
	}
	fix = "grant " + quote(group) + " to " + quote(c.role)
	switch {
	case c.version >= version16 && (!c.traits["inherit"] || is[0] == "false true"):
		fix += " with inherit true"
	case !c.traits["inherit"] && is[0] == "false true":
		fix = c.alter("inherit")
	case !c.traits["inherit"]:
		fix += "; " + c.alter("inherit")
	}
	return is[0] == "true true", fix, nil
}

// keptIn are the schemas that Tenure keeps for itself, under the alias n.
const keptIn = "n.nspname in ('tenure', 'tenure_sentinel', 'tenure_shared')"

// foreignSQL writes what gives Tenure's role what is kept in its schemas, where that
// belongs to another.
const foreignSQL = `select format('alter schema %I owner to ROLE', n.nspname) from pg_namespace n where ` + keptIn + ` and pg_get_userbyid(n.nspowner) <> current_user
union all select format('alter table %s owner to ROLE', c.oid::regclass) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where ` + keptIn + ` and c.relkind in ('r', 'p', 'v') and pg_get_userbyid(c.relowner) <> current_user
union all select format('alter function %s owner to ROLE', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where ` + keptIn + ` and pg_get_userbyid(p.proowner) <> current_user`

// keeps looks at Tenure's own schemas: another role may have made them, when it was
// Tenure's.
func (c *checkup) keeps(ctx context.Context) error {
	if c.traits["superuser"] {
		return nil
	}
	fixes, err := textsOf(ctx, c.session, replaced(foreignSQL, "ROLE", strings.ReplaceAll(quote(c.role), "%", "%%")))
	if err == nil && len(fixes) > 0 {
		c.needs(false, connector.RightMissing, "owner of Tenure's own schemas", "Tenure's sentinel, its marks and its tallies", strings.Join(fixes, "; "))
	}
	return err
}

// keptSQL reads the roles that Tenure keeps: those that bear its marks, the groups of its
// grants and, with keptBoundSQL, those of its policies.
const (
	keptSQL = ` from pg_roles r where exists (select 1 from tenure.mark m where m.type in ('role', '` + elevationType + `', '` + deputyType + `') and m.object = r.oid and m.site = ` + siteSQL + `)
 or left(r.rolname, 9) = '` + groupPrefix + `' and exists (select 1 from tenure.mark m where m.type = 'grant' and strpos(m.note, r.rolname) > 0)`
	keptBoundSQL = ` or left(r.rolname, 9) = '` + boundPrefix + `' and exists (select 1 from tenure.role_key k where k.policy = r.rolname)`
)

// made looks at the roles that Tenure has made, perhaps by another login or as a
// superuser, or before the server was upgraded from a version that asked no admin option.
func (c *checkup) made(ctx context.Context) error {
	if c.version < version16 {
		return nil
	}
	there, err := keeps(ctx, c.session, "mark")
	if err != nil || !there {
		return err
	}
	bound, err := keeps(ctx, c.session, "role_key")
	if err != nil {
		return err
	}
	kept := keptSQL
	if bound {
		kept += keptBoundSQL
	}
	give := "do $$ declare r text; begin for r in select r.rolname" + kept + " loop execute format('grant %I to %I with admin option', r, " + granteeText + "); end loop; end $$"
	if c.traits["superuser"] {
		c.lacks = append(c.lacks, give)
		return nil
	}
	readable, err := textsOf(ctx, c.session, "select 'yes' where has_table_privilege('tenure.mark', 'select') and has_schema_privilege('tenure', 'usage')")
	if err != nil || len(readable) == 0 {
		return err
	}
	n, err := textsOf(ctx, c.session, "select count(*)::text from (select r.oid"+kept+") r where not pg_has_role(r.oid, 'member with admin option')")
	if err != nil || n[0] == "0" {
		return err
	}
	roles := n[0] + " roles"
	if n[0] == "1" {
		roles = "1 role"
	}
	c.needs(false, connector.RightMissing, "admin option on "+roles+" that Tenure keeps", "their passwords, their members and their end: they were made by another login, or on a version before 16", to(give, c.role))
	return nil
}

// grantee stands in a grant for the role that gets it, and granteeText for its name as a
// text: no name holds such bytes.
const (
	grantee     = "\x01"
	granteeText = "\x02"
)

// to is a grant with the role in it that gets it.
func to(grant, role string) string {
	return replaced(grant, grantee, quote(role), granteeText, literal(role))
}

// spelled reads the texts of an attribute that are written out. Open is one that depends
// on the tenant; what the blueprint makes itself isn't looked up.
func spelled(v any) (out []string, open bool) {
	add := func(v any) {
		switch t, is := v.(string); {
		case !is || t == "" || strings.HasPrefix(t, "${resources."):
		case strings.Contains(t, "${"):
			open = true
		default:
			out = append(out, t)
		}
	}
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			add(one)
		}
	case []string:
		for _, one := range v {
			add(one)
		}
	case map[string]any:
		for k := range v {
			add(k)
		}
		slices.Sort(out)
	default:
		add(v)
	}
	return out, open
}
