package connector

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// Veil keeps the secrets that a driver was given out of what it says. Drivers owe
// that already (see Driver); the veil holds where one, or a library below it, or
// the system's own answer, repeats what it was sent. The zero Veil hides nothing.
type Veil struct {
	words []string // each form of each secret, the longest first
	hide  *strings.Replacer
}

// leastHidden is how short a secret may be and still be hidden: what is shorter
// stands in ordinary words.
const leastHidden = 6

// NewVeil hides these secrets, in the forms in which programs write texts: as they are,
// escaped for JSON, for Go, for URLs and for HTML, in hexadecimal, and in base64, also as a
// part of a longer text. Of one that is an address its password is hidden besides.
func NewVeil(secrets ...tenure.Secret) Veil {
	words := map[string]bool{}
	add := func(secret string) {
		if len(secret) < leastHidden {
			return
		}
		for _, form := range forms(secret) {
			words[form] = true
		}
	}
	for _, s := range secrets {
		add(s.Reveal())
		if u, err := url.Parse(s.Reveal()); err == nil && u.User != nil {
			password, _ := u.User.Password()
			add(password)
		}
	}
	return veilOf(slices.Collect(maps.Keys(words)))
}

func veilOf(words []string) Veil {
	if len(words) == 0 {
		return Veil{}
	}
	// Of two forms one of which holds the other the longer goes first.
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	words = slices.Compact(words)
	pairs := make([]string, 0, 2*len(words))
	for _, w := range words {
		pairs = append(pairs, w, tenure.Secret{}.String())
	}
	return Veil{words, strings.NewReplacer(pairs...)}
}

// And hides what another veil hides, too.
func (v Veil) And(other Veil) Veil {
	return veilOf(slices.Concat(v.words, other.words))
}

// forms are the ways in which a text is written.
func forms(word string) []string {
	hexed := hex.EncodeToString([]byte(word))
	out := []string{word, url.QueryEscape(word), url.PathEscape(word), html.EscapeString(word), hexed, strings.ToUpper(hexed), inner(strconv.Quote(word)), inner(strconv.QuoteToASCII(word))}
	for _, escape := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if enc.Encode(word) == nil {
			out = append(out, inner(strings.TrimSpace(b.String())))
		}
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		// What stands before it in a longer text moves it by so many bytes, and shares its
		// first digit with it as what follows shares the last.
		for before := range 3 {
			digits := enc.EncodeToString(append(make([]byte, before), word...))
			out = append(out, digits[(8*before+5)/6:8*(before+len(word))/6])
		}
	}
	return out
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// Text is a text without the secrets.
func (v Veil) Text(text string) string {
	if v.hide == nil {
		return text
	}
	return v.hide.Replace(text)
}

// Err is an error without the secrets. One that tells none is given back as it is;
// of another the code, the words, the hints and whether a retry helps are kept, and
// its chain isn't.
func (v Veil) Err(err error) error {
	if err == nil || v.hide == nil {
		return err
	}
	said := err.Error()
	words, told := v.Text(said), false
	hints := tenure.HintsOf(err)
	for _, h := range hints {
		told = told || v.Text(h) != h
	}
	if words == said && !told {
		return err
	}
	out := tenure.Errorf(tenure.CodeOf(err), "%s", words)
	for _, h := range hints {
		out = out.WithHint("%s", v.Text(h))
	}
	if tenure.CanRetry(err) {
		out = out.Retryable()
	}
	return out
}

// Receipt is a receipt without the secrets.
func (v Veil) Receipt(r Receipt) Receipt {
	for name, fact := range r.Facts {
		if clean := v.Text(fact); clean != fact {
			r.Facts[name] = clean
		}
	}
	return r
}
