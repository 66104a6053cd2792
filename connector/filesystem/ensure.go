package filesystem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// Ensure creates the thing, or brings its mode, record and text to desired.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := parse(want.Ref)
	if err != nil {
		return o, rec, err
	}
	defer d.turns.Take(want.Type, want.Name)()
	err = d.with(ctx, "ensure "+want.Type, func(r *os.Root) error {
		p, err := d.owned(r, want.Ref)
		if err != nil {
			return err
		}
		switch {
		case p.quarantined:
			err = tenure.Errorf(tenure.Conflict, "%s %q is in quarantine", want.Type, want.Name).WithHint("bring it back first")
		case !p.found():
			rec.Changed, err = true, d.create(r, want.Ref, a)
		default:
			rec.Changed, err = d.bring(r, want.Ref, p, a)
		}
		if err != nil {
			return err
		}
		o, err = d.observe(ctx, r, want.Ref)
		return err
	})
	return o, rec, err
}

// create makes the thing aside, records it, and moves it under its name: until
// then it is absent, and from then on it is known.
func (d *Driver) create(r *os.Root, ref connector.Ref, a attributes) error {
	if _, err := readSystem(r); err != nil {
		return tenure.Errorf(tenure.Blocked, "the root isn't set up: %w", err).WithHint("add the system first")
	}
	stage := d.stage(ref.Type, ref.Name)
	if err := r.RemoveAll(stage); err != nil {
		return err
	}
	if err := makeStage(r, stage, ref.Type, a); err != nil {
		return err
	}
	id, err := identityAt(r, stage)
	if err != nil {
		return err
	}
	rec := d.recordOf(ref, a, id)
	if err := d.keep(r, &rec); err != nil {
		return err
	}
	to := path.Join(ref.Type, ref.Name)
	if _, err := r.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, tenure.Errorf(tenure.Conflict, "%s %q has just been made by somebody else", ref.Type, ref.Name))
	}
	if err := r.Rename(stage, to); err != nil {
		return err
	}
	return syncDir(r, ref.Type)
}

// stage is where a thing is made. It is the same at every repetition, so that
// what a crash left is found.
func (d *Driver) stage(typ, name string) string {
	sum := sha256.Sum256([]byte(string(d.marker.Installation) + "/" + typ + "/" + name))
	return path.Join(stagingDir, hex.EncodeToString(sum[:16]))
}

func makeStage(r *os.Root, stage, typ string, a attributes) error {
	m := mode(typ, a.Public)
	if typ == document {
		return write(r, stage, []byte(*a.Text), m)
	}
	if err := r.Mkdir(stage, 0o700); err != nil {
		return err
	}
	return errors.Join(r.Chmod(stage, m), syncDir(r, stage))
}

// bring changes what differs in a thing of ours.
func (d *Driver) bring(r *os.Root, ref connector.Ref, p place, a attributes) (changed bool, err error) {
	if ref.Type == document {
		text, err := readText(r, p)
		if err != nil {
			return false, err
		}
		if text == nil || *text != *a.Text {
			return true, d.rewrite(r, p, a)
		}
	}
	if stranger(p.info) != "" {
		if err := r.Lchown(p.path, os.Geteuid(), os.Getegid()); err != nil {
			return false, err
		}
		changed = true
	}
	if bits(p.info.Mode()) != bits(mode(ref.Type, a.Public)) {
		if err := r.Chmod(p.path, mode(ref.Type, a.Public)); err != nil {
			return false, err
		}
		changed = true
	}
	if !p.rec.Attributes.equal(a.recorded()) {
		p.rec.Attributes = a.recorded()
		return true, d.keep(r, p.rec)
	}
	return changed, nil
}

// rewrite puts a new file in a document's place. The record names both files
// until the new one is there.
func (d *Driver) rewrite(r *os.Root, p place, a attributes) error {
	stage := d.stage(p.rec.Type, p.rec.Name)
	if err := removeIfThere(r, stage); err != nil {
		return err
	}
	if err := makeStage(r, stage, document, a); err != nil {
		return err
	}
	was, err := identityAt(r, p.path)
	if err != nil {
		return err
	}
	is, err := identityAt(r, stage)
	if err != nil {
		return err
	}
	p.rec.Identities, p.rec.Attributes = []string{was, is}, a.recorded()
	if err := d.keep(r, p.rec); err != nil {
		return err
	}
	if err := r.Rename(stage, p.path); err != nil {
		return err
	}
	if err := syncDir(r, path.Dir(p.path)); err != nil {
		return err
	}
	p.rec.Identities = []string{is}
	return d.keep(r, p.rec)
}

// readText is a document's text; what can't be one is given as its size.
func readText(r *os.Root, p place) (*string, error) {
	if !p.info.Mode().IsRegular() || p.info.Size() > maxText {
		s := fmt.Sprintf("(%s of %d bytes)", p.info.Mode().Type(), p.info.Size())
		return &s, nil
	}
	raw, err := r.ReadFile(p.path)
	if err != nil {
		return nil, err
	}
	s := string(raw)
	if !utf8.ValidString(s) {
		s = fmt.Sprintf("(%d bytes that aren't UTF-8)", len(raw))
	}
	return &s, nil
}

// Delete removes the thing and then its record. It is repeated safely at any
// point: while anything of it is left, the record is there.
func (d *Driver) Delete(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	if fieldsOf(ref.Type) == "" || checkName(ref.Name) != nil {
		return rec, nil // such a thing was never made
	}
	defer d.turns.Take(ref.Type, ref.Name)()
	err = d.with(ctx, "delete "+ref.Type, func(r *os.Root) error {
		p, err := d.owned(r, ref)
		if err != nil {
			return err
		}
		if p.found() {
			if err := d.unexpired(ctx, r, ref, p); err != nil {
				return err
			}
			n, err := removeTree(ctx, r, p)
			if err != nil {
				return err
			}
			rec = connector.Receipt{Changed: true, Counts: map[string]int64{"objects": n}}
		}
		return d.forget(r, ref)
	})
	return rec, err
}

// unexpired refuses to delete a folder of backups that still holds one.
func (d *Driver) unexpired(ctx context.Context, r *os.Root, ref connector.Ref, p place) error {
	if ref.Type != backups {
		return nil
	}
	_, copies, err := measure(ctx, r, p, p.rec.Attributes)
	if err != nil {
		return err
	}
	left := 0
	for _, c := range copies {
		if c.Expires.After(d.now()) {
			left++
		}
	}
	if left > 0 {
		return tenure.Errorf(tenure.Blocked, "%s %q still holds %d copies that haven't expired", ref.Type, ref.Name, left).WithHint("they are due when their keep has passed")
	}
	return nil
}

// forget removes the record of what is absent, if it is ours.
func (d *Driver) forget(r *os.Root, ref connector.Ref) error {
	rec, broken, err := readRecord(r, ref.Type, ref.Name)
	if err != nil || broken || rec == nil {
		return err
	}
	if id, owner := d.whose(rec); owner != connector.Ours || id != ref.Resource {
		return nil
	}
	if err := r.RemoveAll(d.stage(ref.Type, ref.Name)); err != nil {
		return err
	}
	if err := r.RemoveAll(path.Join(changedDir, objects.Hashed(string(ref.Resource)))); err != nil {
		return err
	}
	if err := removeIfThere(r, resultStage(ref.Resource)); err != nil {
		return err
	}
	if err := removeIfThere(r, recordPath(ref.Type, ref.Name)); err != nil {
		return err
	}
	return syncDir(r, path.Join(marksDir, ref.Type))
}
