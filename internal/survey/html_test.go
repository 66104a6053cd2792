package survey_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/survey"
)

// TestPageStandsAlone: the page can be sent to somebody: it names no address, runs nothing,
// and shows a hostile name as text.
func TestPageStandsAlone(t *testing.T) {
	all := platform()
	all = append(all, seen("odd", connector.Trace{Kind: connector.TracePlace, Word: "bucket", Name: `<script>alert("x")</script>`}))
	var b strings.Builder
	if err := survey.Map(all, survey.Ask{Now: now}).HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, never := range []string{"<script", "http://", "https://", "src=", "href=", "@import", "url("} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	for _, want := range []string{"t_zeta", "max@elm.example", "&lt;script&gt;", "3 of 4", "dumps/elm-2025.sql.gz"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if file := os.Getenv("TENURE_SURVEY_PAGE"); file != "" {
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPageWithoutPrices: where nothing has a price, the page has no column for one.
func TestPageWithoutPrices(t *testing.T) {
	t.Parallel()
	for _, priced := range []bool{true, false} {
		all := platform()
		for i := range all {
			if !priced {
				all[i].Source.Prices = nil
			}
		}
		var b strings.Builder
		if err := survey.Map(all, survey.Ask{Now: now}).HTML(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "A month") != priced {
			t.Errorf("with prices (%t) the page has the column: %t", priced, !priced)
		}
	}
}
