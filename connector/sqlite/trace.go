package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Tracer = (*Driver)(nil)

// traceTime bounds one query: in files without a write-ahead log nobody writes meanwhile.
const traceTime = 3 * time.Second

// Trace is described at connector.Tracer. Of the folder it reads the names, sizes and times of
// files; tenants' own files aren't opened. The shared file is opened so that nothing beside
// it is made or changed either.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (out connector.Traced, err error) {
	t := &tracing{d: d, ask: ask, yield: yield}
	_, err = relational.TraceSteps(ctx, errSpent, t.says,
		relational.TraceStep{Name: "the folder", Do: t.folder},
		relational.TraceStep{Name: "the shared file", Do: t.shared})
	if err != nil {
		return connector.Traced{}, coded(err)
	}
	return t.out, nil
}

// stopped carries an error of the caller's through a look.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

type tracing struct {
	d     *Driver
	ask   connector.Tracing
	yield func(connector.Trace) error
	out   connector.Traced
}

func (t *tracing) says(s string) { t.out.Says = append(t.out.Says, s) }

// folder yields what stands in the folder of tenants' files.
func (t *tracing) folder(context.Context) error {
	if !t.ask.Calls.Spend() {
		return errSpent
	}
	entries, err := os.ReadDir(t.d.dir)
	if err != nil {
		if t.d.shared == "" {
			return tenure.Errorf(tenure.Unavailable, "the folder of the option dir can't be read: %w", err)
		}
		t.says("the folder of the option dir can't be read")
		return nil
	}
	names := make([]string, len(entries))
	marked := false
	for i, e := range entries {
		names[i] = e.Name()
		marked = marked || e.Name() == ownDir
	}
	for _, e := range entries {
		if e.Name() == ownDir || isSidecar(e.Name(), names) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.says("./" + e.Name() + " wasn't looked at: it can't be read")
			continue
		}
		one := fileTrace(e.Name(), info)
		if one.Type == "database" && marked {
			if n, err := t.d.readMark(t.d.at(e.Name())); err == nil && n != nil {
				_, one.Bears = n.Read(t.d.marker, "database")
			}
		}
		if err := t.yield(one); err != nil {
			return err
		}
	}
	return nil
}

// copies end, or stand in, the names of copies of files.
var copies = []string{".bak", ".backup", ".old", ".orig", ".dump", ".sql", ".gz", ".zst", ".zip", ".xz", ".tar", ".tgz", "~"}

func fileTrace(name string, info fs.FileInfo) connector.Trace {
	one := connector.Trace{Kind: connector.TracePlace, Word: "file", Name: name, ID: "file:" + name, Rows: -1, Bytes: -1, Used: info.ModTime().UTC()}
	stem, is := strings.CutSuffix(name, suffix)
	switch {
	case info.IsDir():
		one.Word = "folder"
		return one
	case info.Mode()&fs.ModeSymlink != 0:
		one.Word = "symbolic link"
		return one
	case is && info.Mode().IsRegular() && checkName(stem) == nil:
		one.Type, one.Name = "database", stem
	case slices.ContainsFunc(copies, func(c string) bool { return strings.HasSuffix(name, c) || strings.Contains(name, c+".") }):
		one.Kind = connector.TraceCopy
	}
	one.Bytes = info.Size()
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		one.Open = "every user of the machine may write it"
	case mode&0o004 != 0:
		one.Open = "every user of the machine may read it"
	}
	return one
}

// shared reads the file that tenants share.
func (t *tracing) shared(ctx context.Context) error {
	if t.d.shared == "" {
		return nil
	}
	info, err := os.Lstat(t.d.shared)
	if err != nil || !info.Mode().IsRegular() {
		t.says("the file of the option shared isn't there, can't be read, or is no regular file")
		return nil
	}
	home := fileTrace(filepath.Base(t.d.shared), info)
	home.Kind, home.Type, home.Name, home.ID, home.Labels = connector.TracePlace, "", filepath.Base(t.d.shared), "shared:"+filepath.Base(t.d.shared), map[string]string{"shared": "true"}
	if err := t.yield(home); err != nil {
		return err
	}
	how, says := unwriting(t.d.shared)
	if says != "" {
		t.says("the file of the option shared wasn't looked into: " + says)
		return nil
	}
	err = t.d.connect(ctx, "file:"+(&url.URL{Path: t.d.shared}).EscapedPath()+"?"+how, reading, func(s *session) error {
		s.calls = t.ask.Calls
		return t.tables(ctx, s, home.ID)
	})
	var stop *stopped
	switch {
	case errors.As(err, &stop):
		return stop.err
	case errors.Is(err, errSpent) || ctx.Err() != nil:
		return err
	case err != nil:
		t.says("the file of the option shared couldn't be read to its end: " + plain(err))
	}
	if now, err := os.Lstat(t.d.shared); strings.Contains(how, "immutable") && (err != nil || now.ModTime() != info.ModTime() || now.Size() != info.Size()) {
		t.says("the file of the option shared was written to while it was read, so that what was seen may be neither the older nor the newer state")
	}
	return nil
}

// unwriting is how a file can be opened without a file beside it being made, changed or taken
// away, or why it can't.
func unwriting(path string) (how, says string) {
	size := func(suffix string) int64 {
		info, err := os.Lstat(path + suffix)
		switch {
		case err != nil:
			return -1
		case !info.Mode().IsRegular():
			return -2
		}
		return info.Size()
	}
	wal, shm, journal := size("-wal"), size("-shm"), size("-journal")
	switch {
	case min(wal, shm, journal) < -1:
		return "", "a file beside it is no regular file"
	case journal > 0:
		return "", "somebody is writing to it, or a write was cut off that the next one who opens it takes back"
	case wal >= 0 && shm >= 0:
		return "mode=ro&readonly_shm=1", ""
	case wal > 0:
		return "", "it has a write-ahead log that no process has open, which can't be read without a change"
	}
	return "mode=ro&immutable=1", "" // a file with an empty log would get one by being opened otherwise
}

// tables yields the shared file's tables and what in them tells whose rows are.
func (t *tracing) tables(ctx context.Context, s *session, home string) error {
	c, err := readCatalog(ctx, s)
	if err != nil {
		return err
	}
	id := func(n relational.TableName) string { return relational.TraceID("table", n.Name) }
	yield := func(one connector.Trace) error {
		if err := t.yield(one); err != nil {
			return &stopped{err}
		}
		return nil
	}
	r := relational.TraceReader{
		Name: dialect{}.Name, ID: id, In: func(relational.TableName) string { return home },
		Closed: func(of relational.Table) string {
			if c.virtual(of.Name) != nil {
				return "it is a virtual table"
			}
			return ""
		},
		Facts: func(relational.TableName) relational.TableFacts { return relational.TableFacts{Rows: -1, Bytes: -1} },
		Text: func(_ relational.Table, c relational.Column) (string, string) {
			if c.Computed {
				return "", "it is worked out from other columns"
			}
			v := relational.Quote("t", c.Name)
			return "case typeof(" + v + ") when 'blob' then lower(hex(" + v + ")) else substr(cast(" + v + " as text), 1, 20000) end", ""
		},
		Texts: true,
		Latest: func(_ relational.Table, c relational.Column) string {
			if c.Computed {
				return ""
			}
			return "cast(max(" + relational.Quote("t", c.Name) + ") as text)"
		},
		Run: func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string) error) (bool, error) {
			var callers error
			done, err := s.texts(ctx, min(within, traceTime), query, columns, func(v []*string) {
				if callers == nil {
					callers = row(slices.Clone(v))
				}
			})
			if callers != nil {
				return false, callers
			}
			if err != nil && !errors.Is(err, errSpent) && ctx.Err() == nil {
				t.says(fmt.Sprintf("a query failed: %.200s", plain(err)))
				return false, nil
			}
			return done, err
		},
		Yield: yield, Says: t.says, Catalogue: &t.out.Catalogue, Now: t.d.now,
	}
	plan := relational.PlanTrace(c.graph, t.ask.Columns)
	if err := r.Tables(plan); err != nil {
		return err
	}
	return r.Rows(ctx, plan)
}
