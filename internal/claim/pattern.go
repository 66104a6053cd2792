package claim

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// pattern is how things of a type are named after their tenants: the words before the
// tenant's name, and those behind it.
type pattern struct {
	before, after []string
	tenants       []tenure.TenantID // that it was seen of, up to enough
}

func (p *pattern) String() string {
	return strings.Join(slices.Concat(p.before, []string{"TENANT"}, p.after), " ")
}

// Patterns are the ways in which things are named after their tenants, by type. One counts
// once it was seen of enough tenants.
type Patterns map[string][]pattern

const (
	enough      = 3
	maxPatterns = 100 // of a type
)

// Learn takes the words of a name that belongs to a tenant, whose own name's words are of.
// A name without anything beside the tenant's own is no pattern.
func (all Patterns) Learn(typ string, name []string, tenant tenure.TenantID, of []string) {
	if len(of) == 0 || len(name) <= len(of) {
		return
	}
	at := 0
	for at+len(of) <= len(name) && !slices.Equal(name[at:at+len(of)], of) {
		at++
	}
	if at+len(of) > len(name) {
		return
	}
	before, after := name[:at], name[at+len(of):]
	for i := range all[typ] {
		if p := &all[typ][i]; slices.Equal(p.before, before) && slices.Equal(p.after, after) {
			if len(p.tenants) < enough && !slices.Contains(p.tenants, tenant) {
				p.tenants = append(p.tenants, tenant)
			}
			return
		}
	}
	if len(all[typ]) < maxPatterns {
		all[typ] = append(all[typ], pattern{before, after, []tenure.TenantID{tenant}})
	}
}

// Like is the pattern that a name follows, and the words that stand in the tenant's place; ""
// if it follows none.
func (all Patterns) Like(typ, name string) (is string, tenant []string) {
	given := Words(name)
	for i := range all[typ] {
		p := &all[typ][i]
		if len(p.tenants) < enough {
			continue
		}
		to := len(given) - len(p.after)
		if to > len(p.before) && slices.Equal(given[:len(p.before)], p.before) && slices.Equal(given[to:], p.after) && Telling(given[len(p.before):to]) {
			return p.String(), given[len(p.before):to]
		}
	}
	return "", nil
}
