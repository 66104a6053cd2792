package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Settler = (*Driver)(nil)

// settledType is the type of the note that says that comments have had their say.
const settledType = "settled"

// Settle is described at connector.Settler. Older builds kept the notes of schemas,
// databases and roles in comments, which their owners can write, and sealed none. What
// authenticates there is taken over once for each system. From then on a comment is
// never asked, not even a true one of that time, and a note without a seal is forged.
func (d *Driver) Settle(ctx context.Context) error {
	done := connector.Ref{Type: settledType, Name: string(d.marker.Installation) + "/" + d.system}
	err := d.with(ctx, func(s *session) error {
		if err := s.renew(ctx); err != nil {
			return err
		}
		if n, err := d.noteOf(ctx, s, done); err != nil || n != nil {
			return err
		}
		return s.atomic(ctx, func(s *session) error {
			if err := s.simple(ctx, "lock table tenure.mark in share row exclusive mode", nil); err != nil {
				return err
			}
			older, err := d.older(ctx, s)
			if err != nil || len(older) == 0 {
				return err
			}
			return s.lots(ctx, append(older, d.putNote(relational.NewNote(d.marker, done))))
		})
	})
	return err
}

// older are the statements that write the notes of older builds as this one keeps them:
// from comments that authenticate and stand on what they name, and from tenure.mark.
func (d *Driver) older(ctx context.Context, s *session) (out []string, err error) {
	take := func(n relational.Note, id tenure.ResourceID, object string) {
		n.Mark = d.marker.Named(id)
		out = append(out, d.putNote(n.With(relational.ObjectKey, object)))
	}
	for _, c := range []class{schemaClass, databaseClass, roleClass, loginClass} {
		err := s.simple(ctx, "select "+c.columns()+c.from()+"where m.name is null and left("+c.commentSQL()+", 30) like '%tenure:1:%' order by o."+c.name, func(_ int, v [][]byte) error {
			text, login := strings.CutPrefix(string(v[3]), "elevation ")
			n, name := relational.ParseNote(text), string(v[0])
			id, owner := n.Unsealed(d.marker, c.typ)
			stands := n.Name == name || name == quarantined(id) || name == unfinished(id)
			if owner == connector.Ours && n.Type == c.typ && stands && login == (c.typ == elevationType) {
				take(n, id, string(v[2]))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err = s.simple(ctx, "select type, name, note from tenure.mark where note like 'tenure:1:%' and object is null", func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[2]))
		if id, owner := n.Unsealed(d.marker, string(v[0])); owner == connector.Ours && n.Type == string(v[0]) && n.Name == string(v[1]) {
			take(n, id, "")
		}
		return nil
	})
	return out, err
}

// lots runs many statements, some at a time.
func (s *session) lots(ctx context.Context, statements []string) error {
	const lot = 500
	for len(statements) > 0 {
		n := min(lot, len(statements))
		if err := s.simple(ctx, strings.Join(statements[:n], ";\n"), nil); err != nil {
			return err
		}
		statements = statements[n:]
	}
	return nil
}

// Exposed is described at connector.Secluder.
func (d *Driver) Exposed(ctx context.Context) (out []string, err error) {
	err = d.with(ctx, func(s *session) error {
		return s.simple(ctx, exposedSQL, func(_ int, v [][]byte) error {
			out = append(out, string(v[0]))
			return nil
		})
	})
	return out, coded(err)
}

// exposedSQL lists who else than the owner has a right on what Tenure keeps, and what of
// it belongs to a role that could be a tenant's: one that is neither Tenure's own, nor a
// superuser, nor the database's owner.
const exposedSQL = `with kept as (
 select 'schema ' || n.nspname as what, n.nspowner as owner, n.nspacl as acl from pg_namespace n where n.nspname = 'tenure'
 union all select case c.relkind when 'S' then 'sequence ' else 'table ' end || 'tenure.' || c.relname, c.relowner, c.relacl
  from pg_class c where c.relnamespace = to_regnamespace('tenure') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
 union all select 'column tenure.' || c.relname || '.' || a.attname, c.relowner, a.attacl
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attacl is not null where c.relnamespace = to_regnamespace('tenure'))
select coalesce(g.rolname, 'everybody') || ' has ' || lower(x.privilege_type) || ' on ' || what
 from kept, aclexplode(acl) x left join pg_roles g on g.oid = x.grantee where x.grantee <> owner and not coalesce(g.rolsuper, false)
 and not exists (select 1 from tenure.mark m where m.type = '` + deputyType + `' and m.object = x.grantee) and x.grantee <> (select oid from pg_roles where rolname = current_user)
union all
select what || ' belongs to ' || r.rolname from kept join pg_roles r on r.oid = owner
 where not r.rolsuper and r.rolname <> current_user and r.oid <> (select datdba from pg_database where datname = current_database())
order by 1`
