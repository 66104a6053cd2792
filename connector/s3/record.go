package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// record is what a thing's mark says: in the tags of a bucket, or in an object of
// Tenure's own bucket for what can't bear tags.
type record struct {
	Mark        string               `json:"mark"`
	Type        string               `json:"type"`
	Name        string               `json:"name"`
	Tenant      tenure.TenantID      `json:"tenant,omitempty"`
	Environment string               `json:"environment,omitempty"`
	State       tenure.ResourceState `json:"state,omitempty"` // quarantined or revoked; "" otherwise
	Seal        string               `json:"seal,omitempty"`  // over all of the above
}

// The tags of a bucket; what others a bucket has are left alone.
const (
	tagMark        = "tenure"
	tagTenant      = "tenure-tenant"
	tagEnvironment = "tenure-environment"
	tagState       = "tenure-state"
	tagSeal        = "tenure-seal"
)

func (d *Driver) recordOf(ref connector.Ref) record {
	return record{Mark: d.marker.Named(ref.Resource), Type: ref.Type, Name: ref.Name, Tenant: ref.Tenant, Environment: ref.Environment}
}

// text is what a record's seal is over.
func (r record) text() string {
	r.Seal = ""
	raw, _ := json.Marshal(r) // strings alone
	return r.Mark + "\n" + string(raw)
}

// whose says whose a record is. One of ours in which anything was changed, or that was
// copied to another thing, is Forged.
func (d *Driver) whose(r *record) (tenure.ResourceID, connector.Ownership) {
	if r == nil || r.Mark == "" {
		return "", connector.Unmarked
	}
	return d.marker.ReadSealed(r.text(), r.Seal)
}

// as fills in whose a thing is, by its record.
func (d *Driver) as(t thing, r *record) thing {
	t.resource, t.owner = d.whose(r)
	t.state = tenure.ResourcePresent
	if t.owner != connector.Ours {
		return t
	}
	t.rec = r
	if r.State != "" {
		t.state = r.State
	}
	return t
}

// keep writes a record, sealed. A fresh one must not be there yet.
func (d *Driver) keep(ctx context.Context, r record, fresh bool) error {
	r.Seal = d.marker.Seal(r.text())
	if r.Type == bucket {
		return d.tag(ctx, r)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = d.put(ctx, markKey(r.Type, r.Name), raw, fresh)
	if is(err, "PreconditionFailed") {
		return tenure.Errorf(tenure.Conflict, "%s %q has just been made by somebody else", r.Type, r.Name)
	}
	return err
}

// tag writes a record into a bucket's tags, beside those of others.
func (d *Driver) tag(ctx context.Context, r record) error {
	all, err := d.tags(ctx, r.Name)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		tagMark: r.Mark, tagTenant: string(r.Tenant), tagEnvironment: r.Environment, tagState: string(r.State), tagSeal: r.Seal,
	} {
		if delete(all, name); value != "" {
			all[name] = value
		}
	}
	t, err := tags.NewTags(all, false)
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "bucket %q can't bear a mark in its tags: %w", r.Name, err)
	}
	return d.client().SetBucketTagging(ctx, r.Name, t)
}

// tags are a bucket's, by name; none is no error.
func (d *Driver) tags(ctx context.Context, name string) (map[string]string, error) {
	t, err := d.client().GetBucketTagging(ctx, name)
	if is(err, "NoSuchTagSet", "NoSuchTagSetError") {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return t.ToMap(), nil
}

// tagged is the record that a bucket's tags hold.
func tagged(name string, all map[string]string) *record {
	return &record{
		Mark: all[tagMark], Type: bucket, Name: name, Tenant: tenure.TenantID(all[tagTenant]), Environment: all[tagEnvironment],
		State: tenure.ResourceState(all[tagState]), Seal: all[tagSeal],
	}
}

// markKey is where the record of a thing is. Names are longer, and odder, than keys may
// be on every server.
func markKey(typ, name string) string {
	sum := sha256.Sum256([]byte(name))
	return marksPrefix + typ + "/" + hex.EncodeToString(sum[:]) + ".json"
}

// stored reads the record of a thing; nil if there is none. One that can't be read has
// a mark that can't be read.
func (d *Driver) stored(ctx context.Context, typ, name string) (*record, error) {
	r, err := d.storedAt(ctx, markKey(typ, name))
	if r != nil && (r.Type != typ || r.Name != name) {
		r = &record{Mark: "tenure:2:", Type: typ, Name: name}
	}
	return r, err
}

func (d *Driver) storedAt(ctx context.Context, key string) (*record, error) {
	raw, _, err := d.get(ctx, key)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(record)
	if json.Unmarshal(raw, r) != nil || r.Mark == "" {
		r = &record{Mark: "tenure:2:"}
	}
	return r, nil
}

// storedNames are the names that records of a type are of.
func (d *Driver) storedNames(ctx context.Context, typ string) ([]string, error) {
	keys, err := d.ownKeys(ctx, marksPrefix+typ+"/")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(keys))
	index := make([]int, len(keys))
	for i := range index {
		index[i] = i
	}
	err = each(ctx, index, func(ctx context.Context, i int) error {
		r, err := d.storedAt(ctx, keys[i])
		if r != nil && markKey(typ, r.Name) == keys[i] {
			names[i] = r.Name
		}
		return err
	})
	return names, err
}

// forget removes the record of what is absent.
func (d *Driver) forget(ctx context.Context, typ, name string) error {
	return d.drop(ctx, markKey(typ, name))
}

// intended is the record of a bucket that bears no tags, if it is one that Tenure was
// making when it was cut off: it was made after Tenure wrote that down, and is empty.
func (d *Driver) intended(ctx context.Context, name string) (*record, error) {
	raw, info, err := d.get(ctx, makingPrefix+name)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(record)
	if json.Unmarshal(raw, r) != nil || r.Type != bucket || r.Name != name {
		return nil, nil
	}
	if _, owner := d.whose(r); owner != connector.Ours {
		return nil, nil
	}
	if held, err := d.holdsAny(ctx, name); held || err != nil {
		return nil, err
	}
	all, err := d.client().ListBuckets(ctx)
	for _, b := range all {
		if b.Name == name && !b.CreationDate.Before(info.LastModified.Truncate(time.Second)) {
			return r, nil
		}
	}
	return nil, err
}

// intend writes down that a bucket is about to be made.
func (d *Driver) intend(ctx context.Context, ref connector.Ref) error {
	r := d.recordOf(ref)
	r.Seal = d.marker.Seal(r.text())
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return d.put(ctx, makingPrefix+ref.Name, raw, false)
}

func (d *Driver) holdsAny(ctx context.Context, name string) (bool, error) {
	for _, err := range d.stock(ctx, name, "", "") {
		return err == nil, err
	}
	return false, nil
}
