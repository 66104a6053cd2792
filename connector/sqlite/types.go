package sqlite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// types declares the resource types, ordered by name.
func types() []tenure.ResourceType {
	own := []tenure.ResourceType{
		{
			Name: "database", Summary: "A database file of the tenant's own", Whole: true, Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the file, its journals and what was begun under other names are unlinked once no other process has it open; rows that were erased before are logically deleted, and what their pages hold unused is then written over in a file of up to 256 MiB; the blocks on the medium are not written over",
			Verification: "the file is read in the pass that sees the sentinel, with its owner mark in .tenure/marks: its schema as compared with what its ddl gives, its permissions",
			Recovery:     tenure.Recovery{Declared: true, Quarantine: true, Says: "while quarantined it stands in Tenure's own folder, read-only, and can be brought back; deleted, it comes back from a backup alone"},
			Attributes: schemaOf(`"ddl"`, `"ddl":{"type":"string","x-sql":true,"description":"SQL, run in one transaction with its making. It runs again when it changes or the schema was altered, so write it so that it can"},
"seed":{"type":"string","x-sql":true,"description":"SQL that is run once, when it is made"},
`+relational.ElsewhereSchema("the platform's file")+`,
`+relational.CoverageSchema("name; \"*\" covers those that aren't named")),
			Cost:      []tenure.CostTerm{{Metric: "one", Per: 1, Price: "database"}, {Metric: "bytes", Per: 1_000_000_000, Price: "gigabyte"}},
			Isolation: []string{"mode"},
		},
		{
			Name: "rows", Summary: "The tenant's rows in the platform's database: those with its key, and those that can't be without them", Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the rows are logically deleted in bounded batches, children before parents, with secure_delete; full-text indexes are merged, and what the file's pages hold unused is written over where it has up to 256 MiB",
			Verification: "the rows with the tenant's key are counted in the same snapshot as the sentinel; its owner mark stands in the table tenure_mark",
			Recovery:     tenure.Recovery{Declared: true, Says: "rows in shared tables can't be set aside, so there is no quarantine; an export taken before is all that can bring them back"},
			Attributes: schemaOf(`"column","key","tables"`, `"column":{"type":"string","minLength":1,"description":"the tenant column; every table that has it holds the tenant's rows, unless columns says otherwise"},
"key":{"type":"string","minLength":1,"description":"the tenant's value in it, as text; the number and the blob that mean the same are found too"},`+relational.CoverageSchema("name")+","+relational.ChangesSchema()),
			Dispositions: relational.Dispositions,
			Cost:         []tenure.CostTerm{{Metric: "rows", Per: 1_000_000, Price: "million_rows"}},
		},
	}
	all := append(own, relational.RecordTypes(false)...)
	slices.SortFunc(all, func(a, b tenure.ResourceType) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func schemaOf(required, properties string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"required":[` + required + `],"properties":{` + properties + `}}`
}

// review is described at connector.Info.
func review(typ string, attributes map[string]any) []string {
	var reasons []string
	for _, name := range []string{"ddl", "seed"} {
		text, _ := attributes[name].(string)
		for _, word := range sqltext.SQLite().Says(text, "attach", "detach", "vacuum", "load_extension") {
			reasons = append(reasons, fmt.Sprintf("%s holds %s, which reaches beyond the tenant's file", name, word))
		}
	}
	if key, _ := attributes["key"].(string); typ == "rows" && (key == "*" || key == "%") {
		reasons = append(reasons, fmt.Sprintf("key %q doesn't name one tenant", key))
	}
	return reasons
}
