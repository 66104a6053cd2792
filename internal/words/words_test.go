package words_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/words"
)

// TestTables: each language says all of it, and no text loses a value, such as a link or a date.
func TestTables(t *testing.T) {
	t.Parallel()
	place := regexp.MustCompile(`\{[0-9]\}`)
	for _, k := range words.KeysOf(words.English) {
		en, ok := words.Raw(words.English, k)
		de, is := words.Raw(words.German, k)
		if !ok || !is || strings.TrimSpace(en) == "" || strings.TrimSpace(de) == "" {
			t.Errorf("%s isn't in both languages: %q, %q", k, en, de)
			continue
		}
		values := func(text string) []string {
			list := place.FindAllString(text, -1)
			slices.Sort(list)
			return slices.Compact(list)
		}
		if a, b := values(en), values(de); !slices.Equal(a, b) {
			t.Errorf("%s has the values %v in English and %v in German", k, a, b)
		}
	}
	if a, b := words.KeysOf(words.English), words.KeysOf(words.German); !slices.Equal(a, b) {
		t.Errorf("the tables have different keys: %d and %d", len(a), len(b))
	}
}

// TestEveryKeyIsUsed: what code and pages ask for is there, with as many values as the text has, and
// nothing stands in the tables that nobody asks for.
func TestEveryKeyIsUsed(t *testing.T) {
	t.Parallel()
	made := []string{"about.", "stage.", "told.", "operation.", "way.", "status.", "problem.", "said.", "depart."} // keys that are put together
	key := regexp.MustCompile(`"((?:mail|lease|leave|vendor|task|page|problem|depart)\.[a-z_.]+)"`)
	used := map[string]bool{}
	for _, dir := range []string{"notify", "lifecycle", "site", "dashboard", "trigger"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".html") {
				return err
			}
			src, err := os.ReadFile(path)
			for _, m := range key.FindAllStringSubmatch(string(src), -1) {
				used[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range words.KeysOf(words.English) {
		composed := slices.ContainsFunc(made, func(p string) bool { return strings.HasPrefix(string(k), p) })
		base := strings.TrimSuffix(strings.TrimSuffix(string(k), ".title"), ".says") // head of the pages puts both together
		if !used[string(k)] && !used[base] && !composed {
			t.Errorf("nobody asks for %s", k)
		}
	}
	if len(used) < 60 {
		t.Errorf("only %d keys are found in code and pages", len(used))
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]words.Language{"de": words.German, "de-AT": words.German, "DE": words.German, "en": words.English, "en-GB": words.English, "fr": words.English, "": words.German, " ": words.German, "Deutsch": words.English, "x-\x00": words.English} {
		if got := words.In(tag, "de"); got != want {
			t.Errorf("with the label %q it is %s, want %s", tag, got, want)
		}
	}
	for header, want := range map[string]words.Language{"de-DE,de;q=0.9,en;q=0.8": words.German, "fr,de;q=0.5": words.German, "en-US": words.English, "fr": words.German, "": words.German, "%%%": words.German, strings.Repeat("de,", 300): words.German} {
		if got := words.Accepted(header, words.German); got != want {
			t.Errorf("Accept-Language %q gives %s, want %s", header, got, want)
		}
	}
	if got := words.Accepted("en;q=0.1,de", words.English); got != words.German {
		t.Errorf("who would rather read German reads %s", got)
	}
}

// TestSay: values stand where they belong, a value is never read as a place for another, and a language
// that there isn't reads English.
func TestSay(t *testing.T) {
	t.Parallel()
	at := words.Moment(time.Date(2026, 3, 2, 9, 5, 0, 0, time.FixedZone("", 3600)))
	if got, want := words.German.Say("lease.ask", "{2}{3}", at, "https://x/"), "Ihr Zugang zu {2}{3} endet am 2. März 2026 um 08:05 Uhr (UTC)."; !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got, want := words.Language("fr").Say("lease.ask", "acme", at, "https://x/"), "Your access to acme ends on 2 March 2026 08:05 UTC."; !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	p := words.Of("leave.lapsed", "acme", words.Of("leave.why.contact", "acme"))
	if got, want := p.In(words.German), "Ihr Antrag, acme zu kündigen, ist verfallen: der Kontakt von acme hat nicht innerhalb von 14 Tagen geantwortet. Er bleibt ohne Folgen."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	for _, part := range words.German.Parts("leave.lapsed", "<b>", words.Plain("<i>")) {
		if strings.Contains(part.Text, "<") && !part.Value {
			t.Errorf("a value counts as Tenure's own words: %q", part.Text)
		}
	}
}

// TestTranslate: what is said in English elsewhere is found again with its values.
func TestTranslate(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"the role of who answers is missing":                                                  "Es fehlt: die Funktion dessen, der antwortet.",
		"the evidence has 1001 characters, at most 1000 are allowed":                          "Höchstens 1000 Zeichen sind erlaubt, und 1001 hat: der Nachweis.",
		"the name of who answers: the character U+0000 isn't allowed; it is one line of text": "Das Zeichen U+0000 ist nicht erlaubt, und eine einzelne Zeile Text muss sein: der Name dessen, der antwortet.",
		"the name of the service, or of your organization, is missing":                        "Es fehlt: der Name des Dienstes oder Ihrer Organisation.",
		"retention of letters: law keeps it until 2027-01-01":                                 "Aufbewahrung von letters: law verlangt es bis 2027-01-01",
		"point of no return: all":                                                             "ab hier unumkehrbar: alles",
	} {
		if got, ok := words.German.Translate(said); !ok || got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
	if _, ok := words.German.Translate("something else is wrong"); ok {
		t.Error("what nobody has translated counts as translated")
	}
	if got, ok := words.English.Translate("anything"); !ok || got != "anything" {
		t.Errorf("English became %q", got)
	}
}
