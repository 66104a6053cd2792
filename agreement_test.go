package tenure_test

import (
	"testing"

	"github.com/tenurehq/tenure"
)

func TestAgreementCheck(t *testing.T) {
	t.Parallel()
	good := tenure.Agreement{
		Kind: tenure.SharingAgreement, Parties: []string{"Parcel Post"}, Classes: []string{"orders"}, Purpose: "delivery",
		StartsAt: reviewDay, ExpiresAt: reviewDay.AddDate(1, 0, 0),
	}
	for _, c := range []struct {
		name   string
		change func(*tenure.Agreement)
		says   string
	}{
		{"another kind", func(a *tenure.Agreement) { a.Kind = "gift" }, "gift"},
		{"no party", func(a *tenure.Agreement) { a.Parties = nil }, "parties"},
		{"no class", func(a *tenure.Agreement) { a.Classes = nil }, "classes"},
		{"a class that isn't", func(a *tenure.Agreement) { a.Classes = []string{"moons"} }, "moons"},
		{"no purpose", func(a *tenure.Agreement) { a.Purpose = "" }, "purpose"},
		{"no end", func(a *tenure.Agreement) { a.ExpiresAt = a.EndedAt }, "has an end"},
		{"ended already", func(a *tenure.Agreement) { a.ExpiresAt = reviewDay }, "passed"},
		{"ends before it starts", func(a *tenure.Agreement) { a.StartsAt = a.ExpiresAt }, "before it starts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := good
			c.change(&bad)
			refusedWith(t, bad.Check([]string{"orders", "invoices"}, reviewDay), tenure.Invalid, c.says)
		})
	}
	refusedWith(t, good.Check([]string{"orders", "invoices"}, reviewDay), "", "")
}

// A review shares less, or for less long, never more.
func TestNarrowedAgreement(t *testing.T) {
	t.Parallel()
	a := tenure.Agreement{Classes: []string{"orders", "invoices"}, ExpiresAt: reviewDay.AddDate(1, 0, 0)}
	for _, c := range []struct {
		name string
		to   tenure.ReviewTo
		code tenure.Code
		says string
	}{
		{"fewer classes", tenure.ReviewTo{Classes: []string{"orders"}}, "", ""},
		{"an earlier end", tenure.ReviewTo{ExpiresAt: reviewDay.AddDate(0, 1, 0)}, "", ""},
		{"another class", tenure.ReviewTo{Classes: []string{"orders", "letters"}}, tenure.Invalid, "takes away"},
		{"a later end", tenure.ReviewTo{ExpiresAt: reviewDay.AddDate(2, 0, 0)}, tenure.Invalid, "takes away"},
		{"an end that has passed", tenure.ReviewTo{ExpiresAt: reviewDay}, tenure.Invalid, "takes away"},
		{"nothing", tenure.ReviewTo{Classes: []string{"invoices", "orders"}}, tenure.Invalid, "nothing would change"},
		{"a role", tenure.ReviewTo{Role: tenure.Admin}, tenure.Invalid, "nothing else"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := a.Narrowed(c.to, reviewDay)
			refusedWith(t, err, c.code, c.says)
		})
	}
}
