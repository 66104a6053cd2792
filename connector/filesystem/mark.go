package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var (
	_ connector.Settler  = (*Driver)(nil)
	_ connector.Secluder = (*Driver)(nil)
	_ connector.Adopter  = (*Driver)(nil)
)

// sealedFile says that no record of this root is without a seal.
const sealedFile = own + "/sealed"

// text is what a record's seal is over: its mark, and all else that it holds.
func (rec record) text() (string, error) {
	rec.Seal = ""
	raw, err := json.Marshal(rec)
	return rec.Mark + "\n" + string(raw), err
}

// keep writes a record, sealed.
func (d *Driver) keep(r *os.Root, rec *record) error {
	text, err := rec.text()
	if err != nil {
		return err
	}
	rec.Seal = d.marker.Seal(text)
	raw, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return replace(r, recordPath(rec.Type, rec.Name), raw, 0o600)
}

// whose says whose a record is. One of ours in which anything was changed is Forged.
func (d *Driver) whose(rec *record) (tenure.ResourceID, connector.Ownership) {
	text, err := rec.text()
	if err != nil {
		return "", connector.Malformed
	}
	return d.marker.ReadSealed(text, rec.Seal)
}

// Settle is described at connector.Settler: records of older builds are sealed, once.
func (d *Driver) Settle(ctx context.Context) error {
	return d.with(ctx, "settle", func(r *os.Root) error {
		if _, err := r.Lstat(sealedFile); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, t := range types() {
			files, _, err := names(r, path.Join(marksDir, t.Name))
			if err != nil {
				return err
			}
			for _, file := range files {
				rec, broken, err := readRecord(r, t.Name, strings.TrimSuffix(file, ".json"))
				if err != nil {
					return err
				}
				if rec == nil || broken || rec.Seal != "" {
					continue
				}
				if id, owner := d.marker.Read(rec.Type, rec.Mark); owner == connector.Ours {
					rec.Mark = d.marker.Named(id)
					if err := d.keep(r, rec); err != nil {
						return err
					}
				}
			}
		}
		return replace(r, sealedFile, nil, 0o600)
	})
}

// Exposed is described at connector.Secluder.
func (d *Driver) Exposed(ctx context.Context) (out []string, err error) {
	err = d.with(ctx, "exposed", func(r *os.Root) error {
		for _, dir := range []string{own, marksDir} {
			info, err := r.Lstat(dir)
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				out = append(out, fmt.Sprintf("%s has the permissions %04o, and only its owner should have any", dir, info.Mode().Perm()))
			}
		}
		return nil
	})
	return out, err
}

// Adopt is described at connector.Adopter.
func (d *Driver) Adopt(ctx context.Context, ref connector.Ref, _ tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := parse(ref)
	if err != nil {
		return rec, err
	}
	defer d.turns.Take(ref.Type, ref.Name)()
	err = d.with(ctx, "adopt "+ref.Type, func(r *os.Root) error {
		p, err := d.find(r, ref.Type, ref.Name)
		if err != nil {
			return err
		}
		if !p.found() {
			return tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
		}
		id, owner := p.resource, p.owner
		if old, broken, err := readRecord(r, ref.Type, ref.Name); err != nil {
			return err
		} else if old != nil && !broken {
			id, owner = d.whose(old) // which may be the record of another file
		}
		switch {
		case p.owner == connector.Ours && p.resource == ref.Resource:
			return nil
		case owner == connector.Others, owner == connector.Ours && id != ref.Resource:
			return tenure.Errorf(tenure.Conflict, "%s %q bears another mark (%s)", ref.Type, ref.Name, owner)
		case ref.Type == document && !p.info.Mode().IsRegular(), ref.Type != document && !p.info.IsDir():
			return tenure.Errorf(tenure.Conflict, "%s %q: what is there is no %s", ref.Type, ref.Name, ref.Type)
		}
		object, err := identityAt(r, p.path)
		if err != nil {
			return err
		}
		fresh := d.recordOf(ref, a, object)
		if p.rec = &fresh; p.quarantined {
			held, _, err := measure(ctx, r, p, a)
			if err != nil {
				return err
			}
			fresh.Quarantine = &census{Objects: held["objects"], Bytes: held["bytes"]}
		}
		rec.Changed = true
		return d.keep(r, &fresh)
	})
	return rec, err
}

// recordOf is the record of a thing with an identity.
func (d *Driver) recordOf(ref connector.Ref, a attributes, object string) record {
	return record{
		Mark: d.marker.Named(ref.Resource), Type: ref.Type, Name: ref.Name, Tenant: ref.Tenant, Environment: ref.Environment,
		Identities: []string{object}, Attributes: a.recorded(),
	}
}
