package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// lets says that rows lose the reference, and stay, when what it refers to goes.
func (e *estate) lets(k relational.ForeignKey) bool {
	if k.OnDelete == relational.SetNull || k.OnDelete == relational.SetDefault {
		return true
	}
	for name, word := range e.a.Links {
		if word == relational.Detach && strings.EqualFold(name, k.Link()) {
			return true
		}
	}
	return false
}

// changed are the columns that change with a reference: its own, and all that are
// generated, since what they are made of isn't worked out.
func (e *estate) changed(k relational.ForeignKey) []string {
	t, _ := e.Graph.Table(k.Child)
	out := slices.Clone(k.Columns)
	for _, c := range t.Columns {
		if c.Generated {
			out = append(out, c.Name)
		}
	}
	return out
}

// chained are the references to columns that change when rows lose k.
func (e *estate) chained(k relational.ForeignKey) []relational.ForeignKey {
	var out []relational.ForeignKey
	for _, o := range e.Graph.Keys() {
		if o.Parent == k.Child && slices.ContainsFunc(o.Parents, func(c string) bool { return foldedIn(e.changed(k), c) }) {
			out = append(out, o)
		}
	}
	return out
}

// losing is the condition, over the child under the alias t, for rows that lose the
// reference and haven't gone by then themselves, in the order of the classes.
func (e *estate) losing(k relational.ForeignKey, order []string) string {
	parent, _ := e.Table(k.Parent)
	out := "(" + tuple("t", k.Columns) + ") in (select " + tuple("t", k.Parents) + " from " + quote(k.Parent.Name) + ` as "t" where ` + parent.Where() + ")"
	own, class := e.Classes[k.Child], e.Classes[k.Parent]
	if child, ok := e.Table(k.Child); ok && (own == class || own != "" && at(order, own) < at(order, class)) {
		out += " and (" + child.Where() + ") is not true"
	}
	return out
}

func tuple(alias string, columns []string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = relational.Quote(alias, c)
	}
	return strings.Join(out, ", ")
}

// consequences are what the loss of references does besides: to other rows of the
// same table, and where a default leads nowhere.
func (e *estate) consequences(ctx context.Context, s *session, order []string) ([]connector.Place, error) {
	var out []connector.Place
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); !held || !e.lets(k) {
			continue
		}
		for _, look := range []func(context.Context, *session, relational.ForeignKey, []string) (*connector.Place, error){e.settled, e.defaulted, e.disturbed} {
			p, err := look(ctx, s, k, order)
			if err != nil {
				return nil, err
			}
			if p != nil {
				p.Kind, p.Class = connector.PlaceReference, e.class(k.Parent.Name)
				if p.Name == "" {
					p.Name, p.Via = k.Link(), "→ "+k.Parent.Name
				}
				out = append(out, *p)
			}
		}
	}
	return out, nil
}

// settled is a reference whose loss lets a conflict clause decide over rows.
func (e *estate) settled(ctx context.Context, s *session, k relational.ForeignKey, order []string) (*connector.Place, error) {
	x := e.c.settles(k.Child.Name, e.changed(k))
	if x == nil {
		return nil, nil
	}
	n, err := s.count(ctx, "select count(*) from "+quote(k.Child.Name)+` as "t" where `+e.losing(k, order))
	if err != nil || n == 0 {
		return nil, err
	}
	what := map[string]string{"replace": "delete the rows that they are alike with", "ignore": "keep the reference"}[x.how]
	return blocked(connector.Place{Rows: n}, relational.Plural(n, "row")+" of "+k.Child.Name+" would lose their reference to "+k.Parent.Name+", and may "+what+": "+
		strings.Join(x.columns, ", ")+" is declared on conflict "+x.how, "take on conflict "+x.how+" out of the table's definition, or move these rows to another row of "+k.Parent.Name), nil
}

// defaulted is a reference whose default leads to no row that stays.
func (e *estate) defaulted(ctx context.Context, s *session, k relational.ForeignKey, order []string) (*connector.Place, error) {
	if k.OnDelete != relational.SetDefault {
		return nil, nil
	}
	defaults := map[string]string{}
	var column, text string
	err := s.each(ctx, "select name, coalesce(dflt_value, 'null') from pragma_table_xinfo("+literal(k.Child.Name)+")", func() error {
		defaults[column] = text
		return nil
	}, &column, &text)
	if err != nil {
		return nil, err
	}
	parent, _ := e.Table(k.Parent)
	child, _ := e.Graph.Table(k.Child)
	none, same, must := []string{}, []string{}, []string{"false"}
	for i, c := range k.Columns {
		none = append(none, "("+defaults[c]+") is null")
		if at, _ := child.Column(c); at.Required {
			must = append(must, none[i])
		}
		same = append(same, relational.Quote("t", k.Parents[i])+" = ("+defaults[c]+")")
	}
	n, err := s.count(ctx, "select count(*) from "+quote(k.Child.Name)+` as "t" where `+e.losing(k, order)+" and ("+strings.Join(must, " or ")+" or not ("+strings.Join(none, " or ")+") and not exists (select 1 from "+
		quote(k.Parent.Name)+` as "t" where `+strings.Join(same, " and ")+" and ("+parent.Where()+") is not true))")
	if err != nil || n == 0 {
		return nil, err
	}
	return blocked(connector.Place{Rows: n}, relational.Plural(n, "row")+" of "+k.Child.Name+" would refer to "+k.Parent.Name+" by the default of "+strings.Join(k.Columns, ", ")+
		", and no row stays there that it names", "add the row of "+k.Parent.Name+" that the default names, or move these rows to another"), nil
}

// disturbed is a reference at whose loss triggers write of rows that aren't the
// tenant's. Where the blueprint answers for them they may write to what belongs to
// no tenant.
func (e *estate) disturbed(ctx context.Context, s *session, k relational.ForeignKey, order []string) (*connector.Place, error) {
	i := slices.IndexFunc(e.c.triggers, func(g trigger) bool {
		return e.c.watches(g, k.Child) && slices.ContainsFunc(g.writes, func(w write) bool { return !e.c.keeps(w) && !(e.excused(g) && e.open(w.table)) })
	})
	if i < 0 {
		return nil, nil
	}
	where := e.losing(k, order)
	if child, held := e.Table(k.Child); held {
		where += " and (" + child.Where() + ") is not true"
	}
	n, err := s.count(ctx, "select count(*) from "+quote(k.Child.Name)+` as "t" where `+where)
	if err != nil || n == 0 {
		return nil, err
	}
	g := e.c.triggers[i]
	return blocked(connector.Place{Rows: n}, relational.Plural(n, "row")+" of "+k.Child.Name+" which aren't the tenant's lose their reference to "+k.Parent.Name+", and trigger "+g.name+" runs on them",
		"let it run at changes of other columns alone (update of), or, where it writes to tables that belong to no tenant, "+e.ignore(g)), nil
}

// open says that a trigger which the blueprint answers for may write to the table.
func (e *estate) open(table string) bool {
	n, ok := e.Graph.Find("", table)
	t, _ := e.Graph.Table(n)
	return !ok || e.class(table) == "" && e.lent(t)
}

// dangling counts the references that lead nowhere, in tables whose references
// follow a column that an erasure may change.
func (e *estate) dangling(ctx context.Context, s *session) (map[string]int64, error) {
	out := map[string]int64{}
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); !held || !e.lets(k) {
			continue
		}
		for _, o := range e.chained(k) {
			if _, done := out[o.Child.Name]; done {
				continue
			}
			n, err := s.count(ctx, "select count(*) from pragma_foreign_key_check("+literal(o.Child.Name)+")")
			if err != nil {
				return nil, err
			}
			out[o.Child.Name] = n
		}
	}
	return out, nil
}

func (s *session) count(ctx context.Context, query string) (n int64, err error) {
	err = s.each(ctx, query, func() error { return nil }, &n)
	return n, err
}
