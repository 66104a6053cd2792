package connector

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Veil keeps the secrets that a driver was given out of what it says. Drivers owe
// that already (see Driver); the veil holds where one, or a library below it, or
// the system's own answer, repeats what it was sent. The zero Veil hides nothing.
type Veil struct{ words []string }

// leastHidden is how short a secret may be and still be hidden: what is shorter
// stands in ordinary words.
const leastHidden = 6

// NewVeil hides these secrets. Of one that is an address its password is hidden
// besides.
func NewVeil(secrets ...tenure.Secret) Veil {
	var v Veil
	add := func(word string) {
		if len(word) < leastHidden {
			return
		}
		v.words = append(v.words, word)
		if escaped := url.QueryEscape(word); escaped != word {
			v.words = append(v.words, escaped)
		}
	}
	for _, s := range secrets {
		add(s.Reveal())
		if u, err := url.Parse(s.Reveal()); err == nil && u.User != nil {
			password, _ := u.User.Password()
			add(password)
		}
	}
	return v
}

// And hides what another veil hides, too.
func (v Veil) And(other Veil) Veil {
	return Veil{words: slices.Concat(v.words, slices.DeleteFunc(slices.Clone(other.words), func(w string) bool { return slices.Contains(v.words, w) }))}
}

// Text is a text without the secrets.
func (v Veil) Text(text string) string {
	for _, w := range v.words {
		text = strings.ReplaceAll(text, w, tenure.Secret{}.String())
	}
	return text
}

// Err is an error without the secrets. One that tells none is given back as it is;
// of another the code, the words, the hints and whether a retry helps are kept, and
// its chain isn't.
func (v Veil) Err(err error) error {
	if err == nil || len(v.words) == 0 {
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
