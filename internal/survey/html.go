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
		return fmt.Sprintf("%d are shown of %d; the JSON document has all.", shown, all)
	},
}).Parse(page))

// titles are what kinds of findings are, in the plural.
var titles = map[Kind]string{
	Ghost: "Ghosts: they can still sign in, run or receive, and their tenant left", Crossing: "Rights that reach across tenants", Wide: "Accounts of no tenant's that reach several tenants' things", Open: "Open to everybody",
	Residue: "Data of tenants that left", Outlives: "Copies that outlive their tenant", Orphan: "Orphans: made as a tenant's, and no list names the owner",
	Uncovered: "Data that nothing ties to a tenant", Contested: "What the evidence gives to more than one tenant", Expired: "Customers whose trial or contract ended, and who stand as active", Twice: "Customers that a list names twice", Dormant: "Dormant accounts",
}

// Group is the findings of one kind.
type Group struct {
	Kind Kind
	List []Finding
}

// Title is what the findings of the group are, in words.
func (g Group) Title() string { return titles[g.Kind] }

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

// Shown are those of the group that the page shows.
func (g Group) Shown() []Finding { return g.List[:min(len(g.List), pageRows)] }

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

// ShownShared are those of nobody's things that the page shows.
func (r *Report) ShownShared() []Thing { return r.Shared[:min(len(r.Shared), pageRows)] }

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

// Whole says that every system was seen whole.
func (r *Report) Whole() bool {
	return !slices.ContainsFunc(r.Systems, func(s System) bool { return s.Failed != "" || len(s.Says) > 0 })
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
