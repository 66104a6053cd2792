package objects

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

// inspection reads objects that are yet to be changed, before any is: whether all of their
// records can be, and how many there are in each group of each prefix.
type inspection struct {
	all    map[string]Transform
	groups map[string]*transform.Groups
}

// newInspection looks into objects by transforms.
func newInspection(all map[string]Transform) *inspection {
	return &inspection{all, map[string]*transform.Groups{}}
}

// Read reads one object under a prefix, and is Blocked as Rewrite is. Past says that an
// earlier inspection of the run found it fit.
func (s *inspection) Read(ctx context.Context, prefix string, in io.Reader, beside []string, past bool) error {
	t := s.all[prefix]
	if s.groups[prefix] == nil {
		s.groups[prefix] = transform.NewGroups(t.Identifying)
	}
	return t.Rewrite(ctx, in, io.Discard, How{Name: Unnamed, Groups: s.groups[prefix], Past: past, Beside: beside})
}

// Short is Blocked if groups are too small, and names them.
func (s *inspection) Short() error {
	for _, prefix := range slices.Sorted(maps.Keys(s.groups)) {
		t := s.all[prefix]
		if t.AtLeast == 0 {
			continue
		}
		if says := s.groups[prefix].Short(t.AtLeast); says != "" {
			return tenure.Errorf(tenure.Blocked, "under %q the groups by %s are too small: %s, and each needs %d", prefix, strings.Join(t.Identifying, ", "), says, t.AtLeast).
				WithHint("generalise %s further", strings.Join(t.Identifying, ", "))
		}
	}
	return nil
}

// idLength is the length of an object's id in a list of those that an inspection passed.
const idLength = 16

// maxPassed is how many objects one inspection passes at the most.
const maxPassed = 500_000

// passedList are the ids of objects that an inspection found fit, so that after a kill those that
// are left aren't judged anew without those that went.
type passedList map[string]bool

// Add takes an id, of which only the beginning counts.
func (p passedList) Add(id string) error {
	if len(p) >= maxPassed {
		return tenure.Errorf(tenure.Blocked, "there are more than %d objects to be changed", maxPassed).WithHint("split the data class by prefixes")
	}
	p[id[:idLength]] = true
	return nil
}

// Has says whether an object with the id was found fit.
func (p passedList) Has(id string) bool { return p[id[:idLength]] }

// Text is the list as it is kept, under a head that says what it was judged by; seal
// authenticates it.
func (p passedList) Text(head string, seal func(string) string) string {
	body := head + "\n" + strings.Join(slices.Sorted(maps.Keys(p)), "")
	return seal(body) + "\n" + body
}

// parsePassed reads a list with the same head and a seal that holds. Another is an empty
// one: the inspection is made again.
func parsePassed(text, head string, seal func(string) string) passedList {
	out := passedList{}
	mark, body, _ := strings.Cut(text, "\n")
	given, ids, _ := strings.Cut(body, "\n")
	if mark != seal(body) || given != head || len(ids)%idLength != 0 {
		return out
	}
	for i := 0; i < len(ids); i += idLength {
		out[ids[i:i+idLength]] = true
	}
	return out
}

// MaxText is how many bytes a list has at the most.
const MaxText = maxPassed*idLength + 4096

// headOf names a run of a class's erasure and the rules that it goes by.
func headOf(run, class string, all map[string]Transform) string {
	return fmt.Sprintf("%q %q %x", run, class, digest(all))
}
