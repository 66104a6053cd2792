package tenure_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// Whatever a person gives as a line stands on one line, can be seen, and reads as it is written.
func TestLinesOfText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, line, lines string }{ // "!" is refused
		{"key handed over", "key handed over", "key handed over"},
		{" \t key \r\n\u2028\u00a0", "key", "key"},
		{"", "", ""},
		{" \u2003\r", "", ""},
		{"a\nb", "!", "a\nb"},
		{"a\r\nb", "!", "a\nb"},
		{"a\rb", "!", "!"},
		{"a\tb", "!", "!"},
		{"a\x00b", "!", "!"},
		{"a\x1b[2J", "!", "!"},
		{"a\x7f", "!", "!"},
		{"a\u0085b", "!", "!"},
		{"a\u2028b", "!", "!"},
		{"a\u2029b", "!", "!"},
		{"\u202egnp.exe", "!", "!"},
		{"a\u2066b", "!", "!"},
		{"\u200b", "!", "!"},
		{"\u200b \ufeff\u2060", "!", "!"},
		{"\u3164", "!", "!"},
		{"a\xff", "!", "!"},
		{"می\u200cخواهم", "می\u200cخواهم", "می\u200cخواهم"},
		{"👩\u200d🚒", "👩\u200d🚒", "👩\u200d🚒"},
		{strings.Repeat("ü", 100), strings.Repeat("ü", 100), strings.Repeat("ü", 100)},
		{strings.Repeat("ü", 101), "!", "!"},
	} {
		for _, read := range []struct {
			name string
			f    func(what, text string, most int) (string, error)
			want string
		}{{"Line", tenure.Line, tt.line}, {"Lines", tenure.Lines, tt.lines}} {
			got, err := read.f("the note", tt.text, 100)
			switch {
			case read.want == "!":
				if tenure.CodeOf(err) != tenure.Invalid || strings.ContainsFunc(err.Error(), tenure.Misleads) || !strings.HasPrefix(err.Error(), "the note") {
					t.Errorf("%s of %q is %q, %v", read.name, tt.text, got, err)
				}
			case err != nil || got != read.want:
				t.Errorf("%s of %q is %q, %v; want %q", read.name, tt.text, got, err, read.want)
			}
		}
	}
	for _, blank := range []string{"", " ", "\r\n", "\u00a0"} {
		if _, err := tenure.NeedLine("the reason", blank, 100); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q passes as a reason: %v", blank, err)
		}
	}
}

func TestPlainMailAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"desk@print.example": true, "a.b+c@print.example": true, "Desk <desk@print.example>": false, "desk": false, "": false, "desk@print.example\x00": false, "de\x1bsk@print.example": false,
		"\u202edesk@print.example": false, "desk@print.example\u2028": false, "de\u200bsk@print.example": false, " desk@print.example": false,
	} {
		if got := tenure.IsMailAddress(address); got != want {
			t.Errorf("%q is a mail address: %v", address, got)
		}
	}
}

func TestZonesOfTheList(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"": true, "Europe/Berlin": true, "Etc/UTC": true, "UTC": true,
		"Local": false, "localtime": false, "posixrules": false, "right/UTC": false, "posix/UTC": false, "Factory": false, "Berlin": false,
	} {
		if _, err := tenure.Zone(name); (err == nil) != want {
			t.Errorf("zone %q: %v", name, err)
		}
	}
}
