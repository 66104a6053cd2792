package tenure

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// RowCondition is one condition on a column of a table's rows. There is no SQL in it: the
// connector builds that, and quotes the value by the column's type.
type RowCondition struct {
	Column   string          `json:"column"`
	Operator RowOperator     `json:"operator"`
	Value    json.RawMessage `json:"value,omitempty"` // a JSON text, number or boolean; a list of them for in; none for is null
}

// RowOperator compares a column with a value.
type RowOperator string

// A null in the column is unequal to every value, so that != holds for it; of the other
// operators only is null does. Texts are compared as the column compares them.
const (
	RowEqual   RowOperator = "="
	RowUnequal RowOperator = "!="
	RowLess    RowOperator = "<"
	RowAtMost  RowOperator = "<="
	RowMore    RowOperator = ">"
	RowAtLeast RowOperator = ">="
	RowIn      RowOperator = "in"
	RowPrefix  RowOperator = "like-prefix" // the text begins with the value
	RowNull    RowOperator = "is null"
)

// RowOperators lists every operator, the longer before those that begin alike.
func RowOperators() []RowOperator {
	return []RowOperator{RowPrefix, RowNull, RowUnequal, RowAtMost, RowAtLeast, RowEqual, RowLess, RowMore, RowIn}
}

// maxConditions and maxValues bound a hold's scope.
const (
	maxConditions = 50
	maxValues     = 1000
	maxScopeText  = 1000 // of a column, a table, a prefix or a value, in bytes
)

// Blank says that the scope names nothing, so that it would cover everything.
func (s HoldScope) Blank() bool {
	return s.Tenant == "" && s.Environment == "" && s.Class == "" && s.System == "" && s.Resource == "" && !s.Part() && len(s.Rows) == 0
}

// Part says that the scope is a part of one resource: rows of a table, or objects.
func (s HoldScope) Part() bool { return s.Table != "" || s.Prefix != "" }

// Check is Invalid if the scope names nothing, or if what it says of rows can't be. What
// the table's columns can take, their system alone can tell.
func (s HoldScope) Check() error {
	switch {
	case s.Blank():
		return Errorf(Invalid, "a hold needs a scope").WithHint("name a tenant, an environment, a data class, a system or a resource; --all-tenants holds everything of a class or system")
	case s.Table != "" && s.Prefix != "":
		return Errorf(Invalid, "a hold covers rows of a table or objects by their prefix, not both").WithHint("place two holds for the matter")
	case len(s.Rows) > 0 && s.Table == "":
		return Errorf(Invalid, "conditions on rows need the table that they are about").WithHint("name it: --table")
	case len(s.Rows) > maxConditions:
		return Errorf(Invalid, "a hold takes at most %d conditions, not %d", maxConditions, len(s.Rows))
	case s.Part() && s.Tenant == "" && s.Resource == "":
		return Errorf(Invalid, "rows and objects are held of one tenant's resource").WithHint("name the tenant or the resource")
	}
	for _, text := range []string{s.Environment, s.Table, s.Prefix} {
		if len(text) > maxScopeText || strings.ContainsRune(text, 0) {
			return Errorf(Invalid, "%.40q can't be part of a hold's scope", text)
		}
	}
	for i, c := range s.Rows {
		if err := c.Check(); err != nil {
			return Errorf(Invalid, "condition %d: %w", i+1, err)
		}
	}
	return nil
}

// Check is Invalid if the condition can't be one for any column.
func (c RowCondition) Check() error {
	if strings.TrimSpace(c.Column) == "" || len(c.Column) > maxScopeText || strings.ContainsRune(c.Column, 0) {
		return Errorf(Invalid, "a condition needs a column")
	}
	if !slices.Contains(RowOperators(), c.Operator) {
		return Errorf(Invalid, "%q isn't an operator", c.Operator).WithHint("the operators are %s", operatorWords())
	}
	values, err := c.Values()
	if err != nil {
		return err
	}
	for _, v := range values {
		text, isText := v.(string)
		_, isBool := v.(bool)
		switch {
		case isText && (len(text) > maxScopeText || strings.ContainsRune(text, 0)):
			return Errorf(Invalid, "column %q: the value %.40q can't be compared", c.Column, text)
		case c.Operator == RowPrefix && (!isText || text == ""):
			return Errorf(Invalid, "column %q: %s takes a text that isn't blank", c.Column, c.Operator)
		case isBool && c.Operator != RowEqual && c.Operator != RowUnequal && c.Operator != RowIn:
			return Errorf(Invalid, "column %q: %s can't compare with true or false", c.Column, c.Operator)
		}
	}
	return nil
}

// Values are what the column is compared with: texts, json.Numbers and booleans. None for
// is null, one for the other operators but in. Anything else is Invalid.
func (c RowCondition) Values() ([]any, error) {
	given := len(bytes.TrimSpace(c.Value)) > 0
	if c.Operator == RowNull {
		if given {
			return nil, Errorf(Invalid, "column %q: is null takes no value", c.Column)
		}
		return nil, nil
	}
	if !given {
		return nil, Errorf(Invalid, "column %q: %s needs a value", c.Column, c.Operator)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(c.Value))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil || dec.More() {
		return nil, Errorf(Invalid, "column %q: the value isn't JSON", c.Column)
	}
	list, isList := v.([]any)
	switch {
	case c.Operator != RowIn:
		list = []any{v}
	case !isList || len(list) == 0 || len(list) > maxValues:
		return nil, Errorf(Invalid, "column %q: in takes a list of 1 to %d values", c.Column, maxValues)
	}
	for _, v := range list {
		switch v.(type) {
		case string, json.Number, bool:
		case nil:
			return nil, Errorf(Invalid, "column %q: nothing compares with null", c.Column).WithHint("say is null")
		default:
			return nil, Errorf(Invalid, "column %q: %s compares with a text, a number, true or false", c.Column, c.Operator)
		}
	}
	return list, nil
}

// String is the condition as ParseRowCondition reads it.
func (c RowCondition) String() string {
	column := c.Column
	if strings.ContainsAny(column, " \"<>=!\t") {
		b, _ := json.Marshal(column)
		column = string(b)
	}
	return strings.TrimSpace(column + " " + string(c.Operator) + " " + string(c.Value))
}

// ParseRowCondition reads COLUMN OPERATOR VALUE, as in status = "open", with the value as
// JSON; one that isn't JSON is a text. A column with blanks is written as a JSON text.
func ParseRowCondition(text string) (RowCondition, error) {
	var c RowCondition
	rest := strings.TrimSpace(text)
	if strings.HasPrefix(rest, `"`) {
		dec := json.NewDecoder(strings.NewReader(rest))
		if err := dec.Decode(&c.Column); err != nil {
			return c, Errorf(Invalid, "the column of condition %q can't be read", text)
		}
		rest = strings.TrimSpace(rest[dec.InputOffset():])
	} else {
		end := strings.IndexAny(rest, " \t<>=!")
		if end <= 0 {
			return c, Errorf(Invalid, "condition %q has no operator", text).WithHint("write COLUMN OPERATOR VALUE; the operators are %s", operatorWords())
		}
		c.Column, rest = rest[:end], strings.TrimSpace(rest[end:])
	}
	for _, op := range RowOperators() {
		after, ok := strings.CutPrefix(rest, string(op))
		if word := string(op)[len(op)-1]; !ok || 'a' <= word && word <= 'z' && after != "" && !strings.ContainsAny(after[:1], " \t[\"") {
			continue
		}
		c.Operator, rest = op, strings.TrimSpace(after)
		break
	}
	if c.Operator == "" {
		return c, Errorf(Invalid, "condition %q has no operator", text).WithHint("write COLUMN OPERATOR VALUE; the operators are %s", operatorWords())
	}
	switch {
	case rest == "":
	case json.Valid([]byte(rest)):
		c.Value = json.RawMessage(rest)
	default:
		c.Value, _ = json.Marshal(rest) // a text always can be
	}
	return c, c.Check()
}

func operatorWords() string {
	words := make([]string, 0, len(RowOperators()))
	for _, op := range []RowOperator{RowEqual, RowUnequal, RowLess, RowAtMost, RowMore, RowAtLeast, RowIn, RowPrefix, RowNull} {
		words = append(words, string(op))
	}
	return strings.Join(words, ", ")
}
