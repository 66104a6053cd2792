// Package claim says whose a thing is by what tenants are known by: external ids, mail
// domains, names.
package claim

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Party is a tenant as accounts are held against it.
type Party struct {
	Tenant tenure.TenantID
	Left   bool   // its access is cut, or it is gone
	Name   string // "" once it is forgotten
	tenure.KnownBy

	// Kept are digests (Digest) of what a tenant that was forgotten was known by.
	Kept []Kept
}

// Kept is one of a forgotten tenant's.
type Kept struct{ Kind, Digest string }

// The kinds of what a tenant is known by.
const (
	KnownName     = "name"
	KnownDomain   = "domain"
	KnownExternal = "external_id"
)

// Left says whether a tenant in this state has lost its access, so that what of its is
// alive is a ghost.
func Left(state tenure.TenantState) bool {
	switch state {
	case tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed:
		return true
	}
	return false
}

// Claims answers whose an account is by what tenants are known by. It is pure, and may
// be read by many at once.
type Claims struct {
	by     map[[2]string]claim // by kind and value, or its digest
	left   map[tenure.TenantID]bool
	kept   map[string]bool // kinds of which there are digests
	digest func(kind, value string) string
}

// claim is who is known by a value; nobody if two are.
type claim struct {
	tenant tenure.TenantID
	left   bool
	twice  bool
}

// New indexes tenants. Digest gives the keyed digest that a forgotten tenant's
// values were kept as.
func New(digest func(kind, value string) string) *Claims {
	return &Claims{by: make(map[[2]string]claim), left: make(map[tenure.TenantID]bool), kept: make(map[string]bool), digest: digest}
}

// Left says whether a tenant that was added has left.
func (c *Claims) Left(t tenure.TenantID) bool { return c.left[t] }

// Add adds a tenant.
func (c *Claims) Add(p Party) {
	c.left[p.Tenant] = p.Left
	if name := Words(p.Name); Telling(name) {
		c.put(KnownName, strings.Join(name, " "), p)
	}
	for _, d := range p.Domains {
		if d = tenure.Domain(d); d != "" && !tenure.PublicMail(d) {
			c.put(KnownDomain, d, p)
		}
	}
	for _, id := range p.ExternalIDs {
		if id != "" {
			c.put(KnownExternal, id, p)
		}
	}
	for _, k := range p.Kept {
		c.kept[k.Kind] = true
		c.put(k.Kind, k.Digest, p)
	}
}

func (c *Claims) put(kind, value string, p Party) {
	at := [2]string{kind, value}
	had, there := c.by[at]
	if there && had.tenant == p.Tenant {
		return
	}
	c.by[at] = claim{p.Tenant, p.Left, there}
}

// KeptOf are what is kept of a tenant's when it is forgotten.
func (c *Claims) KeptOf(p Party) (out []Kept) {
	if name := Words(p.Name); Telling(name) {
		out = append(out, Kept{KnownName, c.digest(KnownName, strings.Join(name, " "))})
	}
	for _, d := range p.Domains {
		out = append(out, Kept{KnownDomain, c.digest(KnownDomain, d)})
	}
	for _, id := range p.ExternalIDs {
		out = append(out, Kept{KnownExternal, c.digest(KnownExternal, id)})
	}
	return out
}

// whose is who is known by a value: a tenant whose values stand in the store, or one that
// was forgotten. A value of both is nobody's.
func (c *Claims) whose(kind, value string) (claim, bool) {
	one, is := c.by[[2]string{kind, value}]
	if !c.kept[kind] {
		return one, is
	}
	kept, was := c.by[[2]string{kind, c.digest(kind, value)}]
	switch {
	case !was:
		return one, is
	case !is:
		return kept, true
	}
	one.twice = one.twice || one.tenant != kept.tenant
	return one, true
}

// Attribution is whose an account is held to be.
type Attribution struct {
	Tenant     tenure.TenantID // "" if nobody's, or more than one tenant's
	Left       bool
	Confidence tenure.Confidence
	Reason     string
	Contested  bool // more than one tenant could claim it by this evidence
}

// Of says whose an account is by its external ids, else by its mail addresses, else by its
// name. The strongest evidence that names somebody counts; where it names two tenants it
// names nobody, and weaker evidence isn't asked.
func (c *Claims) Of(a connector.Account) Attribution {
	if out := c.agreed(KnownExternal, a.ExternalIDs, tenure.Strong, "it bears an external id of the tenant's"); out.decides() {
		return out
	}
	var domains []string
	for _, m := range append(slices.Clone(a.Mails), a.Name) {
		if d := tenure.MailDomain(m); d != "" && !tenure.PublicMail(d) {
			domains = append(domains, d)
		}
	}
	if out := c.agreed(KnownDomain, domains, tenure.Likely, "its mail address is in a domain of the tenant's"); out.decides() {
		return out
	}
	return c.named(a.Name)
}

func (o Attribution) decides() bool { return o.Tenant != "" || o.Contested }

func (c *Claims) agreed(kind string, values []string, sure tenure.Confidence, why string) (out Attribution) {
	for _, v := range values {
		one, ok := c.whose(kind, v)
		switch {
		case !ok:
		case one.twice || out.Tenant != "" && out.Tenant != one.tenant:
			return Attribution{Confidence: sure, Contested: true}
		default:
			out = Attribution{Tenant: one.tenant, Left: one.left, Confidence: sure, Reason: why}
		}
	}
	return out
}

// maxWords bounds how much of a name is looked at.
const maxWords = 24

// named says whose an account is by its name: the longest run of whole words that is a
// tenant's name. Of runs that don't lie in each other, all have to name the same tenant.
func (c *Claims) named(name string) Attribution {
	if at := strings.LastIndexByte(name, '@'); at > 0 {
		name = name[:at] // what stands behind it was looked at as a domain
	}
	all := Words(name)
	if len(all) > maxWords {
		all = all[:maxWords]
	}
	var out Attribution
	end := 0 // of the run that was found last
	for from := range all {
		for to := len(all); to > from && to > end; to-- {
			if !Telling(all[from:to]) {
				continue
			}
			one, ok := c.whose(KnownName, strings.Join(all[from:to], " "))
			if !ok {
				continue
			}
			end = to
			if one.twice || out.Tenant != "" && out.Tenant != one.tenant {
				return Attribution{Confidence: tenure.Possible, Contested: true}
			}
			out = Attribution{Tenant: one.tenant, Left: one.left, Confidence: tenure.Possible, Reason: "its name holds the tenant's"}
			break
		}
	}
	return out
}

// Words are the words of a name, in lower case: what stands between characters that are
// neither letters nor digits.
func Words(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// Telling says whether words can tell a tenant: one that is short, a number, or in the name
// of every other account tells nobody.
func Telling(name []string) bool {
	if len(name) != 1 {
		return len(name) > 0 && len(name) <= tenure.MaxTenantName
	}
	return len(name[0]) > 2 && !slices.Contains(common, name[0]) && strings.ContainsFunc(name[0], unicode.IsLetter)
}

// common are words that accounts of every platform have in their names.
var common = strings.Fields(`account accounts admin api app apps auth backup batch bot cache client cron data database demo dev export external group
	guest import internal job jobs key live login main monitor monitoring net owner platform postgres prod production public read reader readonly replication
	report reports role root sandbox schema server service services session shared staging support svc sync system team tenant tenants test
	testing user users web webhook worker write writer`)
