package survey

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

//go:embed page.html
var page string

var pages = template.Must(template.New("survey").Funcs(template.FuncMap{
	"date": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.DateOnly)
	},
	"bytes":  size,
	"money":  money,
	"join":   func(list []string) string { return strings.Join(list, ", ") },
	"number": func(n int64) string { return grouped(n) },
	"more": func(shown, all int) string {
		if shown == all {
			return ""
		}
		return fmt.Sprintf("%d of %d are shown; the JSON document has all.", shown, all)
	},
}).Parse(page))

// words are a kind of findings in the plural, and what one is.
var words = map[Kind]struct{ title, means string }{
	Ghost:     {"Ghosts", "an account, a key, a webhook or a job that is still enabled although its tenant left"},
	Crossing:  {"Crossings", "an account or a group of one tenant with rights on another tenant's things, also through groups"},
	Wide:      {"Wide access", "an account that is no tenant's and reaches things of several tenants"},
	Open:      {"Open to everybody", "a thing that everybody can reach"},
	Residue:   {"Residue", "data of a tenant that left"},
	Outlives:  {"Copies that outlive their tenant", "a backup or another copy of the data of a tenant that left"},
	Orphan:    {"Orphans", "a thing that is made like a tenant's, while its owner is in no customer list"},
	Uncovered: {"Uncovered data", "data that no column and no foreign key links to a tenant"},
	Contested: {"Contested things", "a thing that the evidence gives to more than one tenant"},
	Expired:   {"Expired customers", "a customer whose trial or contract ended, and who still counts as active"},
	Unused:    {"Unused tenants", "a customer of whom nothing that tells its use was used for a long time; what it costs isn't counted as waste"},
	Twice:     {"Duplicates", "two entries of one list that look like one customer"},
	Dormant:   {"Dormant accounts", "an account that nobody has used for a long time"},
}

// Meaning is a word of the report and what it says.
type Meaning struct{ Word, Means string }

// Legend says what the kinds of findings mean.
func (r *Report) Legend() (out []Meaning) {
	for _, k := range Kinds {
		out = append(out, Meaning{words[k].title, words[k].means})
	}
	return out
}

// Sure says what the confidences mean.
func (r *Report) Sure() []Meaning {
	return []Meaning{
		{string(tenure.Certain), "it is the customer's own entry in a customer list"},
		{string(tenure.Strong), "it has the tenant's key, an external id of the tenant's or a label that names it, is named by its key, or is inside something of the tenant's"},
		{string(tenure.Likely), "its mail address is in a domain that only this tenant uses, or its name is the tenant's name"},
		{string(tenure.Possible), "its name contains the tenant's name, or it is named like tenants' things"},
	}
}

// Group is the findings of one kind.
type Group struct {
	Kind Kind
	List []Finding
}

// Title is what the findings of the group are, in words.
func (g Group) Title() string { return words[g.Kind].title }

// Means says what a finding of the group is.
func (g Group) Means() string { return words[g.Kind].means }

// Priced says that some finding of the group has a price.
func (g Group) Priced() bool {
	return slices.ContainsFunc(g.List, func(f Finding) bool { return f.Cost > 0 })
}

// Groups are the findings by kind, the gravest first.
func (r *Report) Groups() []Group {
	var out []Group
	for _, k := range Kinds {
		var g Group
		for _, f := range r.Findings {
			if f.Kind == k {
				g.Kind, g.List = k, append(g.List, f)
			}
		}
		if len(g.List) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// The page shows at most so many findings of a kind, tenants, and things that are nobody's: a
// browser has to bear it. All of them are in the JSON document.
const (
	pageRows    = 1000
	pageTenants = 500
)

// Shown are the rows of the group that the page shows.
func (g Group) Shown() []Row { rows := g.Rows(); return rows[:min(len(rows), pageRows)] }

// ShownTenants are those that the page shows: of many, those first of which there is
// something to say.
func (r *Report) ShownTenants() []Tenant {
	if len(r.Tenants) <= pageTenants {
		return r.Tenants
	}
	found := map[string]bool{}
	for _, f := range r.Findings {
		found[f.Tenant] = true
	}
	of := func(t Tenant) int {
		switch {
		case t.Left || len(t.Listed) == 0 || found[t.Name]:
			return 0
		case len(t.Lacks) > 0:
			return 1
		}
		return 2
	}
	out := slices.Clone(r.Tenants)
	slices.SortStableFunc(out, func(a, b Tenant) int { return of(a) - of(b) })
	return out[:pageTenants]
}

// ShownShared are the rows of nobody's things that the page shows.
func (r *Report) ShownShared() []Row {
	rows := r.SharedRows()
	return rows[:min(len(rows), pageRows)]
}

// Left is how many tenants a list says to have left.
func (r *Report) Left() int { return r.count(func(t Tenant) bool { return t.Left }) }

// Unlisted is how many tenants no list names.
func (r *Report) Unlisted() int { return r.count(func(t Tenant) bool { return len(t.Listed) == 0 }) }

func (r *Report) count(is func(Tenant) bool) (n int) {
	for _, t := range r.Tenants {
		if is(t) {
			n++
		}
	}
	return n
}

// Unseen says what wasn't read, and why, one line each; none if everything was read.
func (r *Report) Unseen() (out []string) {
	for _, s := range r.Systems {
		if s.Failed != "" {
			out = append(out, s.Name+": nothing was read: "+s.Failed)
		}
		for _, says := range s.Says {
			out = append(out, s.Name+": "+says)
		}
	}
	return out
}

// Sight is how much of a system was read, in a word or two.
func (s System) Sight() string {
	switch {
	case s.Failed != "":
		return "nothing"
	case len(s.Says) > 0:
		return "not all"
	}
	return "all"
}

// HTML writes the report as one page that needs nothing else: no script, no address.
func (r *Report) HTML(w io.Writer) error {
	if err := pages.Execute(w, r); err != nil {
		return tenure.Errorf(tenure.Unavailable, "write the page: %w", err)
	}
	return nil
}

// size is a size as a person reads it, in binary units; "" for none.
func size(n int64) string {
	if n <= 0 {
		return ""
	}
	const units = "KMGTPE"
	v, unit := float64(n), ""
	for i := 0; v >= 1024 && i < len(units); i++ {
		v, unit = v/1024, units[i:i+1]+"i"
	}
	if unit == "" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %sB", v, unit)
}

// money is a sum in a currency, with two decimals; "" for nothing.
func money(c Cost, currency string) string {
	if c == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d.%02d %s", c/100, c%100, currency))
}

func grouped(n int64) string {
	if n <= 0 {
		return ""
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
