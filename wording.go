package tenure

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Text is a text that somebody writes for people: one for all, under "", or one for each language by
// its tag (BCP 47), of which English is there in any case. In files and JSON the one for all is a string.
type Text map[string]string

// PlainText is one text for all.
func PlainText(text string) Text { return Text{"": text} }

// In is the text for a language: the one for all, or English, where there is none of its own.
func (t Text) In(tag string) string {
	for _, k := range []string{tag, "", "en"} {
		if text, is := t[k]; is {
			return text
		}
	}
	return ""
}

// Tags lists the languages that it is written in; "" alone where one is for all.
func (t Text) Tags() []string { return slices.Sorted(maps.Keys(t)) }

// MarshalJSON is json.Marshaler's.
func (t Text) MarshalJSON() ([]byte, error) {
	if text, is := t[""]; is || len(t) == 0 {
		return json.Marshal(text)
	}
	return json.Marshal(map[string]string(t))
}

// UnmarshalJSON is json.Unmarshaler's.
func (t *Text) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, (*map[string]string)(t))
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*t = PlainText(text)
	return nil
}
