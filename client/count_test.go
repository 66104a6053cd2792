package client

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// Who confirms a point of no return reads what becomes of each place: not that it goes,
// where it stays in another form or for a hold.
func TestCountsSayWhatBecomesOfIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		disposition tenure.Disposition
		to          string
		held        string
		want        string
	}{
		{disposition: tenure.Purge, want: "goes"},
		{disposition: tenure.Anonymise, want: "stays, anonymised"},
		{disposition: tenure.Pseudonymise, want: "stays, pseudonymised"},
		{disposition: tenure.Pseudonymise, to: tenure.AtEnd, want: "goes"},
		{disposition: tenure.Aggregate, want: "goes, once it is added up"},
		{disposition: tenure.Purge, held: `,"held":4`, want: "goes; 4 stay as they are for legal holds"},
	} {
		d := OperationDetail{
			Body: &tenure.Plan{
				Resources:    []tenure.PlannedResource{{ID: "res_1", Key: "db", Environment: "prod"}},
				Dispositions: []tenure.DispositionDecision{{Class: "people", Environment: "prod", Disposition: c.disposition}},
				Steps:        []tenure.Step{{Key: "count", Action: tenure.ActCount, Resource: "res_1", Class: "people"}, {Key: "gate", Action: tenure.ActNoReturn, Class: "people", To: c.to, Needs: []string{"count"}}},
			},
			Rows: []tenure.StepStatus{{Key: "count", Receipt: `{"places":[{"name":"people","class":"people","rows":40` + c.held + `}]}`}, {Key: "gate"}},
		}
		got := d.Counts("gate")
		if len(got) != 1 || len(got[0].Places) != 1 || got[0].Resource != "prod/db" {
			t.Fatalf("counts: %+v", got)
		}
		if says := got[0].Places[0].Becomes(); says != c.want || strings.Contains(says, "%") {
			t.Errorf("%s %s: %q, want %q", c.disposition, c.to, says, c.want)
		}
	}
}
