package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
)

// tell writes the report.
func (m *mapper) tell() {
	if m.ask.Dormant == 0 {
		m.ask.Dormant = 90 * 24 * time.Hour
	}
	for _, p := range m.parties {
		m.found(p)
	}
	m.crossings()
	m.wides()
	m.each(func(a at, t *connector.Trace) {
		if m.evidence(a, t).contested {
			m.find(Contested, nil, a, "the evidence names more than one tenant")
		}
		switch {
		case t.Kind == connector.TraceTable && t.Labels["tenants"] == "none":
			m.find(Uncovered, nil, a, "no column and no foreign key links its rows to a tenant")
		case t.Kind == connector.TraceRows && t.Name == "":
			m.find(Uncovered, nil, a, "these rows have no tenant's key")
		case t.Kind == connector.TraceAccount && !t.Disabled && m.customers(a, t):
			m.find(Orphan, nil, a, "its mail domain belongs to no tenant")
		}
		thing := m.thing(a)
		thing.Reason = m.nobodys(a, t)
		m.report.Shared = append(m.report.Shared, thing)
	})
	for s := range m.seen {
		for i, t := range m.seen[s].Traces {
			if t.Open != "" {
				m.find(Open, m.owner(at{s, i}), at{s, i}, t.Open)
			}
		}
	}
	m.steps()
	for _, p := range m.parties {
		slices.SortFunc(p.Things, func(a, b Thing) int {
			return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
		})
		m.report.Tenants = append(m.report.Tenants, p.Tenant)
	}
	slices.SortStableFunc(m.report.Tenants, func(a, b Tenant) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	slices.SortStableFunc(m.report.Findings, func(a, b Finding) int {
		return cmp.Or(slices.Index(Kinds, a.Kind)-slices.Index(Kinds, b.Kind), later(a.Low)-later(b.Low), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.System, b.System), strings.Compare(a.Name, b.Name))
	})
	for _, f := range m.report.Findings {
		if f.Cost > 0 && f.Kind != Unused { // it is a customer's still
			m.report.Waste[f.Currency] += f.Cost
		}
	}
}

func later(low bool) int {
	if low {
		return 1
	}
	return 0
}

// nobodys says why a thing is held to be nobody's.
func (m *mapper) nobodys(a at, t *connector.Trace) string {
	switch {
	case m.evidence(a, t).contested:
		return "contested: the evidence names more than one tenant"
	case t.Kind == connector.TraceTable:
		switch t.Labels["tenants"] {
		case "list":
			return "a list of customers"
		case "rows":
			return "shared: the column " + t.Labels["column"] + " says whose each row is"
		case "linked":
			return "linked: foreign keys connect its rows with rows of tenants"
		case "none":
			return "shared: no column and no foreign key links its rows to a tenant"
		}
	case t.Kind == connector.TraceRows && t.Name == "":
		return "these rows have no tenant's key"
	}
	return "nothing says that it is a tenant's"
}

// owner is the party whose a thing is, nil if nobody's.
func (m *mapper) owner(a at) *party {
	if w, is := m.whose[a.system][a.trace]; is {
		return m.parties[w.party]
	}
	return nil
}

// find notes a finding. What it would save is told for what nobody needs.
func (m *mapper) find(k Kind, p *party, a at, says string) {
	t, s := m.trace(a), m.seen[a.system].Source
	f := Finding{Kind: k, System: s.Name, Word: t.Word, Name: t.Name, In: m.inside(a.system, t, ""), Says: says}
	if p != nil {
		f.Tenant = p.Name
	}
	switch k {
	case Ghost, Residue, Outlives, Orphan:
		f.Cost, f.Currency = m.cost(a), s.Currency
	}
	m.report.Findings = append(m.report.Findings, f)
}

// found tells what one tenant has, and what is wrong with it.
func (m *mapper) found(p *party) {
	names := map[string]int{}
	for _, a := range p.things {
		t := m.trace(a)
		if t.Kind == connector.TracePlace && t.Word == "object" && m.within(p, a) {
			continue // what holds it speaks for it
		}
		thing := m.thing(a)
		p.Things = append(p.Things, thing)
		p.Rows += thing.Rows
		if t.Kind != connector.TraceTable && m.topmost(p, a) {
			p.Bytes += thing.Bytes
		}
		p.Cost += thing.Cost
		if thing.Cost > 0 {
			p.Currency = m.seen[a.system].Source.Currency
		}
		for _, lack := range t.Lacks {
			if k := m.lack(a, t, lack); k.lacking < k.all {
				p.Lacks = append(p.Lacks, fmt.Sprintf("%s %s in %s has no %s", t.Word, t.Name, thing.System, bareWord(lack)))
			}
		}
		if t.Kind == connector.TraceRecord {
			names[thing.System+"\x00"+t.Word+"\x00"+t.In]++
		}
		m.judge(p, a, t)
	}
	m.idle(p)
	for _, n := range names {
		if n > 1 {
			a := p.things[slices.IndexFunc(p.things, func(a at) bool { return m.trace(a).Kind == connector.TraceRecord })]
			m.find(Twice, p, a, fmt.Sprintf("%d entries of one list look like this customer", n))
			break
		}
	}
}

// idle finds that of all that a tenant has and that tells when it was last used nothing was used within the window.
func (m *mapper) idle(p *party) {
	if p.Left {
		return
	}
	var last at
	told, untold := 0, 0
	for _, a := range p.things {
		switch t := m.trace(a); {
		case t.Disabled:
		case !t.Used.IsZero():
			if told++; told == 1 || t.Used.After(m.trace(last).Used) {
				last = a
			}
		case t.Kind == connector.TraceAccount:
			untold++
		}
	}
	if told == 0 || !m.dormant(m.trace(last)) {
		return
	}
	t := m.trace(last)
	says := fmt.Sprintf("the last use that is told was of %s %s, on %s, %d days ago", t.Word, t.Name, t.Used.UTC().Format(time.DateOnly), int(m.ask.Now.Sub(t.Used)/(24*time.Hour)))
	if untold > 0 {
		says += fmt.Sprintf("; of %d accounts no use is told", untold)
	}
	m.report.Findings = append(m.report.Findings, Finding{Kind: Unused, Tenant: p.Name, System: m.seen[last.system].Source.Name, Word: "tenant", Name: p.Name, Says: says, Cost: p.Cost, Currency: p.Currency})
}

// within says that a thing is in what is the tenant's.
func (m *mapper) within(p *party, a at) bool {
	i, is := m.ids[a.system][m.trace(a).In]
	w, known := m.whose[a.system][i]
	return is && known && w.party == p.n
}

// topmost says that a thing is in nothing else of the tenant's: bytes are counted once.
func (m *mapper) topmost(p *party, a at) bool {
	i, is := m.ids[a.system][m.trace(a).In]
	w, known := m.whose[a.system][i]
	return !is || !known || w.party != p.n || m.seen[a.system].Traces[i].Bytes <= 0
}

// judge says what is wrong with one thing of a tenant's.
func (m *mapper) judge(p *party, a at, t *connector.Trace) {
	switch t.Kind {
	case connector.TraceAccount, connector.TraceJob:
		switch {
		case p.Left && !t.Disabled:
			m.find(Ghost, p, a, "it is still enabled, and its tenant "+p.gone())
		case len(p.Listed) == 0 && m.listedAny():
			m.find(Orphan, p, a, m.whose[a.system][a.trace].reason+"; its tenant is in no customer list")
		case !t.Disabled && m.dormant(t):
			m.find(Dormant, p, a, m.unused(t))
		}
	case connector.TracePlace, connector.TraceRows, connector.TraceTable:
		switch {
		case p.Left:
			m.find(Residue, p, a, "it still exists, and its tenant "+p.gone())
		case len(p.Listed) == 0 && m.listedAny():
			m.find(Orphan, p, a, m.whose[a.system][a.trace].reason+"; its tenant is in no customer list")
		}
	case connector.TraceCopy:
		if p.Left {
			says := "it is a copy of the tenant's data, and the tenant " + p.gone()
			if t.Expires.IsZero() {
				says += "; no expiry date is known"
			} else {
				says += "; it expires on " + t.Expires.UTC().Format(time.DateOnly)
			}
			m.find(Outlives, p, a, says)
		} else if len(p.Listed) == 0 && m.listedAny() {
			m.find(Orphan, p, a, "it is a copy of a tenant's data; the tenant is in no customer list")
		}
	case connector.TraceRecord:
		if !p.Left && !t.Disabled && !t.Expires.IsZero() && t.Expires.Before(m.ask.Now) {
			m.find(Expired, p, a, m.expired(t))
		}
	case connector.TraceGroup:
		if p.Left {
			m.find(Residue, p, a, "it still grants rights, and its tenant "+p.gone())
		}
	}
}

// gone says that a tenant left, with its status if a list has one.
func (p *party) gone() string {
	if p.Status != "" {
		return "has left (" + p.Status + ")"
	}
	return "has left"
}

// expired says since when an entry of a list has expired, and what it says beside.
func (m *mapper) expired(t *connector.Trace) string {
	says := fmt.Sprintf("its trial or contract ended on %s, %d days ago", t.Expires.UTC().Format(time.DateOnly), int(m.ask.Now.Sub(t.Expires)/(24*time.Hour)))
	if status := t.Labels["status"]; status != "" {
		return says + ", and its status is " + status
	}
	return says + ", and nothing says that it left"
}

func (m *mapper) dormant(t *connector.Trace) bool {
	return !t.Used.IsZero() && m.ask.Now.Sub(t.Used) > m.ask.Dormant
}

func (m *mapper) unused(t *connector.Trace) string {
	return fmt.Sprintf("it was last used on %s, %d days ago", t.Used.UTC().Format(time.DateOnly), int(m.ask.Now.Sub(t.Used)/(24*time.Hour)))
}

// customers says that an account is one of a customer's people: most of those beside it
// belong to tenants, and its own mail domain isn't the platform's.
func (m *mapper) customers(a at, t *connector.Trace) bool {
	sort := m.sort(a, t)
	n, ok := m.share[sort]
	if !ok {
		all, given := 0, 0
		for i := range m.seen[a.system].Traces {
			if other := &m.seen[a.system].Traces[i]; other.Kind == connector.TraceAccount && m.sort(a, other) == sort {
				all++
				if _, is := m.whose[a.system][i]; is {
					given++
				}
			}
		}
		n = given*2 > all
		m.share[sort] = n
	}
	return n && slices.ContainsFunc(t.Mails, func(mail string) bool {
		d := domain(mail)
		return d != "" && !slices.Contains(m.ask.Own, d)
	})
}

// crossings finds accounts and groups that reach what is another tenant's.
func (m *mapper) crossings() {
	for _, p := range m.parties {
		for _, a := range p.things {
			t := m.trace(a)
			if t.Kind != connector.TraceAccount && t.Kind != connector.TraceGroup || t.Disabled {
				continue
			}
			if all, via := m.everything(a); all != "" && len(m.parties) > 1 {
				m.find(Crossing, p, a, "it reaches everything in this system: "+all+via)
				continue
			}
			first, more := map[*party]at{}, map[*party]int{}
			var others []*party
			for _, b := range m.reaches(a) {
				switch other := m.owner(b); {
				case other == nil || other == p || !data(m.trace(b).Kind):
				case more[other] == 0:
					first[other], more[other], others = b, 1, append(others, other)
				default:
					more[other]++
				}
			}
			for _, other := range others {
				to := m.trace(first[other])
				says := fmt.Sprintf("it has rights on %s %s, which is %s's", to.Word, to.Name, other.Name)
				if n := more[other] - 1; n > 0 {
					says += fmt.Sprintf(", and on %d more things there", n)
				}
				m.find(Crossing, p, a, says)
			}
		}
	}
}

// everything says by what an account reaches everything in its system, and through which
// group; "" if it doesn't.
func (m *mapper) everything(a at) (all, via string) {
	if all = m.trace(a).All; all != "" {
		return all, ""
	}
	for _, b := range m.reaches(a) {
		if t := m.trace(b); t.All != "" && (t.Kind == connector.TraceGroup || t.Kind == connector.TraceAccount) {
			return t.All, ", through " + t.Word + " " + t.Name
		}
	}
	return "", ""
}

// data says that things of a kind hold, or may hold, a tenant's data.
func data(k connector.TraceKind) bool {
	return k != connector.TraceGroup && k != connector.TraceAccount && k != connector.TraceRecord
}

// reaches is all that an account has rights on, through its groups too.
func (m *mapper) reaches(a at) []at {
	var out []at
	seen, todo := map[int]bool{a.trace: true}, []int{a.trace}
	for len(todo) > 0 {
		t := &m.seen[a.system].Traces[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		for _, id := range t.Reaches {
			i, is := m.ids[a.system][id]
			if !is || seen[i] {
				continue
			}
			seen[i] = true
			out = append(out, at{a.system, i})
			if k := m.seen[a.system].Traces[i].Kind; k == connector.TraceGroup || k == connector.TraceAccount {
				todo = append(todo, i)
			}
		}
	}
	return out
}

// listedAny says that some list names customers at all.
func (m *mapper) listedAny() bool {
	return slices.ContainsFunc(m.parties, func(p *party) bool { return len(p.Listed) > 0 })
}
