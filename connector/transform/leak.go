package transform

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// leakLength is how long a text is at least that is sought elsewhere: shorter ones stand
// in others by chance.
const leakLength = 6

// Originals are the texts in a value which a rule takes away: what must stand nowhere else.
func Originals(v any) (out []string) {
	switch v := v.(type) {
	case string:
		if s := strings.ToLower(strings.TrimSpace(v)); len([]rune(s)) >= leakLength {
			out = append(out, s)
		}
	case json.Number:
		if s := string(v); len(strings.Trim(s, "0.-")) >= leakLength {
			out = append(out, s)
		}
	case []any:
		for _, e := range v {
			out = append(out, Originals(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, Originals(e)...)
		}
	}
	return out
}

// Holds says whether one of the texts stands in a value, in any case of letters.
func Holds(v any, originals []string) bool {
	switch v := v.(type) {
	case string:
		s := strings.ToLower(v)
		for _, o := range originals {
			if strings.Contains(s, o) {
				return true
			}
		}
	case json.Number:
		for _, o := range originals {
			if string(v) == o {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if Holds(e, originals) {
				return true
			}
		}
	case map[string]any:
		for k, e := range v {
			if Holds(k, originals) || Holds(e, originals) {
				return true
			}
		}
	}
	return false
}

// Says says whether a word stands in a value by itself, in any case of letters: neither a
// letter nor a digit is beside it.
func Says(v any, word string) bool {
	switch v := v.(type) {
	case string:
		return alone(strings.ToLower(v), strings.ToLower(word))
	case json.Number:
		return string(v) == word
	case []any:
		for _, e := range v {
			if Says(e, word) {
				return true
			}
		}
	case map[string]any:
		for k, e := range v {
			if Says(k, word) || Says(e, word) {
				return true
			}
		}
	}
	return false
}

func alone(text, word string) bool {
	part := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		at := from + i
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(word):])
		if !part(before) && !part(after) {
			return true
		}
		from = at + 1
	}
	return false
}
