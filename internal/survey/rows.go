package survey

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// alike is how many rows that say the same of things of one kind are shown as one.
const alike = 4

// Row is what is shown as one: a finding or a thing, or several that are alike.
type Row struct {
	Tenant, System, What, Says string
	All                        []string // each by its name, where the row is of several
	Low                        bool
	Disabled                   bool
	Rows, Bytes                int64
	Made, Used                 time.Time
	Cost                       Cost
	Currency                   string
}

// entry is one of what may be shown together.
type entry struct {
	Row
	key            string // what is alike has the same
	word, name, in string
}

var digits = regexp.MustCompile(`[0-9]+`)

// Rows are the findings as they are shown: those that say the same of one tenant's things of
// one kind in one system are one row; what everybody reaches and what nothing links to a
// tenant, whosever it is.
func (g Group) Rows() []Row {
	var all []entry
	for _, f := range g.List {
		says := f.Says
		if f.Low {
			says = "low: " + says
		}
		e := entry{Row: Row{Tenant: f.Tenant, System: f.System, Says: says, Low: f.Low, Cost: f.Cost, Currency: f.Currency}, word: f.Word, name: f.Name, in: f.In}
		e.key = strings.Join([]string{f.System, f.Word, digits.ReplaceAllString(f.Says, "0"), f.Currency, fmt.Sprint(f.Low)}, "\x00")
		if g.Kind != Open && g.Kind != Uncovered {
			e.key += "\x00" + f.Tenant
		}
		all = append(all, e)
	}
	return merge(all)
}

// ShownThings are a tenant's things as they are shown.
func (t Tenant) ShownThings() []Row { return rows(t.Things) }

// SharedRows are nobody's things as they are shown.
func (r *Report) SharedRows() []Row { return rows(r.Shared) }

func rows(things []Thing) []Row {
	var all []entry
	for _, t := range things {
		says := t.Reason
		if t.Confidence != "" {
			says = string(t.Confidence) + ": " + says
		}
		all = append(all, entry{Row: Row{System: t.System, Says: says, Disabled: t.Disabled, Rows: t.Rows, Bytes: t.Bytes, Made: t.Made, Used: t.Used}, word: t.Word, name: t.Name, in: t.In,
			key: strings.Join([]string{t.System, t.Word, says, fmt.Sprint(t.Disabled)}, "\x00")})
	}
	return merge(all)
}

// merge makes rows of entries: where many are alike one, in the place of the first.
func merge(all []entry) []Row {
	by := map[string][]entry{}
	for _, e := range all {
		by[e.key] = append(by[e.key], e)
	}
	out, done := []Row{}, map[string]bool{}
	for _, e := range all {
		switch same := by[e.key]; {
		case len(same) < alike:
			e.What = What(e.word, e.name, e.in)
			out = append(out, e.Row)
		case !done[e.key]:
			done[e.key] = true
			out = append(out, merged(same))
		}
	}
	return out
}

// merged is the row of entries that are alike.
func merged(same []entry) Row {
	r := same[0].Row
	r.Rows, r.Bytes, r.Cost = 0, 0, 0
	place, says, tenants := same[0].in, true, []string{}
	for _, e := range same {
		if e.in != place {
			place = ""
		}
		says = says && e.Says == r.Says
		if e.Tenant != "" && !slices.Contains(tenants, e.Tenant) {
			tenants = append(tenants, e.Tenant)
		}
		r.Rows, r.Bytes, r.Cost = r.Rows+e.Rows, r.Bytes+e.Bytes, r.Cost+e.Cost
		if e.Used.After(r.Used) {
			r.Used = e.Used
		}
	}
	r.Made = time.Time{} // of many it says nothing
	for _, e := range same {
		name := e.name
		if place == "" && e.in != "" {
			name = strings.TrimSpace(name + " in " + e.in)
		}
		r.All = append(r.All, name)
	}
	r.What = fmt.Sprintf("%d %s", len(same), plural(same[0].word))
	if place != "" {
		r.What += " in " + place
	}
	r.What += ": " + some(r.All)
	if !says {
		r.Says += "; the others are like it"
	}
	if r.Tenant = strings.Join(tenants, ""); len(tenants) > 1 {
		r.Tenant = fmt.Sprintf("%d tenants", len(tenants))
	}
	return r
}

// plural is a word of a system's for many things.
func plural(word string) string {
	switch {
	case strings.HasSuffix(word, "s"):
		return word
	case strings.HasSuffix(word, "y") && !strings.HasSuffix(word, "ey"):
		return strings.TrimSuffix(word, "y") + "ies"
	}
	return word + "s"
}
