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
	for _, t := range h.Tables {
		column := h.TenantColumn(t.Table.TableName)
		c, is := t.Table.Column(column)
		if !is {
			continue
		}
		cast, err := casts(ctx, s, t.Table.TableName, c)
		if err != nil {
			return err
		}
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
			return tenure.Errorf(tenure.Conflict, "%s %q: %s.%s takes its key %q for that of %q, which is %q", r.Type, r.Name, t.Table, column, key, others[same], same).
				WithHint("give the tenants keys that the column's type (%s) tells apart", c.Type)
		}
	}
	return nil
}

// casts is what makes a text a value as the column compares it; "" where equal
// values are written in one way only.
func casts(ctx context.Context, s *session, n relational.TableName, c relational.Column) (string, error) {
	collation := ""
	err := s.simple(ctx, `select l.collname, n.nspname from pg_attribute a join pg_collation l on l.oid = a.attcollation and not l.collisdeterministic join pg_namespace n on n.oid = l.collnamespace
 where a.attrelid = `+literal(quote(n.Schema, n.Name))+"::regclass and a.attname = "+literal(c.Name), func(_ int, v [][]byte) error {
		collation = " collate " + quote(string(v[1]), string(v[0]))
		return nil
	})
	typ, _, _ := strings.Cut(c.Type, "(")
	if err != nil || collation == "" && slices.Contains([]string{"text", "name", "character varying", "smallint", "integer", "bigint"}, typ) {
		return "", err
	}
	return "::" + c.Type + collation, nil
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
