package recogniser

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A finding is what the values say of one class.
type finding struct {
	class Class
	fits  int
	proof float64 // how sure a value that fits makes it, where no name says so
	what  string
}

// Propose says what a column is taken to hold. It gives the same answer for the same
// column, and says None where nothing is recognised.
func Propose(c Column) Proposal {
	values := sample(items(c.Type, c.Values))
	name := c.Name
	if c.Path != "" {
		name = lastOf(c.Path)
	}
	h, aside := hintOf(name)
	if h.class == "" && c.Path != "" && c.Path != name { // contact.email.value
		h, aside = hintOf(strings.NewReplacer(".", "_", "[]", "", "*", "").Replace(c.Path))
	}
	if aside {
		h = hint{}
	}
	h = fitted(c, h)
	kind := kindOf(c.Type)
	p := decide(c, kind, h, values, look(kind, h, values))
	p.Confidence = math.Round(p.Confidence*100) / 100
	p.Personal = p.Class.Personal()
	for _, v := range values {
		if s := mask(p.Class, v); len(p.Samples) < 3 && !slices.Contains(p.Samples, s) {
			p.Samples = append(p.Samples, s)
		}
	}
	return p
}

func lastOf(path string) string {
	path = strings.TrimRight(strings.NewReplacer("[]", "", "*", "").Replace(path), ".")
	return path[strings.LastIndexByte(path, '.')+1:]
}

// sample takes the values that say something.
func sample(all []string) (out []string) {
	for _, v := range all {
		if v = strings.TrimSpace(v); v != "" && !empty[strings.ToLower(v)] {
			out = append(out, v[:min(len(v), longest)])
		}
	}
	return out
}

// items are the elements of PostgreSQL's lists, as its output writes them.
func items(typ string, values []string) []string {
	if !strings.HasSuffix(strings.TrimSpace(typ), "[]") {
		return values
	}
	var out []string
	for _, v := range values {
		for one := range strings.SplitSeq(strings.Trim(v, "{}"), ",") {
			out = append(out, strings.Trim(one, `"{} `))
		}
	}
	return out[:min(len(out), mostEach)]
}

var empty = set("null none n/a na - -- ? unknown unbekannt nil undefined")

// sort is what a column's type says.
type sort int

const (
	text sort = iota
	number
	dateOf
	moment
	network
	truth
	other
)

// kindOf reads a type as any of the systems writes it.
func kindOf(typ string) sort {
	t := strings.ToLower(strings.TrimSpace(typ))
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(t, w) })
	}
	switch {
	case has("bool", "tinyint(1)", "bit"):
		return truth
	case has("timestamp", "datetime", "time"):
		return moment
	case has("date"):
		return dateOf
	case has("inet", "cidr", "macaddr"):
		return network
	case has("point", "geometry", "geography", "tsvector", "interval", "uuid", "polygon", "oid", "int4range", "int8range", "tsrange", "daterange"):
		return other
	case has("int", "bigint", "smallint", "mediumint", "tinyint", "serial", "bigserial", "numeric", "decimal", "number", "float", "double", "real", "year", "money"):
		return number
	}
	return text
}

// fitted takes a name's word back where the table or the type says otherwise, and adds
// what the table says.
func fitted(c Column, h hint) hint {
	all := words(c.Name)
	if c.Path != "" {
		all = words(lastOf(c.Path))
	}
	whole := strings.Join(all, " ")
	persons := ofPersons(c.Table) || c.Path != "" && ofPersons(c.Name+"."+c.Path)
	switch {
	case (whole == "name" || whole == "nom" || whole == "nombre" || whole == "nome" || whole == "naam" || whole == "display name" || whole == "nazwa") && persons:
		return hint{PersonName, 0.75, whole}
	case whole == "name":
		return hint{}
	case (h.class == "" || h.class == FreeText) && findings[whole] && ofHealth(c.Table) != "":
		return hint{Special, 0.8, ofHealth(c.Table)}
	case h.class == PersonName && h.sure < 0.6 && persons:
		h.sure = 0.75
	case h.class == FreeText && h.sure < 0.5 && persons:
		h.sure = 0.55
	}
	return h
}

// look counts which values fit which class.
func look(kind sort, h hint, values []string) (out []finding) {
	count := func(f func(string) bool) (n int) {
		for _, v := range values {
			if f(v) {
				n++
			}
		}
		return n
	}
	add := func(c Class, proof float64, what string, f func(string) bool) {
		if n := count(f); n > 0 {
			out = append(out, finding{c, n, proof, what})
		}
	}
	switch kind {
	case truth, other, moment:
		return nil
	case dateOf:
		return nil
	case network:
		add(IPAddress, 0.97, "an IP address", ip)
		add(OnlineID, 0.9, "a MAC address", mac.MatchString)
		return out
	}
	add(Email, 0.99, "an e-mail address", email)
	add(IBAN, 0.99, "an IBAN with the right check digits", iban)
	add(Secret, 0.98, "a password hash, key or token by its form", secret)
	cards := 0.97
	if n := count(card); h.class != Card && byChance(0.04, n, len(values)) {
		cards = 0
	}
	add(Card, cards, "a card number with the right Luhn digit", card)
	add(IPAddress, 0.95, "an IP address", ip)
	add(OnlineID, 0.9, "a device's or browser's mark", func(s string) bool { return mac.MatchString(s) || agent.MatchString(s) })
	out = append(out, ids(h, values)...)
	add(Phone, 0.9, "a telephone number by its form", func(s string) bool { form, _ := phone(s); return form })
	if h.class == Phone {
		add(Phone, 0, "of digits alone, as a telephone number can be", func(s string) bool { form, plain := phone(s); return form || plain })
	}
	if h.class == Secret {
		add(Secret, 0, "a text that could be a token", random)
	}
	add(Address, 0.9, "a street with a number", street.MatchString)
	if h.class == Address {
		add(Address, 0, "a postcode or a place", func(s string) bool {
			form, _ := personName(s)
			return form || postal.MatchString(s) || street.MatchString(s)
		})
	}
	add(FreeText, 0.75, "a text of several words", prose)
	return out
}

// ids are the national ids that values are. Where each of few values passes a weak check,
// chance would explain it: then it takes the name as well.
func ids(h hint, values []string) (out []finding) {
	for _, n := range nationals {
		fits := 0
		for _, v := range values {
			if len(v) <= 24 && n.check(v) {
				fits++
			}
		}
		if fits == 0 {
			continue
		}
		called := h.class == NationalID && slices.Contains(n.words, h.word)
		f := finding{NationalID, fits, 0, "a valid " + n.name}
		if n.country != "" {
			f.what += " (" + n.country + ")"
		}
		switch {
		case called:
			f.proof = 0.98
		case n.form == "" && n.chance > 0.2, byChance(n.chance, fits, len(values)):
			f.proof = 0
		default:
			f.proof = 0.9
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b finding) int {
		switch x, y := float64(a.fits)*(a.proof+0.01), float64(b.fits)*(b.proof+0.01); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out[:min(len(out), 1)]
}

// byChance says that so many of n values would pass a check by chance more often than
// once in ten thousand columns.
func byChance(chance float64, fits, n int) bool {
	return math.Pow(chance, float64(fits))*binomial(n, fits) > 1e-4
}

// binomial bounds in how many ways k of n values can be those that fit.
func binomial(n, k int) float64 {
	out := 1.0
	for i := range min(k, n-k) {
		out *= float64(n-i) / float64(i+1)
	}
	return out
}

// decide weighs the name against the values.
func decide(c Column, kind sort, h hint, values []string, found []finding) Proposal {
	n := len(values)
	none := Proposal{Class: None, Confidence: 0.5, Reason: "no values, and the name says nothing"}
	if n > 0 {
		none.Confidence, none.Reason = 0.8, "neither the name nor the values say anything"
	}
	called := ""
	if h.class != "" {
		called = fmt.Sprintf("the name says %q", h.word)
		if h.class == Special && ofHealth(c.Table) == h.word {
			called = fmt.Sprintf("the table's name says %q", h.word)
		}
	}
	if kind == truth {
		return Proposal{Class: None, Confidence: 0.95, Reason: "it is true or false"}
	}
	// What the name says, if the values agree.
	var best *finding
	for i := range found {
		f := &found[i]
		if f.class == h.class && (best == nil || f.fits > best.fits) {
			best = f
		}
	}
	if h.class != "" && best != nil && best.fits*10 >= n*3 {
		share := float64(best.fits) / float64(n)
		sure := h.sure + (1-h.sure)*0.8*share
		if best.proof == 0 {
			sure = h.sure + (1-h.sure)*0.3*share
		}
		return Proposal{Class: h.class, Confidence: min(sure, 0.99), Reason: fmt.Sprintf("%s, and %d of %d values are %s", called, best.fits, n, best.what)}
	}
	// What most values are, whatever the name says.
	var top *finding
	for i := range found {
		f := &found[i]
		if f.proof == 0 || f.fits*10 < n*6 || f.class == FreeText && h.class != "" || n < 3 && f.proof < 0.95 {
			continue
		}
		if top == nil || float64(f.fits)*f.proof > float64(top.fits)*top.proof {
			top = f
		}
	}
	if top != nil && misread(c, top.class) {
		top = nil
	}
	if top != nil {
		return Proposal{Class: top.class, Confidence: top.proof * (0.7 + 0.3*float64(top.fits)/float64(n)), Reason: fmt.Sprintf("%d of %d values are %s", top.fits, n, top.what)}
	}
	if p, ok := byName(c, kind, h, values, called); ok {
		return p
	}
	if p, ok := capitals(c, kind, values); ok {
		return p
	}
	for _, f := range found { // some values are, where nobody would look for them
		if f.proof >= 0.9 && f.fits >= 2 && f.fits*20 >= n && f.class != Phone && !misread(c, f.class) {
			return Proposal{Class: f.class, Confidence: 0.55, Reason: fmt.Sprintf("%d of %d values are %s", f.fits, n, f.what)}
		}
	}
	for _, v := range values {
		if len(v) > 20 && strings.Contains(v, " ") && inText.MatchString(v) {
			return Proposal{Class: FreeText, Confidence: 0.6, Reason: "texts hold e-mail addresses, telephone numbers or accounts"}
		}
	}
	return none
}

// misread are columns whose values only look like something.
func misread(c Column, class Class) bool {
	all := words(c.Name + "_" + c.Path)
	has := func(list ...string) bool {
		return slices.ContainsFunc(all, func(w string) bool { return slices.Contains(list, w) })
	}
	switch class {
	case IPAddress:
		return has("version", "ver", "release", "build", "firmware")
	case Card, NationalID:
		return has("ean", "gtin", "upc", "isbn", "barcode", "sku", "serial", "timestamp", "epoch", "amount", "price", "cents", "bytes", "size")
	case Phone:
		return has("version", "date", "range", "sku")
	}
	return false
}

// byName goes by the name alone, if no value speaks against it.
func byName(c Column, kind sort, h hint, values []string, called string) (Proposal, bool) {
	n := len(values)
	if h.class == "" {
		return Proposal{}, false
	}
	fits := func(f func(string) bool) bool {
		k := 0
		for _, v := range values {
			if f(v) {
				k++
			}
		}
		return k*10 >= n*6
	}
	sure, reason := h.sure*0.75, called
	switch h.class {
	case Email, IBAN, Card, NationalID, IPAddress, Phone:
		switch {
		case kind == dateOf || kind == moment:
			return Proposal{}, false
		case kind == number && h.class == IPAddress && n > 0 && fits(func(s string) bool { return len(digits(s, "")) >= 8 && len(s) <= 10 }):
			sure, reason = h.sure*0.7, reason+", and the numbers could be such"
		case kind == number && (h.class == Email || h.class == IPAddress):
			return Proposal{}, false
		case n > 0 && h.sure >= 0.85 && fits(func(s string) bool { return len(s) >= 32 && random(s) }):
			sure, reason = 0.55, reason+", and the values could be hashes or ciphertexts of such, which stay personal"
		case h.class == IBAN && n > 0 && fits(func(s string) bool { d := digits(s, "-./"); return len(d) >= 6 && len(d) <= 20 }):
			sure, reason = h.sure*0.8, reason+", and the values could be account numbers of a country's own"
		case n == 0:
			reason += "; there were no values to look at"
		case h.class == NationalID && h.sure >= 0.75 && n < 3 || h.class == Card && fits(func(s string) bool { return len(s) == 4 || strings.ContainsAny(s, "*xX•") }):
			sure *= 0.8
		case h.class == NationalID && h.sure >= 0.75 && fits(func(s string) bool {
			return len(s) >= 6 && strings.ContainsAny(s, "0123456789") && !strings.Contains(s, " ")
		}):
			sure, reason = h.sure*0.7, reason+", and the values could be such; none has a check that is known"
		default:
			return Proposal{}, false // the values aren't
		}
	case BirthDate:
		switch {
		case kind == dateOf || n == 0 && kind != number:
			reason += ", and it is a " + strings.ToLower(c.Type)
			sure = h.sure
		case kind == moment:
			sure = h.sure * 0.9
		case n == 0:
			reason += "; there were no values to look at"
		case fits(born):
			sure, reason = h.sure, reason+", and most values are days or years of a life"
		case h.sure >= 0.9 && fits(func(s string) bool { return strings.ContainsAny(s, "0123456789") }):
			sure, reason = h.sure*0.6, reason+", and the values could be days in a form of their own"
		default:
			return Proposal{}, false
		}
		if kind == dateOf && n > 0 && !fits(born) {
			return Proposal{}, false
		}
	case PersonName:
		switch {
		case kind != text:
			return Proposal{}, false
		case n == 0:
			reason += "; there were no values to look at"
		case fits(func(s string) bool {
			form, _ := personName(s)
			return form || len(s) < 30 && !strings.ContainsAny(s, "0123456789_")
		}):
			sure, reason = h.sure, reason+", and most values are written as names are"
		default:
			return Proposal{}, false
		}
	case Address:
		switch {
		case kind == dateOf || kind == moment || kind == number && h.sure < 0.8:
			return Proposal{}, false
		case n > 0:
			sure, reason = h.sure*0.85, reason+", and no value speaks against it"
		}
	case FreeText:
		if kind != text || n > 0 && few(values) {
			return Proposal{}, false
		}
		if n > 0 && !fits(func(s string) bool { return strings.Contains(s, " ") }) {
			return Proposal{}, false
		}
	case Secret:
		switch {
		case kind == dateOf || kind == moment:
			return Proposal{}, false
		case n > 0 && few(values) && n > 5:
			return Proposal{}, false
		case n > 0:
			sure, reason = h.sure*0.85, reason+", and no value speaks against it"
		}
	case Location:
		if kind == dateOf || kind == moment || kind == text && n > 0 && !fits(func(s string) bool { return strings.ContainsAny(s, "0123456789") }) {
			return Proposal{}, false
		}
		sure = h.sure
	case Special:
		if kind == dateOf || kind == moment {
			return Proposal{}, false
		}
		sure = h.sure * 0.95
	case OnlineID:
		if kind == dateOf || kind == moment {
			return Proposal{}, false
		}
		sure = h.sure
	}
	return Proposal{Class: h.class, Confidence: sure, Reason: reason}, true
}

// few says that the values are those of a list: most come several times.
func few(values []string) bool {
	seen := map[string]bool{}
	for _, v := range values {
		seen[v] = true
	}
	return len(values) >= 10 && len(seen)*5 <= len(values)
}

// born says whether a value is a day or a year on which a living person may be born, or
// an age.
func born(s string) bool {
	if t, ok := date(s); ok {
		return t.Year() >= 1900 && t.Before(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	d := digits(s, "")
	switch len(d) {
	case 1, 2:
		return true
	case 3:
		return d < "125"
	case 4:
		return d >= "1900" && d < "2100"
	}
	return false
}

// capitals proposes names where the name of the column says nothing and many values are
// written as names with a frequent given name.
func capitals(c Column, kind sort, values []string) (Proposal, bool) {
	if kind != text || len(values) < 5 {
		return Proposal{}, false
	}
	form, known, two := 0, 0, 0
	for _, v := range values {
		f, k := personName(v)
		if f {
			form++
		}
		if f && k {
			known++
		}
		if f && strings.ContainsAny(v, " ,") {
			two++
		}
	}
	n := len(values)
	if form*10 < n*8 || known*10 < n*3 || few(values) && n >= 30 {
		return Proposal{}, false
	}
	sure := 0.6
	if two*10 >= n*7 {
		sure = 0.8
	}
	return Proposal{Class: PersonName, Confidence: sure, Reason: fmt.Sprintf("%d of %d values are written as names are, %d with a frequent given name", form, n, known)}, true
}
