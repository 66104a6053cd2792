package sqlite

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// fulltext is an FTS5 table (sqlite.org/fts5 §4.4) as what it is to an erasure.
type fulltext struct {
	virtual
	columns []string
	content string // the table or view that its texts stand in; "" if in itself, or nowhere
	rowid   string // the content's column that names a row
	bare    bool   // contentless: it keeps no texts
	removes bool   // contentless, and rows can be deleted by their rowid
}

// fulltexts are the FTS5 tables that can be read.
func fulltexts(ctx context.Context, q relational.Querier, all []virtual) ([]fulltext, error) {
	var out []fulltext
	for _, v := range all {
		if v.module != "fts5" || v.unreadable != "" {
			continue
		}
		f := fulltext{virtual: v, rowid: "rowid"}
		content, given := v.option("content")
		f.content, f.bare = content, given && content == ""
		if id, ok := v.option("content_rowid"); ok {
			f.rowid = id
		}
		deletes, _ := v.option("contentless_delete")
		f.removes = f.bare && deletes == "1"
		var column string
		err := each(ctx, q, "select name from pragma_table_xinfo("+literal(v.name)+") where hidden = 0 order by cid", func() error {
			f.columns = append(f.columns, column)
			return nil
		}, &column)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// keeps says whether the index holds its texts itself, so that its rows can be
// deleted like a table's.
func (f fulltext) keeps() bool { return f.content == "" && !f.bare }

// command is a statement that gives the index one of FTS5's commands.
func (f fulltext) command(word string) string {
	return "insert into " + quote(f.name) + " (" + quote(f.name) + ") values (" + literal(word) + ")"
}

// tell is a trigger of this connection's own that tells an index with external
// content of each row that goes, with the texts that the row had, as FTS5 asks for.
// A row that the index doesn't know of stays untold: it would spoil the index.
func (f fulltext) tell(n int) string {
	name := "tenure_fulltext_" + strconv.Itoa(n)
	old := make([]string, len(f.columns))
	for i, c := range f.columns {
		old[i] = "old." + quote(c)
	}
	id := "old." + quote(f.rowid)
	if strings.EqualFold(f.rowid, "rowid") {
		id = "old.rowid"
	}
	known := "" // an index without columnsize doesn't say what it holds
	if size, _ := f.option("columnsize"); size != "0" {
		known = " when exists (select 1 from main." + quote(f.name+"_docsize") + " where id = " + id + ")"
	}
	return "create temp trigger " + name + " before delete on main." + quote(f.content) + known + " begin insert into " + quote(f.name) + " (" + quote(f.name) + ", rowid, " +
		relational.QuoteList(f.columns) + ") values ('delete', " + id + ", " + strings.Join(old, ", ") + "); end"
}

// attend makes deletes on this session keep the indexes in step with the tables that
// hold their texts, where no trigger of the platform's does.
func attend(ctx context.Context, s *session, c catalog) error {
	for i, f := range c.fulltexts {
		if !c.has(f.content) || c.told(f.name, f.content) {
			continue
		}
		if err := s.run(ctx, f.tell(i)); err != nil {
			return err
		}
	}
	return nil
}

// purge merges the indexes that follow one of the tables, so that no word of a
// row that went is in them: FTS5 keeps what it deletes until its segments are
// merged. With anew an index whose texts stand elsewhere is made again from them,
// whatever its triggers have done. One that keeps no texts and that nothing else
// takes rows out of is emptied when it goes itself.
func purge(ctx context.Context, s *session, c catalog, went func(table string) bool, anew bool) error {
	for _, f := range c.fulltexts {
		if f.bare && went(f.name) {
			if err := s.run(ctx, f.command("delete-all")); err != nil {
				return err
			}
		}
		if !went(f.name) && !went(f.content) && !slices.ContainsFunc(c.writers(f.name), went) {
			continue
		}
		if anew && f.content != "" {
			if err := s.run(ctx, f.command("rebuild")); err != nil {
				return err
			}
		}
		if err := s.run(ctx, f.command("optimize")); err != nil {
			return err
		}
	}
	return nil
}
