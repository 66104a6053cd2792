package filesystem

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// manifest is the last entry of an export, manifest.json.
type manifest struct {
	Format  int       `json:"format"`
	Bucket  string    `json:"bucket"`
	Files   []file    `json:"files"`
	Skipped []skipped `json:"skipped,omitempty"`
}

type file struct {
	Path     string    `json:"path"` // below data/
	Class    string    `json:"class,omitempty"`
	Bytes    int64     `json:"bytes"`
	SHA256   string    `json:"sha256"`
	Modified time.Time `json:"modified"`
}

// skipped is an entry that is no file; a symbolic link isn't followed.
type skipped struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// Export writes the tree as a tar (POSIX.1-2001 pax): each file under data/,
// and at the end manifest.json with sizes and SHA-256 sums.
func (d *Driver) Export(ctx context.Context, ref connector.Ref, to io.Writer) (rec connector.Receipt, err error) {
	absent := tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
	err = d.onBucket(ctx, "export", ref, absent, func(r *os.Root, p place) error {
		a := classesOf(ref, p)
		m := manifest{Format: 1, Bucket: ref.Name, Files: []file{}}
		w := tar.NewWriter(to)
		var size int64
		err := inTree(r, p, func(tree *os.Root) error {
			return walk(ctx, tree, "", func(name string, info fs.FileInfo) error {
				if !info.Mode().IsRegular() {
					m.Skipped = append(m.Skipped, skipped{name, info.Mode().Type().String()})
					return nil
				}
				if theirs, err := borrowed(tree, name, info); err != nil || theirs {
					m.Skipped = append(m.Skipped, skipped{name, "hard link to another user's file"})
					return err
				}
				f, ok, err := exportFile(ctx, tree, w, name, info)
				if err == nil && !ok {
					m.Skipped = append(m.Skipped, skipped{name, "exchanged while it was exported"})
					return nil
				}
				f.Class, _ = a.classOf(name, ref.Classes)
				size += f.Bytes
				m.Files = append(m.Files, f)
				return err
			})
		})
		if err == nil {
			err = errors.Join(exportManifest(w, m, d.now()), w.Close())
		}
		rec.Counts = map[string]int64{"objects": int64(len(m.Files)), "bytes": size, "skipped": int64(len(m.Skipped))}
		return err
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return rec, nil
}

// exportFile writes a file; one that has been exchanged since it was seen isn't ok.
func exportFile(ctx context.Context, tree *os.Root, w *tar.Writer, name string, seen fs.FileInfo) (out file, ok bool, err error) {
	f, ok, err := openFile(tree, name, seen)
	if err != nil || !ok {
		return out, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return out, false, err
	}
	out = file{Path: name, Bytes: info.Size(), Modified: info.ModTime().UTC()}
	h := &tar.Header{Name: "data/" + name, Mode: 0o600, Size: info.Size(), ModTime: out.Modified, Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return out, true, writing(err)
	}
	sum := sha256.New()
	// What is appended meanwhile is left out; what is cut off is an error.
	n, err := io.Copy(io.MultiWriter(w, sum), &reader{ctx, io.LimitReader(f, info.Size())})
	if err == nil && n < info.Size() {
		err = tenure.Errorf(tenure.Unavailable, "a file became shorter while it was exported").Retryable()
	}
	out.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return out, true, writing(err)
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

// writing is an error of the receiving side: nothing here is to blame, and a
// retry may help.
func writing(err error) error {
	if err == nil {
		return nil
	}
	if c := classify("writing the export", err); tenure.CodeOf(c) != tenure.Internal {
		return c
	}
	return tenure.Errorf(tenure.Unavailable, "writing the export: %w", err).Retryable()
}

// reader stops when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}
