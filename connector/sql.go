package connector

import (
	"fmt"
	"strconv"
)

// SQL reads an SQL text that has holes for values. A hole stands between each two
// neighbours of around, and kinds says of each what it will be filled with. The holes
// that nothing can be bound or quoted for are refused; text writes values into those
// as well, as far as they can do no harm there, for what was published before.
type SQL func(around []string, kinds []ValueKind) (text SQLText, refused []Refusal)

// SQLText is the text with its holes filled: a value (string, int64, float64, bool,
// nil, or a []any of these) stands in each as what the place takes, a literal, its
// content, a number or a name, and never as more than that.
type SQLText func(values []any) (string, *Refusal)

// InText is a value (string, int64, float64 or bool) as it stands within a text.
func InText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case nil:
		return "", fmt.Errorf("gives nothing to write into the text")
	}
	return "", fmt.Errorf("gives a list or a map, which can't be written into a text")
}

// OwnText is a value that is a text of the blueprint's own, whatever the tenant is: in
// what was published before, it stands as it is where nothing can be bound.
type OwnText string

// Refusal says why a hole of an SQL text takes no value, or not this one.
type Refusal struct {
	Hole    int
	Message string
	Hint    string
}

// ValueKind is what is known of a value before it is there.
type ValueKind int

// Any may turn out to be each of the others.
const (
	Any ValueKind = iota
	Text
	Number
	Truth
	List
)

// SQLKeyword is the keyword by which the schema of a type's attribute says that the
// attribute, one of the type's own, is an SQL text.
const SQLKeyword = "x-sql"
