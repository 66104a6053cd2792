package objects

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// A place for results that nothing ever goes to is a fault; one that something may go to
// isn't.
func TestPlaceOfResultsThatStaysEmpty(t *testing.T) {
	t.Parallel()
	may := map[string][]tenure.Disposition{"events": {tenure.Anonymise}, "people": {tenure.Pseudonymise}, "either": {tenure.Anonymise, tenure.Purge}}
	for name, tt := range map[string]struct {
		classes map[string]any
		prefix  string
		refused bool
	}{
		"pseudonymised":                 {map[string]any{"people/": "people", "events/": "events"}, "people/", true},
		"below it":                      {map[string]any{"people/": "people", "events/": "events"}, "people/old/", true},
		"a folder's":                    {map[string]any{"people": "people", ".": "events"}, "people/old", true},
		"anonymised":                    {map[string]any{"people/": "people", "events/": "events"}, "events/", false},
		"anonymised by a rule":          {map[string]any{"people/": "people", "either/": "either"}, "either/", false},
		"everything else is anonymised": {map[string]any{"people/": "people", "": "events"}, "logs/", false},
		"a folder that begins alike":    {map[string]any{"people": "people", ".": "events"}, "people2", false},
		"one below is anonymised":       {map[string]any{"people/": "people", "people/x/": "events"}, "people/", false},
		"an expression says it":         {map[string]any{"people/": "${tenant.tier}", "events/": "events"}, "people/", false},
		"either, without classes":       {nil, "people/", false},
	} {
		found := Faults("bucket", map[string]any{"classes": tt.classes, "transforms": map[string]any{tt.prefix: map[string]any{"format": "csv", "fields": map[string]any{"a": "keep"}, "to": "results"}}}, may)
		if refused := len(found) == 1 && slices.Equal(found[0].At, []string{"transforms", tt.prefix, "to"}) && strings.Contains(found[0].Says, "people is to be pseudonymised"); refused != tt.refused || !refused && len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
