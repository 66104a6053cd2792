package connector

import (
	"net/url"
	"slices"

	"github.com/tenurehq/tenure"
)

// Veil keeps the secrets that a driver was given out of what it says. Drivers owe
// that already (see Driver); the veil holds where one, or a library below it, or
// the system's own answer, repeats what it was sent. The zero Veil hides nothing.
type Veil struct {
	secrets []string // each once
	lookout *lookout // nil: there are none
}

// leastHidden is how short a secret may be and still be hidden: what is shorter
// stands in ordinary words.
const leastHidden = 6

// NewVeil hides these secrets however they are written: in any letter case, with blanks and
// line breaks between, with all or some characters escaped as URLs, JSON, HTML, Go and C do
// it, in hexadecimal and in base64 (also that of URLs, also within a longer text), and in
// what several of these make one after the other. Of one that looks random and has at least
// 16 characters parts are hidden, too: half of it or 12 characters at its beginning or its
// end, 12 anywhere. Of one that is an address its password is hidden besides.
//
// A secret that reads like a word is hidden as it is written: a text may hold that word.
func NewVeil(secrets ...tenure.Secret) Veil {
	var words []string
	for _, s := range secrets {
		words = append(words, s.Reveal())
		if u, err := url.Parse(s.Reveal()); err == nil && u.User != nil {
			password, _ := u.User.Password()
			words = append(words, password)
		}
	}
	return veilOf(words)
}

func veilOf(words []string) Veil {
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) < leastHidden })
	if len(words) == 0 {
		return Veil{}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	return Veil{words, newLookout(words)}
}

// And hides what another veil hides, too.
func (v Veil) And(other Veil) Veil {
	return veilOf(slices.Concat(v.secrets, other.secrets))
}

// Text is a text without the secrets.
func (v Veil) Text(text string) string {
	if v.lookout == nil {
		return text
	}
	return v.lookout.hide(text)
}

// Err is an error without the secrets. One that tells none is given back as it is;
// of another the code, the words, the hints and whether a retry helps are kept, and
// its chain isn't.
func (v Veil) Err(err error) error {
	if err == nil || v.lookout == nil {
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
