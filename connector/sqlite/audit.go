package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// audit lists what tables and references don't show: virtual tables, triggers
// with what they write to, and tables whose rows SQLite won't delete.
func (e *estate) audit(ctx context.Context, s *session, order []string, counted bool) ([]connector.Place, error) {
	var out []connector.Place
	for _, v := range e.c.virtuals {
		p, err := e.virtualPlace(ctx, s, v, counted)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	for _, g := range e.c.triggers {
		runs := e.runs(g)
		if _, held := e.table(g.table); held || runs {
			out = append(out, e.triggerPlaces(g, runs, order)...)
		}
	}
	if k := e.mixed(); k != nil {
		says, fix := mixedSays(*k)
		out = append(out, *blocked(connector.Place{Name: k.Link(), Kind: connector.PlaceKey, Class: e.class(k.Parent.Name), Via: "→ " + k.Parent.Name}, says, fix))
	}
	for _, t := range e.Tables {
		p, err := e.deletable(ctx, s, t.Table.Name)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	if !counted {
		return out, nil
	}
	more, err := e.consequences(ctx, s, order)
	return append(out, more...), err
}

// deletable has SQLite compile the delete, with the triggers and references that
// it would run through, and not run it.
func (e *estate) deletable(ctx context.Context, s *session, table string) (*connector.Place, error) {
	r, err := s.Query(ctx, "explain delete from "+quote(table))
	if err == nil {
		r.Close()
		return nil, nil
	}
	if code := extended(err); code == 0 || isBusy(code) {
		return nil, err
	}
	p := &connector.Place{Name: table, Kind: connector.PlaceOrder, Class: e.class(table), Blocks: true, Says: "rows of " + table + " can't be deleted: " + plain(err),
		Fix: "mend what SQLite names, in the schema or in a trigger"}
	for _, k := range e.c.broken {
		if strings.EqualFold(k.Parent.Name, table) {
			p.Fix = "make " + strings.Join(k.Parents, ", ") + " of " + table + " unique, or correct the reference of " + k.Child.Name
		}
	}
	return p, nil
}

// blocked is a place that blocks, with its reason and what would settle it.
func blocked(p connector.Place, says, fix string) *connector.Place {
	p.Blocks, p.Says, p.Fix = true, says, fix
	return &p
}

// virtualPlace is what a virtual table is to the tenant; nil if it is nothing, or
// stands among the tables.
func (e *estate) virtualPlace(ctx context.Context, s *session, v virtual, counted bool) (*connector.Place, error) {
	p := connector.Place{Name: v.name, Kind: connector.PlaceDerived, Class: e.class(v.name), Via: v.module}
	by, wrong := e.c.unsure(v)
	if e.whole || v.unreadable != "" {
		by, wrong = nil, ""
	}
	if _, held := e.table(v.name); held && wrong != "" {
		return e.stray(p, wrong), nil
	} else if held || e.shared(v.name) {
		return nil, nil
	}
	if v.unreadable != "" {
		if e.whole && p.Class != "" && len(e.ClassNames()) < 2 {
			p.Says = "the rows of " + v.name + " can't be read here (" + v.unreadable + "); they go with the file"
			return &p, nil
		}
		return blocked(p, "the rows of "+v.name+" can't be read: "+v.unreadable, "drop it, or erase its rows with the program that made it and name it in the attribute shared"), nil
	}
	if i := slices.IndexFunc(e.c.fulltexts, func(f fulltext) bool { return f.name == v.name && f.content != "" }); i >= 0 {
		return e.external(ctx, s, e.c.fulltexts[i], p, counted)
	}
	writers := e.c.writers(v.name)
	sources := slices.DeleteFunc(slices.Clone(writers), func(t string) bool { _, held := e.table(t); return !held })
	switch {
	case len(sources) == 0 && e.whole && p.Class != "":
		return &p, nil // it is emptied with its class
	case len(sources) == 0 && e.whole:
		return blocked(p, "no data class covers "+v.name, "tables: {"+v.name+": CLASS}"), nil
	case len(sources) == 0 && len(writers) > 0:
		return nil, nil // it follows tables that hold nothing of the tenant's
	case len(sources) == 0:
		return blocked(p, v.name+" holds rows and nothing says whose they are: it has no tenant column, and no trigger keeps it in step with a table",
			"keep it in step by triggers, or shared: ["+v.name+"] if its rows belong to no tenant"), nil
	}
	for _, t := range sources {
		if p.Class == "" {
			p.Class = e.class(t)
		}
		if wrong != "" {
			return e.stray(p, wrong), nil
		}
		if n, err := e.unnumbered(ctx, s, t, by[strings.ToLower(t)], counted); err != nil || n > 0 {
			return e.stray(p, relational.Plural(n, "row")+" of "+t+" have no "+by[strings.ToLower(t)]), err
		}
		if !e.c.steady(v.name, t, "delete") {
			return blocked(p, "rows that triggers copy from "+t+" into "+v.name+" stay there, or may, when "+t+"'s rows go",
				"add a trigger without a condition that takes the row out of "+v.name+" when one of "+t+" is deleted"), nil
		}
		if e.c.fragile(v.name) && !e.c.steady(v.name, t, "update") {
			return blocked(p, v.name+" isn't told of each change of "+t+", so words of rows as they were may stay in it when they go",
				"add a trigger without a condition that tells "+v.name+" when a row of "+t+" is updated, and build the index anew; or make it with contentless_delete=1"), nil
		}
	}
	p.Via += ", kept in step by triggers of " + strings.Join(sources, ", ")
	return &p, nil
}

// unnumbered counts the tenant's rows of a table that have no value in the column by
// which an index knows them.
func (e *estate) unnumbered(ctx context.Context, s *session, table, column string, counted bool) (int64, error) {
	t, _ := e.table(table)
	if c, _ := t.Table.Column(column); !counted || c.Name == "" || c.Required {
		return 0, nil
	}
	return s.count(ctx, "select count(*) from "+quote(t.Table.Name)+` as "t" where `+relational.Quote("t", column)+" is null and "+t.Where())
}

// stray is a place of an index whose triggers may take out other rows than they
// put in.
func (e *estate) stray(p connector.Place, wrong string) *connector.Place {
	return blocked(p, "what stands in "+p.Name+" for rows that go can't be told: "+wrong,
		"let the triggers on insert, update and delete of one table put a row in and take it out by the same unique column, such as new.id and old.id, with the same texts, and build the index anew")
}

// external is an index whose texts stand in another table.
func (e *estate) external(ctx context.Context, s *session, f fulltext, p connector.Place, counted bool) (*connector.Place, error) {
	p.Via += ", over " + f.content
	if !e.c.has(f.content) {
		if e.whole {
			return &p, nil // all that it can show is the tenant's, and goes
		}
		return blocked(p, f.name+" is an index over the view "+f.content+", so it can't be kept in step when rows go",
			"name a table as its content, or shared: ["+f.name+"] if it holds nothing of a tenant"), nil
	}
	t, held := e.table(f.content)
	if !held {
		return nil, nil
	}
	if p.Class == "" || e.whole {
		p.Class = e.class(f.content)
	}
	if _, wrong := e.c.unsure(f.virtual); wrong != "" && !e.whole {
		return e.stray(p, wrong), nil
	}
	if !counted {
		return &p, nil
	}
	return &p, s.each(ctx, "select count(*) from "+quote(f.content)+` "t" where `+t.Where(), func() error { return nil }, &p.Rows)
}

// excused says that the blueprint lets the trigger write where it writes.
func (e *estate) excused(g trigger) bool {
	for name := range e.a.Triggers {
		if strings.EqualFold(name, g.table+"."+g.name) {
			return true
		}
	}
	return false
}
