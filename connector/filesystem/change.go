package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// changedDir is where Tenure keeps which files it has rewritten: a folder for each
// resource, and in it a sealed text for each file.
const changedDir = own + "/changed"

// stagePrefix begins the name of a file that is being rewritten, in its own directory.
const stagePrefix = ".tenure-"

// rewriting is a batch that rewrites files.
type rewriting struct {
	*Driver
	root    *os.Root // the system's
	tree    *os.Root // the bucket's
	ref     connector.Ref
	a       attributes
	device  uint64
	batch   connector.Batch
	changer *objects.Changer[listed]
	gone    census // what left the tree
	bytes   int64  // how much those that stay became longer
	changed int64
	taken   int
	dirs    map[string]bool
}

// listed is a file as a walk came upon it.
type listed struct {
	name string
	info fs.FileInfo
}

var _ objects.Store[listed] = (*rewriting)(nil)

// change rewrites the files of a class in the order of their paths. One that is
// pseudonymised is put under its name whole; the sealed sum of what it becomes is written
// down before. What is anonymised is written to its place and read back before it goes,
// under a name that is the same after a kill.
func (d *Driver) change(ctx context.Context, r *os.Root, p place, ref connector.Ref, a attributes, b connector.Batch, after string) (e connector.Erased, err error) {
	w := rewriting{Driver: d, root: r, ref: ref, a: a, batch: b, dirs: map[string]bool{}}
	_, w.device = links(p.info)
	err = inTree(r, p, func(tree *os.Root) (err error) {
		w.tree = tree
		e.Cursor, err = w.walk(ctx, after)
		return errors.Join(err, prune(tree, w.dirs))
	})
	if (w.gone.Objects > 0 || w.bytes != 0) && p.quarantined && p.rec.Quarantine != nil {
		p.rec.Quarantine.Objects -= w.gone.Objects
		p.rec.Quarantine.Bytes += w.bytes - w.gone.Bytes
		err = errors.Join(err, d.keep(r, p.rec))
	}
	if err != nil {
		return connector.Erased{}, err
	}
	e.Counts = map[string]int64{"objects (changed)": w.changed}
	if e.Done = e.Cursor == "" && after == ""; !e.Done {
		return e, nil
	}
	if e.Held, err = keptFiles(ctx, r, p, ref, b.Class, b.Keep); err != nil {
		return connector.Erased{}, err
	}
	return e, removeIfThere(r, w.passedPath())
}

// walk takes files behind a path, and gives the cursor where it stopped; "" is the end.
func (w *rewriting) walk(ctx context.Context, after string) (cursor string, err error) {
	list, err := w.root.ReadFile(w.passedPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	w.changer = objects.NewChanger(w, w.batch, w.a.Transforms, w.marker.Seal, string(list))
	var until time.Time
	if w.batch.For > 0 {
		until = time.Now().Add(w.batch.For)
	}
	err = walk(ctx, w.tree, after, func(name string, info fs.FileInfo) error {
		if !w.takes(name) {
			return nil
		}
		if err := w.file(ctx, name, info); err != nil {
			return err
		}
		if w.taken >= w.batch.Limit || w.taken > 0 && !until.IsZero() && time.Now().After(until) {
			cursor = url.PathEscape(name)
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return cursor, err
}

func (w *rewriting) takes(name string) bool {
	class, _ := w.a.classOf(name, w.ref.Classes)
	return (w.batch.Class == "" || class == w.batch.Class) && !connector.KeptKey(w.batch.Keep, name, class)
}

// file changes one file.
func (w *rewriting) file(ctx context.Context, name string, info fs.FileInfo) error {
	if err := unmounted(w.device, name, info); err != nil {
		return err
	}
	if name == w.stage(name) { // a killed process left it
		return w.tree.Remove(name)
	}
	return w.changer.Change(ctx, listed{name, info})
}

func (w *rewriting) marks() objects.Marks {
	return objects.Marks{Of: w.marker.Named(w.ref.Resource), Seal: w.marker.Seal}
}

// stage is where a file is rewritten: nobody without Tenure's key can name it.
func (w *rewriting) stage(name string) string {
	dir := path.Dir(name)
	return path.Join(dir, stagePrefix+w.marks().ID("stage", dir))
}

// Name is described at objects.Store.
func (w *rewriting) Name(f listed) string { return fmt.Sprintf("file %q", f.name) }

// ID is described at objects.Store.
func (w *rewriting) ID(f listed) string {
	return w.marks().ID("result", f.name, fmt.Sprint(inode(f.info), f.info.Size(), f.info.ModTime().UnixNano()))
}

// Under is described at objects.Store.
func (w *rewriting) Under(prefix string, f listed) bool { return within(prefix, f.name) }

func (w *rewriting) folder() string {
	return path.Join(changedDir, objects.Hashed(string(w.ref.Resource)))
}

func (w *rewriting) passedPath() string {
	return path.Join(w.folder(), "passed-"+objects.Hashed(w.batch.Class))
}

func (w *rewriting) recordPath(name string) string {
	sum := objects.Hashed(name)
	return path.Join(w.folder(), sum[:2], sum[2:])
}

// Done is described at objects.Store: the sealed sum of its content was written down.
func (w *rewriting) Done(ctx context.Context, l listed) (bool, error) {
	says, err := w.root.ReadFile(w.recordPath(l.name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !l.info.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, ok, err := openFile(w.tree, l.name, l.info)
	if !ok || err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	is, err := objects.Measure(ctx, f)
	return err == nil && string(says) == w.marks().Changed(l.name, is), err
}

// Save is described at objects.Store.
func (w *rewriting) Save(_ context.Context, list string) error {
	if err := w.makeFolder(w.folder()); err != nil {
		return err
	}
	return replace(w.root, w.passedPath(), []byte(list), 0o600)
}

func (w *rewriting) makeFolder(dir string) error {
	at := own
	for part := range strings.SplitSeq(strings.TrimPrefix(dir, own+"/"), "/") {
		at = path.Join(at, part)
		if err := makeDir(w.root, at, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Each is described at objects.Store.
func (w *rewriting) Each(ctx context.Context, f func(listed) error) error {
	return walk(ctx, w.tree, "", func(name string, info fs.FileInfo) error {
		if !w.takes(name) || name == w.stage(name) {
			return nil
		}
		return f(listed{name, info})
	})
}

// Open is described at objects.Store.
func (w *rewriting) Open(_ context.Context, l listed, _ objects.Transform) (io.ReadCloser, []string, error) {
	if !l.info.Mode().IsRegular() {
		return nil, nil, tenure.Errorf(tenure.Blocked, "it isn't a regular file").WithHint("remove it, or put it under a prefix of another class")
	}
	if err := cmp.Or(unmounted(w.device, l.name, l.info), oneName(l.info)); err != nil {
		return nil, nil, err
	}
	f, ok, err := openFile(w.tree, l.name, l.info)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, objects.AlteredMeanwhile()
	}
	return f, w.beside(l.name), nil
}

// beside is what stays with a file's records.
func (w *rewriting) beside(name string) []string {
	if w.batch.Disposition == tenure.Pseudonymise {
		return []string{name}
	}
	return nil
}

// Rewrite is described at objects.Store.
func (w *rewriting) Rewrite(ctx context.Context, l listed, t objects.Transform) error {
	if err := w.rewrite(ctx, l.name, l.info, t); err != nil {
		return err
	}
	w.changed++
	w.taken++
	return nil
}

func (w *rewriting) rewrite(ctx context.Context, name string, info fs.FileInfo, t objects.Transform) error {
	f, ok, err := openFile(w.tree, name, info)
	if err != nil {
		return err
	}
	if !ok {
		return objects.AlteredMeanwhile()
	}
	defer func() { _ = f.Close() }()
	how := objects.How{Name: w.batch.Name, Beside: w.beside(name)}
	if w.batch.Disposition == tenure.Anonymise {
		if err := w.deposit(ctx, f, name, info, t, how); err != nil {
			return err
		}
		if err := unaltered(w.tree, name, f, info); err != nil {
			return err
		}
		w.gone.Objects++
		w.gone.Bytes += info.Size()
		w.dirs[path.Dir(name)] = true
		return removeIfThere(w.tree, name)
	}
	stage := w.stage(name)
	made, err := produce(ctx, w.tree, stage, f, info.Mode(), info, t, how)
	if err != nil {
		return errors.Join(err, removeIfThere(w.tree, stage))
	}
	if err := unaltered(w.tree, name, f, info); err != nil {
		return errors.Join(err, removeIfThere(w.tree, stage))
	}
	if err := w.makeFolder(path.Dir(w.recordPath(name))); err != nil {
		return err
	}
	if err := replace(w.root, w.recordPath(name), []byte(w.marks().Changed(name, made)), 0o600); err != nil {
		return err
	}
	w.bytes += made.Size - info.Size()
	if err := w.tree.Rename(stage, name); err != nil {
		return err
	}
	return syncDir(w.tree, path.Dir(name))
}

// unaltered is Unavailable if a file was written to since it was listed, or isn't under
// its name any more, and Blocked if it got another one.
func unaltered(tree *os.Root, name string, f *os.File, was fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := tree.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !os.SameFile(named, now) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime()) {
		return objects.AlteredMeanwhile()
	}
	return oneName(now)
}

// oneName is Blocked for a file that has several.
func oneName(info fs.FileInfo) error {
	if names, _ := links(info); names > 1 {
		return tenure.Errorf(tenure.Blocked, "it has %d names, and its content would stay under the others", names).WithHint("make them copies")
	}
	return nil
}

// produce writes a result whole, with the owner and the date of another file if one is
// given.
func produce(ctx context.Context, at *os.Root, name string, in io.Reader, m fs.FileMode, like fs.FileInfo, t objects.Transform, how objects.How) (made objects.Result, err error) {
	if err := removeIfThere(at, name); err != nil {
		return made, err
	}
	out, err := at.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return made, err
	}
	made, err = t.Into(ctx, in, out, how)
	if err == nil && like != nil {
		err = sameAs(out, like)
	}
	if err == nil {
		err = errors.Join(out.Chmod(m.Perm()), out.Sync())
	}
	if err = errors.Join(err, out.Close()); err == nil && like != nil {
		err = at.Chtimes(name, like.ModTime(), like.ModTime())
	}
	return made, err
}

// resultStage is where the results of a resource are written, one at a time.
func resultStage(id tenure.ResourceID) string {
	return path.Join(stagingDir, "result-"+objects.Hashed(string(id)))
}

// deposit writes what becomes of a file to the platform's own place, and reads it back.
// One that a killed process wrote is left as it is; nothing is overwritten.
func (w *rewriting) deposit(ctx context.Context, f *os.File, name string, info fs.FileInfo, t objects.Transform, how objects.How) error {
	dir, m, err := w.resultsAt(t.To)
	if err != nil {
		return err
	}
	id := w.ID(listed{name, info})
	to, stage := path.Join(dir, id+t.Suffix(name)), resultStage(w.ref.Resource)
	want, err := produce(ctx, w.root, stage, f, m&0o666, nil, t, how)
	if err != nil {
		return errors.Join(err, removeIfThere(w.root, stage))
	}
	err = w.root.Link(stage, to)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err = errors.Join(err, removeIfThere(w.root, stage)); err != nil {
		return err
	}
	if err := syncDir(w.root, dir); err != nil {
		return err
	}
	back, err := w.root.Open(to)
	if err != nil {
		return err
	}
	defer func() { _ = back.Close() }()
	is, err := objects.Measure(ctx, back)
	if err == nil && is != want {
		err = objects.PlaceTaken(to)
	}
	return err
}
