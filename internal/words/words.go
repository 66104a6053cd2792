// Package words is what Tenure says to people outside: in mail to customers and companies, and on the
// pages that open by a link. There is one table for each language, and code chooses a key and values.
package words

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// Language is one that Tenure writes in, by its tag (BCP 47). "" is English.
type Language string

const (
	English Language = "en"
	German  Language = "de"
)

// Key names a text of the tables.
type Key string

var tables = map[Language]map[Key]string{English: english, German: german}

// Languages lists those that there are texts in.
func Languages() []string {
	var out []string
	for l := range maps.Keys(tables) {
		out = append(out, string(l))
	}
	slices.Sort(out)
	return out
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// In is the language that the first of some tags which isn't blank asks for: English where it is
// another, or where all are blank.
func In(tags ...string) Language {
	for _, tag := range tags {
		if tag = strings.TrimSpace(tag); tag != "" {
			return match(language.Make(tag))
		}
	}
	return English
}

// Accepted is the language that a header Accept-Language (RFC 9110 §12.5.4) asks for, or another one
// where it asks for none that there is.
func Accepted(header string, otherwise Language) Language {
	if len(header) > 500 {
		return otherwise
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return otherwise
	}
	if _, _, sure := matcher.Match(tags...); sure == language.No {
		return otherwise
	}
	return match(tags...)
}

func match(tags ...language.Tag) Language {
	if _, i, sure := matcher.Match(tags...); i == 1 && sure > language.No {
		return German
	}
	return English
}

// Tag is the language's tag, as pages and mail say it.
func (l Language) Tag() string { return string(l.or()) }

func (l Language) or() Language {
	if tables[l] == nil {
		return English
	}
	return l
}

// Day is a value of a text that is written as a day, Moment as a day and a time of it, both in UTC.
type (
	Day    time.Time
	Moment time.Time
)

// Phrase is a text of the tables with its values, for whom it may concern.
type Phrase struct {
	Key    Key
	Values []any
	plain  string
}

// Of is the text of a key with its values: strings, numbers, Days, Moments, keys and phrases.
func Of(key Key, values ...any) Phrase { return Phrase{Key: key, Values: values} }

// Plain is a text that is the same in every language, such as what a person typed.
func Plain(text string) Phrase { return Phrase{plain: text} }

// In writes the phrase in a language.
func (p Phrase) In(l Language) string {
	if p.Key == "" {
		return p.plain
	}
	return l.Say(p.Key, p.Values...)
}

// Has says whether there is a text for a key.
func Has(key Key) bool { _, is := english[key]; return is }

// Keys lists those of all texts, in order.
func Keys() []Key { return slices.Sorted(maps.Keys(english)) }

// Say writes a text with its values.
func (l Language) Say(key Key, values ...any) string {
	var b strings.Builder
	for _, p := range l.Parts(key, values...) {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Part is a piece of a text: words of the table's, or a value. A page shows a value apart, so that it
// neither is markup nor turns the direction of what stands around it.
type Part struct {
	Text  string
	Value bool
	At    time.Time // of a value that is a day or a moment; zero otherwise
}

// Parts takes a text apart at its values, which stand as {1}, {2} … in the tables. A value that looks
// like such a place is none.
func (l Language) Parts(key Key, values ...any) (out []Part) {
	text, ok := tables[l.or()][key]
	if !ok {
		if text, ok = english[key]; !ok {
			return []Part{{Text: string(key)}}
		}
	}
	for text != "" {
		from := strings.IndexByte(text, '{')
		if from < 0 {
			return append(out, Part{Text: text})
		}
		n, rest, _ := strings.Cut(text[from+1:], "}")
		if from > 0 {
			out = append(out, Part{Text: text[:from]})
		}
		if i, err := strconv.Atoi(n); err == nil && i >= 1 && i <= len(values) {
			out = append(out, l.value(values[i-1])...)
		}
		text = rest
	}
	return out
}

func (l Language) value(v any) []Part {
	switch v := v.(type) {
	case Day:
		return []Part{{l.Day(time.Time(v)), true, time.Time(v)}}
	case Moment:
		return []Part{{l.Moment(time.Time(v)), true, time.Time(v)}}
	case time.Time:
		return []Part{{l.Day(v), true, v}}
	case Key:
		return l.Parts(v)
	case Phrase:
		if v.Key != "" {
			return l.Parts(v.Key, v.Values...)
		}
		return []Part{{Text: v.plain, Value: true}}
	}
	return []Part{{Text: fmt.Sprint(v), Value: true}}
}

// Day writes a day as people read it, in UTC.
func (l Language) Day(t time.Time) string {
	t = t.UTC()
	if l.or() == German {
		return strconv.Itoa(t.Day()) + ". " + months[t.Month()-1] + t.Format(" 2006")
	}
	return t.Format("2 January 2006")
}

// Moment writes a day with the time of day, in UTC.
func (l Language) Moment(t time.Time) string {
	t = t.UTC()
	if l.or() == German {
		return l.Day(t) + t.Format(" um 15:04 Uhr (UTC)")
	}
	return t.Format("2 January 2006 15:04 MST")
}

// Stamp writes a moment short, as lists have it, in UTC.
func (l Language) Stamp(t time.Time) string {
	if l.or() == German {
		return t.UTC().Format("02.01.2006 15:04\u00a0UTC")
	}
	return t.UTC().Format("2006-01-02 15:04\u00a0UTC")
}

var months = [...]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}
