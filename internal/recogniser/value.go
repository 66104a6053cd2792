package recogniser

import (
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/tenurehq/tenure"
)

// longest is how much of a value is looked at.
const longest = 2000

// email is an address as RFC 5321 has it, with a domain that has a dot.
func email(s string) bool {
	if len(s) > 254 || strings.ContainsAny(s, " <>,;\t") {
		return false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" {
		return false
	}
	at := strings.LastIndexByte(s, '@')
	domain := s[at+1:]
	dot := strings.LastIndexByte(domain, '.')
	return at > 0 && at <= 64 && dot > 0 && dot < len(domain)-1 && !strings.Contains(domain, "..")
}

var (
	international = regexp.MustCompile(`^(\+|00)[1-9][0-9 ()./-]{6,22}$`)
	national      = regexp.MustCompile(`^(\(0?\d{1,5}\)[ -]?\d[\d /.-]{3,14}|0\d{1,5}[ /.-]\d[\d /.-]{3,14}|0\d( ?\d\d){4}|\(?[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}|[6-9]\d{2} \d{3} \d{3}|\d{3} \d{2} \d{2} \d{2}|\d{2} \d{3} \d{2} \d{2}|1-\d{3}-\d{3}-\d{4})( ?(x|ext\.?|#) ?\d{1,6})?$`)
	dotted        = regexp.MustCompile(`^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}$|^\d{4}[./-]\d{1,2}[./-]\d{1,2}`)
)

// phone says whether a text is a telephone number by its form, and whether it is one of
// digits alone, which only a name makes one.
func phone(s string) (form, digitsOnly bool) {
	d := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			d++
		}
	}
	switch {
	case d < 6 || d > 15 || dotted.MatchString(s):
		return false, false
	case international.MatchString(s):
		return true, false
	case d == len(s):
		return false, d >= 7 && d <= 15
	}
	return national.MatchString(s), false
}

func ip(s string) bool {
	a, _, slash := strings.Cut(s, "/")
	if slash {
		if _, err := netip.ParsePrefix(s); err != nil {
			return false
		}
	}
	_, err := netip.ParseAddr(a)
	return err == nil && !(strings.Count(a, ":") < 2 && strings.Contains(a, ":"))
}

var (
	mac    = regexp.MustCompile(`^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$`)
	agent  = regexp.MustCompile(`^(Mozilla|Opera|curl|okhttp|Dalvik|PostmanRuntime|python-requests)/\d`)
	hashed = regexp.MustCompile(`^(\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(id|i|d)\$.+|\$(1|5|6|7|y|gy|scrypt|pbkdf2[a-z0-9-]*)\$.+|pbkdf2[_:][a-z0-9]+[$:].+|\{(S?SHA\d*|SMD5|MD5|CRYPT|PBKDF2[A-Z0-9-]*)\}.+|scrypt:\d+:\d+:\d+\$.+|SCRAM-SHA-256\$\d+:.+|md5[0-9a-f]{32}|\*[0-9A-F]{40})$`)
	opaque = regexp.MustCompile(`^[A-Za-z0-9+/=_.:$-]{16,}$`)
	dsn    = regexp.MustCompile(`^[a-z][a-z0-9+]{1,20}://[^:@/ ]+:[^@/ ]+@`)
)

// secret says whether a text is one by its form.
func secret(s string) bool {
	kind, from, to := tenure.KnownSecret(s)
	known := kind != "" && (from == 0 && to == len(s) || strings.HasPrefix(s[from:], "-----BEGIN "))
	return known || hashed.MatchString(s) || strings.HasPrefix(s, "PuTTY-User-Key-File") || dsn.MatchString(s)
}

// random says whether a text could be a token: long, without spaces, with digits.
func random(s string) bool {
	return opaque.MatchString(s) && strings.ContainsAny(s, "0123456789") && !dotted.MatchString(s)
}

var (
	street = regexp.MustCompile(`(?i)(^|\s)\S*(straße|strasse|str\.|gasse|weg|platz|allee|ufer|damm|ring|straat|laan|gracht|plein|kade)\s+\d{1,4}\s?[a-z]?([ ,/-]|$)|^\d{1,5}(bis|ter)?,?\s+(rue|avenue|av\.|boulevard|bd|place|chemin|impasse|allée|quai|route|cours)\s|^(calle|c/|avda\.?|avenida|plaza|paseo|via|viale|piazza|corso|vicolo|rua|travessa|praça|largo|ul\.|ulica|al\.|os\.|pl\.)\s?[^\d]{2,40}[ ,]+(n[º°.]?\s?)?\d{1,5}|^\d{1,6}\s+[A-Z][A-Za-z.' -]{1,40}\s(street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|boulevard|blvd|way|place|pl|square|close|terrace|crescent|highway|hwy|parkway|pkwy)\b|^(p\.?\s?o\.?\s?box|postfach|apartado|postbus)\s\d+`)
	postal = regexp.MustCompile(`^(\d{5}(-\d{4})?|\d{4}|\d{4} ?[A-Z]{2}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{2}-\d{3}|\d{4}-\d{3}|\d{5}-\d{3}|[A-Z]\d[A-Z] ?\d[A-Z]\d|(D|A|CH|F|NL|B|I|E|PL|SE)-?\d{4,5}|\d{3} \d{2})$`)
)

// date reads the usual forms of a day.
func date(s string) (time.Time, bool) {
	for _, form := range []string{"2006-01-02", "02.01.2006", "2.1.2006", "02/01/2006", "01/02/2006", "2006/01/02", "02-01-2006", "20060102", "02.01.06", "02/01/06", "01/02/06"} {
		if t, err := time.Parse(form, s[:min(len(s), 10)]); err == nil && (len(s) <= 10 || s[10] == ' ' || s[10] == 'T') {
			return t, true
		}
	}
	return time.Time{}, false
}

// given are given names that are frequent in the countries whose languages are read.
var given = set(`anna maria marie peter thomas michael andreas stefan christian martin daniel alexander markus frank klaus jürgen wolfgang sabine petra monika claudia susanne julia katharina laura lena
 lukas leon felix paul jonas max emma mia hannah sophie lea jean pierre michel philippe alain nicolas christophe laurent julien camille léa chloé manon isabelle nathalie sylvie catherine françoise jacques
 luc antoine louis hugo jules josé antonio manuel francisco juan david javier carlos jesús miguel alejandro carmen ana isabel dolores pilar teresa cristina lucía marta paula sofía elena giuseppe giovanni
 mario luigi andrea marco francesco roberto stefano giulia chiara francesca sara martina giorgia paola alessandro matteo lorenzo jan johannes cornelis hendrik willem pieter dirk kees joost daan sem bram
 sanne fleur lotte anouk femke joão paulo pedro luís tiago rui ricardo rafael lucas gabriel beatriz mariana inês catarina fernanda juliana patrícia piotr krzysztof andrzej tomasz paweł marcin michał
 katarzyna małgorzata agnieszka barbara ewa magdalena joanna zofia jakub james john robert william richard joseph charles matthew anthony mark steven andrew joshua kevin brian george edward mary patricia
 jennifer linda elizabeth susan jessica sarah karen nancy lisa margaret sandra ashley emily amanda melissa olivia noah liam oliver jack harry charlotte amelia grace lily lars erik nils karl johan per
 ingrid astrid kristina anders hans fritz otto greta heidi mohammed ahmed ali fatima omar yusuf priya raj amit anita sunil wei li ming yuki hiroshi kenji olga ivan sergey dmitri natalia tatiana`)

// personName says whether a text is written as a person's name is: one to four words
// that begin with a capital; the second says that one is a frequent given name.
func personName(s string) (form, known bool) {
	if len(s) > 80 || strings.ContainsAny(s, "0123456789@/_:;&+#%$\"!?=*<>{}[]|\\") {
		return false, false
	}
	parts := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' || c == '-' })
	if len(parts) == 0 || len(parts) > 5 {
		return false, false
	}
	capitals := 0
	for _, p := range parts {
		first := []rune(p)[0]
		switch {
		case unicode.IsUpper(first), !unicode.IsLower(first) && unicode.IsLetter(first):
			capitals++
		case !particles[strings.ToLower(p)]:
			return false, false
		}
		known = known || given[strings.ToLower(p)]
	}
	return capitals > 0, known
}

var particles = set("von van de der den del della di da do dos la le zu zum af el al bin ter ten y e und")

// prose says whether a text is written by a person: several words.
func prose(s string) bool {
	if len(s) < 20 {
		return false
	}
	n, letters := len(strings.Fields(s)), 0
	for _, c := range s {
		if unicode.IsLetter(c) {
			letters++
		}
	}
	return n >= 5 && letters*10 >= len(s)*5
}

var inText = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}|(^|[^\w])(\+|00)[1-9][0-9 ()/-]{7,18}\d|[A-Z]{2}\d{2} ?([A-Z0-9]{4} ?){2,7}[A-Z0-9]{1,4}`)

// mask is a value's shape: x for a letter and 9 for a digit, at most six of either in a
// row, with the signs of ASCII between. Of texts and secrets it is the length alone.
func mask(c Class, s string) string {
	if c == Secret || c == FreeText || c == None && len(s) > 40 || strings.ContainsFunc(s, unicode.IsControl) {
		return lengthOf(len([]rune(s)))
	}
	var b strings.Builder
	row, last := 0, rune(0)
	for i, c := range s {
		if i > 60 {
			b.WriteString("…")
			break
		}
		to := c
		switch {
		case c >= '0' && c <= '9', unicode.IsDigit(c):
			to = '9'
		case c > ' ' && c < 0x7f && !unicode.IsLetter(c), c == ' ':
		default:
			to = 'x'
		}
		if row++; to != last || to != 'x' && to != '9' {
			row = 1
		}
		if last = to; row <= 6 {
			b.WriteRune(to)
		}
	}
	return b.String()
}

func lengthOf(n int) string {
	switch {
	case n <= 8:
		return "up to 8 characters"
	case n <= 32:
		return "9 to 32 characters"
	case n <= 128:
		return "33 to 128 characters"
	}
	return "more than 128 characters"
}
