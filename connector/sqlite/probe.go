package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

func probes() []connector.ProbeKind {
	return []connector.ProbeKind{
		{Name: "reachable", Help: "the file opens, can be written and is sound (pragma quick_check)", Types: []string{"database"}},
		{Name: "isolation", Help: "no other name in the folder leads to the file: no symbolic or hard link, and its mark is of this very file", Types: []string{"database"}},
		{Name: "exposure", Help: "no other user of the machine can read or change the file, its journals or its folder", Types: []string{"database"}},
		{Name: "encryption", Help: "the profile asks for nothing that SQLite can't show. Encryption at rest isn't visible here, so a profile that requires it fails"},
		{Name: "sql", Help: "params query, as (tenant: the resource's own file; platform: the shared one), expect (rows, no-rows, refused or value) and value: a query that must answer so; it can't write", SQL: []string{"query"}},
	}
}

// Probe is described at connector.Prober.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	if err := context.Cause(ctx); err != nil {
		return o, coded(err)
	}
	switch c.Kind {
	case "reachable":
		o, err = d.probed(ctx, c, d.reachable)
	case "isolation":
		o, err = d.probed(ctx, c, d.isolated)
	case "exposure":
		o, err = d.probed(ctx, c, d.exposed)
	case "encryption":
		o, err = encrypted(c.Encryption)
	case "sql":
		o, err = d.probeSQL(ctx, c)
	default:
		err = tenure.Errorf(tenure.Invalid, "sqlite has no probe %q", c.Kind)
	}
	if err != nil {
		return connector.Outcome{}, coded(err)
	}
	return o, nil
}

func passed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: fmt.Sprintf(format, args...)}, nil
}

func failed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Detail: fmt.Sprintf(format, args...)}, nil
}

// probed gives the probe the resource's file, which must be there and whole.
func (d *Driver) probed(ctx context.Context, c connector.Check, try func(context.Context, connector.Ref, *file) (connector.Outcome, error)) (connector.Outcome, error) {
	if c.Ref.Type != "database" {
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "probe %s is for a database, and %q is a %s", c.Kind, c.Ref.Name, c.Ref.Type)
	}
	if err := checkName(c.Ref.Name); err != nil {
		return connector.Outcome{}, err
	}
	f, err := d.find(ctx, c.Ref.Name, c.Ref.Resource, justMark)
	switch {
	case err != nil:
		return connector.Outcome{}, err
	case f == nil || f.aside:
		return failed("it isn't there, or is in quarantine")
	case f.odd != "":
		return failed("what is there is %s", f.odd)
	}
	return try(ctx, c.Ref, f)
}

func (d *Driver) reachable(ctx context.Context, _ connector.Ref, f *file) (connector.Outcome, error) {
	found := ""
	err := d.on(ctx, f.path, writing, func(s *session) (err error) {
		if found, err = s.value(ctx, "pragma quick_check(1)"); err != nil || found != "ok" {
			return err
		}
		return s.within(ctx, "begin immediate", "rollback", func() error { return nil })
	})
	switch r := result(err); {
	case r == sqlite3.SQLITE_CORRUPT, r == sqlite3.SQLITE_NOTADB, r == sqlite3.SQLITE_READONLY, r == sqlite3.SQLITE_ERROR, r == sqlite3.SQLITE_TOOBIG:
		return failed("it can't be used: %v", err)
	case err != nil:
		return connector.Outcome{}, err
	case found != "ok":
		return failed("it isn't sound: %s", found)
	}
	return passed("it opens, can be written, and quick_check finds nothing")
}

// isolated looks for other names of the file, in the folder and by its links.
func (d *Driver) isolated(_ context.Context, r connector.Ref, f *file) (connector.Outcome, error) {
	if d.owner(f) != r.Resource || f.note.Name != r.Name {
		return failed("its mark isn't of this database")
	}
	info, err := os.Lstat(f.path)
	if err != nil {
		return connector.Outcome{}, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return failed("it has %d names on the file system", st.Nlink)
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return connector.Outcome{}, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if target, err := os.Stat(filepath.Join(d.dir, e.Name())); err == nil && os.SameFile(target, info) {
			return failed("the symbolic link %s leads to it", e.Name())
		}
	}
	return passed("no other name among %d leads to it", len(entries))
}

func (d *Driver) exposed(_ context.Context, _ connector.Ref, f *file) (connector.Outcome, error) {
	for _, p := range []string{f.path, f.path + sidecars[0], f.path + sidecars[1], f.path + sidecars[2], d.dir, d.at(ownDir)} {
		info, err := os.Lstat(p)
		if os.IsNotExist(err) && p != f.path {
			continue
		}
		if err != nil {
			return connector.Outcome{}, err
		}
		if m := info.Mode().Perm(); m&0o077 != 0 {
			return failed("others have permissions on %s: mode %04o", filepath.Base(p), m)
		}
	}
	return passed("no other user has a permission on the file, its journals or its folder")
}

func encrypted(want tenure.Encryption) (connector.Outcome, error) {
	if want.AtRest != "" || want.KeyOwner == "tenant" {
		return failed("SQLite can't show whether or with whose key its files are encrypted at rest")
	}
	return passed("nothing is asked that SQLite can't show; no data leaves the machine")
}

// probeSQL runs a blueprint's query on a connection that can't write and can't
// reach another file.
func (d *Driver) probeSQL(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	query, expect := c.Params["query"], c.Params["expect"]
	if err := sqltext.SQLite().One(query); err != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe sql: %w", err)
	}
	rows, first := 0, ""
	try := func(s *session) error {
		r, err := s.Query(ctx, query)
		if err != nil {
			return err
		}
		defer r.Close()
		for ; r.Next(); rows++ {
			if rows > 0 {
				continue
			}
			if first, err = firstOf(r); err != nil {
				return err
			}
		}
		return r.Err()
	}
	switch c.Params["as"] {
	case "tenant":
		o, err = d.probed(ctx, c, func(ctx context.Context, _ connector.Ref, f *file) (connector.Outcome, error) {
			return connector.Outcome{Passed: true}, d.on(ctx, f.path, reading, try)
		})
		if err == nil && !o.Passed {
			return o, nil
		}
	case "platform", "":
		if d.shared == "" {
			return o, tenure.Errorf(tenure.Invalid, "probe sql as the platform needs the option shared")
		}
		err = d.onShared(ctx, reading, try)
	default:
		return o, tenure.Errorf(tenure.Invalid, "probe sql: parameter as is %q, not tenant or platform", c.Params["as"])
	}
	return judge(expect, c.Params["value"], rows, first, err)
}

// judge compares an answer with what was expected of it.
func judge(expect, value string, rows int, first string, err error) (connector.Outcome, error) {
	refused := false
	switch result(err) {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_PERM:
		refused = true
	case sqlite3.SQLITE_ERROR: // no such table, too many attached databases
		refused = strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "too many attached")
	}
	if err != nil && !refused {
		return connector.Outcome{}, err
	}
	return relational.Judge(expect, value, rows, first, refused)
}
