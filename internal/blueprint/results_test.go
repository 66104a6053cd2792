package blueprint

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

const archived = `apiVersion: tenure.dev/v1
kind: Blueprint
name: archive
version: "1"
parameters: {type: object, properties: {}}
environments: [{name: prod, kind: production}]
systems: {files: {connector: files}}
pseudonyms: {key: {retention: [{name: k, kind: keep_until, period: P2Y, from: notice}]}}
dataClasses:
  events: {disposition: anonymise, retention: [{name: r, kind: keep_until, period: P30D, from: notice}]}
  people: {disposition: pseudonymise, end: [{name: e, kind: keep_until, period: P1Y, from: notice}], retention: [{name: r, kind: keep_until, period: P30D, from: notice}]}
resources:
  - key: bucket
    system: files
    type: bucket
    name: ${tenant.name}-${env.name}
    data: [events, people]
    attributes:
      classes: CLASSES
      transforms:
        PREFIX: {format: csv, fields: {a: keep}, to: results}
failure: compensate
approvals: {onboard: 1, offboard: 2}
offboarding: {grace: P30D, retrieval: P30D, quarantine: P7D}
`

// A place for results that nothing ever goes to is told of with its line; one that
// something may go to isn't.
func TestPlaceOfResultsThatStaysEmpty(t *testing.T) {
	t.Parallel()
	fakes := catalog()
	files := fakes[0]
	files.Name, files.Types = "files", files.Types[:1:1]
	files.Types[0].Name, files.Types[0].Attributes = "bucket", ""
	files.Types[0].Dispositions = []tenure.Disposition{tenure.Anonymise, tenure.Pseudonymise}
	for name, tt := range map[string]struct {
		classes, prefix string
		refused         bool
	}{
		"pseudonymised":                 {"{people/: people, events/: events}", "people/", true},
		"below it":                      {"{people/: people, events/: events}", "people/old/", true},
		"a folder's":                    {"{people: people, '.': events}", "people/old", true},
		"anonymised":                    {"{people/: people, events/: events}", "events/", false},
		"everything else is anonymised": {`{people/: people, "": events}`, "logs/", false},
		"a folder that begins alike":    {"{people: people, '.': events}", "people2", false},
		"one below is anonymised":       {"{people/: people, people/x/: events}", "people/", false},
		"an expression says it":         {"{people/: '${tenant.tier}', events/: events}", "people/", false},
		"either, without classes":       {"{}", "people/", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := Parse([]byte(strings.NewReplacer("CLASSES", tt.classes, "PREFIX", tt.prefix).Replace(archived)), "archive.yaml")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Check(src, append(catalog(), files))
			switch {
			case !tt.refused && err != nil:
				t.Errorf("it is refused: %v", err)
			case tt.refused && (err == nil || !strings.Contains(err.Error(), "archive.yaml:21:") || !strings.Contains(err.Error(), ".to: nothing goes there: results are made where data is anonymised, and people is to be pseudonymised")):
				t.Errorf("it isn't refused with its line: %v", err)
			}
		})
	}
}
