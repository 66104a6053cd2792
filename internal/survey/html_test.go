package survey_test

import (
	"fmt"
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

// TestPageSaysWhatWasntRead: before any figure, and only where something wasn't read. No word
// of a table is broken, and every kind and confidence is explained.
func TestPageSaysWhatWasntRead(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{true, false} {
		all := platform()
		if !whole {
			all[0].Says, all[1].Failed = []string{"the rows of notes weren't read: no right"}, "no route"
		}
		var b strings.Builder
		r := survey.Map(all, survey.Ask{Now: now})
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		at := strings.Index(page, "Not everything was read")
		if at < 0 != whole || at > strings.Index(page, "<b>") {
			t.Errorf("read whole (%t), the page says otherwise, or not at its top", whole)
		}
		for _, want := range []string{"main: the rows of notes weren&#39;t read: no right", "directory: nothing was read: no route"} {
			if strings.Contains(page, want) == whole {
				t.Errorf("read whole (%t): the page has %q", whole, want)
			}
		}
		if strings.Contains(page, "anywhere") || strings.Contains(page, "break-") || strings.Contains(page, "read-only") {
			t.Error("the page breaks words, or says what it can't know of its credentials")
		}
		for _, m := range append(r.Legend(), r.Sure()...) {
			if m.Word == "" || !strings.Contains(page, "<td>"+m.Word+"</td>") {
				t.Errorf("the page doesn't explain %q", m.Word)
			}
		}
		if len(r.Legend()) != len(survey.Kinds) || !strings.Contains(page, "a list of customers") || !strings.Contains(page, "shared: no column and no foreign key") {
			t.Error("a kind or a table of nobody's isn't explained")
		}
	}
}

// TestRowsThatAreAlike: many findings that say the same are one row with their number, the
// first names, and all names behind it; those of another tenant or system stand by themselves.
func TestRowsThatAreAlike(t *testing.T) {
	t.Parallel()
	var g survey.Group
	g.Kind = survey.Open
	for i := range 12 {
		g.List = append(g.List, survey.Finding{Kind: survey.Open, Tenant: []string{"acme", "birch"}[i%2], System: "main", Word: "table", Name: fmt.Sprintf("t%02d", i), In: "database shop", Says: "everybody may read it"})
	}
	g.List = append(g.List, survey.Finding{Kind: survey.Open, System: "files", Word: "bucket", Name: "b", Says: "everybody may read it"})
	rows := g.Rows()
	if len(rows) != 2 || rows[0].What != "12 tables in database shop: t00, t01, t02 and 9 more" || rows[0].Tenant != "2 tenants" || len(rows[0].All) != 12 || rows[1].What != "bucket b" {
		t.Errorf("%+v", rows)
	}
	g.Kind = survey.Residue
	for i := range g.List {
		g.List[i].Kind, g.List[i].Cost = survey.Residue, 2
	}
	rows = g.Rows()
	if len(rows) != 3 || rows[0].Tenant != "acme" || rows[0].Cost != 12 || rows[1].Tenant != "birch" {
		t.Errorf("%+v", rows)
	}
	x := survey.Tenant{}
	for i := range 5 {
		x.Things = append(x.Things, survey.Thing{System: "main", Word: "rows", Name: "5", In: fmt.Sprint("table t", i), Rows: 10, Confidence: "strong", Reason: "it has the tenant's key 5"})
	}
	if got := x.ShownThings(); len(got) != 1 || got[0].What != "5 rows: 5 in table t0, 5 in table t1, 5 in table t2 and 2 more" || got[0].Rows != 50 {
		t.Errorf("%+v", got)
	}
}

// TestPageOfTheDocs: docs/survey.md explains every kind of finding.
func TestPageOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/survey.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range survey.Kinds {
		if !strings.Contains(string(text), "\n| "+string(k)+" | ") {
			t.Errorf("docs/survey.md doesn't explain %q", k)
		}
	}
}
