package audit

import (
	"context"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// window is how far apart an entry and its place are still brought together.
const window = 64

// aligner walks the stored entries beside the stored leaf hashes. Where the
// two part it looks a little ahead on both sides, so that an entry that was
// changed, dropped, added or moved is named as just that.
type aligner struct {
	report  *Report
	tree    *checker
	marks   *marks
	records func() (Record, error, bool)
	stored  *nodeCursor
	size    int64 // of the head

	got   []numbered
	want  []leafSlots
	read  int64 // leaves taken from stored, or made up
	count int64 // records read
	shift int64 // by how much the records' numbers are off
	moved bool  // records were lost or added: learn shift anew
	end   bool  // no more records
	bare  bool  // no more stored hashes
}

type numbered struct {
	index int64
	hash  tlog.Hash
}

func (a *aligner) run(ctx context.Context) error {
	for {
		if a.tree.size%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.fill(); err != nil {
			return err
		}
		if len(a.got) == 0 && len(a.want) == 0 {
			return nil
		}
		if err := a.marks.reached(a.tree); err != nil {
			return err
		}
		a.step()
	}
}

// fill keeps both windows full. When the stored hashes end before the entries
// do, entries up to the head's size are taken on their own word.
func (a *aligner) fill() error {
	for len(a.got) < window && !a.end {
		r, err, ok := a.records()
		if err != nil {
			return err
		}
		if a.end = !ok; ok {
			a.got = append(a.got, numbered{r.Index, tlog.RecordHash(r.Entry)})
			a.count++
		}
	}
	for len(a.want) < window && !a.bare {
		g, ok, err := a.stored.group(a.read)
		if err != nil {
			return err
		}
		if !ok {
			a.bare = true
			if a.read < a.size && len(a.got) > len(a.want) {
				a.report.add(NodeMissing, a.read, "the stored hashes end before entry %d; the head says size %d", a.read, a.size)
			}
			break
		}
		a.want = append(a.want, g)
		a.read++
	}
	if a.bare && len(a.want) == 0 && len(a.got) > 0 && a.tree.size < a.size {
		parents := make([]slot, bits.TrailingZeros64(uint64(a.read+1)))
		a.want = append(a.want, leafSlots{parents: parents})
		a.read++
	}
	return nil
}

// step settles the next leaf, the next record, or both.
func (a *aligner) step() {
	i := a.tree.size
	switch {
	case len(a.want) == 0:
		a.unknown(i)
	case len(a.got) == 0:
		a.missing()
	case !a.want[0].leaf.known:
		a.unchecked(i)
	case a.got[0].hash == a.want[0].leaf.hash:
		a.number(i)
		a.accept()
	default:
		a.mismatch(i)
	}
}

// accept takes the entry as what the leaf says; if the leaf says otherwise,
// the tree above decides which of the two was changed.
func (a *aligner) accept() {
	a.tree.push(a.want[0], slot{a.got[0].hash, true})
	a.want, a.got = a.want[1:], a.got[1:]
}

func (a *aligner) number(i int64) {
	if at := a.got[0].index; at != i+a.shift {
		if !a.moved {
			a.report.add(EntryOrder, i, "entry %d is numbered %d", i, at)
		}
		a.shift = at - i
	}
	a.moved = false
}

// unchecked takes up an entry whose leaf hash isn't stored.
func (a *aligner) unchecked(i int64) {
	if a.got[0].index > i+a.shift {
		a.missing()
		return
	}
	a.number(i)
	a.accept()
}

// missing passes over a leaf that no entry is there for.
func (a *aligner) missing() {
	a.report.add(EntryMissing, a.tree.size, "entry %d is missing (dropped)", a.tree.size)
	a.tree.push(a.want[0], slot{})
	a.want = a.want[1:]
	a.moved = true
}

func (a *aligner) unknown(i int64) {
	a.report.add(EntryUnknown, i, "an entry numbered %d stands where entry %d is due, and the tree doesn't know it", a.got[0].index, i)
	a.got = a.got[1:]
	a.moved = true
}

// mismatch looks ahead on both sides for the partner of each.
func (a *aligner) mismatch(i int64) {
	ahead, behind := a.findWant(a.got[0].hash), a.findGot(a.want[0].leaf.hash)
	switch {
	case ahead > 0 && behind > 0:
		far := int64(max(ahead, behind))
		if ahead == behind {
			a.report.add(EntryOrder, i, "entries %d and %d are out of order", i, i+far)
			a.got[0].hash, a.got[behind].hash = a.got[behind].hash, a.got[0].hash
			return
		}
		a.report.add(EntryOrder, i, "entries %d to %d are out of order", i, i+far)
		h := a.got[behind].hash
		for k := behind; k > 0; k-- {
			a.got[k].hash = a.got[k-1].hash
		}
		a.got[0].hash = h
	case ahead > 0:
		a.missing()
	case behind > 0, a.got[0].index < i+a.shift:
		a.unknown(i)
	case a.got[0].index > i+a.shift:
		a.missing()
	default:
		a.accept()
	}
}

func (a *aligner) findWant(h tlog.Hash) int {
	for k, w := range a.want {
		if w.leaf.known && w.leaf.hash == h {
			return k
		}
	}
	return 0
}

func (a *aligner) findGot(h tlog.Hash) int {
	for k, g := range a.got {
		if g.hash == h {
			return k
		}
	}
	return 0
}
