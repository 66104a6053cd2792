package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// search looks for the key's value, for as long as it may: in tables that nothing
// ties to the tenant, and in rows of covered tables that aren't found as the
// tenant's. A short number or word stands in too many columns to tell anything: it
// is sought where a name speaks of the tenant.
func (e *estate) search(ctx context.Context, s *session, budget time.Duration, beside relational.Beside) (out []connector.Place, partial string, err error) {
	if budget <= 0 {
		return nil, "", nil
	}
	registered, err := marks.Registered(ctx, s, dialect{})
	if err != nil {
		return nil, "", err
	}
	end, judged := time.Now().Add(budget), e.judged()
	for _, t := range e.Tables {
		var n int64
		sql, name := e.Alone(t), t.Table.Name
		if sql == "" || time.Now().After(end) {
			continue
		}
		if err := s.each(ctx, sql, func() error { return nil }, &n); err != nil {
			return nil, "", err
		}
		if n > 0 {
			out = append(out, connector.Place{Name: name, Kind: connector.PlaceKey, Class: e.class(name), Via: "nobody", Rows: n, Says: relational.UnclaimedSays(n, name)})
		}
	}
	for _, t := range e.Graph.Tables() {
		r, held := e.Table(t.TableName)
		if beside.Has(t.TableName) || e.Shared(t.TableName) || e.keyless(t) || held && e.Classes[t.TableName] == "" {
			continue
		}
		rest := ""
		if mark := registered[t.TableName]; t.Has(mark) {
			rest = " and " + relational.Unmarked(mark)
		}
		theirs := "0"
		if held {
			rest += " and (" + r.Where() + ") is not true"
			theirs = "count(case when " + e.Theirs(t.TableName) + " then 1 end)"
		}
		for _, c := range t.Columns {
			where := e.seeks(c)
			if where == "" || slices.Contains(judged[t.TableName], c.Name) {
				continue
			}
			if time.Now().After(end) {
				return out, "the budget ended before the key was sought in " + t.Name, nil
			}
			var n, others int64
			err := s.each(ctx, "select count(*), "+theirs+" from "+quote(t.Name)+` as "t" where (`+where+")"+rest, func() error { return nil }, &n, &others)
			if err != nil {
				return nil, "", err
			}
			if n > 0 {
				out = append(out, e.Found(t, c.Name, n, others))
			}
			if n > 0 && !held {
				break
			}
		}
	}
	return out, "", nil
}

// judged are the columns, by table, that other looks judge: tenant columns, and
// those that refer to the tenant's rows.
func (e *estate) judged() map[relational.TableName][]string {
	out := map[relational.TableName][]string{}
	for _, t := range e.Tables {
		out[t.Table.TableName] = []string{e.TenantColumn(t.Table.TableName)}
	}
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); held {
			out[k.Child] = append(out[k.Child], k.Columns...)
		}
	}
	return out
}

// seeks is the condition under which a column, of the table under the alias t, has
// the key in any form that a person takes for it: in other letters, with blanks, or
// at any depth of a JSON document. "" if it isn't one to look at.
func (e *estate) seeks(c relational.Column) string {
	key, at := e.a.Key, relational.Quote("t", c.Name)
	names := e.a.names()
	if len(names) == 0 {
		names = []string{"tenant"}
	}
	kind, wide := affinity(c.Type), relational.Telling(key) || relational.Speaks(c.Name, names)
	if kind == "numeric" && !isNumber(key) {
		return ""
	}
	same := func(value string) string {
		return "lower(trim(cast(" + value + " as text))) = lower(" + literal(strings.TrimSpace(key)) + ")"
	}
	var any []string
	if wide {
		any = append(any, isKey(at, kind, key), same(at))
	}
	if kind == "numeric" {
		return strings.Join(any, " or ")
	}
	leaf := "atom is not null and " + same("atom")
	if wide {
		leaf = "(" + leaf + " or " + same("key") + ")"
	} else {
		var named []string
		for _, n := range names {
			named = append(named, "replace(lower(fullkey), '_', '') like "+literal("%"+relational.Stem(n)+"%"))
		}
		leaf += " and (" + strings.Join(named, " or ") + ")"
	}
	return strings.Join(append(any, "case when instr(lower(cast("+at+" as text)), lower("+literal(strings.TrimSpace(key))+")) > 0 and json_valid("+at+") then exists (select 1 from json_tree("+at+") where "+leaf+") end"), " or ")
}

// keyless says that the blueprint gives the table no tenant column.
func (e *estate) keyless(t relational.Table) bool {
	for name, column := range e.a.Columns {
		if n, ok := e.Graph.Find("", name); ok && n == t.TableName && column == "" {
			return true
		}
	}
	return false
}
