package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// near are the tables that a tenant's rows can have to do with, as the catalog has
// them. It is read in rounds, by indexes alone and each thing once: what one tenant
// costs mustn't grow with the number of its neighbours.
type near struct {
	seeds  []oid // the tenant's tables, and those that it names
	shared []oid // those that belong to no tenant
	tables map[oid]*nearTable
	keys   []nearKey
	checks []oid       // constraints
	tells  []string    // names of tenant columns
	guards map[oid]oid // by foreign key: the table of which the server lets no row go that is referred to
}

// nearTable is one of them, or a relation that it is a part of.
type nearTable struct {
	relational.Table
	found      bool   // it is a table, and not the server's
	owner      string // whose it is; "" of this session's role
	partition  bool   // its columns are those of its root
	parents    []oid
	parts      []oid
	references []oid // the tables that it refers to
	children   []oid // those that refer to it
	asked      bool  // its children are known
	columns    []nearColumn
	primary    []int
}

// nearColumn is a column by its number.
type nearColumn struct {
	number int
	relational.Column
	typed
	collation oid
}

// typed is a type with its modifier.
type typed struct {
	oid
	modifier int
}

// nearKey is a foreign key by its columns' numbers.
type nearKey struct {
	oid
	child, parent          oid
	columns, parents, sets []int
	operators              []oid // by which values are equal, if the server doesn't bring one along
	relational.ForeignKey
}

// seedsSQL reads the tables of a schema.
const seedsSQL = `select c.oid from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p')
 where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_namespace'::regclass and p.refobjid = (select oid from pg_namespace where nspname = `

const namedSQL = `select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and (c.relname, n.nspname) in `

const everySQL = `select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and ` + notOurs

// nearSQL reads tables, with what they are parts of, their columns (a partition has
// those of its root), constraints and triggers, and what refers to them. A foreign
// key that a partition has from its root has a parent.
const nearSQL = `select c.oid, n.nspname, c.relname, c.relkind = 'p' or c.relhassubclass, not has_table_privilege(c.oid, 'select') or c.relrowsecurity and row_security_active(c.oid), c.relispartition, c.relhasrules,
 case when c.relowner = (select r.oid from pg_roles r where r.rolname = current_user) then '' else pg_get_userbyid(c.relowner) end
 from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and c.oid {{new}} and ` + notOurs + `;
select h.inhrelid, h.inhparent, h.inhseqno from pg_inherits h where h.inhrelid {{new}} union select h.inhrelid, h.inhparent, h.inhseqno from pg_inherits h where h.inhparent {{new}} order by 1, 3;
select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated <> '' or a.attidentity = 'a', a.attcollation, a.attgenerated <> ''
 from pg_attribute a where a.attrelid = any (array(select c.oid from pg_class c where c.oid {{new}} and not c.relispartition)) and a.attnum > 0 and not a.attisdropped;
select k.conrelid, k.oid, k.contype, k.conkey, k.confrelid, k.confkey, k.conname, k.confdeltype, k.condeferrable, k.confmatchtype = 'f',
 case when 16384 <= any (k.conpfeqop) then k.conpfeqop end, case when k.confdeltype in ('n', 'd') then to_jsonb(k) -> 'confdelsetcols' end
 from pg_constraint k where k.conrelid {{new}} and (k.contype in ('p', 'c') or k.contype = 'f' and k.conparentid = 0);
select g.tgrelid, case when g.tgisinternal then g.tgconstraint else 0 end from pg_trigger g where g.tgrelid {{new}}
 and case when not g.tgisinternal then g.tgenabled <> 'D' and g.tgtype & 24 <> 0
  else g.tgconstraint <> 0 and g.tgtype & 8 <> 0 and g.tgenabled in ('O', 'A') and current_setting('session_replication_role') <> 'replica' end;
select k.confrelid, k.conrelid from pg_depend d join pg_constraint k on k.oid = d.objid and k.confrelid = d.refobjid
 where d.classid = 'pg_constraint'::regclass and d.deptype = 'n' and d.refclassid = 'pg_class'::regclass and d.refobjid {{own}} and k.contype = 'f' and k.conparentid = 0`

// nearTo reads what the tables of two queries can have to do with: the tenant's, and
// those that belong to no tenant.
func nearTo(ctx context.Context, s *session, seeds, shared string) (*near, error) {
	n := &near{tables: map[oid]*nearTable{}, guards: map[oid]oid{}}
	err := s.simple(ctx, seeds+";\n"+shared, func(result int, v [][]byte) error {
		if at := oidOf(v[0]); result == 0 {
			n.seeds = append(n.seeds, at)
		} else {
			n.shared = append(n.shared, at)
		}
		return nil
	})
	for err == nil {
		fresh, own := n.missing()
		if len(fresh)+len(own) == 0 {
			break
		}
		rows := make([]nearTable, len(fresh))
		for i, at := range fresh {
			n.tables[at] = &rows[i]
		}
		for _, at := range own {
			n.tables[at].asked = true
		}
		err = s.simple(ctx, strings.NewReplacer("{{new}}", isOneOf(fresh), "{{own}}", isOneOf(own)).Replace(nearSQL), n.take)
	}
	return n, err
}

// missing are the tables of which nothing is known yet, and those of which isn't
// known what refers to them. The tenant's are followed to what refers to them,
// however far, and all of these to what they refer to.
func (n *near) missing() (fresh, own []oid) {
	down := n.reach(n.seeds, func(t *nearTable) []oid { return t.children })
	for _, at := range down {
		if t := n.tables[at]; t == nil || !t.asked {
			own = append(own, at)
		}
	}
	for _, at := range n.reach(append(down, n.shared...), func(t *nearTable) []oid { return t.references }) {
		if n.tables[at] == nil {
			fresh = append(fresh, at)
		}
	}
	return fresh, own
}

// reach are the tables that are reached from others, by what is known, with all that
// they are parts of and the parts of these.
func (n *near) reach(from []oid, next func(*nearTable) []oid) (out []oid) {
	seen := make(map[oid]bool, len(from))
	add := func(list []oid) {
		for _, at := range list {
			if !seen[at] {
				seen[at] = true
				out = append(out, at)
			}
		}
	}
	add(from)
	for i := 0; i < len(out); i++ {
		if t := n.tables[out[i]]; t != nil {
			add(t.parents)
			add(t.parts)
			add(next(t))
		}
	}
	return out
}

// columnRow is the number of the columns' result in nearSQL.
const columnRow = 2

// take takes in one row of nearSQL.
func (n *near) take(result int, v [][]byte) error {
	at := oidOf(v[0])
	t := n.tables[at]
	switch result {
	case 0:
		t.found, t.TableName = true, relational.TableName{Schema: string(v[1]), Name: string(v[2])}
		t.Parts, t.Hidden, t.partition, t.Code = yes(v[3]), yes(v[4]), yes(v[5]), yes(v[6]) || t.Code
		t.owner = string(v[7])
	case 1:
		up := oidOf(v[1])
		if t != nil {
			t.parents = append(t.parents, up)
		}
		if whole := n.tables[up]; whole != nil {
			whole.parts = append(whole.parts, at)
		}
	case columnRow:
		c := nearColumn{number: number(v[1]), typed: typed{oidOf(v[3]), number(v[4])}, collation: oidOf(v[7])}
		c.Name, c.Required, c.Generated, c.Computed = string(v[2]), yes(v[5]), yes(v[6]), yes(v[8])
		t.columns = append(t.columns, c)
	case 3:
		n.constraint(t, v)
	case 4:
		if key := oidOf(v[1]); key != 0 {
			n.guards[key] = oidOf(v[0])
		} else {
			t.Code = true
		}
	case 5:
		t.children = append(t.children, oidOf(v[1]))
	}
	return nil
}

func (n *near) constraint(t *nearTable, v [][]byte) {
	k := nearKey{oid: oidOf(v[1]), child: oidOf(v[0]), columns: elements[int](v[3])}
	switch v[2][0] {
	case 'p':
		t.primary = k.columns
	case 'c':
		n.checks = append(n.checks, k.oid)
	case 'f':
		k.parent, k.parents, k.operators, k.sets = oidOf(v[4]), elements[int](v[5]), elements[oid](v[10]), elements[int](v[11])
		k.Name, k.OnDelete, k.Deferrable, k.Full = string(v[6]), onDelete[v[7][0]], yes(v[8]), yes(v[9])
		t.references = append(t.references, k.parent)
		n.keys = append(n.keys, k)
	}
}

// column is a column by its number; a blank one if there is none.
func (t *nearTable) column(number int) (c nearColumn) {
	if i := slices.IndexFunc(t.columns, func(c nearColumn) bool { return c.number == number }); i >= 0 {
		c = t.columns[i]
	}
	return c
}

func (t *nearTable) names(numbers []int) (out []string) {
	for _, n := range numbers {
		out = append(out, t.column(n).Name)
	}
	return out
}

// differing are the collations of the parent's columns that aren't their own columns'.
func (n *near) differing(k nearKey) (out []oid) {
	from, to := n.table(k.child), n.table(k.parent)
	if from == nil || to == nil {
		return nil
	}
	for i := range k.columns {
		if c := to.column(k.parents[i]).collation; c != from.column(k.columns[i]).collation {
			out = append(out, c)
		}
	}
	return out
}

// compared are the operators and collations by which the key's columns are compared
// where it doesn't go without saying.
func (k nearKey) compared(from, to *nearTable, operators, collations map[oid]string) (equal, collate []string) {
	for _, o := range k.operators {
		equal = append(equal, operators[o])
	}
	for i := range k.columns {
		c := to.column(k.parents[i]).collation
		if c == from.column(k.columns[i]).collation {
			continue
		}
		if collate == nil {
			collate = make([]string, len(k.columns))
		}
		collate[i] = collations[c]
	}
	return equal, collate
}
