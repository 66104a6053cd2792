package tenure

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of texts that people give, in characters.
const (
	MaxTitle  = 200  // of names of people, organizations and things, in words
	MaxReason = 1000 // of reasons and notes
)

// Line is one line of text that a person or a file gives, without the white space at its ends; "" if it
// is blank. Invalid is what isn't UTF-8, holds a control character, a line or paragraph separator or a
// bidirectional override or isolate (Unicode UAX 9), shows nothing at all, or has more than so many
// characters. The error names the text by what it is, and shows nothing of it.
func Line(what, text string, most int) (string, error) { return someText(what, text, most, false) }

// NeedLine is Line for a text that has to be there: a blank one is Invalid too.
func NeedLine(what, text string, most int) (string, error) { return needed(what, text, most, false) }

// Lines is Line for a text that may have several lines, each ended by LF or CR LF; it gives LF.
func Lines(what, text string, most int) (string, error) { return someText(what, text, most, true) }

// NeedLines is Lines for a text that has to be there.
func NeedLines(what, text string, most int) (string, error) { return needed(what, text, most, true) }

func needed(what, text string, most int, several bool) (string, error) {
	text, err := someText(what, text, most, several)
	if err == nil && text == "" {
		return "", Errorf(Invalid, "%s is missing", what)
	}
	return text, err
}

func someText(what, text string, most int, several bool) (string, error) {
	if !utf8.ValidString(text) {
		return "", Errorf(Invalid, "%s isn't text in UTF-8", what)
	}
	if several {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	text = strings.TrimSpace(text)
	for _, r := range text {
		switch {
		case several && r == '\n':
		case Misleads(r):
			if several {
				return "", Errorf(Invalid, "%s: the character %U isn't allowed", what, r)
			}
			return "", Errorf(Invalid, "%s: the character %U isn't allowed; it is one line of text", what, r)
		}
	}
	switch n := utf8.RuneCountInString(text); {
	case text != "" && !Shows(text):
		return "", Errorf(Invalid, "%s shows nothing: it holds invisible characters alone", what)
	case n > most:
		return "", Errorf(Invalid, "%s has %d characters, at most %d are allowed", what, n, most)
	}
	return text, nil
}

// Misleads says whether a character steers a terminal, breaks a line, or turns the direction in which
// others read: none of people's lines of text holds one.
func Misleads(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Shows says whether a text has anything to be seen.
func Shows(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsControl(r) && !ignorable(r) })
}

// IsMailAddress says whether a text is one plain mail address (addr-spec, RFC 5322 §3.4.1) of at most 254
// bytes, without anything that can't be seen.
func IsMailAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254 && !strings.ContainsFunc(s, unseen)
}
