package relational

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// MarkColumn is the column that holds a row's note where a blueprint names none.
const MarkColumn = "tenure_mark"

// record is a resource that is one row in a platform's table.
type record struct {
	table   TableName
	mark    string
	secret  string         // the column for the credential's digest, "" for none
	key     map[string]any // column and value; all as the database gives them back
	values  map[string]any
	disable map[string]any
}

// RecordTypes declares the resource types that are one row each. With schemas
// the table's schema is an attribute.
func RecordTypes(schemas bool) []tenure.ResourceType {
	types := []tenure.ResourceType{
		{Name: "account", Summary: "An account of the tenant's, a row in the platform's table", Layer: tenure.LayerAccount, Credential: true},
		{Name: "api_key", Summary: "An API key, a row in the platform's table that holds its digest", Layer: tenure.LayerKey, Credential: true},
		{Name: "integration", Summary: "An integration or webhook, a row in the platform's table", Layer: tenure.LayerIntegration},
		{Name: "session", Summary: "A session or token, a row in the platform's table", Layer: tenure.LayerSession},
		{Name: "setting", Summary: "An entitlement, template or policy, a row in the platform's table", Layer: tenure.LayerConfiguration},
	}
	for i := range types {
		t := &types[i]
		t.Deletion = "the row is logically deleted; the database's free space may hold its bytes until it is used again"
		t.Verification = "the row is read by its key in the same snapshot as the sentinel"
		t.Recovery = tenure.Recovery{Declared: true, Says: "a deleted row can't be brought back; it is made again, with a new credential"}
		t.Holds, t.Row = tenure.HoldsNothing, true
		t.Attributes = recordSchema(schemas, t.Credential)
	}
	return types
}

// IsRecord says whether the type is one row in a platform's table.
func IsRecord(typ string) bool {
	switch typ {
	case "account", "api_key", "integration", "session", "setting":
		return true
	}
	return false
}

// RecordTable is the table of a record; home is the schema of one that is given
// without it.
func RecordTable(r connector.Ref, home string) TableName {
	schema, _ := r.Attributes["schema"].(string)
	table, _ := r.Attributes["table"].(string)
	return TableName{cmp.Or(schema, home), table}
}

func recordSchema(schemas, credential bool) string {
	columns := func(says string, least int) map[string]any {
		return map[string]any{"type": "object", "minProperties": least, "description": says}
	}
	name := func(says string) map[string]any {
		return map[string]any{"type": "string", "minLength": 1, "description": says}
	}
	properties := map[string]any{
		"table":   name("the platform's table"),
		"key":     columns("the columns, with their values, that name the row", 1),
		"values":  columns("the columns that Tenure keeps at these values", 0),
		"disable": columns("what suspending and revoking set columns to; without it neither can be done", 1),
		"triggers": map[string]any{"type": "object", "additionalProperties": map[string]any{"enum": []string{"ignore"}},
			"description": "triggers and rules of the table, by table.trigger, that keep nothing of the tenant and touch nothing of others: somebody has read them"},
		"markColumn": name("the text column that holds the owner mark; " + MarkColumn + " where it isn't given"),
	}
	if schemas {
		properties["schema"] = name("the table's schema; public where it isn't given")
	}
	if credential {
		properties["secretColumn"] = name("the column that gets the SHA-256 of the credential, in hexadecimal")
	}
	raw, _ := json.Marshal(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"required": []string{"table", "key"}, "properties": properties,
	})
	return string(raw)
}

// parse reads a record's attributes. What can't be right is Invalid.
func (s Records) parse(r connector.Ref) (record, error) {
	var a struct {
		Schema, Table, MarkColumn, SecretColumn string
		Key, Values, Disable                    map[string]any
		Triggers                                map[string]string
	}
	if err := Decode(r, &a); err != nil {
		return record{}, err
	}
	if err := CheckName(r.Type, r.Name, 200); err != nil {
		return record{}, err
	}
	if err := (Coverage{Triggers: a.Triggers}).Check(r, false); err != nil {
		return record{}, err
	}
	rec := record{table: TableName{a.Schema, a.Table}, mark: a.MarkColumn, secret: a.SecretColumn}
	if rec.mark == "" {
		rec.mark = MarkColumn
	}
	if rec.table.Schema == "" {
		rec.table.Schema = s.Schema
	}
	if len(a.Key) == 0 {
		return record{}, tenure.Errorf(tenure.Invalid, "%s %q: the attribute key is missing", r.Type, r.Name)
	}
	names := append(slices.Collect(maps.Keys(a.Key)), a.Table, rec.mark)
	names = slices.AppendSeq(names, maps.Keys(a.Values))
	names = slices.AppendSeq(names, maps.Keys(a.Disable))
	for _, n := range names {
		if err := CheckName("the table or column of "+r.Type, n, 63); err != nil {
			return record{}, err
		}
	}
	for c, v := range a.Key {
		if _, twice := a.Values[c]; twice || v == nil || c == rec.mark || c == rec.secret {
			return record{}, tenure.Errorf(tenure.Invalid, "%s %q: column %q can't be the key and something else, or null", r.Type, r.Name, c)
		}
	}
	for c := range a.Disable {
		if _, is := a.Values[c]; !is {
			return record{}, tenure.Errorf(tenure.Invalid, "%s %q: column %q is in disable and not in values, so it couldn't be set back", r.Type, r.Name, c)
		}
	}
	rec.key, rec.values, rec.disable = s.stored(a.Key), s.stored(a.Values), s.stored(a.Disable)
	return rec, nil
}

func (s Records) stored(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for c, v := range m {
		out[c] = Normal(s.Dialect.Stored(v))
	}
	return out
}

// attributes is the canonical form of what a row shows.
func (s Records) attributes(t TableName, key, values map[string]any) (json.RawMessage, error) {
	out := map[string]any{"table": t.Name, "key": key, "values": values}
	if t.Schema != "" {
		out["schema"] = t.Schema
	}
	return tenure.Canonical(out)
}

// digest is what the secret column holds for a credential.
func digest(s tenure.Secret) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}
