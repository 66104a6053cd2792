package survey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// wideNamed is how many tenants and things a finding names.
const wideNamed = 3

// wide is an account or a group that is nobody's and reaches things of several tenants.
type wide struct {
	at      at
	all     string // by what it reaches everything; "" if by the rights that are told
	via     string // through which group, in words
	parties []*party
	things  []at // of tenants
	through []at // what was reached, of which the things are, or in which they are
	groups  []int
	owns    bool // it, or a group that it is in, owns a table that it reaches
	owned   bool // the system tells owners of such tables
	guarded bool // every table has row security that it reaches tenants' rows in
}

// wides finds accounts that are nobody's and reach things of several tenants, and groups
// that no such account is in.
func (m *mapper) wides() {
	for s := range m.seen {
		contents := m.contents(s)
		var found []*wide
		joined := map[int]bool{} // groups that some account is in
		for i := range m.seen[s].Traces {
			t := &m.seen[s].Traces[i]
			if t.Kind != connector.TraceAccount || t.Disabled {
				continue
			}
			_, known := m.whose[s][i]
			w := m.wide(at{s, i}, contents)
			for _, g := range w.groups {
				joined[g] = true
			}
			if !known && len(w.parties) > 1 {
				found = append(found, w)
			}
		}
		var plain []*wide
		for _, w := range found {
			if w.all == "" {
				plain = append(plain, w)
			}
		}
		for _, w := range found {
			low := ""
			if w.all == "" && len(plain) == 1 && (w.owns || !w.owned) {
				low = "it is the only such account here, as the application's own would be"
				if w.owns {
					low = "it owns tables and is the only such account here, as the application's own would be"
				}
			}
			m.findWide(w, low)
		}
		m.each(func(a at, t *connector.Trace) {
			if a.system != s || joined[a.trace] || t.Disabled {
				return
			}
			if w := m.wide(a, contents); len(w.parties) > 1 {
				m.findWide(w, "no account is in it")
			}
		}, connector.TraceGroup)
	}
}

func (m *mapper) findWide(w *wide, low string) {
	m.find(Wide, nil, w.at, m.widely(w))
	if f := &m.report.Findings[len(m.report.Findings)-1]; low != "" {
		f.Low, f.Says = true, f.Says+"; "+low
	}
}

// contents are, by the table, what is in the tables of a system: tenants' rows.
func (m *mapper) contents(s int) map[int][]at {
	out := map[int][]at{}
	for i := range m.seen[s].Traces {
		if t := &m.seen[s].Traces[i]; t.Kind == connector.TraceRows {
			if table, is := m.ids[s][t.In]; is {
				out[table] = append(out[table], at{s, i})
			}
		}
	}
	return out
}

// wide is what an account or a group reaches of tenants'.
func (m *mapper) wide(a at, contents map[int][]at) *wide {
	w := &wide{at: a, guarded: true}
	t := m.trace(a)
	w.all, w.via = m.everything(a)
	who := map[string]bool{t.ID: true}
	reached := m.reaches(a)
	for _, b := range reached {
		to := m.trace(b)
		if to.Kind != connector.TraceGroup && to.Kind != connector.TraceAccount {
			continue
		}
		w.groups, who[to.ID] = append(w.groups, b.trace), true
	}
	if w.all != "" {
		reached = reached[:0]
		for i := range m.seen[a.system].Traces {
			reached = append(reached, at{a.system, i})
		}
	}
	parties, had := map[*party]bool{}, map[at]bool{}
	take := func(b at) bool {
		p := m.owner(b)
		if p == nil || !data(m.trace(b).Kind) {
			return false
		}
		if !parties[p] {
			parties[p] = true
			w.parties = append(w.parties, p)
		}
		if !had[b] {
			had[b] = true
			w.things = append(w.things, b)
		}
		return true
	}
	for _, b := range reached {
		to, is := m.trace(b), take(b)
		for _, rows := range contents[b.trace] {
			is = take(rows) || is
		}
		if !is {
			continue
		}
		w.through = append(w.through, b)
		w.guarded = w.guarded && to.Kind == connector.TraceTable && to.Labels["row security"] == "true"
		if owner := to.Labels["owner"]; owner != "" {
			w.owned, w.owns = true, w.owns || who[owner]
		}
	}
	return w
}

// widely says what somebody reaches, through what, and whose.
func (m *mapper) widely(w *wide) string {
	var names []string
	for _, p := range w.parties {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	says := fmt.Sprintf("it reaches %d things of %d tenants (%s)", len(w.things), len(w.parties), some(names))
	if w.all != "" {
		return says + ": " + w.all + w.via
	}
	var through []string
	for _, b := range w.through {
		through = append(through, m.trace(b).Word+" "+m.trace(b).Name)
	}
	says += ": it has rights on " + some(through)
	var groups []string
	for _, g := range w.groups {
		other := &m.seen[w.at.system].Traces[g]
		groups = append(groups, other.Word+" "+other.Name)
	}
	if len(groups) > 0 {
		says += ", and is in " + some(groups)
	}
	if w.guarded {
		if m.trace(w.at).Labels["bypassrls"] == "true" {
			says += "; it bypasses their row security"
		} else {
			says += "; row security may hide rows from it"
		}
	}
	return says
}

// some names the first of a list.
func some(names []string) string {
	if len(names) <= wideNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:wideNamed], ", "), len(names)-wideNamed)
}
