package trigger

import "testing"

// A company's name in any script of Latin letters makes a name that its people recognise.
func TestSlug(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Äcme Söhne GmbH": "acme-sohne-gmbh", "STRAẞE & Straße": "strasse-strasse", "Łódź Ørsted": "lodz-orsted", "Ærø Đuro Þór": "aero-duro-thor",
		"Ｆｕｌｌ Ⅳ": "full-iv", "  A--b  ": "a-b", "İstanbul Işık": "istanbul-isik", "株式会社": "", "O'Neil": "o-neil",
	} {
		if got := slugOf(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
