package lifecycle

import (
	"strings"

	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// LanguageLabel is the label of a tenant that says in which language its people are written to, as a
// tag (BCP 47).
const LanguageLabel = "language"

// Language is the one of the installation's settings, for who has none of their own.
func (s *Service) Language() words.Language { return words.In(s.o.Language) }

// LanguageOf is the language in which a tenant's people are written to.
func (s *Service) LanguageOf(t store.TenantRow) words.Language {
	return words.In(t.Labels[LanguageLabel], s.o.Language)
}

// LanguageFor is the language of what a tenant's notice says to a recipient: who isn't of the tenant's
// people reads the settings'.
func (s *Service) LanguageFor(t store.TenantRow, recipient string) words.Language {
	if recipient == "contact" || strings.Contains(recipient, "@") {
		return s.LanguageOf(t)
	}
	return s.Language()
}

// written puts a phrase into a notice, in a language.
func written(n store.Notice, lang words.Language, p words.Phrase) store.Notice {
	n.Body, n.Language = p.In(lang), lang.Tag()
	return n
}
