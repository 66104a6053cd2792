package survey

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
)

// at names one thing: the system's place among those that were seen, and the thing's among
// its traces.
type at struct{ system, trace int }

// whose says to which party a thing belongs, and why.
type whose struct {
	party     int // in mapper.parties; -1 is nobody
	sure      tenure.Confidence
	reason    string
	contested bool // the evidence names more than one
}

// party is a tenant while the map is made.
type party struct {
	Tenant
	n      int // its place among the parties
	things []at
}

// id is what a party is called while claims are held against it.
func (p *party) id() tenure.TenantID { return tenure.TenantID(strconv.Itoa(p.n)) }

// mapper joins what was seen.
type mapper struct {
	seen     []Seen
	ask      Ask
	ids      []map[string]int // by system: a trace's ID
	whose    []map[int]whose  // by system and trace
	parties  []*party
	claims   *claim.Claims
	keys     map[string]int     // by bearing: the party that is known by it; -1 of two
	keyNames map[string]int     // by what a key is as a name: the party; -1 of two
	keyed    map[string]bool    // sorts of places most of which are named by keys
	lacks    map[string]lacking // by sort and what is lacking
	naming   claim.Patterns
	share    map[string]bool // sorts of accounts most of which are tenants'
	report   *Report
}

// Map joins what was seen of systems into tenants and findings. It is pure.
func Map(seen []Seen, ask Ask) *Report {
	m := &mapper{seen: seen, ask: ask, claims: claim.New(nil), keys: map[string]int{}, keyNames: map[string]int{}, keyed: map[string]bool{}, lacks: map[string]lacking{}, naming: claim.Patterns{}, share: map[string]bool{},
		report: &Report{Taken: ask.Now.UTC(), Tenants: []Tenant{}, Findings: []Finding{}, Steps: []Step{}, Shared: []Thing{}, Waste: map[string]Cost{}}}
	for _, s := range seen {
		index := make(map[string]int, len(s.Traces))
		for i, t := range s.Traces {
			if t.ID != "" {
				index[t.ID] = i
			}
		}
		m.ids = append(m.ids, index)
		m.whose = append(m.whose, map[int]whose{})
		m.report.Systems = append(m.report.Systems, System{s.Source.Name, s.Source.Info.Name, len(s.Traces), s.Calls, s.Says, s.Failed})
	}
	m.lists()
	m.assign()
	m.unlisted()
	m.assign()
	m.tell()
	m.catalogues()
	return m.report
}

// catalogues keeps of each system's tables those that aren't in a tenant's own place.
func (m *mapper) catalogues() {
	for s, seen := range m.seen {
		own := map[string]bool{}
		for i := range m.whose[s] {
			if t := m.trace(at{s, i}); t.Kind == connector.TracePlace && m.whose[s][i].party >= 0 {
				own[t.Name] = true
			}
		}
		var c connector.Catalogue
		kept := map[string]bool{}
		for _, t := range seen.Catalogue.Tables {
			if !own[t.Schema] {
				c.Tables, kept[t.String()] = append(c.Tables, t), true
			}
		}
		for _, l := range seen.Catalogue.Links {
			if kept[l.Child] && kept[l.Parent] {
				c.Links = append(c.Links, l)
			}
		}
		if len(c.Tables) == 0 {
			continue
		}
		if m.report.Catalogues == nil {
			m.report.Catalogues = map[string]connector.Catalogue{}
		}
		m.report.Catalogues[seen.Source.Name] = c
	}
}

func (m *mapper) trace(a at) *connector.Trace { return &m.seen[a.system].Traces[a.trace] }

// each goes through everything of the given kinds that is nobody's yet; without kinds, all.
func (m *mapper) each(f func(at, *connector.Trace), kinds ...connector.TraceKind) {
	for s := range m.seen {
		for i := range m.seen[s].Traces {
			t := &m.seen[s].Traces[i]
			if _, known := m.whose[s][i]; !known && (len(kinds) == 0 || slices.Contains(kinds, t.Kind)) {
				f(at{s, i}, t)
			}
		}
	}
}

// list is a list of customers: the entries in one place of one system.
type list struct {
	system int
	in     string
	word   string
	traces []int
	keyed  int // of them, how many have rows that bear their key
}

// lists makes a party of each customer that a list names. The list whose keys most rows bear
// goes first; an entry of a later one that is an earlier one's customer adds to it.
func (m *mapper) lists() {
	var all []*list
	for s := range m.seen {
		keyed := map[string]bool{}
		for _, t := range m.seen[s].Traces {
			if t.Kind == connector.TraceRows {
				keyed[t.Name] = true
			}
		}
		by := map[string]*list{}
		for i, t := range m.seen[s].Traces {
			if t.Kind != connector.TraceRecord {
				continue
			}
			l := by[t.Word+"\x00"+t.In]
			if l == nil {
				l = &list{system: s, in: t.In, word: t.Word}
				by[t.Word+"\x00"+t.In] = l
				all = append(all, l)
			}
			l.traces = append(l.traces, i)
			if keyed[t.Name] {
				l.keyed++
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *list) int { return cmp.Or(b.keyed-a.keyed, len(b.traces)-len(a.traces)) })
	for n, l := range all {
		had := len(m.parties)
		for _, i := range l.traces {
			m.listed(at{l.system, i}, l, n == 0, had)
		}
		for _, p := range m.parties[had:] {
			m.claim(p)
		}
	}
}

// listed takes one entry of a list. Entries of one list are told from each other by the list
// itself: only parties of lists before, those before had, can be the same.
func (m *mapper) listed(a at, l *list, first bool, had int) {
	t := m.trace(a)
	from := m.seen[a.system].Source.Name
	w := whose{party: -1}
	if !first {
		w = m.evidence(a, t)
	}
	var p *party
	if w.party >= 0 && w.party < had {
		p = m.parties[w.party]
		m.give(a, w)
	} else {
		p = m.party(title(t))
		m.give(a, whose{party: p.n, sure: tenure.Certain, reason: "it is the customer's entry in the list"})
	}
	p.Listed = append(p.Listed, from+": "+m.inside(a.system, t, l.word))
	for _, name := range append([]string{t.Name}, t.Called...) {
		if name != "" && name != p.Name && !slices.Contains(p.Also, name) {
			p.Also = append(p.Also, name)
		}
	}
	for _, mail := range t.Mails {
		if d := domain(mail); d != "" && !tenure.PublicMail(d) && !slices.Contains(p.Domains, d) {
			p.Domains = append(p.Domains, d)
		}
	}
	for _, id := range t.ExternalIDs {
		if telling(id) && !slices.Contains(p.ExternalIDs, id) {
			p.ExternalIDs = append(p.ExternalIDs, id)
		}
	}
	if Distinctive(t.Name) && !slices.Contains(p.ExternalIDs, t.Name) {
		p.ExternalIDs = append(p.ExternalIDs, t.Name)
	}
	if status := t.Labels["status"]; status != "" && p.Status == "" {
		p.Status = status
	}
	// The first list that says so decides: a CRM's closed deal closes no customer.
	if len(p.Listed) == 1 {
		p.Left = t.Disabled && !slices.Contains(paused, strings.ToLower(t.Labels["status"]))
	}
	n := m.whose[a.system][a.trace].party
	m.key(m.entry(a.system, t.ID), n)
	m.key(m.plain(a.system, t.Name), n)
	if had, is := m.keyNames[keyName(t.Name)]; is && had != n {
		n = -1
	}
	m.keyNames[keyName(t.Name)] = n
}

// paused are words of a status by which a customer is shut out, and hasn't left.
var paused = []string{"suspended", "paused", "locked", "blocked", "disabled", "past_due", "unpaid"}

func (m *mapper) party(name string) *party {
	p := &party{Tenant: Tenant{Name: name}, n: len(m.parties)}
	m.parties = append(m.parties, p)
	return p
}

// key remembers by what a party is known in a system.
func (m *mapper) key(bearing string, party int) {
	if had, is := m.keys[bearing]; is && had != party {
		party = -1
	}
	m.keys[bearing] = party
}

// entry is a bearing by the entry of a list; plain is one by a key of which nothing tells to
// which list it belongs.
func (m *mapper) entry(system int, id string) string {
	return m.seen[system].Source.Name + "\x00entry\x00" + id
}

func (m *mapper) plain(system int, key string) string {
	return m.seen[system].Source.Name + "\x00key\x00" + key
}

// bearings are by what a thing says whose it is: the entries that it names, else the key.
func (m *mapper) bearings(system int, t *connector.Trace, key string) (out []string) {
	for _, id := range t.Owners {
		out = append(out, m.entry(system, id))
	}
	if len(out) == 0 && key != "" {
		out = append(out, m.plain(system, key))
	}
	return out
}

// claim lets a party be found by what it is known by.
func (m *mapper) claim(p *party) {
	for _, name := range p.Names() {
		m.claims.Add(claim.Party{Tenant: p.id(), Left: p.Left, Name: name, KnownBy: tenure.KnownBy{Domains: p.Domains, ExternalIDs: p.ExternalIDs}})
	}
}

// give says whose a thing is.
func (m *mapper) give(a at, w whose) {
	m.whose[a.system][a.trace] = w
	m.parties[w.party].things = append(m.parties[w.party].things, a)
}

// assign gives what is nobody's to those whom the evidence names, until no more is found:
// what a party has been given tells more about it.
func (m *mapper) assign() {
	for range 4 {
		m.learn()
		given := 0
		m.each(func(a at, t *connector.Trace) {
			if w := m.evidence(a, t); w.party >= 0 {
				m.give(a, w)
				given++
			}
		})
		if given == 0 {
			return
		}
	}
}

// learn takes from what parties were given how things are named after them, and which mail
// domains are theirs: those of accounts that are surely one party's, and of no other's.
func (m *mapper) learn() {
	m.naming = claim.Patterns{}
	domains := map[string]int{}
	for n, p := range m.parties {
		for _, a := range p.things {
			t := m.trace(a)
			for _, name := range p.Names() {
				m.naming.Learn(m.sort(a, t), claim.Words(t.Name), p.id(), claim.Words(name))
			}
			if w := m.whose[a.system][a.trace]; !w.sure.Proves() || t.Kind != connector.TraceAccount {
				continue
			}
			for _, mail := range t.Mails {
				d := tenure.MailDomain(mail)
				if d == "" || tenure.PublicMail(d) || slices.Contains(m.ask.Own, d) {
					continue
				}
				if had, is := domains[d]; is && had != n {
					domains[d] = -1
				} else if !is {
					domains[d] = n
				}
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(domains)) {
		if n := domains[d]; n >= 0 && !slices.Contains(m.parties[n].Domains, d) {
			p := m.parties[n]
			p.Domains = append(p.Domains, d)
			m.claims.Add(claim.Party{Tenant: p.id(), Left: p.Left, KnownBy: tenure.KnownBy{Domains: []string{d}}})
		}
	}
}

// sort tells things that are named alike from others: those of one kind in one system.
func (m *mapper) sort(a at, t *connector.Trace) string {
	return m.seen[a.system].Source.Name + "\x00" + t.Word
}

// evidence says whose a thing is: by its key, what it is in, its owner, its labels, its
// external ids, its mail addresses, its name.
func (m *mapper) evidence(a at, t *connector.Trace) whose {
	borne := func(key string) whose {
		for _, bearing := range m.bearings(a.system, t, key) {
			if p, is := m.keys[bearing]; is && p >= 0 {
				return whose{party: p, sure: tenure.Strong, reason: "it has the tenant's key " + key}
			} else if is {
				return whose{party: -1, contested: true}
			}
		}
		return whose{party: -1}
	}
	if t.Kind == connector.TraceRows {
		if w := borne(t.Name); w.party >= 0 || w.contested || len(t.Owners) > 0 { // its list has no such key
			return w
		}
	}
	for _, label := range slices.Sorted(maps.Keys(t.Labels)) {
		value := t.Labels[label]
		if !connector.TenantColumn(label) || value == "" || t.Kind == connector.TraceTable {
			continue
		}
		if w := borne(value); w.party >= 0 || w.contested {
			return w
		}
		if len(t.Owners) > 0 {
			continue
		}
		if w := m.named(connector.Account{Name: value, ExternalIDs: []string{value}}); w.party >= 0 {
			if w.reason = "its label " + label + " is " + value; w.sure != tenure.Possible {
				w.sure = tenure.Strong
			}
			return w
		}
	}
	for _, id := range append(slices.Clone(t.Owners), t.In) {
		i, is := m.ids[a.system][id]
		if !is && id != t.In && (t.Kind == connector.TraceRows || t.Labels["tenant"] != "") { // the entry that it names is no more
			return whose{party: -1}
		}
		if w, known := m.whose[a.system][i]; is && known {
			how := "it belongs to "
			if id == t.In {
				how = "it is in "
			}
			return whose{party: w.party, sure: w.sure, reason: how + m.seen[a.system].Traces[i].Word + " " + m.seen[a.system].Traces[i].Name}
		}
	}
	if w := m.byKey(a, t); w.party >= 0 {
		return w
	}
	if w := m.named(connector.Account{Name: t.Name, Mails: t.Mails, ExternalIDs: t.ExternalIDs}); w.party >= 0 || w.contested {
		return w
	}
	for _, name := range t.Called {
		if w := m.named(connector.Account{Name: name}); w.party >= 0 {
			return w
		}
	}
	return whose{party: -1}
}
