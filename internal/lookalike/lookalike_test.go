package lookalike_test

import (
	"testing"

	"github.com/tenurehq/tenure/internal/lookalike"
)

// TestSkeleton: a name that an approver takes for another's is found.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	for _, alike := range [][2]string{{"ada", "аdа"}, {"carl", "car1"}, {"bob", "b0b"}, {"marn", "mam"}, {"ops", "ορѕ"}, {"josé", "jose\u0301"}, {"Ada", "ada"}} {
		if a, b := lookalike.Skeleton(alike[0]), lookalike.Skeleton(alike[1]); a != b {
			t.Errorf("%q and %q look alike, and have the skeletons %q and %q", alike[0], alike[1], a, b)
		}
	}
	for _, apart := range [][2]string{{"ada", "adam"}, {"carl", "carla"}, {"birch", "acme"}, {"jose", "josé"}} {
		if lookalike.Skeleton(apart[0]) == lookalike.Skeleton(apart[1]) {
			t.Errorf("%q and %q don't look alike, and have one skeleton", apart[0], apart[1])
		}
	}
}
