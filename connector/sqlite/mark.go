package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Settler  = (*Driver)(nil)
	_ connector.Secluder = (*Driver)(nil)
)

// marksDir holds the note of each tenant's file, under the file's identity: a tenant
// writes its file, and nothing in Tenure's folder.
const marksDir = ownDir + "/marks"

// settledFile says that marks in tenants' files have had their say.
const settledFile = marksDir + "/settled"

// markOf is where the note of what stands at path is, and what identifies it.
func (d *Driver) markOf(path string) (file, object string, err error) {
	object, err = identity(path)
	return filepath.Join(marksDir, object), object, err
}

// readMark reads the note of what stands at path; nil if it has none.
func (d *Driver) readMark(path string) (*relational.Note, error) {
	file, object, err := d.markOf(path)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(d.at(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := relational.ParseNote(string(raw)).On(object)
	return &n, nil
}

// writeMark writes the note of what stands at path, sealed.
func (d *Driver) writeMark(path string, n relational.Note) error {
	file, object, err := d.markOf(path)
	if err != nil {
		return err
	}
	if err := makeDir(d.at(marksDir)); err != nil {
		return err
	}
	return d.write(file, []byte(n.With(relational.ObjectKey, object).Sealed(d.marker)))
}

// unlinkMarked removes a file and then its note: while anything of it is left, the
// note is there.
func (d *Driver) unlinkMarked(path string) error {
	file, _, err := d.markOf(path)
	if err != nil {
		return err
	}
	if err := unlink(path); err != nil {
		return err
	}
	if err := os.Remove(d.at(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unmark drops the notes of a resource whose file is gone.
func (d *Driver) unmark(r connector.Ref) error {
	entries, err := os.ReadDir(d.at(marksDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		file := d.at(filepath.Join(marksDir, e.Name()))
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // another call's
		}
		if id, owner := relational.ParseNote(string(raw)).Read(d.marker, "database"); owner == connector.Ours && id == r.Resource {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return err
}

// inside is the note that a tenant's file holds of itself; blank if there is none.
func inside(ctx context.Context, s *session) (n relational.Note, err error) {
	has, err := s.value(ctx, "select name from sqlite_schema where type = 'table' and name = 'tenure_mark'")
	if err != nil || has == "" {
		return n, err
	}
	text, err := s.value(ctx, "select substr(note, 1, 2000) from tenure_mark where type = 'database' limit 1")
	return relational.ParseNote(text), err
}

// copied is the note of the database that a file without a mark is a copy of, by what
// is in it. It says nothing of the database itself, whose tenant can write it.
func (d *Driver) copied(ctx context.Context, s *session, name string) (*relational.Note, error) {
	n, err := inside(ctx, s)
	if err != nil || n.Name == name {
		return nil, err
	}
	if id, owner := n.Unsealed(d.marker, "database"); owner == connector.Ours {
		n.Mark = d.marker.Named(id)
		n = n.Seal(d.marker)
	}
	if _, owner := n.Read(d.marker, "database"); owner != connector.Ours {
		return nil, nil
	}
	return &n, nil
}

// Settle is described at connector.Settler. Older builds kept the mark of a tenant's
// file in the file, and sealed none. What authenticates there, and stands where it
// says, is taken over once.
func (d *Driver) Settle(ctx context.Context) error {
	done := relational.NewNote(d.marker, connector.Ref{Type: "settled", Name: string(d.marker.Installation)})
	raw, err := os.ReadFile(d.at(settledFile))
	if err == nil && relational.ParseNote(string(raw)).String() == done.String() {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return coded(err)
	}
	found, err := d.older(ctx)
	if err == nil && d.shared != "" {
		var rows int
		rows, err = d.reseal(ctx)
		found += rows
	}
	if err == nil && found > 0 {
		if err = makeDir(d.at(marksDir)); err == nil {
			err = d.write(settledFile, []byte(done.Sealed(d.marker)))
		}
	}
	return coded(err)
}

// older takes over the marks in tenants' files.
func (d *Driver) older(ctx context.Context) (found int, err error) {
	stands, err := (databases{d}).stands()
	if err != nil {
		return 0, err
	}
	for _, at := range stands {
		f, err := d.read(ctx, at.name, at.path, at.aside, justMark)
		if err != nil || f == nil || f.odd != "" || f.note != nil {
			continue // what can't be read now shows when it is looked at; a copy isn't taken over
		}
		var n relational.Note
		err = d.on(ctx, f.path, reading, func(s *session) error { n, err = inside(ctx, s); return err })
		if err != nil {
			continue
		}
		if id, owner := n.Unsealed(d.marker, "database"); owner == connector.Ours && n.Type == "database" && n.Name == f.name {
			n.Mark = d.marker.Named(id)
			if err := d.writeMark(f.path, n); err != nil {
				return found, err
			}
			found++
		}
	}
	return found, nil
}

// reseal seals the notes of older builds in the shared file.
func (d *Driver) reseal(ctx context.Context) (found int, err error) {
	err = d.onShared(ctx, writing, func(s *session) error {
		older, err := s.value(ctx, "select count(*) from tenure_mark where note like 'tenure:1:%'")
		if err != nil || older == "0" {
			return err
		}
		return s.atomic(ctx, func() error {
			all, err := marks.All(ctx, s, dialect{}, "rows")
			for _, n := range all {
				if id, owner := n.Unsealed(d.marker, "rows"); owner == connector.Ours {
					n.Mark = d.marker.Named(id)
					if err := marks.Put(ctx, s, d.marker, n); err != nil {
						return err
					}
					found++
				}
			}
			return err
		})
	})
	return found, err
}

// Exposed is described at connector.Secluder.
func (d *Driver) Exposed(context.Context) (out []string, err error) {
	for _, dir := range []string{ownDir, marksDir} {
		info, err := os.Lstat(d.at(dir))
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			out = append(out, fmt.Sprintf("%s has the permissions %04o, and only its owner should have any", dir, info.Mode().Perm()))
		}
	}
	return out, nil
}

func absent(r connector.Ref) error {
	return tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
}

func (k databases) Adopt(ctx context.Context, r connector.Ref, _ tenure.ResourceState) (rec connector.Receipt, err error) {
	if _, err := k.parse(r); err != nil {
		return rec, err
	}
	defer k.turns.Take("", r.Name)()
	f, err := k.find(ctx, r.Name, r.Resource, justMark)
	if err != nil {
		return rec, err
	}
	if f == nil {
		return rec, absent(r)
	}
	if f.odd != "" {
		return rec, k.claim(f, r)
	}
	have := relational.Note{}
	if f.note != nil {
		have = *f.note
	}
	if lost, err := relational.Lost(k.marker, have, r); err != nil || !lost {
		return rec, err
	}
	rec.Changed = true
	return rec, k.writeMark(f.path, relational.NewNote(k.marker, r))
}

func (k pools) Adopt(ctx context.Context, r connector.Ref, _ tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	spec, err := tenure.Canonical(a.spec())
	if err != nil {
		return rec, err
	}
	err = k.onShared(ctx, writing, func(s *session) error {
		return s.atomic(ctx, func() error {
			have, _, err := marks.Get(ctx, s, r.Type, r.Name)
			if err != nil {
				return err
			}
			if lost, err := relational.Lost(k.marker, have, r); err != nil || !lost {
				return err
			}
			if err := k.free(ctx, s, r, a.spec()); err != nil {
				return err
			}
			rec.Changed = true
			return marks.Put(ctx, s, k.marker, relational.NewNote(k.marker, r).With("spec", string(spec)))
		})
	})
	return rec, err
}

func (k rowRecords) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.onShared(ctx, writing, func(s *session) error {
		return s.atomic(ctx, func() error {
			rec, err = k.records.Adopt(ctx, s, r, as)
			return err
		})
	})
	return rec, err
}
