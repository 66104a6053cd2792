package s3

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// findBucket reads a bucket's mark and, with attributes, its policy, access list and
// settings.
func (d *Driver) findBucket(ctx context.Context, name string, attributes bool) (thing, error) {
	all, err := d.tags(ctx, name)
	if missing(err) {
		return thing{}, nil
	}
	if err != nil {
		return thing{}, err
	}
	t := d.as(thing{found: true}, tagged(name, all))
	if len(all) == 0 {
		r, err := d.intended(ctx, name)
		if err != nil {
			return t, err
		}
		if r != nil {
			t = d.as(thing{found: true, intent: true}, r)
		}
	}
	if !attributes || t.owner != connector.Ours {
		return t, nil
	}
	s, err := d.settings(ctx, name)
	if missing(err) {
		return thing{}, nil
	}
	if err != nil {
		return t, err
	}
	t.shown, err = tenure.Canonical(s)
	return t, err
}

// unmarked fills in what the server tells of a bucket that bears no mark. What Tenure may
// not read there hides nothing of a tenant's.
func (d *Driver) unmarked(ctx context.Context, name string, t thing) (thing, error) {
	s, err := d.settings(ctx, name)
	switch {
	case missing(err):
		return thing{}, nil
	case denied(err):
		t.detail = "its settings can't be read: the credential lacks rights"
		return t, nil
	case err != nil:
		return t, err
	}
	t.shown, err = tenure.Canonical(s)
	return t, err
}

// settings reads what of a bucket can drift.
func (d *Driver) settings(ctx context.Context, name string) (s bucketShown, err error) {
	if s.Policy, err = d.livePolicy(ctx, name); err != nil {
		return s, err
	}
	if s.Grants, err = d.grants(ctx, name); err != nil {
		return s, err
	}
	v, err := d.client().GetBucketVersioning(ctx, name)
	if err != nil && !d.noVersions(err) {
		return s, err
	}
	s.Versioning = err == nil && v.Enabled()
	s.ObjectLock, err = d.locking(ctx, name)
	return s, err
}

// noVersions says whether the server knows no versions.
func (d *Driver) noVersions(err error) bool {
	return unable(err) || is(err, "VersioningNotConfigured")
}

// locking says whether objects of a bucket can be locked.
func (d *Driver) locking(ctx context.Context, name string) (bool, error) {
	on, _, _, _, err := d.client().GetObjectLockConfig(ctx, name)
	if is(err, "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration") || unable(err) {
		return false, nil
	}
	return on == "Enabled", err
}

// ensureBucket makes the bucket or brings it to desired. Who makes it is written down
// before, so that what a crash leaves without a mark is known again.
func (d *Driver) ensureBucket(ctx context.Context, ref connector.Ref, t thing, a attributes) (rec connector.Receipt, err error) {
	if t.found && t.owner == connector.Ours && t.state == tenure.ResourceQuarantined {
		return rec, tenure.Errorf(tenure.Conflict, "bucket %q is in quarantine", ref.Name).WithHint("bring it back first")
	}
	if !t.found {
		if err := d.intend(ctx, ref); err != nil {
			return rec, err
		}
		err := d.client().MakeBucket(ctx, ref.Name, minio.MakeBucketOptions{Region: d.region, ObjectLocking: a.ObjectLock})
		if is(err, "BucketAlreadyOwnedByYou", "BucketAlreadyExists") { // another's, or the answer to an earlier try was lost
			var r *record
			if r, err = d.intended(ctx, ref.Name); err == nil && r == nil || denied(err) {
				err = tenure.Errorf(tenure.Conflict, "bucket %q is there and isn't ours, or can't be seen", ref.Name).WithHint("choose another name")
				return rec, errors.Join(err, d.drop(ctx, makingPrefix+ref.Name))
			}
		}
		if err != nil {
			return rec, err
		}
	}
	if !t.found || t.intent || t.rec.Tenant != ref.Tenant || t.rec.Environment != ref.Environment {
		rec.Changed = true
		if err := d.keep(ctx, d.recordOf(ref), false); err != nil {
			return rec, err
		}
	}
	if !t.found || t.intent {
		if err := d.drop(ctx, makingPrefix+ref.Name); err != nil {
			return rec, err
		}
	}
	changed, err := d.bring(ctx, ref.Name, a)
	rec.Changed = rec.Changed || changed
	return rec, err
}

// bring changes what differs in a bucket of ours.
func (d *Driver) bring(ctx context.Context, name string, a attributes) (changed bool, err error) {
	live, err := d.settings(ctx, name)
	if err != nil {
		return false, err
	}
	if live.ObjectLock != a.ObjectLock {
		if !a.ObjectLock {
			return false, tenure.Errorf(tenure.Blocked, "objects of bucket %q can be locked, and S3 takes that off no bucket", name).WithHint("set objectLock, or use another bucket")
		}
		return false, tenure.Errorf(tenure.Blocked, "bucket %q was made without Object Lock", name).WithHint("take objectLock off, or use another bucket")
	}
	if live.Versioning != a.Versioning {
		set := d.client().SuspendVersioning
		if a.Versioning {
			set = d.client().EnableVersioning
		}
		if err := set(ctx, name); err != nil {
			if d.noVersions(err) {
				return changed, tenure.Errorf(tenure.Invalid, "the server keeps no versions, and bucket %q should", name).WithHint("take the attribute versioning off")
			}
			return changed, err
		}
		changed = true
	}
	if len(live.Grants) > 0 {
		if err := d.dropGrants(ctx, name); err != nil {
			return changed, err
		}
		changed = true
	}
	if !same(live.Policy, a.policy(name)) {
		if err := d.setPolicy(ctx, name, a.policy(name)); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func same(a, b any) bool {
	x, err1 := tenure.Canonical(a)
	y, err2 := tenure.Canonical(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// emptyings is how often a bucket is emptied anew for what came meanwhile, and emptyFor how
// long one call does so: who writes as fast as it deletes isn't to keep it for ever.
const (
	emptyings = 5
	emptyFor  = 10 * time.Second
)

// deleteBucket empties the bucket, access off, and deletes it. What is locked blocks it.
func (d *Driver) deleteBucket(ctx context.Context, ref connector.Ref, t thing) (rec connector.Receipt, err error) {
	if t.found {
		rec.Changed, rec.Counts = true, map[string]int64{}
		if err := d.close(ctx, ref.Name); err != nil {
			return rec, err
		}
		if err := d.drain(ctx, ref, rec.Counts); err != nil {
			return rec, err
		}
	}
	r, err := d.storedAt(ctx, makingPrefix+ref.Name)
	if err != nil || r == nil {
		return rec, err
	}
	if id, owner := d.whose(r); owner != connector.Ours || id != ref.Resource {
		return rec, nil
	}
	return rec, d.drop(ctx, makingPrefix+ref.Name)
}

// drain empties a bucket until it can be deleted, and deletes it.
func (d *Driver) drain(ctx context.Context, ref connector.Ref, counts map[string]int64) error {
	name := ref.Name
	until := time.Now().Add(emptyFor)
	for range emptyings {
		for time.Now().Before(until) {
			e, err := d.erase(ctx, connector.Ref{Type: bucket, Name: name}, attributes{}, connector.Batch{Limit: 1000})
			for k, n := range e.Counts {
				counts[k] += n
			}
			if err != nil {
				return err
			}
			if e.Done {
				break
			}
		}
		if time.Now().After(until) {
			var n int64
			for _, went := range counts {
				n += went
			}
			return tenure.Errorf(tenure.Unavailable, "bucket %q isn't empty after %s, in which %d versions, markers or uploads of it were deleted: it holds much, or somebody writes to it", name, emptyFor, n).Retryable().
				WithHint("stop what writes to it; the deletion goes on where it is")
		}
		err := d.client().RemoveBucket(ctx, name)
		if err == nil { // a server on a file system makes it anew for a write that was under way
			var again bool
			if again, err = d.client().BucketExists(ctx, name); err == nil && again {
				if err := d.keep(ctx, d.recordOf(ref), false); err != nil && !missing(err) {
					return err
				}
				continue
			}
		}
		if err == nil || missing(err) {
			maps.DeleteFunc(counts, func(_ string, n int64) bool { return n == 0 })
			return nil
		}
		if !is(err, "BucketNotEmpty", "VersionedBucketNotEmpty") {
			return err
		}
		if err := d.foldersGo(ctx, name, "", 0); err != nil {
			return err
		}
	}
	return tenure.Errorf(tenure.Unavailable, "bucket %q isn't empty although everything in it was deleted: somebody writes to it", name).Retryable().
		WithHint("stop what writes to it")
}

// deepest is how many folders in each other are looked into.
const deepest = 64

// foldersGo removes folders that hold no object. A server on a file system that was killed
// while it deleted an object may have left them: they are in no list of versions, and keep
// the bucket from going. A server that has no folders lists none.
func (d *Driver) foldersGo(ctx context.Context, bucket, below string, depth int) error {
	for o := range d.client().ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: below}) {
		if o.Err != nil {
			return o.Err
		}
		if !strings.HasSuffix(o.Key, "/") || o.Key == below || depth >= deepest {
			continue
		}
		if err := d.foldersGo(ctx, bucket, o.Key, depth+1); err != nil {
			return err
		}
		// One that can't go is told by the bucket's next deletion.
		_ = d.client().RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{})
	}
	return nil
}

// close takes everybody's access off a bucket but its owner's.
func (d *Driver) close(ctx context.Context, name string) error {
	live, err := d.livePolicy(ctx, name)
	if err == nil && live != nil {
		err = d.setPolicy(ctx, name, nil)
	}
	if err != nil {
		return err
	}
	grants, err := d.grants(ctx, name)
	if err == nil && len(grants) > 0 {
		err = d.dropGrants(ctx, name)
	}
	return err
}

// listBuckets are the names of all buckets but the platform's.
func (d *Driver) listBuckets(ctx context.Context) (names []string, err error) {
	all, err := d.client().ListBuckets(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Name == d.own || d.isShared(b.Name) {
			continue
		}
		names = append(names, b.Name)
	}
	return names, nil
}

func (d *Driver) isShared(name string) bool {
	for _, b := range d.shared {
		if b.bucket == name {
			return true
		}
	}
	return false
}

// Quarantine takes everybody's access off a bucket but its owner's, until it is brought
// back or deleted.
func (d *Driver) Quarantine(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onBucket(ctx, "quarantine", ref, nil, func(t thing) error {
		if t.state != tenure.ResourceQuarantined {
			rec.Changed = true
			r := *t.rec
			r.State = tenure.ResourceQuarantined
			if err := d.keep(ctx, r, false); err != nil {
				return err
			}
		}
		live, err := d.livePolicy(ctx, ref.Name)
		if err != nil {
			return err
		}
		grants, err := d.grants(ctx, ref.Name)
		if err != nil || live == nil && len(grants) == 0 {
			return err
		}
		rec.Changed = true
		return d.close(ctx, ref.Name)
	})
	if rec.Changed {
		rec.Facts = map[string]string{"links": links}
	}
	return rec, err
}

// Unquarantine makes a bucket one in use again. Access stays off until Ensure gives it.
func (d *Driver) Unquarantine(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	absent := tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
	err = d.onBucket(ctx, "unquarantine", ref, absent, func(t thing) error {
		if t.state != tenure.ResourceQuarantined {
			return nil
		}
		rec.Changed = true
		r := *t.rec
		r.State = ""
		return d.keep(ctx, r, false)
	})
	return rec, err
}

// onBucket runs f on a bucket of ours; absent is the answer if there is none.
func (d *Driver) onBucket(ctx context.Context, call string, ref connector.Ref, absent error, f func(thing) error) error {
	if ref.Type != bucket {
		return tenure.Errorf(tenure.Invalid, "a %s can't be used with %s", ref.Type, call)
	}
	return d.on(ctx, call, ref, absent, f)
}

// on runs f on a thing of ours; absent is the answer if there is none.
func (d *Driver) on(ctx context.Context, call string, ref connector.Ref, absent error, f func(thing) error) error {
	if d.checkName(ref.Type, ref.Name) != nil {
		return absent
	}
	return with(ctx, call+" "+ref.Type, func() error {
		t, err := d.owned(ctx, ref, false)
		if err != nil {
			return err
		}
		if !t.found {
			return absent
		}
		return f(t)
	})
}
