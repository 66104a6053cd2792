package tenure

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// MaxKnownBy is how many domains, and how many external ids, a tenant has at the most.
const MaxKnownBy = 50

// KnownBy is what other systems know a tenant by, beside Tenure's own marks and names:
// accounts that bear it are held to be the tenant's.
type KnownBy struct {
	// Domains are mail domains that the customer has shown to be its own. The one that
	// is named counts, and none below it.
	Domains []string `json:"domains,omitempty"`

	// ExternalIDs are what other systems call the customer: a CRM's account id, an
	// identity provider's organization id. Letter case counts.
	ExternalIDs []string `json:"externalIds,omitempty"`
}

// IsZero says that nothing is known.
func (k KnownBy) IsZero() bool { return len(k.Domains) == 0 && len(k.ExternalIDs) == 0 }

// Check gives the domains and ids in their one spelling, sorted and each once. A domain
// that isn't one, or that anybody can have an address in, is Invalid, as is an external id
// that is blank, shorter than four characters, longer than 200 bytes, or can't be seen.
func (k KnownBy) Check() (KnownBy, error) {
	var out KnownBy
	for _, d := range k.Domains {
		name := Domain(d)
		switch {
		case name == "" || !strings.Contains(name, "."):
			return out, Errorf(Invalid, "%q is not a mail domain", clip(d)).WithHint("write it as in an address, such as acme.example")
		case PublicMail(name):
			return out, Errorf(Invalid, "anybody can have an address in %s: it tells nobody apart", name)
		}
		out.Domains = append(out.Domains, name)
	}
	for _, id := range k.ExternalIDs {
		if id = strings.TrimSpace(id); len(id) < 4 || len(id) > 200 || !utf8.ValidString(id) || strings.ContainsFunc(id, unseen) {
			return out, Errorf(Invalid, "external id %q has to have 4 to 200 bytes, all of which can be seen", clip(strings.ToValidUTF8(id, "\uFFFD")))
		}
		out.ExternalIDs = append(out.ExternalIDs, id)
	}
	for _, list := range []*[]string{&out.Domains, &out.ExternalIDs} {
		slices.Sort(*list)
		if *list = slices.Compact(*list); len(*list) > MaxKnownBy {
			return out, Errorf(Invalid, "a tenant has at most %d domains and %d external ids", MaxKnownBy, MaxKnownBy)
		}
	}
	return out, nil
}

func unseen(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) || ignorable(r) }

// Domain is a mail domain in its one spelling: as the name system has it (RFC 5891 §5),
// in lower case and without the root's dot. "" if it isn't one.
func Domain(name string) string {
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil || len(ascii) > 253 || strings.ContainsAny(ascii, "@ /:[]") {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(ascii, "."))
}

// MailDomain is the domain of an address, "" if it has none. What stands before the last
// @ makes no difference, plus addressing included.
func MailDomain(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return ""
	}
	return Domain(address[at+1:])
}

// publicMail are domains in which anybody can have an address. It is short: a domain counts
// only once a person has entered it for a tenant, and this keeps the worst slip out.
var publicMail = strings.Fields(`aol.com fastmail.com free.fr gmail.com gmx.at gmx.ch gmx.de gmx.net gmx.com googlemail.com
	hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.fr hushmail.com icloud.com laposte.net libero.it live.com live.co.uk mac.com mail.com mail.ru
	mailbox.org me.com msn.com naver.com orange.fr outlook.com outlook.de outlook.fr posteo.de proton.me protonmail.com pm.me qq.com rocketmail.com
	seznam.cz sina.com t-online.de tuta.com tutanota.com virgilio.it wanadoo.fr web.de wp.pl yahoo.co.jp yahoo.co.uk yahoo.com yahoo.de yahoo.fr
	yandex.com yandex.ru ymail.com zoho.com 126.com 163.com 139.com foxmail.com btinternet.com comcast.net verizon.net att.net cox.net sbcglobal.net`)

// PublicMail says whether anybody can have an address in a domain, as far as is known.
func PublicMail(domain string) bool { return slices.Contains(publicMail, domain) }
