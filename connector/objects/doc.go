// Package objects says what becomes of files of records, CSV (RFC 4180) and JSON lines,
// when a tenant's objects are anonymised or pseudonymised: what a blueprint writes, which
// records can be read, and the rewriting of one file record by record. It reads and
// writes streams; connectors to object stores and file systems share it.
package objects

import "github.com/tenurehq/tenure"

// Dispositions are those that files of records can carry out beside deletion.
var Dispositions = []tenure.Disposition{tenure.Anonymise, tenure.Pseudonymise}

// maxRecord is how many bytes a record has at the most, so that memory is bounded.
const maxRecord = 16 << 20

// maxValues is how many values a record has at the most: each is sought in all others.
const maxValues = 10_000

// maxSearch is how many bytes, times values that are sought in them, are looked through for
// one record; a value counts as perValue bytes more than it has.
const (
	maxSearch = 1 << 30
	perValue  = 64
)

// Schema is the JSON Schema of the attribute transforms, as a member of properties.
const Schema = `"transforms":{"type":"object","description":"What becomes of objects of a class that is anonymised or pseudonymised, by prefix as in classes; the longest wins. Every field of every record needs a rule.","additionalProperties":{"type":"object","additionalProperties":false,"required":["format","fields"],"properties":{
    "format":{"enum":["csv","jsonl"],"description":"CSV (RFC 4180) or JSON lines, in UTF-8. What is compressed with gzip is read and written so."},
    "header":{"type":"boolean","default":true,"description":"Of csv: the first line names the fields. Without it they are named 1, 2, 3."},
    "separator":{"enum":[",",";","\t","|"],"default":",","description":"Of csv: what separates fields."},
    "fields":{"type":"object","minProperties":1,"description":"What becomes of each field: by name in the header, or by path such as user.email or items[].price."},
    "identifying":{"type":"array","items":{"type":"string"},"description":"Fields that together may tell of whom a record is."},
    "atLeast":{"type":"integer","minimum":2,"description":"So many records, or persons, of all objects under the prefix have the same in these."},
    "of":{"type":"string","description":"The field that says of whom a record is, where a person has several."},
    "metadata":{"type":"object","description":"What becomes of user metadata, by name; keep, clear or a constant. What isn't named stays with a pseudonymised object and doesn't go along with an anonymised one."},
    "to":{"type":"string","minLength":1,"description":"Where results of an anonymisation go: a place of the platform's own."}}}}`
