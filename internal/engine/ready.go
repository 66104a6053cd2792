package engine

import "github.com/tenurehq/tenure"

// waiting remembers, over many looks at a snapshot, which steps can't begin: while the one that such
// a step was last seen to wait for isn't over, nothing else of it has to be read.
type waiting struct {
	on   []int32 // by node: 1 + a need that wasn't over; 0: none is known
	open []int   // by node: the last look that saw it not to be over
	look int
}

// begin begins a look at so many nodes.
func (w *waiting) begin(nodes int) {
	if len(w.on) != nodes {
		*w = waiting{on: make([]int32, nodes), open: make([]int, nodes)}
	}
	w.look++
}

// still says whether a pending step waits for one that this look has seen not to be over.
func (w *waiting) still(i int) bool {
	if on := w.on[i]; on == 0 || w.open[on-1] != w.look {
		return false
	}
	w.open[i] = w.look
	return true
}

// ready says whether all that a step needs has ended well enough. Where
// something was reopened, all that came before counts, not the last step alone.
func (s *snapshot) ready(i int) bool {
	n := &s.nodes[i]
	s.waiting.on[i] = 0
	for _, need := range n.needs {
		if need < 0 {
			return false
		}
		if !s.over(need) {
			s.waiting.on[i] = int32(need) + 1
			return false
		}
	}
	return !s.reopened || s.allReady(n, make(map[int]bool))
}

func (s *snapshot) allReady(n *node, seen map[int]bool) bool {
	for _, i := range n.needs {
		if i < 0 || !s.over(i) {
			return false
		}
		if !seen[i] {
			seen[i] = true
			if !s.allReady(&s.nodes[i], seen) {
				return false
			}
		}
	}
	return true
}

// over says whether a step has ended, well enough for what follows.
func (s *snapshot) over(i int) bool {
	n := &s.nodes[i]
	return n.ended() || n.step.Optional && n.row.State == tenure.StepFailed
}
