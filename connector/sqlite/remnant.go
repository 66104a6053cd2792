package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var (
	_ connector.Remnanter = (*Driver)(nil)
	_ connector.Cleaner   = (*Driver)(nil)
)

// remnants are what SQLite and its file system physically keep.
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantSpace, Help: "unused bytes in the pages of a shared file of more than 256 MiB, which an erasure doesn't write over by itself; and the blocks of files and journals that were removed, until the file system uses them again", Clean: "it writes zeros over what is unused in the shared file, whatever its size, in one transaction for each 64 MiB of it"},
	{Kind: tenure.RemnantLog, Help: "the shared file's write-ahead log or journal, while somebody reads an older state or where `journal_mode` is persist", Clean: "it writes the log back and empties it; a journal's header is all that `journal_mode=persist` clears, so it isn't taken"},
	{Kind: tenure.RemnantSnapshots, Help: "copies of the files: backups, replication by other programs, snapshots of the disk. They can't be seen from the file"},
}

// Remnants is described at connector.Remnanter.
func (d *Driver) Remnants(_ context.Context, refs []connector.Ref) (out []connector.Remnant, err error) {
	add := func(kind tenure.RemnantKind, bytes int64, says string) {
		out = append(out, connector.Remnant{Kind: kind, Bytes: bytes, Says: says})
	}
	if slices.ContainsFunc(refs, shares) && d.shared != "" {
		info, err := os.Stat(d.shared)
		if err != nil {
			return nil, coded(err)
		}
		if info.Size() > scrubLimit {
			add(tenure.RemnantSpace, info.Size(), fmt.Sprintf("unused bytes in the pages of the shared file of %d MiB aren't written over by an erasure", info.Size()>>20))
		}
		for _, end := range []string{"-wal", "-journal"} {
			info, err := os.Stat(d.shared + end)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return nil, coded(err)
			case info.Size() > 0:
				add(tenure.RemnantLog, info.Size(), "the shared file's "+end[1:]+" isn't empty: it has pages as they were written, of any tenant")
			}
		}
	}
	add(tenure.RemnantSpace, 0, "the blocks of removed files and journals aren't written over until the file system uses them again")
	add(tenure.RemnantSnapshots, 0, "copies of the files and snapshots of the disk can't be seen from the files")
	return out, nil
}

// shares says whether a resource is a share of the platform's file.
func shares(r connector.Ref) bool { return r.Type != "database" }

// Clean is described at connector.Cleaner.
func (d *Driver) Clean(ctx context.Context, refs []connector.Ref, kind tenure.RemnantKind) (rec connector.Receipt, err error) {
	switch {
	case kind != tenure.RemnantSpace && kind != tenure.RemnantLog:
		return rec, tenure.Errorf(tenure.Invalid, "nothing can be done about %s", kind)
	case d.shared == "" || !slices.ContainsFunc(refs, shares):
		return rec, nil
	}
	if kind == tenure.RemnantSpace {
		if err := d.scrub(ctx, d.shared, math.MaxInt64); err != nil {
			return rec, coded(err)
		}
	}
	err = d.onShared(ctx, writing, func(s *session) error { return s.fold(ctx, d.shared) })
	return connector.Receipt{Changed: err == nil}, coded(err)
}
