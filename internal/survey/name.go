package survey

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
)

// named says whose a thing is by what tenants are known by.
func (m *mapper) named(a connector.Account) whose {
	a.Mails = slices.DeleteFunc(slices.Clone(a.Mails), func(mail string) bool { return slices.Contains(m.ask.Own, tenure.MailDomain(mail)) })
	for i, mail := range a.Mails {
		if !strings.Contains(mail, "@") { // a bare domain
			a.Mails[i] = "x@" + mail
		}
	}
	if d := tenure.MailDomain(a.Name); d != "" && slices.Contains(m.ask.Own, d) {
		return whose{party: -1}
	}
	got := m.claims.Of(a)
	if got.Tenant == "" {
		return whose{party: -1, contested: got.Contested}
	}
	n, err := strconv.Atoi(string(got.Tenant))
	if err != nil {
		return whose{party: -1}
	}
	w := whose{party: n, sure: got.Confidence, reason: got.Reason}
	if w.sure == tenure.Possible {
		given := claim.Words(a.Name)
		for _, name := range m.parties[n].Names() {
			if slices.Equal(given, claim.Words(name)) {
				w.sure, w.reason = tenure.Likely, "it has the tenant's name"
			}
		}
	}
	return w
}

// keyName is a key as things are named by it: without what is between its letters and
// digits, if it is unlikely to be anything else.
func keyName(key string) string {
	if words := strings.Join(claim.Words(key), ""); Distinctive(words) {
		return words
	}
	return key
}

// byKey says whose a place is that is named by a customer's key. Beside a key that is
// unlikely to be anything else there may be one word, such as tenant_; a short number counts
// where the places beside it are named by numbers of customers, too.
func (m *mapper) byKey(a at, t *connector.Trace) whose {
	if t.Kind != connector.TracePlace || loose(t) {
		return whose{party: -1}
	}
	n, key := m.keyOf(t.Name)
	if n < 0 || !telling(key) && !strings.ContainsFunc(key, unicode.IsLetter) && !m.numbered(a, t) {
		return whose{party: -1}
	}
	return whose{party: n, sure: tenure.Strong, reason: "it is named by the key " + key}
}

// keyOf is the party by whose key something is named, and the key; -1 is nobody.
func (m *mapper) keyOf(name string) (party int, key string) {
	for _, as := range []string{name, keyName(name), keyName(strings.Join(claim.Words(name)[min(1, len(claim.Words(name))):], "-"))} {
		if n, is := m.keyNames[as]; is && n >= 0 && as != "" && (as == name || Distinctive(as)) {
			for _, known := range append([]string{m.parties[n].Name}, m.parties[n].Also...) {
				if keyName(known) == as {
					return n, known
				}
			}
		}
	}
	return -1, ""
}

// numbered says that most places beside one are named by keys of customers, at least three.
func (m *mapper) numbered(a at, t *connector.Trace) bool {
	sort := m.sort(a, t) + "\x00" + t.In
	is, known := m.keyed[sort]
	if !known {
		all, keyed := 0, 0
		for i := range m.seen[a.system].Traces {
			if other := &m.seen[a.system].Traces[i]; other.Kind == connector.TracePlace && other.Word == t.Word && other.In == t.In {
				all++
				if _, named := m.keyNames[other.Name]; named {
					keyed++
				}
			}
		}
		is = keyed >= bareLeast && keyed*barePart >= all
		m.keyed[sort] = is
	}
	return is
}

// Names are what things of a tenant's may be named after: its names, also without the form of
// a company, and the first part of its mail domains.
func (t *Tenant) Names() []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range append([]string{t.Name}, t.Also...) {
		add(name)
		words := claim.Words(name)
		for len(words) > 1 && slices.Contains(forms, words[len(words)-1]) {
			words = words[:len(words)-1]
		}
		add(strings.Join(words, " "))
	}
	for _, d := range t.Domains {
		first, _, _ := strings.Cut(d, ".")
		add(first)
	}
	return out
}

// forms are the ends of companies' names that say their legal form.
var forms = strings.Fields("ab ag aps as asa bv co company corp corporation doo gmbh inc incorporated kft kg kk limited llc llp ltd mbh nv oy oyj plc pte pty sa sarl sas se sl spa srl ug")

// title is what a person calls the customer of an entry: its name, and not its key.
func title(t *connector.Trace) string {
	for _, name := range t.Called {
		if strings.ContainsFunc(name, unicode.IsLetter) {
			return name
		}
	}
	return t.Name
}

// domain is the mail domain of an address, or of a bare domain.
func domain(mail string) string {
	if strings.Contains(mail, "@") {
		return tenure.MailDomain(mail)
	}
	return tenure.Domain(mail)
}

// Distinctive says whether a key is unlikely to be another thing's in another system: a UUID,
// an id with letters and digits. A number or a word isn't.
func Distinctive(key string) bool {
	return len(key) >= 8 && strings.ContainsFunc(key, unicode.IsDigit) && strings.ContainsFunc(key, unicode.IsLetter)
}

// telling says whether an external id can be told from others at all: a short number can't.
func telling(id string) bool { return len(id) >= 6 || Distinctive(id) }

// inside is where a thing is, in words.
func (m *mapper) inside(system int, t *connector.Trace, word string) string {
	if i, is := m.ids[system][t.In]; is && t.In != "" {
		in := m.seen[system].Traces[i]
		return in.Word + " " + in.Name
	}
	return word
}

func (m *mapper) thing(a at) Thing {
	t, w := m.trace(a), m.whose[a.system][a.trace]
	out := Thing{System: m.seen[a.system].Source.Name, Kind: string(t.Kind), Type: t.Type, Word: t.Word, Name: t.Name, Confidence: w.sure, Reason: w.reason,
		Rows: max(t.Rows, 0), Bytes: max(t.Bytes, 0), Made: t.Made, Used: t.Used, Expires: t.Expires, Disabled: t.Disabled, Cost: m.cost(a), Attributes: t.Attributes, Beside: t.Beside}
	if t.In != "" {
		out.In = m.inside(a.system, t, "")
	}
	return out
}

// cost is what a thing costs a month, by its system's prices.
func (m *mapper) cost(a at) Cost {
	s, t := m.seen[a.system].Source, m.trace(a)
	typ, ok := s.Info.Type(t.Type)
	if !ok {
		return 0
	}
	return Cost(tenure.MonthlyCost(typ.Cost, s.Prices, map[string]int64{"rows": max(t.Rows, 0), "bytes": max(t.Bytes, 0)}))
}
