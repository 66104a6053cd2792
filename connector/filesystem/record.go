package filesystem

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// record is what Tenure keeps of one thing, outside the customer's tree.
type record struct {
	Mark        string          `json:"mark"`
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Tenant      tenure.TenantID `json:"tenant,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Identities  []string        `json:"identities"` // of the file; two while one replaces the other
	Attributes  attributes      `json:"attributes"`
	Quarantine  *census         `json:"quarantine,omitempty"` // what was in it when it was set aside
	Seal        string          `json:"seal,omitempty"`       // over all of the above
}

// census counts a tree.
type census struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func recordPath(typ, name string) string { return path.Join(marksDir, typ, name+".json") }

func readRecord(r *os.Root, typ, name string) (rec *record, broken bool, err error) {
	raw, err := r.ReadFile(recordPath(typ, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	rec = new(record)
	if json.Unmarshal(raw, rec) != nil || rec.Type != typ || rec.Name != name {
		return nil, true, nil
	}
	return rec, false, nil
}

// place is one thing as it stands: where, and whose.
type place struct {
	path        string // "" if it is absent
	info        fs.FileInfo
	rec         *record // nil if there is none for this very file
	owner       connector.Ownership
	resource    tenure.ResourceID // "" unless ours
	quarantined bool
}

func (p place) found() bool { return p.path != "" }

// find looks under a thing's own name and in quarantine. A thing of ours in
// quarantine goes before a stranger's that has taken its place.
func (d *Driver) find(r *os.Root, typ, name string) (place, error) {
	rec, broken, err := readRecord(r, typ, name)
	if err != nil {
		return place{}, err
	}
	aside, err := d.at(r, path.Join(quarantineDir, typ, name), rec, broken)
	if err != nil {
		return place{}, err
	}
	if aside.quarantined = true; aside.rec != nil {
		return aside, nil
	}
	live, err := d.at(r, path.Join(typ, name), rec, broken)
	if err != nil || live.found() || !aside.found() {
		return live, err
	}
	return aside, nil
}

// at reads what stands under a path and compares it with the record.
func (d *Driver) at(r *os.Root, at string, rec *record, broken bool) (place, error) {
	info, err := r.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, nil
	}
	if err != nil {
		return place{}, err
	}
	id, err := identityAt(r, at)
	if err != nil {
		return place{}, err
	}
	p := place{path: at, info: info, owner: connector.Unmarked}
	switch {
	case broken:
		p.owner = connector.Malformed
	case rec != nil && (id == "" || slices.Contains(rec.Identities, id)):
		p.rec = rec
		p.resource, p.owner = d.whose(rec)
	}
	return p, nil
}

// owned finds a thing and refuses one that isn't the ref's. An absent one is no
// error.
func (d *Driver) owned(r *os.Root, ref connector.Ref) (place, error) {
	p, err := d.find(r, ref.Type, ref.Name)
	switch {
	case err != nil || !p.found():
		return p, err
	case p.owner != connector.Ours:
		return p, tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", ref.Type, ref.Name, p.owner).
			WithHint("choose another name, or have its owner move it away")
	case p.resource != ref.Resource:
		return p, tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", ref.Type, ref.Name, p.resource)
	}
	return p, nil
}
