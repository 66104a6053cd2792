package audit

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// slot is a stored hash, or a place where one should be.
type slot struct {
	hash  tlog.Hash
	known bool
}

// leafSlots is what the tree stored with one leaf: its hash, then those of the
// subtrees that it completed.
type leafSlots struct {
	leaf    slot
	parents []slot
}

// nodeCursor walks the stored hashes one by one, across rows.
type nodeCursor struct {
	report *Report
	next   func() (NodeRow, error, bool)
	limit  int64 // stored hashes that the head's size calls for

	pos   int64 // the index of the hash to come
	first int64 // the index of rest's first hash
	rest  []byte
	ended bool
}

// group returns what belongs to leaf n. Without more rows ok is false.
func (c *nodeCursor) group(n int64) (g leafSlots, ok bool, err error) {
	if err := c.fill(); err != nil || c.ended {
		return leafSlots{}, false, err
	}
	if g.leaf, err = c.take(); err != nil {
		return leafSlots{}, false, err
	}
	for range bits.TrailingZeros64(uint64(n + 1)) {
		s, err := c.take()
		if err != nil {
			return leafSlots{}, false, err
		}
		g.parents = append(g.parents, s)
	}
	return g, true, nil
}

func (c *nodeCursor) take() (slot, error) {
	if err := c.fill(); err != nil {
		return slot{}, err
	}
	switch {
	case c.ended:
		c.report.add(NodeMissing, c.leaf(c.pos), "the stored hashes end before hash %d, within entry %d", c.pos, c.leaf(c.pos))
		c.pos++
		return slot{}, nil
	case c.first > c.pos:
		c.pos++
		return slot{}, nil
	}
	s := slot{hash: tlog.Hash(c.rest[:tlog.HashSize]), known: true}
	c.rest = c.rest[tlog.HashSize:]
	c.pos++
	c.first++
	return s, nil
}

// fill sees to it that rest holds a hash at or after pos, or that ended is set.
func (c *nodeCursor) fill() error {
	for len(c.rest) == 0 && !c.ended {
		row, err, more := c.next()
		if err != nil {
			return err
		}
		if !more {
			c.ended = true
			return nil
		}
		if cut := len(row.Hashes) % tlog.HashSize; cut != 0 {
			c.report.add(NodeDiffers, c.leaf(c.pos), "the node row for %d is cut off within a hash", row.First)
			row.Hashes = row.Hashes[:len(row.Hashes)-cut]
		}
		c.accept(row)
	}
	return nil
}

// accept takes a row up, less what earlier rows had.
func (c *nodeCursor) accept(row NodeRow) {
	n := int64(len(row.Hashes) / tlog.HashSize)
	switch {
	case row.First > c.pos && row.First >= c.limit:
		c.report.add(NodeDiffers, c.leaf(c.pos), "the node row for %d lies beyond the head", row.First)
		return
	case row.First > c.pos:
		c.report.add(NodeMissing, c.leaf(c.pos), "the stored hashes %d to %d are missing, from entry %d on", c.pos, row.First-1, c.leaf(c.pos))
	case row.First < c.pos:
		c.report.add(NodeDiffers, c.leaf(c.pos), "the node row for %d repeats hashes of an earlier row", row.First)
		skip := n
		if row.First >= 0 {
			skip = min(n, c.pos-row.First)
		}
		row.First += skip
		row.Hashes = row.Hashes[skip*tlog.HashSize:]
	}
	c.first, c.rest = row.First, row.Hashes
}

// leaf is the number of the entry with which the stored hash i was written.
func (c *nodeCursor) leaf(i int64) int64 {
	level, n := tlog.SplitStoredHashIndex(i)
	return (n+1)<<level - 1
}
