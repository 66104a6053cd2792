// Package transform says what becomes of single values when data is anonymised,
// pseudonymised or aggregated: rules as a blueprint writes them, which kinds of columns
// can take them, and their results. It knows neither tables nor files; connectors to
// both share it.
//
// Values are as encoding/json decodes them with UseNumber: nil, bool, json.Number,
// string, []any and map[string]any.
package transform

// Kind is what a column or a field can hold.
type Kind string

const (
	Text    Kind = "text"
	Integer Kind = "integer"
	Decimal Kind = "decimal" // exact, and floating numbers
	Date    Kind = "date"
	Moment  Kind = "moment" // date and time
	Address Kind = "address"
	UUID    Kind = "uuid"
	JSON    Kind = "json"
	List    Kind = "list"
	Bool    Kind = "bool"
	Bytes   Kind = "bytes"
	Any     Kind = "any"   // whatever a value is: a column without a type, a field of a file
	Other   Kind = "other" // a type that no rule but keep, clear and constant knows
)

// Field is where a rule is applied.
type Field struct {
	Kind     Kind
	Required bool // it can't be null
	Length   int  // how many characters it takes, 0 if nothing says
}

// Namer makes a pseudonym of a value under one of the blueprint's keys: the same value
// gives the same name. A reversible one can be turned back as long as the key is there.
type Namer func(key, value string, reversible bool) ([]byte, error)
