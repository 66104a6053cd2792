package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Tracer = (*Driver)(nil)

const (
	tracedDepth  = 64     // folders in each other that are looked into
	tracedCopies = 1000   // copies that are told of one folder
	tracedLoose  = 10_000 // files that are told that lie in no folder of the root
	readAtOnce   = 10_000 // entries of a folder that one call reads
)

// tracing is one look at a root that Tenure may never have seen. No link is followed, and
// no file but Tenure's own is opened.
type tracing struct {
	*Driver
	root    *os.Root
	calls   *connector.Budget
	yield   func(connector.Trace) error
	stop    error // yield's
	own     bool  // Tenure's own folder is there
	passage bool  // every user of the machine gets as far as the root
	uids    map[int]bool

	unread []string // folders that can't be read
	cut    []string // those that were left out, since no call was left
	deep   []string // those that lie too deep
	many   []string // those with more copies than are told
	loose  int      // files of the root that were told
	untold int      // those that weren't
}

// Trace is described at connector.Tracer: the folders of the root and those right in them,
// the files right in it, copies by their names however deep, and the users whose they are.
// A folder that is read is a call; what folders hold is counted while calls are left. What
// stands in the folders of Tenure's own layout is told as if it stood in the root.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (out connector.Traced, err error) {
	var t *tracing
	err = d.with(ctx, "trace", func(r *os.Root) error {
		t = &tracing{Driver: d, root: r, calls: ask.Calls, yield: yield, uids: map[int]bool{}}
		if err := t.start(&out); err != nil {
			return err
		}
		return t.look(ctx)
	})
	if t != nil && t.stop != nil {
		return connector.Traced{}, t.stop
	}
	if t == nil || err != nil {
		return out, err
	}
	for _, part := range []struct {
		names []string
		says  string
	}{
		{t.unread, "can't be read: the process may not"},
		{t.cut, "wasn't read: the allowed calls were used up"},
		{t.deep, "lies too deep and wasn't read"},
		{t.many, fmt.Sprintf("holds more than %d copies, and only these are told", tracedCopies)},
	} {
		if n := len(part.names); n > 0 {
			more := ""
			if n > 1 {
				more = fmt.Sprintf(" (and so for %d more)", n-1)
			}
			out.Says = append(out.Says, fmt.Sprintf("%q %s%s", part.names[0], part.says, more))
		}
	}
	if t.untold > 0 {
		out.Says = append(out.Says, fmt.Sprintf("more than %d files lie in no folder: %d of them aren't told", tracedLoose, t.untold))
	}
	return out, nil
}

// start reads what Tenure keeps there, and who gets as far as the root.
func (t *tracing) start(out *connector.Traced) error {
	info, err := t.root.Lstat(own)
	if t.own = err == nil && info.IsDir(); t.own {
		g, err := sight(t.root)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		out.Fingerprint = g.Fingerprint
	}
	at, err := filepath.Abs(t.Driver.root)
	for t.passage = err == nil; t.passage; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		t.passage = err == nil && info.Mode().Perm()&0o001 != 0
		if at == filepath.Dir(at) {
			break
		}
	}
	return nil
}

// level is a folder with what is right in it.
type level struct {
	name    string
	info    fs.FileInfo
	folders []fs.FileInfo
	files   []fs.FileInfo
	whole   bool
}

// look tells of all. The folders of both levels are read first, so that the calls are
// enough for the shape before anything is counted.
func (t *tracing) look(ctx context.Context) error {
	top, err := t.level(ctx, ".", nil)
	if err != nil {
		return err
	}
	all := make([]level, 0, len(top.folders))
	for _, f := range top.folders {
		l, err := t.level(ctx, f.Name(), f)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	if err := t.looseFiles(top); err != nil {
		return err
	}
	for _, l := range all {
		tell := t.folder
		if t.laidOut(l.name) {
			tell = t.passThrough
		}
		if err := tell(ctx, l); err != nil {
			return err
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(t.uids)) {
		name := strconv.Itoa(uid)
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		if err := t.tell(connector.Trace{Kind: connector.TraceAccount, Word: "user", Name: name, ID: uidID(uid), Rows: -1, Bytes: -1}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracing) tell(all ...connector.Trace) error {
	for _, one := range all {
		if t.stop = t.yield(one); t.stop != nil {
			return t.stop
		}
	}
	return nil
}

// level reads a folder. What can't be read, or needs a call that is gone, isn't whole.
func (t *tracing) level(ctx context.Context, name string, info fs.FileInfo) (level, error) {
	l := level{name: name, info: info}
	var err error
	l.whole, err = t.read(ctx, name, info, func(e fs.DirEntry) error {
		info, err := e.Info()
		switch {
		case err != nil, name == "." && e.Name() == own: // gone meanwhile; Tenure's own
		case info.IsDir():
			l.folders = append(l.folders, info)
		case info.Mode().IsRegular():
			l.files = append(l.files, info)
		}
		return nil
	})
	byName := func(a, b fs.FileInfo) int { return cmp.Compare(a.Name(), b.Name()) }
	slices.SortFunc(l.folders, byName)
	slices.SortFunc(l.files, byName)
	return l, err
}

// read gives the entries of a folder that was seen, in no order. What stands in the way is
// written down. A link that has taken its place isn't followed.
func (t *tracing) read(ctx context.Context, name string, seen fs.FileInfo, f func(fs.DirEntry) error) (whole bool, err error) {
	if !t.calls.Spend() {
		t.cut = append(t.cut, name)
		return false, nil
	}
	dir, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a named pipe
	switch {
	case errors.Is(err, fs.ErrPermission):
		t.unread = append(t.unread, name)
		return false, nil
	case seen != nil && (errors.Is(err, fs.ErrNotExist) || is(err, syscall.ELOOP, syscall.ENOTDIR)): // somebody else is at work
		return true, nil
	case err != nil:
		return false, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if seen != nil {
		if info, err := dir.Stat(); err != nil || !os.SameFile(info, seen) {
			return true, err
		}
	}
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		part, err := dir.ReadDir(readAtOnce)
		for _, e := range part {
			if err := f(e); err != nil {
				return false, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case errors.Is(err, fs.ErrPermission):
			t.unread = append(t.unread, name)
			return false, nil
		case err != nil:
			return false, err
		case len(part) == readAtOnce && !t.calls.Spend():
			t.cut = append(t.cut, name)
			return false, nil
		}
	}
}

// counted is what a tree holds.
type counted struct {
	rows, bytes int64
	used        time.Time // when something in it was last changed
	whole       bool
	copies      []connector.Trace
}

func (c *counted) add(o counted) {
	c.rows, c.bytes, c.whole = c.rows+o.rows, c.bytes+o.bytes, c.whole && o.whole
	if o.used.After(c.used) {
		c.used = o.used
	}
	c.copies = append(c.copies, o.copies...)
}

func (c *counted) file(info fs.FileInfo) {
	if c.rows, c.bytes = c.rows+1, c.bytes+info.Size(); info.ModTime().After(c.used) {
		c.used = info.ModTime()
	}
}

// laidOut says that a folder of the root is one of those that Tenure makes for a type.
func (t *tracing) laidOut(name string) bool {
	return t.own && slices.Contains([]string{backups, bucket, document}, name)
}

// looseFiles tells of the files right in a folder that is no place itself.
func (t *tracing) looseFiles(l level) error {
	for _, f := range l.files {
		name := path.Join(l.name, f.Name())
		if connector.CopyName(name) {
			if err := t.tell(t.copyOf(name, "", f, nil)); err != nil {
				return err
			}
			continue
		}
		if t.loose == tracedLoose {
			t.untold++
			continue
		}
		t.loose++
		if err := t.tell(t.file(name, "", f).Trace); err != nil {
			return err
		}
	}
	return nil
}

// file is a file that may be a tenant's.
func (t *tracing) file(name, in string, info fs.FileInfo) traced {
	one := t.place(name, in, info)
	one.Bytes, one.Used = info.Size(), info.ModTime()
	return one
}

// passThrough tells of what stands in a folder of a type, and not of the folder.
func (t *tracing) passThrough(ctx context.Context, l level) error {
	for _, f := range l.folders {
		name := path.Join(l.name, f.Name())
		one := t.place(name, "", f)
		rec := t.bears(&one, l.name, f.Name())
		held := counted{whole: true, used: f.ModTime()}
		if err := t.count(ctx, name, f, one.ID, rec, 2, &held); err != nil {
			return err
		}
		one.fill(held)
		if err := t.tell(append([]connector.Trace{one.Trace}, held.copies...)...); err != nil {
			return err
		}
	}
	if l.name != document {
		return t.looseFiles(l)
	}
	for _, f := range l.files {
		one := t.file(path.Join(l.name, f.Name()), "", f)
		t.bears(&one, l.name, f.Name())
		if err := t.tell(one.Trace); err != nil {
			return err
		}
	}
	return nil
}

// folder tells of a folder of the root, what is right in it, and copies.
func (t *tracing) folder(ctx context.Context, l level) error {
	top := t.place(l.name, "", l.info)
	all := counted{whole: l.whole, used: l.info.ModTime()}
	below := make([]connector.Trace, 0, len(l.folders))
	for _, f := range l.folders {
		name := path.Join(l.name, f.Name())
		one := t.place(name, top.ID, f)
		rec := t.bears(&one, l.name, f.Name())
		held := counted{whole: true, used: f.ModTime()}
		if err := t.count(ctx, name, f, one.ID, rec, 2, &held); err != nil {
			return err
		}
		one.fill(held)
		below = append(below, one.Trace)
		all.add(held)
	}
	for _, f := range l.files {
		name := path.Join(l.name, f.Name())
		all.file(f)
		if connector.CopyName(name) {
			all.copies = append(all.copies, t.copyOf(name, top.ID, f, nil))
		} else if l.name == document || connector.TenantsPlace(l.name) || slices.Contains([]string{".db", ".sqlite", ".sqlite3"}, path.Ext(name)) {
			one := t.file(name, top.ID, f)
			t.bears(&one, l.name, f.Name())
			below = append(below, one.Trace)
		}
	}
	top.fill(all)
	return t.tell(slices.Concat([]connector.Trace{top.Trace}, below, all.copies)...)
}

// count adds up what a folder holds, however deep.
func (t *tracing) count(ctx context.Context, name string, seen fs.FileInfo, in string, rec *record, depth int, held *counted) error {
	if depth > tracedDepth {
		t.deep = append(t.deep, name)
		held.whole = false
		return nil
	}
	var folders []fs.FileInfo
	whole, err := t.read(ctx, name, seen, func(e fs.DirEntry) error {
		at := path.Join(name, e.Name())
		info, err := e.Info()
		switch {
		case err != nil, info.Mode()&fs.ModeSymlink != 0:
			return nil
		case info.IsDir():
			folders = append(folders, info)
			return nil
		}
		held.file(info)
		switch {
		case !info.Mode().IsRegular(), !connector.CopyName(at):
		case len(held.copies) < tracedCopies:
			held.copies = append(held.copies, t.copyOf(at, in, info, rec))
		case !slices.Contains(t.many, in):
			t.many = append(t.many, in)
		}
		return nil
	})
	held.whole = held.whole && whole
	slices.SortFunc(folders, func(a, b fs.FileInfo) int { return cmp.Compare(a.Name(), b.Name()) })
	for _, f := range folders {
		if err == nil {
			err = t.count(ctx, path.Join(name, f.Name()), f, in, rec, depth+1, held)
		}
	}
	return err
}

func uidID(uid int) string { return "uid:" + strconv.Itoa(uid) }

// traced is a place that is being told.
type traced struct{ connector.Trace }

func (one *traced) fill(c counted) {
	if one.Used = c.used; c.whole {
		one.Rows, one.Bytes = c.rows, c.bytes
	}
}

// place is a folder, or a file that may be a tenant's whole store.
func (t *tracing) place(name, in string, info fs.FileInfo) traced {
	word := "file"
	if info.IsDir() {
		word = "folder"
	}
	return traced{connector.Trace{
		Kind: connector.TracePlace, Word: word, Name: name, ID: word + ":" + name, In: in, Called: []string{path.Base(name)},
		Owners: t.owners(info), Open: t.openness(name, info), Rows: -1, Bytes: -1, Made: born(t.root, name),
	}}
}

// copyOf is a copy of other data. Where it stands among backups of ours, it expires.
func (t *tracing) copyOf(name, in string, info fs.FileInfo, rec *record) connector.Trace {
	one := connector.Trace{
		Kind: connector.TraceCopy, Word: "file", Name: name, ID: "file:" + name, In: in, Called: []string{path.Base(name)},
		Owners: t.owners(info), Open: t.openness(name, info), Rows: -1, Bytes: info.Size(), Made: info.ModTime(),
	}
	if rec != nil && rec.Type == backups {
		one.Expires = expiry(rec.Attributes, info.ModTime())
	}
	return one
}

// owners is whose a file is, unless it is the user's that looks, or root's.
func (t *tracing) owners(info fs.FileInfo) []string {
	uid, ok := owner(info)
	if !ok || uid == 0 || uid == os.Geteuid() {
		return nil
	}
	t.uids[uid] = true
	return []string{uidID(uid)}
}

// openness says, in words, whether every user of the machine may read or change a thing, as
// far as modes tell: no list of rights beside them is looked at.
func (t *tracing) openness(name string, info fs.FileInfo) string {
	may := ""
	switch m := info.Mode().Perm(); {
	case m&0o006 == 0o006:
		may = "read and change"
	case m&0o004 != 0:
		may = "read"
	case m&0o002 != 0:
		may = "change"
	}
	if may == "" || !t.passage {
		return ""
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := t.root.Lstat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return ""
		}
	}
	return fmt.Sprintf("every user of the machine may %s it (mode %04o)", may, info.Mode().Perm())
}

// bears fills in the type of what stands where resources do, and whose mark it bears.
func (t *tracing) bears(one *traced, typ, name string) *record {
	if !slices.Contains([]string{backups, bucket, document}, typ) || (typ == document) != strings.HasPrefix(one.ID, "file:") {
		return nil
	}
	one.Type, one.Name, one.Called = typ, name, []string{one.Name}
	if !t.own || checkName(name) != nil {
		return nil
	}
	rec, broken, err := readRecord(t.root, typ, name)
	if err != nil {
		return nil
	}
	p, err := t.at(t.root, path.Join(typ, name), rec, broken)
	if err != nil || !p.found() {
		return nil
	}
	one.Bears = p.owner
	return p.rec
}
