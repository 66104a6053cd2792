package survey

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// StepLeast and StepShare say how many of the tenants of a kind that haven't left must have
// something before one without it lacks it: at least so many, and so many of a hundred.
const (
	StepLeast = 3
	StepShare = 60
)

// The kinds of tenants on a platform where some have a schema or a database of their own,
// and the others' data is in tables that they share. Everywhere else all are of one kind.
const (
	ownPlace = "with a place of their own"
	pooled   = "in shared tables"
)

// step is what tenants may have: things of a kind in a system, or rows of one table.
type step struct {
	system int
	word   string
	rows   bool
}

// holding is what tenants that haven't left have.
type holding struct {
	active []*party
	have   map[step]map[*party]bool
	places map[int]map[*party]bool // by system: who has a place of its own there
	kinds  map[*party]string       // "" where there is one kind alone, or nothing tells it
}

func (m *mapper) holding() *holding {
	h := &holding{have: map[step]map[*party]bool{}, places: map[int]map[*party]bool{}, kinds: map[*party]string{}}
	for _, p := range m.parties {
		if p.Left || len(p.Listed) == 0 && m.listedAny() {
			continue
		}
		h.active = append(h.active, p)
		for _, a := range p.things {
			t := m.trace(a)
			if t.Kind == connector.TraceCopy || t.Kind == connector.TraceTable {
				continue
			}
			s := step{system: a.system, word: t.Word}
			if t.Kind == connector.TraceRows {
				s.word, s.rows = "rows in "+m.inside(a.system, t, "a table"), true
			}
			if h.have[s] == nil {
				h.have[s] = map[*party]bool{}
			}
			h.have[s][p] = true
			if t.Kind == connector.TracePlace && !loose(t) {
				if h.places[a.system] == nil {
					h.places[a.system] = map[*party]bool{}
				}
				h.places[a.system][p] = true
			}
		}
	}
	for s, own := range h.places {
		h.part(s, own)
	}
	return h
}

// part tells tenants with a place of their own in a system from those in its shared tables,
// if there are both: at least two are in shared tables alone, and most of these have rows in
// a table in which most of the others have none.
func (h *holding) part(system int, own map[*party]bool) {
	alone := map[*party]bool{}
	for s, who := range h.have {
		if s.system != system || !s.rows {
			continue
		}
		for p := range who {
			if !own[p] {
				alone[p] = true
			}
		}
	}
	if len(alone) < 2 {
		return
	}
	both := func(a, b map[*party]bool) (n int) {
		for p := range a {
			if b[p] {
				n++
			}
		}
		return n
	}
	mixed := false
	for s, who := range h.have {
		mixed = mixed || s.system == system && s.rows && 100*both(who, alone) >= StepShare*len(alone) && 100*both(who, own) <= (100-StepShare)*len(own)
	}
	if !mixed {
		return
	}
	for p := range alone {
		if h.kinds[p] == "" {
			h.kinds[p] = pooled
		}
	}
	for p := range own {
		h.kinds[p] = ownPlace
	}
}

// siblings are the tenants that one of a kind is compared with.
func (h *holding) siblings(kind string) (out []*party) {
	for _, p := range h.active {
		if kind == "" || h.kinds[p] == kind {
			out = append(out, p)
		}
	}
	return out
}

// steps finds what most tenants of a kind have, and who of that kind hasn't got it. Who has a
// place of its own in a system isn't said to lack rows in the system's shared tables.
func (m *mapper) steps() {
	h := m.holding()
	order := slices.SortedFunc(maps.Keys(h.have), func(a, b step) int {
		return cmp.Or(a.system-b.system, strings.Compare(a.word, b.word))
	})
	mixed := slices.Contains(slices.Collect(maps.Values(h.kinds)), ownPlace)
	for _, s := range order {
		for _, kind := range []string{"", ownPlace, pooled} {
			siblings, have := h.siblings(kind), 0
			for _, p := range siblings {
				if h.have[s][p] {
					have++
				}
			}
			if have < StepLeast || 100*have < StepShare*len(siblings) {
				continue
			}
			seen := m.seen[s.system]
			one := Step{System: seen.Source.Name, Word: s.word, Among: kind, Have: have, Of: len(siblings), Whole: len(seen.Says) == 0}
			if !mixed || kind != "" {
				m.report.Steps = append(m.report.Steps, one)
			}
			for _, p := range siblings {
				if !h.have[s][p] && h.kinds[p] == kind && (!s.rows || !h.places[s.system][p]) {
					p.Lacks = append(p.Lacks, one.lack())
				}
			}
		}
	}
}

// lack is what is said of a tenant that hasn't got it.
func (s Step) lack() string {
	sight := "missing"
	if !s.Whole {
		sight = "not seen, but not all of " + s.System + " was read"
	}
	who := "tenants"
	if s.Among != "" {
		who += " " + s.Among
	}
	return fmt.Sprintf("%s in %s: %s; %d of %d %s have one", s.Word, s.System, sight, s.Have, s.Of, who)
}

// lacking is how many of tenants' things of a kind in a system lack something.
type lacking struct{ lacking, all int }

// lack counts who else lacks what a thing lacks: what none of them has, nobody forgot for one tenant.
func (m *mapper) lack(a at, t *connector.Trace, lack string) lacking {
	sort := m.sort(a, t) + "\x00" + string(t.Kind)
	key := sort + "\x00" + lack
	if n, known := m.lacks[key]; known {
		return n
	}
	var n lacking
	for i := range m.seen[a.system].Traces {
		other := &m.seen[a.system].Traces[i]
		if _, owned := m.whose[a.system][i]; !owned || m.sort(a, other)+"\x00"+string(other.Kind) != sort {
			continue
		}
		n.all++
		if slices.Contains(other.Lacks, lack) {
			n.lacking++
		}
	}
	m.lacks[key] = n
	if n.all > 1 && n.lacking == n.all {
		m.report.Without = append(m.report.Without, fmt.Sprintf("none of %d tenants' things of the kind %s in %s has %s", n.all, t.Word, m.seen[a.system].Source.Name, lack))
	}
	return n
}

// bareWord is what is lacking, without its article.
func bareWord(lack string) string {
	return strings.TrimPrefix(strings.TrimPrefix(lack, "a "), "an ")
}
