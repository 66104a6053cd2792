package survey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/survey"
)

// TestRandomPlatforms: on platforms whose tenants' names begin alike, that name things as they
// like and forget some, a survey never gives one tenant what is another's, and finds what is
// left of who left and who is in no list.
func TestRandomPlatforms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := []string{"acme", "birch", "cedar", "labs", "north", "zeta", "nova"}
		names := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 3, rapid.ID[string]).Draw(t, "words"), " ")
		}), 4, 9, rapid.ID[string]).Draw(t, "names")
		legal := rapid.SampledFrom([]string{"", " Ltd", " GmbH"}).Draw(t, "legal form")
		before := rapid.SampledFrom([]string{"", "t_", "tenant-"}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", "_app", "-prod"}).Draw(t, "after")
		sep := rapid.SampledFrom([]string{"_", "-"}).Draw(t, "separator")

		var main, far []connector.Trace
		owner := map[string]string{} // by what stands there: the tenant's name, as the list has it
		alive, left := map[string]bool{}, map[string]bool{}
		main = append(main, connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "customers"}, connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "orders"})
		for i, name := range names {
			key, domain := fmt.Sprint(i+1), strings.ReplaceAll(name, " ", "")+".example"
			status := rapid.SampledFrom([]string{"active", "active", "closed"}).Draw(t, "status")
			listed := i == 0 || rapid.IntRange(0, 5).Draw(t, "listed") > 0
			known := name + legal
			if listed {
				main = append(main, record(key, known, domain, status))
				owner["customer "+key] = known
			}
			add := func(to *[]connector.Trace, one connector.Trace) {
				if rapid.IntRange(0, 3).Draw(t, "made") == 0 {
					return
				}
				*to = append(*to, one)
				what := one.Word + " " + one.Name
				if listed {
					owner[what] = known
				}
				alive[what] = listed && status == "active"
				left[what] = listed && status == "closed"
			}
			add(&main, schema(before+strings.ReplaceAll(name, " ", sep)+after, 1))
			add(&main, connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "rows:" + key, In: "table:orders", Rows: 3})
			add(&far, user("anna@"+domain, "anna@"+domain))
			add(&far, connector.Trace{Kind: connector.TraceCopy, Word: "object", Name: strings.ReplaceAll(name, " ", sep) + "/dump.sql"})
		}
		// An account of nobody's with rights on some of these, and on the table that all share.
		var reaches []string
		whose, others, shares := map[string]bool{}, false, rapid.Bool().Draw(t, "on the shared table")
		for _, one := range main[2:] {
			if in := one.Kind == connector.TraceRows && shares; !in && (one.Kind != connector.TracePlace || rapid.Bool().Draw(t, "reached")) {
				continue
			}
			if one.Kind == connector.TracePlace {
				reaches = append(reaches, one.Word+":"+one.Name)
			}
			if o := owner[one.Word+" "+one.Name]; o != "" {
				whose[o] = true
			} else {
				others = true
			}
		}
		if shares {
			reaches = append(reaches, "table:orders")
		}
		main = append(main, connector.Trace{Kind: connector.TraceAccount, Word: "role", Name: "exchange", Reaches: reaches})
		r := survey.Map([]survey.Seen{seen("main", main...), seen("far", far...)}, survey.Ask{Now: now})

		given := map[string]string{}
		for _, x := range r.Tenants {
			for _, thing := range x.Things {
				what := thing.Word + " " + thing.Name
				given[what] = x.Name
				if want := owner[what]; want != "" && x.Name != want {
					t.Errorf("%s is given to %s, and is %s's: %s", what, x.Name, want, thing.Reason)
				}
				// A name that holds another's can't be told from a thing of that one's.
				if owner[what] == "" && len(x.Listed) > 0 && thing.Confidence != tenure.Possible {
					t.Errorf("%s is surely given to %s, and is of a tenant that no list has: %s", what, x.Name, thing.Reason)
				}
			}
		}
		found := map[string]bool{}
		if wide := slices.ContainsFunc(r.Findings, func(f survey.Finding) bool { return f.Kind == survey.Wide && f.Name == "exchange" }); len(whose) > 1 && !wide || len(whose) < 2 && !others && wide {
			t.Errorf("an account with rights on things of %v is wide: %t", whose, wide)
		}
		for _, f := range r.Findings {
			found[f.Word+" "+f.Name] = true
		}
		for what := range left {
			if left[what] && !found[what] {
				t.Errorf("%s is left of a tenant that left, is given to %q, and isn't found", what, given[what])
			}
			if alive[what] && found[what] {
				t.Errorf("%s is an active tenant's, and is a finding", what)
			}
		}
	})
}
