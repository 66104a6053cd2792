package tenure_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

// Who wins is told by the conditions that rules name, never by their order; what loses is
// named; and no rule wins that doesn't hold.
func TestSolveDisposition(t *testing.T) {
	t.Parallel()
	names := func(t *rapid.T, of []string, what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID).Draw(t, what)
	}
	rapid.Check(t, func(t *rapid.T) {
		class := tenure.DataClass{Name: "x", Disposition: tenure.Purge}
		for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
			class.Rules = append(class.Rules, tenure.DispositionRule{
				Name: fmt.Sprint("r", i), Environments: names(t, []string{"prod", "test"}, "environments"), Jurisdictions: names(t, []string{"DE", "FR", "US"}, "jurisdictions"),
				Contracts: names(t, []string{"basic", "plus"}, "contracts"), Disposition: rapid.SampledFrom([]tenure.Disposition{tenure.Keep, tenure.Anonymise, tenure.CryptoErase}).Draw(t, "disposition"),
			})
		}
		s := tenure.DispositionSubject{Environment: rapid.SampledFrom([]string{"prod", "test"}).Draw(t, "environment"), Jurisdiction: rapid.SampledFrom([]string{"DE", "FR", ""}).Draw(t, "jurisdiction"), Contract: "basic"}
		got, err := tenure.SolveDisposition(class, s)
		most, wants := -1, map[tenure.Disposition]bool{}
		for _, r := range class.Rules {
			if !r.Holds(s) {
				continue
			}
			if n := r.Conditions(); n > most {
				most, wants = n, map[tenure.Disposition]bool{}
			}
			if r.Conditions() == most {
				wants[r.Disposition] = true
			}
		}
		switch {
		case len(wants) > 1:
			if err == nil {
				t.Fatalf("rules that are as close want %v, and %s won", wants, got.Winner)
			}
			return
		case err != nil:
			t.Fatal(err)
		case most < 0:
			if got.Disposition != tenure.Purge || got.Winner != "" || len(got.Losers) > 0 {
				t.Fatalf("no rule holds, and the answer is %+v", got)
			}
			return
		}
		if !wants[got.Disposition] {
			t.Fatalf("%s won, want one of %v", got.Disposition, wants)
		}
		holding := 0
		for _, r := range class.Rules {
			if r.Holds(s) {
				holding++
			}
		}
		if len(got.Losers) != holding {
			t.Fatalf("%d rules hold and the class has its own, and %v lost", holding, got.Losers)
		}
		turned := class
		turned.Rules = slices.Clone(class.Rules)
		slices.Reverse(turned.Rules)
		if again, err := tenure.SolveDisposition(turned, s); err != nil || again.Disposition != got.Disposition {
			t.Fatalf("the other way round %s wins: %v", again.Disposition, err)
		}
	})
}

// A rule without environments may bring clocks of its own; the closest one's hold.
func TestDecidedClocks(t *testing.T) {
	t.Parallel()
	clock := func(name string) []tenure.RetentionRule {
		return []tenure.RetentionRule{{Name: name, Kind: tenure.KeepUntil, From: tenure.FromTermination}}
	}
	class := tenure.DataClass{Name: "x", Disposition: tenure.Purge, Retention: clock("own"), End: clock("own end"), Rules: []tenure.DispositionRule{
		{Name: "law", Jurisdictions: []string{"DE"}, Disposition: tenure.Keep, End: clock("law")},
		{Name: "deal", Jurisdictions: []string{"DE"}, Contracts: []string{"plus"}, Disposition: tenure.Keep, Retention: clock("deal"), End: clock("deal")},
	}}
	for contract, want := range map[string][2]string{"basic": {"own", "law"}, "plus": {"deal", "deal"}} {
		got, all, err := class.Decided([]string{"prod", "test"}, "DE", contract)
		if err != nil {
			t.Fatal(err)
		}
		if got.Retention[0].Name != want[0] || got.End[0].Name != want[1] || len(all) != 2 || got.Rules != nil {
			t.Errorf("%s: %+v, %+v", contract, got, all)
		}
	}
}
