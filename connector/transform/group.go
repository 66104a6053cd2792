package transform

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Groups counts rows by what identifies them together, after their transforms.
type Groups struct {
	names []string
	rows  map[string]int64
	of    map[string]map[string]bool // who the rows are of, where that is told
	past  map[string]int64           // rows that were judged before
}

// maxGroups is how many groups are counted at the most: more than that are no groups.
const maxGroups = 1_000_000

// NewGroups counts by fields of these names.
func NewGroups(names []string) *Groups { return &Groups{names: names, rows: map[string]int64{}} }

// Add counts a row with the values of the fields. Who, if it isn't nil, is whom the row is
// of: a group's size is then how many of them there are.
func (g *Groups) Add(values []any, who any) error {
	raw, err := tenure.Canonical(values)
	if err != nil {
		return err
	}
	key := string(raw)
	g.rows[key]++
	if who != nil {
		w, err := plainText(who)
		if err != nil {
			return err
		}
		if g.of == nil {
			g.of = map[string]map[string]bool{}
		}
		if g.of[key] == nil {
			g.of[key] = map[string]bool{}
		}
		g.of[key][w] = true
	}
	if len(g.rows) > maxGroups {
		return tenure.Errorf(tenure.Blocked, "there are more than %d groups by %s", maxGroups, strings.Join(g.names, ", ")).WithHint("generalise these columns further")
	}
	return nil
}

// AddPast is Add for a row that was judged before, among rows of which some have gone
// since: it makes its group larger, and alone it makes none too small.
func (g *Groups) AddPast(values []any, who any) error {
	raw, err := tenure.Canonical(values)
	if err != nil {
		return err
	}
	if g.past == nil {
		g.past = map[string]int64{}
	}
	g.past[string(raw)]++
	return g.Add(values, who)
}

// Size is how many there are in the group of some values.
func (g *Groups) Size(values []any) int64 {
	raw, err := tenure.Canonical(values)
	if err != nil {
		return 0
	}
	return g.size(string(raw))
}

func (g *Groups) size(key string) int64 {
	if g.of != nil {
		return int64(len(g.of[key]))
	}
	return g.rows[key]
}

// Below are the groups of fewer than k, as their canonical JSON.
func (g *Groups) Below(k int64) (short []string) {
	for key := range g.rows {
		if g.size(key) < k && g.rows[key] > g.past[key] {
			short = append(short, key)
		}
	}
	return short
}

// From are the groups of k and more, as their canonical JSON.
func (g *Groups) From(k int64) (enough []string) {
	for key := range g.rows {
		if g.size(key) >= k {
			enough = append(enough, key)
		}
	}
	return enough
}

// Short names the groups of fewer than k, the smallest first, in words; at most ten, and
// how many there are beyond. "" says that there is none.
func (g *Groups) Short(k int64) string {
	short := g.Below(k)
	if len(short) == 0 {
		return ""
	}
	slices.SortFunc(short, func(a, b string) int {
		if n := g.size(a) - g.size(b); n != 0 {
			return int(n)
		}
		return strings.Compare(a, b)
	})
	out := make([]string, 0, 10)
	for _, key := range short[:min(10, len(short))] {
		out = append(out, fmt.Sprintf("%s has %d", key, g.size(key)))
	}
	says := strings.Join(out, ", ")
	if more := len(short) - len(out); more > 0 {
		says += fmt.Sprintf(", and %d more", more)
	}
	return says
}

// Shuffle gives every one of n rows another one's place, by Sattolo's algorithm (S.
// Sattolo, "An algorithm to generate a random cyclic permutation", 1986). It is nil for
// fewer than two rows.
func Shuffle(n int) []int {
	if n < 2 {
		return nil
	}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := rand.IntN(i)
		out[i], out[j] = out[j], out[i]
	}
	return out
}
