package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// databases are files of a tenant's own.
type databases struct{ *Driver }

type databaseAttributes struct {
	DDL  string `json:"ddl"`
	Seed string `json:"seed"`
	relational.Elsewhere
	relational.Coverage
}

// spec is what of a database can be observed.
type spec struct {
	Mode   string   `json:"mode"`
	Owner  string   `json:"owner,omitempty"` // a stranger's
	Schema string   `json:"schema"`
	Tables []string `json:"tables"`
}

const fileMode fs.FileMode = 0o600

func (k databases) parse(r connector.Ref) (a databaseAttributes, err error) {
	if err := checkName(r.Name); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if strings.TrimSpace(a.DDL) == "" {
		return a, tenure.Errorf(tenure.Invalid, "database %q: the attribute ddl is missing", r.Name)
	}
	if strings.ContainsRune(a.DDL+a.Seed, 0) {
		return a, tenure.Errorf(tenure.Invalid, "database %q: the ddl or the seed holds a NUL byte", r.Name)
	}
	if err := a.Elsewhere.Check(r); err != nil {
		return a, err
	}
	return a, checkCoverage(r, a.Coverage, true)
}

// checkCoverage refuses what a file can't have, too.
func checkCoverage(r connector.Ref, c relational.Coverage, whole bool) error {
	if len(c.Derived) > 0 {
		return tenure.Errorf(tenure.Invalid, "%s %q: SQLite has no materialized views, so derived means nothing", r.Type, r.Name).
			WithHint("cover the table that holds the copy, in the attribute tables")
	}
	return c.Check(r, whole)
}

func (k databases) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	s, err := k.given(context.Background(), a.DDL) // in memory, so there is nothing to wait for
	if err != nil {
		return nil, err
	}
	return specOf(s, fileMode, "")
}

func specOf(s shape, mode fs.FileMode, owner string) (json.RawMessage, error) {
	return tenure.Canonical(spec{fmt.Sprintf("%04o", mode), owner, s.digest, s.tables})
}

func (k databases) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	defer k.turns.Take("", d.Name)()
	f, err := k.owned(ctx, d.Ref)
	switch {
	case err != nil:
		return o, rec, err
	case f == nil:
		rec.Changed, err = true, k.create(ctx, d, a)
	case f.aside:
		return o, rec, tenure.Errorf(tenure.Conflict, "database %q is quarantined", d.Name).WithHint("bring it back, or delete it")
	case f.note.Name != d.Name:
		return o, rec, tenure.Errorf(tenure.Conflict, "database %q is a copy of %q", d.Name, f.note.Name)
	default:
		rec.Changed, err = k.repair(ctx, f, a)
	}
	if err != nil {
		return o, rec, err
	}
	o, err = k.look1(ctx, d.Ref)
	return o, rec, err
}

// create makes the file under another name and then gives it its own, which
// never replaces one that somebody made meanwhile.
func (k databases) create(ctx context.Context, d connector.Desired, a databaseAttributes) error {
	if _, err := k.dropBegun(d.Resource); err != nil {
		return err
	}
	tmp := k.at(filepath.Join(newDir, string(d.Resource)+"."+rand.Text()+suffix))
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	err = f.Chmod(fileMode) // whatever the umask is
	if err == nil {
		err = k.on(ctx, tmp, writing, func(s *session) error { return k.fill(ctx, s, d, a) })
	}
	if err == nil {
		err = k.writeMark(tmp, relational.NewNote(k.marker, d.Ref))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = move(tmp, k.at(d.Name+suffix))
	}
	if err != nil {
		_ = k.unlinkMarked(tmp)
	}
	return err
}

func (k databases) fill(ctx context.Context, s *session, d connector.Desired, a databaseAttributes) error {
	err := s.atomic(ctx, func() error {
		// By which copies of the file are known; of the file itself it proves nothing.
		if err := s.run(ctx, markSQL); err != nil {
			return err
		}
		if err := marks.Put(ctx, s, k.marker, relational.NewNote(k.marker, d.Ref)); err != nil {
			return err
		}
		if err := s.run(ctx, a.DDL+"\n"); err != nil {
			return err
		}
		return s.run(ctx, a.Seed+"\n")
	})
	if err != nil {
		return err
	}
	// A platform that reads while others write wants a write-ahead log.
	return s.run(ctx, "pragma journal_mode = wal")
}

// repair brings permissions and schema back. What the ddl doesn't know stays,
// and shows as drift.
func (k databases) repair(ctx context.Context, f *file, a databaseAttributes) (changed bool, err error) {
	if f.owner != "" {
		if err := os.Lchown(f.path, os.Geteuid(), os.Getegid()); err != nil {
			return false, err
		}
		changed = true
	}
	if f.mode != fileMode {
		if err := os.Chmod(f.path, fileMode); err != nil {
			return false, err
		}
		changed = true
	}
	want, err := k.given(ctx, a.DDL)
	if err != nil {
		return changed, err
	}
	err = k.on(ctx, f.path, writing, func(s *session) error {
		have, err := shapeOf(ctx, s)
		if err != nil || have.digest == want.digest {
			return err
		}
		return s.atomic(ctx, func() error {
			if err := s.run(ctx, a.DDL+"\n"); err != nil {
				return err
			}
			now, err := shapeOf(ctx, s)
			changed = changed || now.digest != have.digest
			return err
		})
	})
	return changed, err
}

// look1 observes one database. A file that may not be read is an error.
func (k databases) look1(ctx context.Context, r connector.Ref) (connector.Observed, error) {
	f, err := k.find(ctx, r.Name, r.Resource, andRows)
	if err != nil || f == nil {
		return connector.Observed{Type: "database", Name: r.Name}, err
	}
	return k.shown(f)
}

// shown is a file that was read to its schema as an observation.
func (k databases) shown(f *file) (o connector.Observed, err error) {
	o = connector.Observed{Type: "database", Name: f.name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked, Detail: f.odd, Attributes: json.RawMessage("{}"), Metrics: f.metrics}
	if f.aside {
		o.State = tenure.ResourceQuarantined
	}
	switch {
	case f.note == nil && f.shape.digest == "":
		return o, nil
	case f.note != nil:
		o.Resource, o.Owner = f.note.Read(k.marker, "database")
		if f.note.Name != f.name {
			o.Detail = "a copy of " + f.note.Name
		}
	}
	mode := f.mode
	if f.aside && mode == asideMode {
		mode = fileMode // as it will be when it is brought back
	}
	o.Attributes, err = specOf(f.shape, mode, f.owner)
	return o, err
}

func measure(ctx context.Context, s *session, f *file) (map[string]int64, error) {
	m := map[string]int64{"bytes": f.size, "rows": 0}
	for _, t := range f.shape.tables {
		var n int64
		err := s.each(ctx, "select count(*) from "+quote(t), func() error { m["rows"] += n; return nil }, &n)
		if err != nil && result(err) != sqlite3.SQLITE_ERROR { // which a virtual table gives whose module isn't there
			return nil, err
		}
	}
	if side, err := os.Lstat(f.path + sidecars[0]); err == nil {
		m["bytes"] += side.Size()
	}
	return m, nil
}

func (k databases) Observe(ctx context.Context, _ *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	whole := true
	for _, r := range refs {
		o := connector.Observed{Type: "database", Name: r.Name}
		if checkName(r.Name) == nil {
			var err error
			o, err = k.look1(ctx, r)
			if errors.Is(err, fs.ErrPermission) {
				whole, o, err = false, connector.Observed{Type: "database", Name: r.Name, Detail: "it may not be read"}, nil
			}
			if len(refs) > 1 && isBusy(extended(err)) { // who holds its own file keeps nobody else's from being seen
				whole, o, err = false, connector.Observed{Type: "database", Name: r.Name, Detail: err.Error()}, nil
			}
			if err != nil {
				return false, err
			}
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return whole, nil
}
