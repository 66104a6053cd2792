package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// effects are what a batch does to rows beyond its own statements: by triggers, and
// by what references do when their parent goes. The data map has judged what can be
// read of that; this is what happened.
type effects struct {
	e       *estate
	class   string
	deleted map[string]int64 // by table, the batch's own deletes among them
	foul    *tenure.Error    // the first write that nobody knows of
}

// watched runs one batch and is Blocked by what it did that it wasn't to do. The
// batch is one transaction, which the caller then rolls back.
func (e *estate) watched(ctx context.Context, s *session, class string, batch func() (connector.Erased, error)) (connector.Erased, error) {
	if len(e.c.triggers) == 0 {
		return batch()
	}
	w := &effects{e: e, class: class, deleted: map[string]int64{}}
	hook := func(f sqlite.PreUpdateHookFn) error {
		return s.conn.Raw(func(c any) error { c.(sqlite.HookRegisterer).RegisterPreUpdateHook(f); return nil })
	}
	if err := hook(w.see); err != nil {
		return connector.Erased{}, err
	}
	out, err := batch()
	if ended := hook(nil); err == nil {
		err = ended
	}
	if err == nil {
		err = w.judge(out.Counts)
	}
	if err != nil {
		return connector.Erased{}, err
	}
	return out, nil
}

// see takes in one row that is about to change. SQLite doesn't tell of the rows of
// virtual tables; those in which they are kept are no tables of the graph.
func (w *effects) see(d sqlite.SQLitePreUpdateData) {
	t, known := w.e.Graph.Find("", d.TableName)
	if d.Op == sqlite3.SQLITE_DELETE && known {
		w.deleted[t.Name]++
	}
	if w.foul != nil || d.Depth() == 0 {
		return
	}
	table, _ := w.e.Graph.Table(t)
	switch vouched := w.e.vouched(d.TableName); {
	case d.Op == sqlite3.SQLITE_INSERT && known:
		if says, nobodys := w.inserted(table, d); says != "" && (nobodys || !vouched) {
			w.foul = w.blame(t.Name, says)
		}
	case vouched:
	case strings.HasPrefix(strings.ToLower(d.TableName), "tenure_"):
		w.foul = w.blame(d.TableName, "writes to "+d.TableName+", which is Tenure's")
	case d.Op == sqlite3.SQLITE_UPDATE && known && !w.within(t.Name):
		if column := w.changed(table, d); column != "" {
			w.foul = w.blame(t.Name, "changes "+column+" of rows of "+t.Name)
		}
	}
}

// vouched says that the blueprint answers for a trigger which writes to the table.
func (e *estate) vouched(table string) bool {
	return slices.ContainsFunc(e.c.triggers, func(g trigger) bool {
		return e.excused(g) && slices.ContainsFunc(g.writes, func(w write) bool { return strings.EqualFold(w.table, table) })
	})
}

// within says that all rows of the table are the tenant's and go with the class.
func (w *effects) within(table string) bool {
	return w.e.whole && (w.class == "" || w.e.class(table) == w.class)
}

// inserted says what is wrong with a row that a trigger adds, "" if nothing is, and
// whether the row names no tenant where others do: nothing would ever find it.
func (w *effects) inserted(t relational.Table, d sqlite.SQLitePreUpdateData) (says string, nobodys bool) {
	switch {
	case w.e.Shared(t.TableName):
		return "", false
	case w.e.class(t.Name) == "":
		return "adds rows to " + t.Name + ", which no data class covers", false
	case w.e.whole:
		return "", false
	}
	name, path, _ := relational.CutPath(w.e.TenantColumn(t.TableName))
	row := make([]any, d.Count())
	i := slices.Index(t.Names(), name)
	if i < 0 || i >= len(row) || d.New(row...) != nil {
		return "adds rows to " + t.Name + " of which can't be told that they have the tenant's key", false
	}
	switch valueAt(row[i], path) {
	case w.e.a.Key:
		return "", false
	case "":
		return "adds rows to " + t.Name + " that name no tenant (" + name + ")", true
	}
	return "adds rows to " + t.Name + " that don't have the tenant's key in " + name, false
}

// valueAt is a value as a key, or what stands at a path in it.
func valueAt(v any, path []string) string {
	switch x := v.(type) {
	case nil:
		return ""
	case []byte:
		v = string(x)
	case float64:
		v = strconv.FormatFloat(x, 'f', -1, 64)
	}
	text := fmt.Sprint(v)
	for _, key := range path {
		var m map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &m) != nil {
			return ""
		}
		text = string(m[key])
		var s string
		if json.Unmarshal(m[key], &s) == nil {
			text = s
		}
	}
	return text
}

// changed is a column that a trigger gives another value; "" if it may be what a
// reference does when the row goes to which it leads.
func (w *effects) changed(t relational.Table, d sqlite.SQLitePreUpdateData) string {
	was, is := make([]any, d.Count()), make([]any, d.Count())
	if d.Old(was...) != nil || d.New(is...) != nil {
		return "something"
	}
	for i, name := range t.Names() {
		if i >= len(was) || fmt.Sprint(was[i]) == fmt.Sprint(is[i]) {
			continue
		}
		if !slices.ContainsFunc(w.e.Graph.Keys(), func(k relational.ForeignKey) bool {
			_, held := w.e.Table(k.Parent)
			return held && k.Child == t.TableName && slices.Contains(k.Columns, name) && (k.OnDelete == relational.SetNull && is[i] == nil || k.OnDelete == relational.SetDefault)
		}) {
			return name
		}
	}
	return ""
}

// judge is Blocked if the batch did more than it was to do.
func (w *effects) judge(counts map[string]int64) error {
	if w.foul != nil {
		return w.foul
	}
	for table, n := range w.deleted {
		if n > counts[table] && !w.within(table) {
			return w.blame(table, "deletes rows of "+table+" that the erasure didn't take")
		}
	}
	return nil
}

// blame names the triggers that write to a table, or all if none says that it does.
func (w *effects) blame(table, what string) *tenure.Error {
	var names, all []string
	for _, g := range w.e.c.triggers {
		says := "trigger " + g.name + " of " + g.table
		all = append(all, says)
		if slices.ContainsFunc(g.writes, func(o write) bool { return strings.EqualFold(o.table, table) }) {
			names = append(names, says)
		}
	}
	if len(names) == 0 {
		names = all
	}
	return tenure.Errorf(tenure.Blocked, "%s %s", strings.Join(names, " or "), what).
		WithHint("change it so that it keeps nothing of a tenant that leaves and touches nothing of others, then retry; nothing was erased in this batch")
}
