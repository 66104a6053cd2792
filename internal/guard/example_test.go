package guard_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/guard"
)

// TestExample: the policies that the documentation shows are taken, and do what
// the words above them say.
func TestExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "example.cedar"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := guard.Load(folder(t, map[string]string{"example.cedar": string(text)}))
	if err != nil {
		t.Fatal(err)
	}
	machine, legal, glass := operator(), operator(), operator()
	machine.Kind = tenure.CallerMachine
	legal.Grants = []tenure.Grant{{Role: tenure.Legal, Scope: tenure.Scope{All: true}}}
	glass.Grants = []tenure.Grant{{Role: tenure.Operator, Scope: tenure.Scope{All: true}, BreakGlass: true}}
	friday := time.Date(2026, 3, 6, 15, 59, 0, 0, time.UTC)
	freeze := time.Date(2026, 12, 18, 0, 0, 0, 0, time.UTC) // a Friday
	free := tenure.Target{Tenant: acme, Tier: "free"}
	for name, c := range map[string]struct {
		q    question
		want string
	}{
		"friday afternoon":    {ask(operator(), tenure.OperationRequest, gold(), friday), ""},
		"friday evening":      {ask(operator(), tenure.OperationRequest, gold(), friday.Add(time.Minute)), "no-weekend-gold"},
		"sunday night":        {ask(operator(), tenure.OperationApprove, gold(), monday.Add(-4*time.Hour)), "no-weekend-gold"},
		"sunday, looking":     {ask(operator(), tenure.TenantRead, gold(), monday.Add(-4*time.Hour)), ""},
		"sunday, a free one":  {ask(operator(), tenure.OperationRequest, free, monday.Add(-4*time.Hour)), ""},
		"a machine":           {ask(machine, tenure.OperationRequest, gold(), monday), "no-machines-in-prod"},
		"a machine elsewhere": {ask(machine, tenure.OperationRequest, free, monday), ""},
		"the law":             {ask(legal, tenure.OperationApprove, free, monday), "legal-does-not-approve"},
		"the law holds":       {ask(legal, tenure.HoldPlace, free, monday), ""},
		"before the freeze":   {ask(operator(), tenure.OperationRequest, free, freeze.Add(-time.Second)), ""},
		"in the freeze":       {ask(operator(), tenure.OperationRequest, free, freeze), "year-end-freeze"},
		"for an emergency":    {ask(glass, tenure.OperationRequest, free, freeze), ""},
		"after the freeze":    {ask(operator(), tenure.OperationRequest, free, freeze.AddDate(0, 0, 17)), ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{"policy " + c.want + " (example.cedar)"}
		}
		if d := cmp.Diff(want, c.q.ask(set)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
