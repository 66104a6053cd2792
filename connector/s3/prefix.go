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
	there, err := d.client().BucketExists(ctx, at.bucket)
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
		there, err := d.segments(ctx, b)
		if err != nil {
			return nil, err
		}
		for segment := range there {
			names = append(names, b.String()+segment)
		}
	}
	return names, nil
}

// stalled is how many entries that show nothing new a listing may give in a row.
const stalled = 3000

// segments are what follows a base, up to the next "/", in the keys of all that is there.
func (d *Driver) segments(ctx context.Context, b base) (map[string]bool, error) {
	out := map[string]bool{}
	first := func(key string) (fresh bool) {
		segment, _, _ := strings.Cut(strings.TrimPrefix(key, b.below), "/")
		fresh = segment != "" && !out[segment]
		if fresh {
			out[segment] = true
		}
		return fresh
	}
	for _, versions := range []bool{true, false} {
		listed, known := false, 0
		for o := range d.client().ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.below, WithVersions: versions}) {
			if is(o.Err, "NoSuchBucket") {
				return out, nil
			}
			if versions && unable(o.Err) {
				break // and list objects
			}
			if o.Err != nil {
				return nil, o.Err
			}
			listed = true
			if known++; first(o.Key) {
				known = 0
			}
			if known > stalled {
				return nil, tenure.Errorf(tenure.Unavailable, "the server's listing of bucket %s doesn't get on behind %q", b.bucket, o.Key).Retryable()
			}
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
	return out, nil
}
