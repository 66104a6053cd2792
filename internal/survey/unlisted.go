package survey

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
)

// bare is how many places of a kind have to be named after tenants with nothing beside it,
// and which part of all, before another one of that kind is held to be a tenant's.
const (
	bareLeast = 3
	barePart  = 2 // at least one in so many
)

// unlisted makes parties of what is made as a tenant's things are and is nobody's: rows whose
// key is in no list, and what is named as the things of tenants that are known.
func (m *mapper) unlisted() {
	m.learn()
	made := map[string]*party{}
	add := func(name, bearing string) *party {
		key := strings.Join(claim.Words(name), " ")
		if !claim.Telling(claim.Words(name)) { // 9 in one list is another than 9 in another
			key = bearing
		}
		if made[key] == nil {
			made[key] = m.party(name)
		}
		return made[key]
	}
	m.each(func(a at, t *connector.Trace) {
		if strings.TrimSpace(t.Name) == "" || m.evidence(a, t).contested {
			return
		}
		bearing := m.bearings(a.system, t, t.Name)[0]
		p := add(t.Name, bearing)
		m.key(bearing, p.n)
		m.give(a, whose{party: p.n, sure: tenure.Strong, reason: "the rows have the key " + t.Name})
	}, connector.TraceRows)
	bare, contents := m.bare(), map[int]map[int][]at{}
	m.each(func(a at, t *connector.Trace) {
		if m.evidence(a, t).contested {
			return
		}
		if t.Kind != connector.TracePlace {
			if contents[a.system] == nil {
				contents[a.system] = m.contents(a.system)
			}
			if len(m.wide(a, contents[a.system]).parties) > 1 {
				return // what serves several tenants is no tenant's by its name
			}
		}
		if is, words := m.naming.Like(m.sort(a, t), t.Name); is != "" && !machinery(words) {
			m.give(a, whose{party: add(strings.Join(words, " "), "").n, sure: tenure.Possible, reason: "it is named like tenants' things: " + is})
			return
		}
		if t.Kind == connector.TracePlace && !loose(t) && bare[m.sort(a, t)] && claim.Telling(claim.Words(t.Name)) && !machinery(claim.Words(t.Name)) {
			m.give(a, whose{party: add(t.Name, "").n, sure: tenure.Possible, reason: "it is among tenants' things, and is named like them"})
		}
	}, connector.TracePlace, connector.TraceAccount, connector.TraceGroup)
	for _, p := range made {
		m.claim(p)
	}
	if len(m.parties) == 0 {
		m.unnamed()
	}
}

// loose says that a thing is a file or an object that lies beside places of tenants': it may
// be named after one, and is no tenant's whole store.
func loose(t *connector.Trace) bool {
	return t.Word == "object" || t.Word == "file" && t.Type == "" && t.In == ""
}

// machinery says that all words of a name are such as platforms give to what is no tenant's.
func machinery(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(shared, w) })
}

var shared = strings.Fields(`analytics archive archives assets audit auditors backup backups billing bucket buckets common config core default document documents
	dumps editors events exports files finance general groups history images jobs legal log logs media members meta metrics misc old operations ops people persons policies
	public queue readers reporting roles sales sandbox security shared staff staging static stats support system temp templates test tmp uploads users writers`)

// bare are the kinds of places that are named after tenants with nothing beside it.
func (m *mapper) bare() map[string]bool {
	named, all := map[string]int{}, map[string]int{}
	for s := range m.seen {
		for i := range m.seen[s].Traces {
			t := &m.seen[s].Traces[i]
			if t.Kind != connector.TracePlace || loose(t) {
				continue
			}
			kind := m.sort(at{s, i}, t)
			all[kind]++
			if w, is := m.whose[s][i]; is && w.sure != tenure.Possible {
				named[kind]++
			}
		}
	}
	out := map[string]bool{}
	for kind, n := range named {
		out[kind] = n >= bareLeast && n*barePart >= all[kind]
	}
	return out
}

// unnamed makes parties where no list and no rows tell of any: of places of one kind whose
// names begin or end with the same word.
func (m *mapper) unnamed() {
	heads, tails, all := map[string]int{}, map[string]int{}, map[string]int{}
	edge := func(a at, t *connector.Trace) (kind string, words []string) {
		return m.sort(a, t), claim.Words(t.Name)
	}
	m.each(func(a at, t *connector.Trace) {
		if loose(t) {
			return
		}
		kind, words := edge(a, t)
		all[kind]++
		if len(words) > 1 {
			heads[kind+"\x00"+words[0]]++
			tails[kind+"\x00"+words[len(words)-1]]++
		}
	}, connector.TracePlace)
	common := func(n, of int) bool { return n >= bareLeast && n*barePart >= of }
	made := map[string]*party{}
	m.each(func(a at, t *connector.Trace) {
		kind, words := edge(a, t)
		if len(words) < 2 || loose(t) || machinery(words) {
			return
		}
		if common(heads[kind+"\x00"+words[0]], all[kind]) {
			words = words[1:]
		} else if common(tails[kind+"\x00"+words[len(words)-1]], all[kind]) {
			words = words[:len(words)-1]
		} else {
			return
		}
		name := strings.Join(words, " ")
		if machinery(words) {
			return
		}
		if made[name] == nil {
			made[name] = m.party(name)
		}
		m.give(a, whose{party: made[name].n, sure: tenure.Possible, reason: "others beside it have names of the same form"})
	}, connector.TracePlace)
	for _, p := range made {
		m.claim(p)
	}
}
