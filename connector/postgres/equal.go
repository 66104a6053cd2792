package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// equalTime bounds how long keys may be compared with one tenant's.
const equalTime = 10 * time.Second

// alone is Conflict if a tenant column has a type, or a collation, that takes the
// key of another resource for this one's: erasing the one would take the other's.
// The others, which are read where a column calls for it, are resources by their keys.
func alone(ctx context.Context, s *session, h *relational.Holding, r connector.Ref, key string, read func() (map[string]string, error)) error {
	var others map[string]string
	collations, err := loose(ctx, s)
	if err != nil {
		return err
	}
	for _, t := range h.Tables {
		column := h.TenantColumn(t.Table.TableName)
		c, is := t.Table.Column(column)
		if !is {
			continue
		}
		cast := casts(c, collations[t.Table.TableName][c.Name])
		if cast == "" {
			continue
		}
		if others == nil {
			if others, err = read(); err != nil {
				return err
			}
		}
		same, err := equalKeys(ctx, s, c, cast, key, others)
		if err != nil {
			return err
		}
		if same != "" {
			return mistaken(r, t.Table.String()+"."+column, c.Type, key, same, others[same])
		}
	}
	return nil
}

func mistaken(r connector.Ref, at, typ, key, same, whose string) error {
	return tenure.Errorf(tenure.Conflict, "%s %q: %s takes its key %q for that of %q, which is %q", r.Type, r.Name, at, key, whose, same).
		WithHint("give the tenants keys that the column's type (%s) tells apart", typ)
}

// alone refuses a policy whose key a column takes for another's: Invalid if the database
// shows the key in another way than it was written, since a key that is written so is the
// same value, and Conflict if that of another policy is. Each would show the rows of both.
func (k policies) alone(ctx context.Context, s *session, r connector.Ref, p policySpec, tables map[string]secured) error {
	var others map[string]string
	collations, err := loose(ctx, s)
	if err != nil {
		return err
	}
	for _, t := range p.Tables {
		c := tables[t].column
		column, at := relational.Column{Name: p.Column, Type: c.typ}, p.Schema+"."+t+"."+p.Column
		if c.typ == "" {
			continue
		}
		shown, err := textsOf(ctx, s, "select "+literal(p.Key)+"::"+c.typ+"::text")
		if err != nil {
			return err
		}
		if shown[0] != p.Key {
			return tenure.Errorf(tenure.Invalid, "policy %q: the key %q reads back from %s as %q, which isn't how it was written", r.Name, p.Key, at, shown[0]).
				WithHint("write the key in the form that the database shows")
		}
		cast := casts(column, collations[relational.TableName{Schema: p.Schema, Name: t}][p.Column])
		if cast == "" {
			continue
		}
		if others == nil {
			if others, err = k.keysBeside(ctx, s, p); err != nil {
				return err
			}
		}
		same, err := equalKeys(ctx, s, column, cast, p.Key, others)
		if err != nil {
			return err
		}
		if same != "" {
			return mistaken(r, at, c.typ, p.Key, same, others[same])
		}
	}
	return nil
}

// keysBeside are the keys of other policies on the same tables, with the policies' names.
func (k policies) keysBeside(ctx context.Context, s *session, p policySpec) (map[string]string, error) {
	all, err := marks.All(ctx, s, dialect{}, "policy")
	out := map[string]string{}
	for _, n := range all {
		other, ok := k.specOf(n)
		if ok && other.Schema == p.Schema && other.Column == p.Column && other.Key != p.Key && slices.ContainsFunc(other.Tables, func(t string) bool { return slices.Contains(p.Tables, t) }) {
			out[other.Key] = n.Name
		}
	}
	return out, err
}

// casts is what makes a text a value as the column compares it, of the collation if
// one is given; "" where equal values are written in one way only.
func casts(c relational.Column, collation string) string {
	typ, _, _ := strings.Cut(c.Type, "(")
	if collation == "" && slices.Contains([]string{"text", "name", "character varying", "smallint", "integer", "bigint"}, typ) {
		return ""
	}
	return "::" + c.Type + collation
}

// loose are the collations of columns that take different texts for equal.
func loose(ctx context.Context, s *session) (map[relational.TableName]map[string]string, error) {
	out := map[relational.TableName]map[string]string{}
	err := s.simple(ctx, `select tn.nspname, c.relname, a.attname, n.nspname, l.collname from pg_collation l join pg_namespace n on n.oid = l.collnamespace
 join pg_attribute a on a.attcollation = l.oid join pg_class c on c.oid = a.attrelid join pg_namespace tn on tn.oid = c.relnamespace where not l.collisdeterministic`, func(_ int, v [][]byte) error {
		t := relational.TableName{Schema: string(v[0]), Name: string(v[1])}
		if out[t] == nil {
			out[t] = map[string]string{}
		}
		out[t][string(v[2])] = " collate " + quote(string(v[3]), string(v[4]))
		return nil
	})
	return out, err
}

// keysBeside are the keys of other resources in the same schema and column, with
// the resources' names.
func (k pools) keysBeside(ctx context.Context, s *session, name string, a poolAttributes) (map[string]string, error) {
	all, err := marks.All(ctx, s, dialect{}, "rows")
	out := map[string]string{}
	for _, n := range all {
		if p, ok := specOf(n); ok && n.Name != name && p.Schema == a.Schema && p.Column == a.Column && p.Key != a.Key {
			out[p.Key] = n.Name
		}
	}
	return out, err
}

// equalKeys is one of the keys that the column takes for the given one, "" if none
// is. What isn't a value of the column's type is nobody's key there.
func equalKeys(ctx context.Context, s *session, c relational.Column, cast, key string, others map[string]string) (same string, err error) {
	equal := c.Equal
	if equal == "" {
		equal = "="
	}
	compare := func(keys ...string) (bool, error) {
		return s.tried(ctx, equalTime, "select k from (values ("+strings.Join(literalsOf(keys), "), (")+")) v (k) where k"+cast+" "+equal+" "+literal(key)+cast+" limit 1", func(v [][]byte) error {
			same = string(v[0])
			return nil
		})
	}
	var keys []string
	for k := range others {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return "", nil
	}
	slices.Sort(keys)
	if err := s.simple(ctx, "begin read only", nil); err != nil {
		return "", err
	}
	defer func() {
		if ended := s.simple(ctx, "rollback", nil); err == nil {
			err = ended
		}
	}()
	if whole, err := compare(keys...); err != nil || whole {
		return same, err
	}
	for _, k := range keys {
		if _, err := compare(k); err != nil || same != "" {
			return same, err
		}
	}
	return "", nil
}

func literalsOf(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = literal(k) + "::text"
	}
	return out
}
