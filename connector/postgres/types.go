package postgres

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// types declares the resource types, ordered by name.
func types() []tenure.ResourceType {
	const read = "the catalog is read in the same snapshot as the sentinel"
	own := []tenure.ResourceType{
		{
			Isolation: []string{"owner", "public"}, Loses: map[string]string{"owner": "", "public": ""},
			Name: "database", Summary: "A database of the tenant's own", Whole: true, Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the database is dropped; the file system may hold its bytes until they are written over",
			Verification: read,
			Recovery:     tenure.Recovery{Declared: true, Quarantine: true, Says: "while quarantined it is renamed, closed to connections and can be brought back; dropped, it comes back from a backup alone"},
			Attributes: schemaOf(nil, `"owner":{"type":"string","minLength":1,"description":"role that owns it; Tenure's own where it isn't given"},
"template":{"type":"string","minLength":1,"description":"database to copy when it is made"},
"connectionLimit":{"type":"integer","minimum":0,"maximum":1000000},`+ddlSchema("run in it, in one transaction, on the search path public")+`,
`+relational.ElsewhereSchema("the platform's database")+`,
`+relational.CoverageSchema("table of the schema public, or schema.table; \"*\" covers those that aren't named")),
			Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "database"}, {Metric: "bytes", Per: 1 << 30, Price: "gibibyte"}},
		},
		{
			Isolation: []string{"*"}, Loses: map[string]string{"extra": "role"},
			Name: "grant", Summary: "Privileges of a role on a schema, on named tables, sequences or functions of it, or on a database", Layer: tenure.LayerAccount, Holds: tenure.HoldsNothing,
			Deletion:     "the privileges are revoked, save those that another grant gives too",
			Verification: "the access control lists are read in the same snapshot as the sentinel; its owner mark stands in the table tenure.mark",
			Recovery:     tenure.Recovery{Declared: true, Says: "it is granted again"},
			Attributes: schemaOf([]string{"role", "privileges"}, `"role":{"type":"string","minLength":1},
"schema":{"type":"string","minLength":1},"database":{"type":"string","minLength":1},
"tables":{"type":"array","items":{"type":"string","minLength":1},"description":"tables and views of the schema, by name; the use of the schema is granted with them. On a schema that isn't a tenant's own the role has these rights through a group, one for each set of them, so that access lists stay short"},
"sequences":{"type":"array","items":{"type":"string","minLength":1},"description":"sequences of the schema, likewise"},
"functions":{"type":"array","items":{"type":"string","minLength":1},"description":"functions of the schema with the types of their arguments, like refresh(integer,text), likewise"},
"privileges":{"type":"array","minItems":1,"items":{"type":"string","minLength":1}}`),
		},
		{
			Isolation: []string{"*"},
			Name:      "policy", Summary: "Row level security that lets one role see one tenant's rows of shared tables", Shared: true, Layer: tenure.LayerConfiguration, Holds: tenure.HoldsNothing,
			Deletion:     "the policies are dropped, save those by a setting, which the application goes on by for its other tenants; row security stays on, so that nobody sees more than before",
			Verification: "the tables' row security and the policies' expressions are read in the same snapshot as the sentinel",
			Recovery:     tenure.Recovery{Declared: true, Says: "it is made again"},
			Attributes: schemaOf([]string{"schema", "tables", "column", "key", "role"}, `"schema":{"type":"string","minLength":1},
"tables":{"type":"array","minItems":1,"items":{"type":"string","minLength":1}},
"column":{"type":"string","minLength":1,"description":"the tenant column"},"key":{"type":"string","minLength":1,"description":"the tenant's value in it"},
"role":{"type":"string","minLength":1},
"setting":{"type":"string","pattern":"^[a-z_][a-z0-9_]*\\.[a-z_][a-z0-9_]*$","description":"an application's own setting, such as app.tenant: the policy then goes by the key that the application sets for its transaction (set_config), and role is the application's, as which no tenant logs in. Where it isn't given the policy goes by the role's own key"},
"force":{"type":"boolean","description":"whether the tables' owner is bound too (force row level security): an application that logs in as the owner then sees no row without a policy of its own. Where it isn't given the owner stays as it is"}`),
		},
		{
			Isolation: []string{"bypassrls", "createdb", "createrole", "memberOf", "replication", "superuser"},
			Name:      "role", Summary: "A role, with a password or as a group", Layer: tenure.LayerAccount, Holds: tenure.HoldsNothing, Credential: true, Owner: true,
			Deletion:     "the role is dropped, with large objects of its own that no row names; one that owns anything else isn't",
			Verification: read,
			Recovery:     tenure.Recovery{Declared: true, Says: "it is made again, with a new password"},
			Attributes: schemaOf([]string{"login"}, `"login":{"type":"boolean"},"connectionLimit":{"type":"integer","minimum":-1,"maximum":1000000},
"memberOf":{"type":"array","items":{"type":"string","minLength":1}}`),
		},
		{
			Name: "rows", Summary: "The tenant's rows in shared tables: those with its key, and those that can't be without them", Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the rows are logically deleted in bounded batches, children before parents; once none is left, the deletion takes the owner mark away; vacuum makes their space free",
			Verification: "the rows with the tenant's key are counted in the same snapshot as the sentinel; its owner mark stands in the table tenure.mark",
			Recovery:     tenure.Recovery{Declared: true, Says: "rows in shared tables can't be set aside, so there is no quarantine; an export taken before is all that can bring them back"},
			Attributes: schemaOf([]string{"schema", "column", "key", "tables"}, `"schema":{"type":"string","minLength":1},
"column":{"type":"string","minLength":1,"description":"the tenant column; every table that has it holds the tenant's rows, unless columns says otherwise"},
"key":{"type":"string","minLength":1,"description":"the tenant's value in it"},
"seed":{"type":"string","x-sql":true,"description":"SQL that is run once, when it is made"},`+relational.CoverageSchema("table of the schema, or schema.table")+","+relational.ChangesSchema()),
			Dispositions: relational.Dispositions,
			Cost:         []tenure.CostTerm{{Metric: "rows", Per: 1_000_000, Price: "million_rows"}},
		},
		{
			Isolation: []string{"owner", "public"}, Loses: map[string]string{"owner": "", "public": ""},
			Name: "schema", Summary: "A schema of the tenant's own", Whole: true, Layer: tenure.LayerTransactional, Holds: tenure.HoldsData,
			Deletion:     "the schema is dropped with all in it; the file system may hold its bytes until they are written over",
			Verification: read + "; its tables are compared with those that its ddl gives",
			Recovery:     tenure.Recovery{Declared: true, Quarantine: true, Says: "while quarantined it is renamed, closed to everybody and can be brought back; dropped, it comes back from a backup alone"},
			Attributes: schemaOf(nil, `"owner":{"type":"string","minLength":1,"description":"role that owns it and its tables; Tenure's own where it isn't given"},`+
				ddlSchema("run with the schema alone on the search path, as the owner, in one transaction with its making; other tables that a role makes in its own schema are no drift")+`,
`+relational.ElsewhereSchema("every other schema of the database")+`,`+relational.CoverageSchema("table of this schema, or schema.table of another that refers to it or has the key; \"*\" covers those of this schema that aren't named")),
			Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "schema"}, {Metric: "bytes", Per: 1 << 30, Price: "gibibyte"}},
		},
	}
	all := append(own, relational.RecordTypes(true)...)
	slices.SortFunc(all, func(a, b tenure.ResourceType) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func schemaOf(required []string, properties string) string {
	list := ""
	for i, r := range required {
		if i > 0 {
			list += ","
		}
		list += `"` + r + `"`
	}
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"required":[` + list + `],"properties":{` + properties + `}}`
}

func ddlSchema(how string) string {
	return `"ddl":{"type":"string","x-sql":true,"description":"SQL, ` + how + `. It runs again when it changes or its tables were altered, so write it so that it can"},
"seed":{"type":"string","x-sql":true,"description":"SQL that is run once, when it is made"}`
}
