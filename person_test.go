package tenure_test

import (
	"testing"

	"github.com/tenurehq/tenure"
)

// TestPersonKey: two spellings of one person never count as two persons.
func TestPersonKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"ada", "Ada"}, {"ada", "ADA"}, {"ada", "ａｄａ"}, {"josé", "jose\u0301"}, {"JOSÉ", "jose\u0301"}, {"straße", "STRASSE"}, {"σίσυφος", "ΣΊΣΥΦΟΣ"},
		{"ada", "ada\u200b"}, {"ada", "a\u00adda"}, {"ada", "\u2066ada\u2069"}, {"ada", " ada "}, {"ada l", "ada  l"}, {"ada l", "ada\u00a0l"}, {"ﬁ", "fi"}, {"ada", "ada\ufe0f"}, {"İ", "i\u0307"},
	} {
		if !tenure.SamePerson(same[0], same[1]) {
			t.Errorf("%q and %q are taken for two persons", same[0], same[1])
		}
	}
	for _, other := range [][2]string{{"ada", "adam"}, {"ada", "аda"}, {"carl", "car1"}, {"", ""}, {"ada", ""}, {"jose", "josé"}, {"a da", "ada"}} {
		if tenure.SamePerson(other[0], other[1]) {
			t.Errorf("%q and %q are taken for one person", other[0], other[1])
		}
	}
}

// TestPrincipalName: a name is stored in one spelling, and one that can't be told by
// eye is refused.
func TestPrincipalName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ada": "ada", "Ada": "ada", "ａｄａ": "ada", "Ada Lovelace": "ada lovelace", "ci-bot@example.com": "ci-bot@example.com", "O'Neil": "o'neil", "Jose\u0301": "josé", "Rītā @ platform": "rītā @ platform",
	} {
		got, err := tenure.PrincipalName(in)
		if err != nil || got != want {
			t.Errorf("PrincipalName(%q) = %q, %v, want %q", in, got, err, want)
		}
		if again, err := tenure.PrincipalName(got); err != nil || again != got {
			t.Errorf("PrincipalName(%q) = %q, %v: it isn't stable", got, again, err)
		}
	}
	for _, in := range []string{"", " ada", "ada ", "ada  l", "ada\n", "ada\x00", "<b>", `a"b`, "ada\u200b", "\u202eada", "ada\u00a0l", "☃", "\xff"} {
		if got, err := tenure.PrincipalName(in); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("PrincipalName(%q) = %q, %v, want it refused", in, got, err)
		}
	}
}
