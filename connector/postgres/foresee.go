package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// boundSQL reads of each table whether its row security is on and forced, its owner if
// row security can bind that one, and which other roles may use it that it would bind.
// A role that has a permissive policy there is looked after already.
const boundSQL = `select c.relname, c.relrowsecurity, c.relforcerowsecurity,
 coalesce((select o.rolname from pg_roles o where o.oid = c.relowner and not o.rolsuper and not o.rolbypassrls and not ` + cared + `), ''),
 coalesce((select json_agg(distinct coalesce(o.rolname, 'public'))::text from aclexplode(c.relacl) x left join pg_roles o on o.oid = x.grantee
  where x.grantee <> c.relowner and lower(x.privilege_type) in ('select', 'insert', 'update', 'delete') and not coalesce(o.rolsuper or o.rolbypassrls or ` + cared + `, false)
  and (x.grantee <> 0 or not exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polpermissive and 0 = any (p.polroles)))), '[]')
 from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = `

const cared = `exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polpermissive and exists (select 1 from unnest(p.polroles) a (role) where a.role = 0 or pg_has_role(o.oid, a.role, 'usage')))`

// Foresee is described at connector.Foreseer: a policy switches row security on, which
// hides the table's rows from every role that has no policy, and its owner's too if it
// is forced.
func (d *Driver) Foresee(ctx context.Context, all []connector.Desired) (out []connector.SharedChange, err error) {
	err = d.with(ctx, func(s *session) error {
		for _, r := range all {
			if r.Type != "policy" {
				continue
			}
			p, err := policies{d}.parse(r.Ref)
			if err != nil {
				return err
			}
			says, err := d.binds(ctx, s, p)
			if err != nil {
				return err
			}
			for _, text := range says {
				out = append(out, connector.SharedChange{Resource: r.Resource, Says: text})
			}
		}
		return nil
	})
	return out, err
}

// binds says whom the policy's row security comes to bind, table by table.
func (d *Driver) binds(ctx context.Context, s *session, p policySpec) (out []string, err error) {
	type bound struct {
		table, owner   string
		secure, forced bool
		roles          []string
	}
	var tables []bound
	var names []string
	err = s.simple(ctx, boundSQL+literal(p.Schema)+" and c.relname = "+anyOf(p.Tables)+" order by 1", func(_ int, v [][]byte) error {
		b := bound{table: string(v[0]), secure: string(v[1]) == "t", forced: string(v[2]) == "t", owner: string(v[3])}
		tables = append(tables, b)
		err := json.Unmarshal(v[4], &tables[len(tables)-1].roles)
		names = append(names, tables[len(tables)-1].roles...)
		return err
	})
	if err != nil {
		return nil, err
	}
	tenants, err := tenantsOf(ctx, s, names)
	if err != nil {
		return nil, err
	}
	for _, b := range tables {
		on := p.Schema + "." + b.table
		b.roles = slices.DeleteFunc(b.roles, func(r string) bool { return tenants[r] || r == p.Role })
		if !b.secure && len(b.roles) > 0 {
			out = append(out, fmt.Sprintf("row security of %s is switched on, and %s sees no row of it without a policy of its own", on, strings.Join(b.roles, ", ")))
		}
		if p.Force && (!b.forced || !b.secure) && b.owner != "" {
			out = append(out, fmt.Sprintf("row security of %s is forced, and its owner %s sees no row of it without a policy of its own (leave out force, and the owner stays as it is)", on, b.owner))
		}
	}
	return out, nil
}
