package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Driver is one opening of a world.
type Driver struct {
	world  *World
	marker connector.Marker
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Adopter     = (*Driver)(nil)
	_ connector.Leaver      = (*Driver)(nil)
	_ connector.Suspender   = (*Driver)(nil)
	_ connector.Revoker     = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Tallier     = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Expirer     = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
	_ connector.Elevator    = (*Driver)(nil)
	_ connector.Enumerator  = (*Driver)(nil)
)

// World gives what the driver works on.
func (d *Driver) World() *World { return d.world }

// Close has nothing to let go of.
func (d *Driver) Close() error { return nil }

// Plant plants the sentinel and its neighbour.
func (d *Driver) Plant(ctx context.Context) (string, error) {
	w := d.world
	f, err := w.begin(ctx, "plant")
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := !w.state.Sentinel
	w.state.Sentinel = true
	if err := f.end(w.save(changed)); err != nil {
		return "", err
	}
	return w.state.Fingerprint, nil
}

// Normalise gives the attributes as they will be observed.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	return normalise(want.Ref)
}

// Ensure creates the thing or brings it to desired. A suspended one stays
// suspended; a revoked one that has a credential comes back only with a new one.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	raw, err := normalise(want.Ref)
	if err != nil {
		return o, rec, err
	}
	w := d.world
	f, err := w.begin(ctx, "ensure", want.Ref)
	if err != nil {
		return o, rec, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := key{want.Type, want.Name}
	t, found := w.things[k]
	if !found {
		t = &Thing{
			Type: want.Type, Name: want.Name, State: tenure.ResourcePresent, Attributes: json.RawMessage("{}"),
			Tenant: want.Tenant, Environment: want.Environment, maker: d, owner: want.Resource,
		}
	} else if want.Take && want.Type == "record" && t.mark() == "" {
		if err := loses(t, raw); err != nil {
			return o, rec, err
		}
		t.maker, t.owner, t.Tenant, t.Environment = d, want.Resource, want.Tenant, want.Environment
		found = false // its mark has to be kept
	} else if err := d.owns(t, want.Ref); err != nil {
		return o, rec, err
	}
	changed, err := bring(t, want, raw, f.partial())
	if err != nil {
		return o, rec, err
	}
	rec.Changed = changed || !found
	w.things[k] = t
	if err := f.end(w.save(rec.Changed)); err != nil {
		return o, rec, err
	}
	return d.look(t), rec, nil
}

// loses is Conflict if a record would lose what others have written there.
func loses(t *Thing, raw json.RawMessage) error {
	var has, gets map[string]any
	if err := errors.Join(json.Unmarshal(t.Attributes, &has), json.Unmarshal(raw, &gets)); err != nil {
		return tenure.Errorf(tenure.Conflict, "%s %q is there, and can't be read: %w", t.Type, t.Name, err)
	}
	return connector.Loses(t.Type, t.Name, has, gets)
}

// bring sets what differs. The state of a thing moves only where Ensure may.
func bring(t *Thing, want connector.Desired, raw json.RawMessage, partial bool) (changed bool, err error) {
	if t.State == tenure.ResourceQuarantined {
		return false, tenure.Errorf(tenure.Conflict, "%s %q is in quarantine", t.Type, t.Name).WithHint("bring it back first")
	}
	if t.Type == "api_key" || t.Type == "account" {
		if changed, err = credential(t, want); err != nil {
			return false, err
		}
	} else if t.State == tenure.ResourceRevoked {
		t.State, changed = tenure.ResourcePresent, true
	}
	if !partial && !bytes.Equal(t.Attributes, raw) {
		t.Attributes, changed = raw, true
	}
	return changed, nil
}

func credential(t *Thing, want connector.Desired) (changed bool, err error) {
	if want.Credential.IsZero() {
		if t.Credential == nil {
			return false, tenure.Errorf(tenure.Invalid, "%s %q needs a credential", t.Type, t.Name)
		}
		if t.State == tenure.ResourceRevoked {
			return false, tenure.Errorf(tenure.Conflict, "%s %q was revoked; it comes back only with a new credential", t.Type, t.Name)
		}
		return false, nil
	}
	sum := sha256.Sum256([]byte(want.Credential.Reveal()))
	switch same := bytes.Equal(t.Credential, sum[:]); {
	case same && t.State == tenure.ResourceRevoked:
		return false, tenure.Errorf(tenure.Conflict, "%s %q was revoked; it comes back only with a new credential", t.Type, t.Name)
	case same:
		return false, nil
	}
	t.Credential = sum[:]
	if t.State == tenure.ResourceRevoked {
		t.State = tenure.ResourcePresent
	}
	return true, nil
}

// read says whose mark a thing bears.
func (d *Driver) read(t *Thing) (tenure.ResourceID, connector.Ownership) {
	if t.maker == d {
		return t.owner, connector.Ours
	}
	return d.marker.Read(t.Type, t.mark())
}

// owns refuses a thing that isn't the ref's.
func (d *Driver) owns(t *Thing, r connector.Ref) error {
	id, owner := d.read(t)
	switch {
	case owner != connector.Ours:
		return tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", r.Type, r.Name, owner).
			WithHint("choose another name, or have its owner remove it")
	case id != r.Resource:
		return tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", r.Type, r.Name, id)
	}
	return nil
}

// look is a thing as it is observed.
func (d *Driver) look(t *Thing) connector.Observed {
	o := connector.Observed{Type: t.Type, Name: t.Name, Found: true, State: t.State, Attributes: t.Attributes, Copies: slices.Clone(t.Copies)}
	id, owner := d.read(t)
	if o.Owner = owner; owner == connector.Ours {
		o.Resource = id
	}
	if slices.Contains(holding, t.Type) {
		var rows, size int64
		for _, list := range t.Rows {
			rows += int64(len(list))
			for _, r := range list {
				size += int64(len(r))
			}
		}
		o.Metrics = map[string]int64{"rows": rows, "bytes": size}
	}
	return o
}

func (d *Driver) sighting(partial bool) connector.Sighting {
	w := d.world
	return connector.Sighting{Fingerprint: w.state.Fingerprint, Sentinel: w.state.Sentinel, Complete: !w.hidden && !partial}
}

// Observe reads all refs in one pass.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	w := d.world
	f, err := w.begin(ctx, "observe", refs...)
	if err != nil {
		return connector.Sighting{}, err
	}
	if f.partial() {
		refs = refs[:len(refs)/2]
	}
	var keep [8]connector.Observed
	seen := keep[:0]
	w.mu.RLock()
	for _, r := range refs {
		if t, ok := w.things[key{r.Type, r.Name}]; ok {
			seen = append(seen, d.look(t))
		} else {
			seen = append(seen, connector.Observed{Type: r.Type, Name: r.Name})
		}
	}
	sight := d.sighting(f.partial())
	w.mu.RUnlock()
	if err := each(ctx, "observe", seen, yield); err != nil {
		return connector.Sighting{}, err
	}
	if f.partial() {
		return sight, nil
	}
	return sight, f.end(nil)
}

func each(ctx context.Context, call string, seen []connector.Observed, yield func(connector.Observed) error) error {
	for i := range seen {
		if ctx.Err() != nil {
			return ended(ctx, call)
		}
		if err := yield(seen[i]); err != nil {
			return err
		}
	}
	return nil
}

// Discover yields every thing of the world: all of them stand where only ours
// should.
func (d *Driver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	w := d.world
	f, err := w.begin(ctx, "discover")
	if err != nil {
		return connector.Sighting{}, err
	}
	var seen []connector.Observed
	w.mu.RLock()
	for _, k := range w.sorted() {
		t := w.things[k]
		if k.typ == "record" && t.mark() == "" { // others' own
			continue
		}
		if len(s.Types) > 0 && !slices.Contains(s.Types, k.typ) || s.Tenant != "" && t.Tenant != "" && t.Tenant != s.Tenant {
			continue
		}
		seen = append(seen, d.look(t))
	}
	sight := d.sighting(f.partial())
	w.mu.RUnlock()
	if f.partial() {
		seen = seen[:len(seen)/2]
	}
	if err := each(ctx, "discover", seen, yield); err != nil {
		return connector.Sighting{}, err
	}
	if f.partial() {
		return sight, nil
	}
	return sight, f.end(nil)
}

// change runs f on the thing of a ref if it is there and ours, and saves.
func (d *Driver) change(ctx context.Context, call string, r connector.Ref, absent error, do func(*Thing) (bool, error)) (rec connector.Receipt, err error) {
	w := d.world
	f, err := w.begin(ctx, call, r)
	if err != nil {
		return rec, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok {
		return rec, f.end(absent)
	}
	if err := d.owns(t, r); err != nil {
		return rec, err
	}
	if rec.Changed, err = do(t); err != nil {
		return rec, err
	}
	return rec, f.end(w.save(rec.Changed))
}

// Adopt gives a thing that has lost its mark another one.
func (d *Driver) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	w := d.world
	f, err := w.begin(ctx, "adopt", r)
	if err != nil {
		return rec, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok {
		return rec, f.end(tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name))
	}
	switch id, owner := d.read(t); {
	case owner == connector.Ours && id == r.Resource:
		return rec, f.end(nil)
	case owner == connector.Ours, owner == connector.Others:
		return rec, d.owns(t, r)
	}
	t.maker, t.owner, t.Tenant, t.Environment = d, r.Resource, r.Tenant, r.Environment
	if t.State == tenure.ResourcePresent && (as == tenure.ResourceSuspended || as == tenure.ResourceRevoked) {
		t.State = as
	}
	rec.Changed = true
	return rec, f.end(w.save(true))
}

// Delete removes the thing, in quarantine or not. One whose copies haven't
// expired is Blocked; a share that has rows is Conflict, since they must be erased.
func (d *Driver) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.change(ctx, "delete", r, nil, func(t *Thing) (bool, error) {
		if n := copiesLeft(t, time.Time{}); n > 0 {
			return false, tenure.Errorf(tenure.Blocked, "%s %q still has %d copies", r.Type, r.Name, n).WithHint("they go when they expire")
		}
		if t.Type == "rows" && t.count() > 0 {
			return false, tenure.Errorf(tenure.Conflict, "%s %q still has rows", r.Type, r.Name).Retryable()
		}
		delete(d.world.things, key{r.Type, r.Name})
		return true, nil
	})
}

// Leave writes a record for the last time and takes the mark off.
func (d *Driver) Leave(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	raw, err := normalise(r)
	if err != nil {
		return rec, err
	}
	w := d.world
	f, err := w.begin(ctx, "leave", r)
	if err != nil {
		return rec, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.things[key{r.Type, r.Name}]
	if !ok {
		return rec, f.end(nil)
	}
	if id, owner := d.read(t); owner != connector.Ours || id != r.Resource {
		return rec, f.end(nil)
	}
	t.maker, t.owner, t.Mark, t.Tenant, t.Environment, t.Attributes = nil, "", "", "", "", raw
	rec.Changed = true
	return rec, f.end(w.save(true))
}
