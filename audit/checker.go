package audit

import (
	"golang.org/x/mod/sumdb/tlog"
)

// checker recomputes the tree from the leaves and compares each stored hash.
// Where a stored hash and the recomputed one differ it keeps both, until the
// hash above says which of the two it was made from: then it is known which
// was changed, and one change isn't reported again at every level.
type checker struct {
	report *Report
	size   int64
	edge   []node // largest subtree first
}

// node is a complete subtree: its most likely hash and, if there is doubt, the other.
type node struct {
	level int
	n     int64
	hash  tlog.Hash
	known bool
	other tlog.Hash
	doubt bool
}

func (t *checker) push(g leafSlots, entry slot) {
	x := merge(node{n: t.size}, g.leaf, entry)
	for k, stored := range g.parents {
		left := t.edge[len(t.edge)-1]
		t.edge = t.edge[:len(t.edge)-1]
		x = t.join(node{level: k + 1, n: left.n / 2}, left, x, stored)
	}
	t.edge = append(t.edge, x)
	t.size++
}

// merge gives x the stored hash, or the recomputed one where none is stored.
func merge(x node, stored, made slot) node {
	switch {
	case stored.known:
		x.hash, x.known = stored.hash, true
		x.other, x.doubt = made.hash, made.known && made.hash != stored.hash
	case made.known:
		x.hash, x.known = made.hash, true
	}
	return x
}

// join puts the parent over two subtrees and settles the doubts below it.
func (t *checker) join(parent, left, right node, stored slot) node {
	if left.known && right.known {
		for _, l := range left.hashes() {
			for _, r := range right.hashes() {
				if stored.known && tlog.NodeHash(l, r) == stored.hash {
					t.settle(left, verdictOn(left, l))
					t.settle(right, verdictOn(right, r))
					return merge(parent, stored, slot{})
				}
			}
		}
	}
	t.settle(left, undecided)
	t.settle(right, undecided)
	if !left.known || !right.known {
		return merge(parent, stored, slot{})
	}
	return merge(parent, stored, slot{tlog.NodeHash(left.hash, right.hash), true})
}

func (x node) hashes() []tlog.Hash {
	if x.doubt {
		return []tlog.Hash{x.hash, x.other}
	}
	return []tlog.Hash{x.hash}
}

// verdict is what the hash above a subtree in doubt says of it.
type verdict int

const (
	undecided       verdict = iota
	storedRight             // the stored hash went into the one above: what lies below was changed
	recomputedRight         // the recomputed one did: the stored hash was changed
)

func verdictOn(x node, used tlog.Hash) verdict {
	if x.doubt && used == x.other {
		return recomputedRight
	}
	return storedRight
}

// settle reports a subtree that was in doubt.
func (t *checker) settle(x node, v verdict) {
	if !x.doubt {
		return
	}
	from, to := x.n<<x.level, (x.n+1)<<x.level-1
	switch {
	case x.level == 0 && v == recomputedRight:
		t.report.add(NodeDiffers, to, "the node row for entry %d differs: its leaf hash isn't the entry's", to)
	case x.level == 0:
		t.report.add(EntryChanged, to, "entry %d was changed", to)
	case v == storedRight:
		t.report.add(EntryChanged, to, "among the entries %d to %d one was changed together with its hash", from, to)
	default:
		t.report.add(NodeDiffers, to, "the node row for entry %d differs: the hash over the entries %d to %d isn't theirs", to, from, to)
	}
}

// matches says whether the tree as it stands can have this root, and with
// which of the subtrees in doubt taken as recomputed (-1 for none).
func (t *checker) matches(root tlog.Hash) (int, bool) {
	edge := make([]tlog.Hash, len(t.edge))
	for i, x := range t.edge {
		edge[i] = x.hash
	}
	if edgeRoot(edge) == root {
		return -1, true
	}
	for i, x := range t.edge {
		if !x.doubt {
			continue
		}
		edge[i] = x.other
		if edgeRoot(edge) == root {
			return i, true
		}
		edge[i] = x.hash
	}
	return -1, false
}

func (t *checker) root() tlog.Hash {
	edge := make([]tlog.Hash, len(t.edge))
	for i, x := range t.edge {
		edge[i] = x.hash
	}
	return edgeRoot(edge)
}

// finish compares with the head and settles what is still in doubt.
func (t *checker) finish(size int64, root tlog.Hash) {
	if t.size != size {
		t.report.add(HeadDiffers, t.size, "the head says size %d, the log has %d", size, t.size)
	}
	taken, ok := t.matches(root)
	if !ok && t.size == size {
		t.report.add(HeadDiffers, size, "the head's root isn't that of the tree of size %d", size)
	}
	for i, x := range t.edge {
		switch {
		case ok && i == taken:
			t.settle(x, recomputedRight)
		case ok:
			t.settle(x, storedRight)
		default:
			t.settle(x, undecided)
		}
	}
}
