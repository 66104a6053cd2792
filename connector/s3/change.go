package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// isChanged counts objects that were rewritten.
const isChanged kind = "objects (changed)"

// sealName is the user metadata that says that an object was pseudonymised.
const sealName = "tenure-changed"

// passedPrefix is where the lists of objects are that were found fit.
const passedPrefix = "passed/" // passed/HASH OF RESOURCE/HASH OF CLASS

// rewriting is a batch that rewrites objects.
type rewriting struct {
	piece
	ref     connector.Ref
	a       attributes
	changer *objects.Changer[entry]
	locking bool
}

var _ objects.Store[entry] = (*rewriting)(nil)

// through says that a batch has taken its share.
func (w *rewriting) through() bool {
	return w.taken >= w.batch.Limit || !w.until.IsZero() && w.taken > 0 && time.Now().After(w.until)
}

// change rewrites the objects of a class, key by key. An object that is pseudonymised gets
// a sealed sign in its metadata in the same request, and its earlier versions go after
// that; what is anonymised is written to its place and read back before it goes, under a
// name that is the same after a kill. Earlier versions go before the latest of what is
// anonymised, since they would stand in its place otherwise.
func (d *Driver) change(ctx context.Context, w piece, ref connector.Ref, a attributes) (e connector.Erased, err error) {
	c := rewriting{piece: w, ref: ref, a: a}
	if c.locking, err = d.locking(ctx, c.site.bucket); err != nil {
		return e, err
	}
	list, err := d.ownText(ctx, c.passedKey(c.batch.Class))
	if err != nil {
		return e, err
	}
	c.changer = objects.NewChanger(&c, c.batch, a.Transforms, d.marker.Seal, list)
	began := c.pass
	err = c.run(ctx)
	e.Counts = c.counts
	switch {
	case err == errEnough:
		e.Cursor = c.pass.String()
		return e, nil
	case err != nil:
		return e, err
	}
	if c.pass.took {
		return e, nil // and another pass begins
	}
	if err := c.stuck(ctx, ref); err != nil {
		return e, err
	}
	if e.Done = began.after == ""; !e.Done {
		return e, nil
	}
	if e.Held, err = d.kept(ctx, c.site, a, ref.Classes, c.batch.Class, c.batch.Keep); err != nil {
		return e, err
	}
	return e, d.drop(ctx, c.passedKey(c.batch.Class))
}

// run takes what is behind the pass.
func (w *rewriting) run(ctx context.Context) error {
	anonymous := w.batch.Disposition == tenure.Anonymise
	if anonymous && w.pass.after == "" {
		if err := w.ready(ctx); err != nil {
			return err
		}
		if err := w.tidy(ctx); err != nil {
			return err
		}
	}
	for _, below := range w.a.under(w.batch.Class, w.ref.Classes) {
		if err := w.below(ctx, w.site.below+below); err != nil {
			return err
		}
	}
	if anonymous {
		return nil
	}
	return w.tidy(ctx)
}

// ready has all objects read before the first one is changed.
func (w *rewriting) ready(ctx context.Context) error {
	err := w.Each(ctx, func(e entry) error {
		if !w.changer.Fit(e) {
			return errUnfit
		}
		return nil
	})
	if err == errUnfit {
		return w.changer.Prepare(ctx)
	}
	return err
}

// errUnfit ends a search for an object that wasn't found fit.
var errUnfit = errors.New("an object wasn't found fit")

// Each is described at objects.Store.
func (w *rewriting) Each(ctx context.Context, f func(entry) error) error {
	for _, below := range w.a.under(w.batch.Class, w.ref.Classes) {
		for e, err := range w.live(ctx, w.site.below+below, "") {
			if err == nil && w.takes(e.key) {
				err = f(e)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// live lists what is read without a version's id, in the order of keys. Listings of
// versions need not have one: some give delete markers first.
func (w *rewriting) live(ctx context.Context, below, after string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for o := range w.client().ListObjectsIter(ctx, w.site.bucket, minio.ListObjectsOptions{Prefix: below, StartAfter: after, Recursive: true}) {
			if is(o.Err, "NoSuchBucket") {
				return
			}
			if !yield(entry{kind: isVersion, key: o.Key, etag: o.ETag, size: o.Size, latest: true, modified: o.LastModified}, o.Err) || o.Err != nil {
				return
			}
		}
		if ctx.Err() != nil {
			yield(entry{}, context.Cause(ctx))
		}
	}
}

// tidy deletes what isn't read without a version's id: uploads, earlier versions, and
// then the delete markers, without which an earlier version would be read again.
func (w *rewriting) tidy(ctx context.Context) error {
	earlier := func(e entry) bool { return e.kind == isUpload || !e.latest }
	for _, of := range []func(entry) bool{earlier, func(e entry) bool { return e.kind == isMarker }} {
		for _, below := range w.a.under(w.batch.Class, w.ref.Classes) {
			for e, err := range w.stock(ctx, w.site.bucket, w.site.below+below, "") {
				if err != nil {
					return err
				}
				if !w.takes(e.key) || !of(e) {
					continue
				}
				if w.waiting = append(w.waiting, e); len(w.waiting) < most {
					continue
				}
				if err := w.flush(ctx); err != nil {
					return err
				}
				if w.through() {
					return errEnough
				}
			}
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
		if len(w.left) > 0 {
			return nil
		}
	}
	return nil
}

// below takes the objects whose keys begin with a text.
func (w *rewriting) below(ctx context.Context, below string) error {
	after := w.pass.after
	switch {
	case after > below && !strings.HasPrefix(after, below):
		return nil
	case !strings.HasPrefix(after, below):
		after = ""
	}
	for e, err := range w.live(ctx, below, after) {
		if err != nil {
			return err
		}
		if !w.takes(e.key) {
			continue
		}
		// A key of which an earlier version stays is left alone.
		if !slices.ContainsFunc(w.left, func(f failure) bool { return f.entry.key == e.key }) {
			if err := w.changer.Change(ctx, e); err != nil {
				return err
			}
		}
		if w.pass.after = e.key; w.through() {
			return errEnough
		}
	}
	return nil
}

// open opens an object as it was listed, and says under which id; not there is none.
func (w *rewriting) open(ctx context.Context, e entry) (body io.ReadCloser, info minio.ObjectInfo, there bool, err error) {
	body, info, err = w.content(ctx, w.site.bucket, e)
	if missing(err) {
		return nil, info, false, nil
	}
	if err != nil {
		return nil, info, false, unread(err)
	}
	if strings.Trim(info.ETag, `"`) != strings.Trim(e.etag, `"`) {
		_ = body.Close()
		return nil, info, false, objects.AlteredMeanwhile()
	}
	return body, info, true, nil
}

// Open is described at objects.Store.
func (w *rewriting) Open(ctx context.Context, e entry, t objects.Transform) (io.ReadCloser, []string, error) {
	if blank(e.key) {
		return nil, nil, tenure.Errorf(tenure.Blocked, "its key is of white space alone, and can't be written to")
	}
	body, info, there, err := w.open(ctx, e)
	if !there || err != nil {
		return nil, nil, err
	}
	beside, err := w.beside(ctx, t, e, info)
	if err != nil {
		_ = body.Close()
		return nil, nil, err
	}
	return body, beside, nil
}

// Name is described at objects.Store.
func (w *rewriting) Name(e entry) string { return fmt.Sprintf("object %q", e.key) }

// Under is described at objects.Store.
func (w *rewriting) Under(prefix string, e entry) bool {
	return strings.HasPrefix(strings.TrimPrefix(e.key, w.site.below), prefix)
}

// ID is described at objects.Store; nobody without Tenure's key can say which object it is.
func (w *rewriting) ID(e entry) string {
	return w.marks().ID("result", w.site.bucket, e.key, strings.Trim(e.etag, `"`), e.modified.UTC().Format(time.RFC3339))
}

func (w *rewriting) marks() objects.Marks {
	return objects.Marks{Of: w.marker.Named(w.ref.Resource), Seal: w.marker.Seal}
}

// seal is what the metadata of a pseudonymised object says.
func (w *rewriting) seal(key string, r objects.Result) string {
	return w.marks().Changed(w.site.bucket+"/"+key, r)
}

// Done is described at objects.Store: the object's metadata has a seal over its content.
func (w *rewriting) Done(ctx context.Context, e entry) (bool, error) {
	body, info, err := w.content(ctx, w.site.bucket, e)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, unread(err)
	}
	defer func() { _ = body.Close() }()
	says := info.Metadata.Get("X-Amz-Meta-" + sealName)
	if says == "" {
		return false, nil
	}
	r, err := objects.Measure(ctx, body)
	if err == nil && r.Size != info.Size {
		err = io.ErrUnexpectedEOF
	}
	return err == nil && says == w.seal(e.key, r), err
}

// Save is described at objects.Store.
func (w *rewriting) Save(ctx context.Context, list string) error {
	return w.put(ctx, w.passedKey(w.batch.Class), []byte(list), false)
}

// Rewrite is described at objects.Store.
func (w *rewriting) Rewrite(ctx context.Context, e entry, t objects.Transform) error {
	body, info, there, err := w.open(ctx, e)
	if !there || err != nil {
		return err
	}
	e.id = info.VersionID
	stays, err := w.locked(ctx, e)
	if err == nil && !stays && w.batch.Disposition == tenure.Anonymise {
		stays, err = w.followed(ctx, e)
	}
	if stays || err != nil {
		_ = body.Close()
		return err
	}
	how := objects.How{Name: w.batch.Name}
	var want objects.Result
	if how.Beside, err = w.beside(ctx, t, e, info); err == nil {
		want, err = t.Foresee(ctx, body, how)
	}
	_ = body.Close()
	if err != nil {
		return err
	}
	if want.Size > maxPut {
		return tenure.Errorf(tenure.Blocked, "its result has more than 5 GiB, and can't be written at once").WithHint("split it")
	}
	to, key := w.site.bucket, e.key
	o := options(t, w.batch.Disposition, info)
	if w.batch.Disposition == tenure.Pseudonymise {
		if o.UserTags, err = w.tags(ctx, e, info); err != nil {
			return err
		}
		o.UserMetadata[metaPrefix+sealName] = w.seal(e.key, want)
		o.SetMatchETag(strings.Trim(e.etag, `"`))
	} else {
		at, err := w.resultsAt(w.ref, t.To)
		if err != nil {
			return err
		}
		to, key = at.bucket, at.below+w.ID(e)+t.Suffix(e.key)
		o.SetMatchETagExcept("*")
	}
	if err := w.send(ctx, e, to, key, t, how, want, o); err != nil {
		return err
	}
	w.counts[string(isChanged)]++
	w.taken++
	w.pass.took = true
	if w.batch.Disposition == tenure.Pseudonymise {
		return nil
	}
	w.waiting = append(w.waiting, e)
	return w.flush(ctx)
}

// followed passes over an object that an earlier version would take the place of, and
// remembers which. Servers list versions in whatever order, so all that are under a key
// and what it begins are looked at.
func (w *rewriting) followed(ctx context.Context, e entry) (bool, error) {
	if e.id == "" {
		return false, nil // the bucket keeps none
	}
	for v, err := range w.versions(ctx, w.site.bucket, e.key, "") {
		if err != nil {
			return false, err
		}
		if v.key == e.key && v.id != e.id && !v.latest {
			w.left = append(w.left, failure{v, errSilent})
			return true, nil
		}
	}
	return false, nil
}

// locked passes over an object that is locked, and remembers why.
func (w *rewriting) locked(ctx context.Context, e entry) (bool, error) {
	if !w.locking {
		return false, nil
	}
	h, there, err := w.held(ctx, w.site.bucket, e)
	if err != nil || !there || !h.binds(w.now()) {
		return false, err
	}
	w.left = append(w.left, failure{e, errSilent})
	return true, nil
}

// send writes a result, and reads it back. One that a killed process wrote is left as it
// is; another object in its place is never overwritten.
func (w *rewriting) send(ctx context.Context, e entry, to, key string, t objects.Transform, how objects.How, want objects.Result, o minio.PutObjectOptions) error {
	anonymous := w.batch.Disposition == tenure.Anonymise
	if anonymous {
		there, err := w.stands(ctx, to, key, want)
		if there || err != nil {
			return err
		}
	}
	body, _, there, err := w.open(ctx, e)
	if !there || err != nil {
		return cmp.Or(err, error(tenure.Errorf(tenure.Unavailable, "it went while it was read").Retryable()))
	}
	defer func() { _ = body.Close() }()
	stream := t.Stream(ctx, body, how, want)
	defer func() { _ = stream.Close() }()
	_, err = w.client().PutObject(ctx, to, key, stream, want.Size, o)
	switch {
	case is(err, "PreconditionFailed"): // somebody else was first
		if !anonymous {
			return objects.AlteredMeanwhile()
		}
	case err != nil:
		return err
	}
	there, err = w.stands(ctx, to, key, want)
	if err == nil && !there {
		err = tenure.Errorf(tenure.Unavailable, "its result isn't there after it was written").Retryable()
	}
	return err
}

// stands says whether a result is there. Another content in its place is Blocked.
func (w *rewriting) stands(ctx context.Context, bucket, key string, want objects.Result) (bool, error) {
	body, _, err := w.content(ctx, bucket, entry{key: key})
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	got, err := objects.Measure(ctx, body)
	if err == nil && got != want {
		return false, objects.PlaceTaken(bucket + "/" + key)
	}
	return err == nil, err
}

func (w *rewriting) passedKey(class string) string {
	return passedBelow(w.ref.Resource) + objects.Hashed(class)
}

func passedBelow(id tenure.ResourceID) string { return passedPrefix + objects.Hashed(string(id)) + "/" }

// ownText reads a text of Tenure's own that may be long; "" if there is none.
func (d *Driver) ownText(ctx context.Context, key string) (string, error) {
	body, _, err := d.content(ctx, d.own, entry{key: key})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, objects.MaxText))
	return string(raw), err
}

// forgetPassed removes the lists of a resource's objects.
func (d *Driver) forgetPassed(ctx context.Context, id tenure.ResourceID) error {
	if id == "" {
		return nil
	}
	keys, err := d.ownKeys(ctx, passedBelow(id))
	for _, key := range keys {
		if err := d.drop(ctx, key); err != nil {
			return err
		}
	}
	return err
}
