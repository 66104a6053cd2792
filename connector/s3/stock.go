package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
)

// kind says what an entry of a listing is.
type kind string

const (
	isVersion kind = "objects (versions)"
	isMarker  kind = "objects (markers)" // a delete marker: it hides what was there before
	isUpload  kind = "objects (uploads)" // an upload in parts that nobody finished or gave up
)

// entry is one thing that a bucket holds under a key.
type entry struct {
	kind     kind
	key      string
	id       string // of the version or the upload; "" on a server that knows no versions
	size     int64  // of the content; of an upload it isn't known
	latest   bool   // the version that is read without an id
	modified time.Time
	etag     string // where objects alone are listed
}

func (e entry) String() string {
	if e.id == "" || e.id == "null" {
		return fmt.Sprintf("%q", e.key)
	}
	if e.kind == isUpload {
		return fmt.Sprintf("%q (upload %s)", e.key, e.id)
	}
	return fmt.Sprintf("%q (version %s)", e.key, e.id)
}

// stock lists what is in a bucket under keys that begin with a text: uploads, then
// versions and delete markers. Uploads come first, so that one that is finished meanwhile
// is seen as a version. With after it begins behind that key, and lists no uploads.
// What a server gives twice is given once. A bucket that isn't there holds nothing.
func (d *Driver) stock(ctx context.Context, bucket, below, after string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if after == "" {
			for e, err := range d.uploads(ctx, bucket, below) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
		for e, err := range d.versions(ctx, bucket, below, after) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// versions lists versions and delete markers; on a server that knows no versions,
// objects.
func (d *Driver) versions(ctx context.Context, bucket, below, after string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for _, versions := range []bool{true, false} {
			var twice seen
			first := true
			for o := range d.client().ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: below, StartAfter: after, WithVersions: versions, Recursive: true}) {
				if first && versions && unable(o.Err) {
					break // and list objects
				}
				first = false
				if is(o.Err, "NoSuchBucket") {
					return
				}
				if o.Err != nil {
					yield(entry{}, o.Err)
					return
				}
				e := entry{kind: isVersion, key: o.Key, id: o.VersionID, size: o.Size, latest: o.IsLatest || !versions, modified: o.LastModified}
				if o.IsDeleteMarker {
					e.kind, e.size = isMarker, 0
				}
				if twice.again(e) {
					if twice.round {
						yield(entry{}, tenure.Errorf(tenure.Unavailable, "the server's listing of bucket %s doesn't get on behind %q", bucket, e.key).Retryable())
						return
					}
					continue
				}
				if !yield(e, nil) {
					return
				}
			}
			// The library ends a listing that was cancelled as if it were whole.
			if ctx.Err() != nil {
				yield(entry{}, context.Cause(ctx))
				return
			}
			if !first || !versions {
				return
			}
			if !d.versionless(ctx, bucket) {
				return // it is empty
			}
		}
	}
}

// versionless says whether the server refuses to list versions.
func (d *Driver) versionless(ctx context.Context, bucket string) bool {
	for o := range d.client().ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true, MaxKeys: 1}) {
		return unable(o.Err)
	}
	return false
}

// uploads lists unfinished uploads.
func (d *Driver) uploads(ctx context.Context, bucket, below string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		core := minio.Core{Client: d.client()}
		var key, id string
		for {
			r, err := core.ListMultipartUploads(ctx, bucket, below, key, id, "", 1000)
			if unable(err) || is(err, "NoSuchBucket") {
				return // there are none
			}
			if err != nil {
				yield(entry{}, err)
				return
			}
			for _, u := range r.Uploads {
				if !yield(entry{kind: isUpload, key: u.Key, id: u.UploadID, modified: u.Initiated}, nil) {
					return
				}
			}
			if !r.IsTruncated {
				return
			}
			if r.NextKeyMarker == "" || r.NextKeyMarker == key && r.NextUploadIDMarker == id {
				yield(entry{}, tenure.Errorf(tenure.Unavailable, "the server's listing of uploads to bucket %s doesn't get on behind %q", bucket, key).Retryable())
				return
			}
			key, id = r.NextKeyMarker, r.NextUploadIDMarker
		}
	}
}

// seen remembers the last pages of a listing: servers repeat entries where one page ends
// and the next begins.
type seen struct {
	now, before map[[2]string]bool
	streak      map[[2]string]bool // what came in a row that was there before
	round       bool               // something did so twice: the listing goes round
}

func (s *seen) again(e entry) bool {
	k := [2]string{e.key, e.id}
	if s.now[k] || s.before[k] {
		s.round = s.round || s.streak[k]
		if s.streak == nil {
			s.streak = map[[2]string]bool{}
		}
		s.streak[k] = true
		return true
	}
	s.streak = nil
	if s.now == nil || len(s.now) >= 1000 {
		s.now, s.before = make(map[[2]string]bool, 1000), s.now
	}
	s.now[k] = true
	return false
}

// failure is an entry that didn't go, and the server's word for it.
type failure struct {
	entry entry
	err   error
}

// errSilent is the error of an entry of which the server said neither that it went nor
// that it didn't.
var errSilent = errors.New("the server doesn't say that it went")

// remove deletes entries by their ids, and says of each whether it went. It forces no
// lock. An error that concerns all of them is an error.
func (d *Driver) remove(ctx context.Context, bucket string, all []entry) (gone []entry, left []failure, err error) {
	waiting := make(map[[2]string]entry, len(all))
	for _, e := range all {
		if e.kind != isUpload {
			waiting[[2]string{e.key, e.id}] = e
			continue
		}
		if err := d.abort(ctx, bucket, e); err != nil && !missing(err) {
			if !partial(err) {
				return gone, left, err
			}
			left = append(left, failure{e, err})
			continue
		}
		gone = append(gone, e)
	}
	if len(waiting) == 0 {
		return gone, left, nil
	}
	results, err := d.client().RemoveObjectsWithIter(ctx, bucket, func(yield func(minio.ObjectInfo) bool) {
		for _, e := range all {
			if e.kind != isUpload && !yield(minio.ObjectInfo{Key: e.key, VersionID: e.id}) {
				return
			}
		}
	}, minio.RemoveObjectsOptions{})
	if err != nil {
		return gone, left, err
	}
	for r := range results {
		k, e := match(waiting, r)
		switch {
		case r.Err != nil && !partial(r.Err):
			err = cmp.Or(err, r.Err)
		case e.key == "":
		case r.Err != nil:
			left = append(left, failure{e, r.Err})
			delete(waiting, k)
		default:
			gone = append(gone, e)
			delete(waiting, k)
		}
	}
	if err != nil {
		return gone, left, err
	}
	if ctx.Err() != nil {
		return gone, left, context.Cause(ctx)
	}
	for _, e := range waiting {
		left = append(left, failure{e, errSilent})
	}
	return gone, left, nil
}

// match finds what a result is of. A server may leave out the id of an object that has
// but one version.
func match(waiting map[[2]string]entry, r minio.RemoveObjectResult) ([2]string, entry) {
	for _, id := range []string{r.ObjectVersionID, "null", ""} {
		k := [2]string{r.ObjectName, id}
		if e, ok := waiting[k]; ok && (id == r.ObjectVersionID || r.ObjectVersionID == "") {
			return k, e
		}
	}
	return [2]string{}, entry{}
}

// partial says whether an error is of one entry alone, and not of the call or the
// server.
func partial(err error) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	return answer.StatusCode == 0 && !is(err, "SlowDown", "SlowDownWrite", "Throttling", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted") || answer.StatusCode == 403
}
