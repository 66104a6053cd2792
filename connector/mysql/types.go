package mysql

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
			Isolation: []string{"access"},
			Name:      "database", Summary: "A database of the tenant's own", Whole: true, Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the database is dropped with all in it, and every right on it is revoked; the file system may hold its bytes until they are written over, and the binary log until it is purged",
			Verification: "the catalog is read in the pass that sees the sentinel, and the tables are compared with those that its ddl gave; the owner mark stands in Tenure's own database",
			Recovery:     tenure.Recovery{Declared: true, Quarantine: true, Says: "while quarantined its tables stand in a database of Tenure's, without their triggers, every right on it is revoked, its events are off, and it can be brought back; dropped, it comes back from a backup alone"},
			Attributes: schemaOf(nil, `"characterSet":{"type":"string","pattern":"^[a-z0-9_]+$","description":"utf8mb4 where it isn't given"},
"collation":{"type":"string","pattern":"^[a-z0-9_]+$","description":"the character set's own where it isn't given"},
"ddl":{"type":"string","x-sql":true,"description":"SQL, run in it by an account that has rights on it alone, in a session whose sql_mode has ANSI_QUOTES and NO_BACKSLASH_ESCAPES. The server commits each statement by itself, and it runs again when it changes or its tables were altered, so write it so that it can"},
"seed":{"type":"string","x-sql":true,"description":"SQL that is run once, when it is made, in the same way"},
`+relational.ElsewhereSchema("the platform's other databases")+`,
`+relational.CoverageSchema("table of this database, or database.table of another that refers to it or has the key; \"*\" covers those of this database that aren't named")),
			Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "database"}, {Metric: "bytes", Per: 1 << 30, Price: "gibibyte"}},
		},
		{
			Isolation: []string{"*"}, Loses: map[string]string{"*": "to"},
			Name: "grant", Summary: "Privileges of a user or a role on a database, or on named tables of it", Layer: tenure.LayerAccount, Holds: tenure.HoldsNothing,
			Deletion:     "the privileges are revoked, save those that another grant gives too",
			Verification: "the server's tables of rights are read in the pass that sees the sentinel; the owner mark stands in Tenure's own database",
			Recovery:     tenure.Recovery{Declared: true, Says: "it is granted again"},
			Attributes: schemaOf([]string{"to", "database", "privileges"}, `"to":{"type":"string","minLength":1,"description":"the user or the role"},
"database":{"type":"string","minLength":1,"description":"by its very name: no sign in it stands for others"},
"tables":{"type":"array","items":{"type":"string","minLength":1},"description":"tables and views of the database, by name; the whole database where it isn't given"},
"privileges":{"type":"array","minItems":1,"items":{"type":"string","minLength":1}}`),
		},
		{
			Isolation: []string{"privileges", "rights", "roles"},
			Name:      "role", Summary: "A role, which users have by their attribute roles", Layer: tenure.LayerConfiguration, Holds: tenure.HoldsNothing,
			Deletion:     "the role is dropped with its rights",
			Verification: "mysql.global_priv is read in the pass that sees the sentinel",
			Recovery:     tenure.Recovery{Declared: true, Says: "it is made again"},
			Attributes:   schemaOf(nil, `"roles":{"type":"array","items":{"type":"string","minLength":1},"description":"roles whose rights it has too"}`),
		},
		{
			Name: "rows", Summary: "The tenant's rows in shared tables: those with its key, and those that can't be without them", Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the rows are logically deleted in bounded batches, children before parents; once none is left, the deletion takes the owner mark away. Refused, and named when the blueprint is published, are shared tables that are system-versioned, that aren't InnoDB's, and that have no primary key. The free space of pages may hold their bytes until it is used again, full-text indexes their words until optimize table, and the binary log until it is purged",
			Verification: "the rows with the tenant's key are counted in the same snapshot as the sentinel; the owner mark stands in Tenure's own database",
			Recovery:     tenure.Recovery{Declared: true, Says: "rows in shared tables can't be set aside, so there is no quarantine; an export taken before is all that can bring them back"},
			Attributes: schemaOf([]string{"schema", "column", "key", "tables"}, `"schema":{"type":"string","minLength":1,"description":"the database of tables that are named bare"},
"column":{"type":"string","minLength":1,"description":"the tenant column; every table of the platform's databases that has it holds the tenant's rows, unless columns says otherwise"},
"key":{"type":"string","minLength":1,"description":"the tenant's value in it, byte for byte"},`+relational.CoverageSchema("table of the database, or database.table")+","+relational.ChangesSchema()),
			Dispositions: relational.Dispositions,
			Cost:         []tenure.CostTerm{{Metric: "rows", Per: 1_000_000, Price: "million_rows"}},
		},
		{
			Isolation: []string{"hosts", "privileges", "rights", "roles"},
			Name:      "user", Summary: "A user that signs in with a password", Layer: tenure.LayerAccount, Holds: tenure.HoldsNothing, Credential: true,
			Deletion:     "its sessions are ended and the user is dropped with its rights; what it is the definer of stays and doesn't run any more",
			Verification: "mysql.global_priv is read in the pass that sees the sentinel; suspended and revoked also mean that no session is left",
			Recovery:     tenure.Recovery{Declared: true, Says: "it is made again, with a new password"},
			Attributes: schemaOf(nil, `"host":{"type":"string","minLength":1,"description":"the addresses from which it signs in, as a pattern; % where it isn't given"},
"connectionLimit":{"type":"integer","minimum":0,"maximum":1000000,"description":"sessions at once; 0 is no limit"},
"tls":{"type":"boolean","description":"whether its connections have to be encrypted"},
"roles":{"type":"array","items":{"type":"string","minLength":1},"description":"roles that it has; where there is one alone, it is on when it signs in"}`),
		},
	}
	records := relational.RecordTypes(true)
	for i := range records {
		records[i].Attributes = strings.ReplaceAll(records[i].Attributes, "public where it isn't given", "the database of the option dsn where it isn't given")
	}
	all := append(own, records...)
	slices.SortFunc(all, func(a, b tenure.ResourceType) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func schemaOf(required []string, properties string) string {
	list := ""
	if len(required) > 0 {
		list = `"required":["` + strings.Join(required, `","`) + `"],`
	}
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,` + list + `"properties":{` + properties + `}}`
}

// review is described at connector.Info.
func review(typ string, attributes map[string]any) []string {
	var reasons []string
	for _, name := range []string{"ddl", "seed"} {
		text, _ := attributes[name].(string)
		for _, word := range sqltext.MariaDB().Says(text, "grant", "outfile", "dumpfile", "infile", "load_file", "install", "foreign_key_checks", "definer") {
			reasons = append(reasons, fmt.Sprintf("%s holds %s, which reaches beyond the tenant's database", name, word))
		}
	}
	if key, _ := attributes["key"].(string); typ == "rows" && (key == "*" || key == "%") {
		reasons = append(reasons, fmt.Sprintf("key %q doesn't name one tenant", key))
	}
	if host, ok := attributes["host"].(string); typ == "user" && (!ok || host == "%") {
		return reasons // which is the rule on a network of one's own
	}
	list, _ := attributes["privileges"].([]any)
	for _, p := range list {
		if text, _ := p.(string); typ == "grant" && strings.EqualFold(text, "all") {
			reasons = append(reasons, "privileges holds all, which is more than a tenant needs")
		}
	}
	return reasons
}
