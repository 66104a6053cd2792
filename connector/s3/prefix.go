package s3

import (
	"context"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// findPrefix reads the record of a prefix. Without one, it is there if anything stands
// under it, and nobody's.
func (d *Driver) findPrefix(ctx context.Context, name string) (thing, error) {
	at, err := d.locate(name)
	if err != nil {
		return thing{}, err
	}
	r, err := d.stored(ctx, prefix, name)
	if err != nil {
		return thing{}, err
	}
	if r != nil {
		return d.as(thing{found: true}, r), nil
	}
	for _, err := range d.stock(ctx, at.bucket, at.below, "") {
		return thing{found: true, owner: connector.Unmarked, state: tenure.ResourcePresent}, err
	}
	return thing{}, nil
}

func (d *Driver) ensurePrefix(ctx context.Context, ref connector.Ref, t thing) (rec connector.Receipt, err error) {
	fresh := d.recordOf(ref)
	if t.found && t.rec.Tenant == ref.Tenant && t.rec.Environment == ref.Environment {
		return rec, nil
	}
	at, err := d.locate(ref.Name)
	if err != nil {
		return rec, err
	}
	there, err := d.client.BucketExists(ctx, at.bucket)
	if err != nil {
		return rec, err
	}
	if !there {
		return rec, tenure.Errorf(tenure.Blocked, "the shared bucket %s isn't there", at.bucket).WithHint("make it, or correct the option shared")
	}
	rec.Changed = true
	return rec, d.keep(ctx, fresh, !t.found)
}

// deletePrefix removes the record of a prefix under which nothing is left.
func (d *Driver) deletePrefix(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	at, err := d.locate(ref.Name)
	if err != nil {
		return rec, err
	}
	for e, err := range d.stock(ctx, at.bucket, at.below, "") {
		if err != nil {
			return rec, err
		}
		return rec, tenure.Errorf(tenure.Blocked, "prefix %q still holds %s", ref.Name, e).WithHint("what it holds is erased before it is deleted")
	}
	rec.Changed = true
	return rec, d.forget(ctx, prefix, ref.Name)
}

// listPrefixes are the names of which there is a record, or under which something stands
// in the places of prefixes: versions and uploads, too.
func (d *Driver) listPrefixes(ctx context.Context) ([]string, error) {
	names, err := d.storedNames(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, b := range d.shared {
		first := func(key string) {
			segment, _, _ := strings.Cut(strings.TrimPrefix(key, b.below), "/")
			if segment != "" {
				names = append(names, b.String()+segment)
			}
		}
		for _, versions := range []bool{true, false} {
			listed := false
			for o := range d.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.below, WithVersions: versions}) {
				if is(o.Err, "NoSuchBucket") {
					listed = true
					break
				}
				if versions && unable(o.Err) {
					break
				}
				if o.Err != nil {
					return nil, o.Err
				}
				listed = true
				first(o.Key)
			}
			if listed || !d.versionless(ctx, b.bucket) {
				break
			}
		}
		for e, err := range d.uploads(ctx, b.bucket, b.below) {
			if err != nil {
				return nil, err
			}
			first(e.key)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return names, nil
}
