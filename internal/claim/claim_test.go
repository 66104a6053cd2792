package claim_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
)

// model says whose an account is in the plainest way: each kind of evidence by itself, over
// all tenants.
func model(parties []claim.Party, a connector.Account) (tenure.TenantID, tenure.Confidence) {
	one := func(sure tenure.Confidence, claims func(claim.Party) bool) (tenure.TenantID, tenure.Confidence, bool) {
		var who []tenure.TenantID
		for _, p := range parties {
			if claims(p) {
				who = append(who, p.Tenant)
			}
		}
		switch len(who) {
		case 0:
			return "", "", false
		case 1:
			return who[0], sure, true
		}
		return "", "", true
	}
	if id, sure, ok := one(tenure.Strong, func(p claim.Party) bool {
		return slices.ContainsFunc(a.ExternalIDs, func(x string) bool { return slices.Contains(p.ExternalIDs, x) })
	}); ok {
		return id, sure
	}
	if id, sure, ok := one(tenure.Likely, func(p claim.Party) bool {
		return slices.ContainsFunc(append(slices.Clone(a.Mails), a.Name), func(m string) bool {
			i := strings.LastIndex(m, "@")
			return i > 0 && slices.Contains(p.Domains, strings.TrimSuffix(strings.ToLower(m[i+1:]), "."))
		})
	}); ok {
		return id, sure
	}
	// By name: " acme 2 " in " svc acme 2 prod ", where no longer name holds it.
	local := a.Name
	if i := strings.LastIndex(local, "@"); i > 0 {
		local = local[:i]
	}
	spaced := func(s string) string {
		return " " + strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ") + " "
	}
	text := spaced(local)
	places := func(p claim.Party) (out [][2]int) {
		n := spaced(p.Name)
		for i := 0; i+len(n) <= len(text); i++ {
			if text[i:i+len(n)] == n {
				out = append(out, [2]int{i, i + len(n)})
			}
		}
		return out
	}
	var all [][2]int
	for _, p := range parties {
		all = append(all, places(p)...)
	}
	id, _, _ := one(tenure.Possible, func(p claim.Party) bool {
		return slices.ContainsFunc(places(p), func(at [2]int) bool {
			return !slices.ContainsFunc(all, func(o [2]int) bool { return o != at && o[0] <= at[0] && at[1] <= o[1] })
		})
	})
	if id == "" {
		return "", ""
	}
	return id, tenure.Possible
}

// Whatever names, domains and ids are alike, an account is held to be the tenant's that a
// plain model names, in clear and by what was kept of it.
func TestClaimsAreTheModels(t *testing.T) {
	t.Parallel()
	names := []string{"acme", "acme-2", "acme-2-test", "acmee", "cme-2", "beta", "beta-acme", "zeta"}
	domains := []string{"acme.example", "acme.example.org", "eu.acme.example", "acme-example.org", "xn--bcher-kva.example", "example.org"}
	ids := []string{"crm-0001", "crm-00011", "CRM-0001", "crm_0001"}
	separators := []string{"-", "_", ".", "", "+", "/", " "}
	digest := func(kind, value string) string { return "digest of " + kind + " " + value }
	rapid.Check(t, func(t *rapid.T) {
		var parties []claim.Party
		claims := claim.New(digest)
		for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 5, rapid.ID).Draw(t, "names") {
			p := claim.Party{Tenant: tenure.TenantID(fmt.Sprintf("ten_%d", i)), Name: name, Left: rapid.Bool().Draw(t, "left"), KnownBy: tenure.KnownBy{
				Domains:     rapid.SliceOfNDistinct(rapid.SampledFrom(domains), 0, 2, rapid.ID).Draw(t, "domains"),
				ExternalIDs: rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 2, rapid.ID).Draw(t, "ids"),
			}}
			parties = append(parties, p)
			if rapid.Bool().Draw(t, "forgotten") {
				p = claim.Party{Tenant: p.Tenant, Left: p.Left, Kept: claims.KeptOf(p)}
			}
			claims.Add(p)
		}
		var b strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			b.WriteString(rapid.SampledFrom(append(slices.Clone(names), "svc", "2", "test", "Acme", "ACME-2", "аcme")).Draw(t, "part"))
			b.WriteString(rapid.SampledFrom(separators).Draw(t, "separator"))
		}
		a := connector.Account{Name: b.String(), Owner: connector.Unmarked}
		if rapid.Bool().Draw(t, "address") {
			a.Name += "@" + rapid.SampledFrom(domains).Draw(t, "of")
		}
		for range rapid.IntRange(0, 2).Draw(t, "mails") {
			spell := rapid.SampledFrom([]string{"jane@%s", "Jane+x@%s", "a@b@%s", "%s", "jane@%s."}).Draw(t, "spelling")
			a.Mails = append(a.Mails, fmt.Sprintf(spell, strings.ToUpper(rapid.SampledFrom(domains).Draw(t, "mail"))))
		}
		for range rapid.IntRange(0, 2).Draw(t, "externals") {
			a.ExternalIDs = append(a.ExternalIDs, rapid.SampledFrom(ids).Draw(t, "external"))
		}
		id, sure := model(parties, a)
		got := claims.Of(a)
		if got.Tenant != id || id != "" && got.Confidence != sure {
			t.Fatalf("%+v is %s's (%s), and the model says %q (%s)", a, got.Tenant, got.Confidence, id, sure)
		}
		if i := slices.IndexFunc(parties, func(p claim.Party) bool { return p.Tenant == id }); i >= 0 && parties[i].Left != got.Left {
			t.Fatal("it says otherwise whether the tenant has left")
		}
	})
}

// Of names that lie in each other the longer one counts, wherever it begins; names that
// only overlap, or stand beside each other, name nobody.
func TestLongestNameCounts(t *testing.T) {
	t.Parallel()
	c := claim.New(nil)
	for _, name := range []string{"acme", "acme-2", "beta-acme", "2-zeta", "app", "no"} {
		c.Add(claim.Party{Tenant: tenure.TenantID(name), Name: name})
	}
	for name, want := range map[string]string{
		"acme": "acme", "svc_ACME.prod": "acme", "acme-2-app": "acme-2", "x-beta-acme-y": "beta-acme", "beta.acme.2": "", "acme-2-zeta": "", "acme-acme": "acme",
		"acmes": "", "myacme": "", "acme2": "", "beta": "", "acme-beta": "acme", "app": "", "no-prod": "", "acme-3": "acme", "аcme": "", "acme@elsewhere.example": "acme", "x@acme.example": "",
	} {
		if got := c.Of(connector.Account{Name: name}); string(got.Tenant) != want {
			t.Errorf("%s is %q's, want %q", name, got.Tenant, want)
		}
	}
}

// An address in another spelling of a tenant's domain is in it, also where it isn't ASCII.
func TestDomainsInEverySpelling(t *testing.T) {
	t.Parallel()
	known, err := tenure.KnownBy{Domains: []string{" Bücher.Example. "}}.Check()
	if err != nil {
		t.Fatal(err)
	}
	c := claim.New(nil)
	c.Add(claim.Party{Tenant: "ten_a", Name: "acme", KnownBy: known})
	for address, want := range map[string]tenure.TenantID{
		"jane@bücher.example": "ten_a", "jane@BÜCHER.EXAMPLE": "ten_a", "jane@xn--bcher-kva.example.": "ten_a", "jane@bucher.example": "", "jane@x.bücher.example": "",
		"bücher.example": "", "@bücher.example": "", "jane@": "", "": "", strings.Repeat("a", 300) + "@" + strings.Repeat("b", 300): "",
	} {
		if got := c.Of(connector.Account{Name: "x", Mails: []string{address}}); got.Tenant != want {
			t.Errorf("%q is %q's", address, got.Tenant)
		}
	}
	for _, bad := range []tenure.KnownBy{{Domains: []string{"gmail.com"}}, {Domains: []string{"GoogleMail.com."}}, {Domains: []string{"com"}}, {Domains: []string{"a b.example"}}, {Domains: []string{""}}, {ExternalIDs: []string{"1"}}, {ExternalIDs: []string{"crm-\u200b0001"}}} {
		if _, err := bad.Check(); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%+v is taken: %v", bad, err)
		}
	}
}

// A hundred thousand accounts are held against ten thousand tenants, some of whom are
// forgotten, within seconds, and nothing is kept of them.
func TestManyAccounts(t *testing.T) {
	digest := func(kind, value string) string { return tenure.Digest([]byte(kind + value)) }
	c := claim.New(digest)
	for i := range 10_000 {
		p := claim.Party{Tenant: tenure.TenantID(fmt.Sprintf("ten_%d", i)), Left: i%2 == 0, Name: fmt.Sprintf("tenant-%d", i), KnownBy: tenure.KnownBy{Domains: []string{fmt.Sprintf("t%d.example", i)}}}
		if i%10 == 0 {
			p = claim.Party{Tenant: p.Tenant, Left: true, Kept: c.KeptOf(p)}
		}
		c.Add(p)
	}
	account := func(i int) connector.Account {
		return connector.Account{Type: "account", Name: fmt.Sprintf("svc-tenant-%d-prod-app", i%20_000), Mails: []string{fmt.Sprintf("jane@t%d.example", i%15_000)}, ExternalIDs: []string{"0001"}}
	}
	const many = 100_000
	bare := time.Now()
	for i := range many {
		_ = account(i)
	}
	listing := time.Since(bare)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began, known := time.Now(), 0
	for i := range many {
		if c.Of(account(i)).Tenant != "" {
			known++
		}
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d accounts of which %d are tenants' in %s, %.1f times the making of the list; %d KiB kept", many, known, took, float64(took)/float64(listing), (int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024)
	if known < many/2 || took > 20*time.Second {
		t.Errorf("%d known in %s", known, took)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
}
