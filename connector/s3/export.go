package s3

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// manifest is the last entry of an export, manifest.json.
type manifest struct {
	Format  int       `json:"format"`
	Bucket  string    `json:"bucket"`
	Prefix  string    `json:"prefix,omitempty"`
	Objects []object  `json:"objects"`
	Skipped []skipped `json:"skipped,omitempty"`
}

// object is one version of an object. Path is where the archive has it: the key itself,
// below data/ or earlier/, wherever that is a plain path.
type object struct {
	Key      string    `json:"key"`
	Version  string    `json:"version,omitempty"`
	Earlier  bool      `json:"earlier,omitempty"` // a later version, or a delete marker, stands before it
	Path     string    `json:"path"`
	Class    string    `json:"class,omitempty"`
	Type     string    `json:"contentType,omitempty"`
	Metadata metadata  `json:"metadata,omitempty"`
	Bytes    int64     `json:"bytes"`
	SHA256   string    `json:"sha256"`
	Modified time.Time `json:"modified"`
}

type metadata map[string]string

// skipped is what has no content that S3 gives out.
type skipped struct {
	Key  string `json:"key"`
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind"`
}

// Export writes every version as a tar (POSIX.1-2001 pax), one object at a time, and at
// the end manifest.json with keys, sizes and SHA-256 sums.
func (d *Driver) Export(ctx context.Context, ref connector.Ref, to io.Writer) (rec connector.Receipt, err error) {
	if ref.Type != bucket && ref.Type != prefix {
		return rec, tenure.Errorf(tenure.Invalid, "a %s can't be used with export", ref.Type)
	}
	absent := tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
	err = d.on(ctx, "export", ref, absent, func(thing) error {
		a, err := d.parse(ref)
		if err != nil {
			return err
		}
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		m := manifest{Format: 1, Bucket: at.bucket, Prefix: at.below, Objects: []object{}}
		w := tar.NewWriter(to)
		var size int64
		var names archive
		for e, err := range d.stock(ctx, at.bucket, at.below, "") {
			if err != nil {
				return err
			}
			if e.kind != isVersion {
				m.Skipped = append(m.Skipped, skipped{e.key, e.id, map[kind]string{isMarker: "delete marker", isUpload: "unfinished upload"}[e.kind]})
				continue
			}
			o, ok, err := d.exportVersion(ctx, w, at, e, &names)
			if err != nil {
				return err
			}
			if !ok {
				m.Skipped = append(m.Skipped, skipped{e.key, e.id, "deleted while it was exported"})
				continue
			}
			o.Class, _ = a.classOf(strings.TrimPrefix(e.key, at.below), ref.Classes)
			size += o.Bytes
			m.Objects = append(m.Objects, o)
		}
		rec.Counts = map[string]int64{"objects": int64(len(m.Objects)), "bytes": size, "skipped": int64(len(m.Skipped))}
		return errors.Join(exportManifest(w, m, d.now()), writing(w.Close()))
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return rec, nil
}

// exportVersion writes one version; one that has gone since it was listed isn't ok.
func (d *Driver) exportVersion(ctx context.Context, w *tar.Writer, at site, e entry, names *archive) (out object, ok bool, err error) {
	body, info, err := d.content(ctx, at.bucket, e)
	if missing(err) {
		return out, false, nil
	}
	if is(err, "InvalidObjectState", "InvalidRequest", "InvalidArgument") {
		return out, false, tenure.Errorf(tenure.Blocked, "%s can't be read: the server says %s", e, code(err)).
			WithHint("have it restored if it lies in an archive; what is encrypted with a key of the customer's own, the customer exports itself")
	}
	if err != nil {
		return out, false, err
	}
	defer func() { _ = body.Close() }()
	if info.Size < 0 {
		return out, false, tenure.Errorf(tenure.Unavailable, "the server doesn't say how long %s is", e).Retryable()
	}
	out = object{
		Key: e.key, Version: e.id, Earlier: !e.latest, Bytes: info.Size, Modified: e.modified.UTC(), Type: info.ContentType,
		Path: names.path(strings.TrimPrefix(e.key, at.below), e),
	}
	for name, values := range info.Metadata {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); ok {
			if out.Metadata == nil {
				out.Metadata = metadata{}
			}
			out.Metadata[rest] = strings.Join(values, ",")
		}
	}
	h := &tar.Header{Name: out.Path, Mode: 0o600, Size: info.Size, ModTime: out.Modified, Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return out, true, writing(err)
	}
	sum := sha256.New()
	into := &target{w: io.MultiWriter(w, sum)}
	n, err := io.Copy(into, body)
	switch {
	case into.failed != nil:
		return out, true, writing(into.failed)
	case err == nil && n < info.Size:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return out, true, tenure.Errorf(tenure.Unavailable, "%s broke off after %d of %d bytes: %w", e, n, info.Size, err).Retryable()
	}
	out.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return out, true, nil
}

// target tells who writes from who reads when a copy fails.
type target struct {
	w      io.Writer
	failed error
}

func (t *target) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.failed = err
	return n, err
}

// archive gives versions their paths in an export. A key that isn't a plain path, such
// as one with "..", or that is also a folder of others, gets a number.
type archive struct {
	files []string // keys that may yet turn out to be folders, each the beginning of the next
	odd   int
}

func (a *archive) path(key string, e entry) string {
	for len(a.files) > 0 && !strings.HasPrefix(key, a.files[len(a.files)-1]) {
		a.files = a.files[:len(a.files)-1]
	}
	plain := fs.ValidPath(key) && key != "." && !strings.ContainsAny(key, "\\:\x00")
	for _, f := range a.files {
		plain = plain && !strings.HasPrefix(key, f+"/")
	}
	if !plain || len(key) > 800 {
		a.odd++
		return fmt.Sprintf("odd/%07d", a.odd)
	}
	if e.latest {
		if n := len(a.files); n == 0 || a.files[n-1] != key {
			a.files = append(a.files, key)
		}
		return "data/" + key
	}
	a.odd++
	return fmt.Sprintf("earlier/%07d/%s", a.odd, key)
}

func exportManifest(w *tar.Writer, m manifest, now time.Time) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	h := &tar.Header{Name: "manifest.json", Mode: 0o600, Size: int64(len(raw)), ModTime: now.UTC(), Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return writing(err)
	}
	_, err = w.Write(raw)
	return writing(err)
}

// writing is an error of the receiving side: nothing here is to blame, and a retry may
// help.
func writing(err error) error {
	if err == nil {
		return nil
	}
	return tenure.Errorf(tenure.Unavailable, "writing the export: %w", err).Retryable()
}
