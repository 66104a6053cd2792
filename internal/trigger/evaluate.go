package trigger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/source"
)

// names are what expressions may read: the event (source, type, id, subject, version, at),
// and data, what the source sent. Those of a rule that looks something up may also read
// current, what stands there now.
var (
	names       = []string{"event", "data"}
	withCurrent = append(slices.Clone(names), "current")
)

// What the evaluation of one expression may take: the data is a stranger's.
const (
	maxCost   = 5_000_000
	maxRun    = time.Second
	maxResult = 64 << 10
)

var dialect = sync.OnceValue(func() expression.Dialect {
	env, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), cel.CrossTypeNumericComparisons(true), cel.RegexProgramSizeLimit(500),
		cel.Variable("event", cel.MapType(cel.StringType, cel.StringType)), cel.Variable("data", cel.DynType), cel.Variable("current", cel.DynType),
		// slug(text) is the text as a name of a tenant may be: lower case ASCII, with a hyphen for all else.
		cel.Function("slug", cel.Overload("slug_string", []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(slug))))
	if err != nil {
		panic(err)
	}
	return expression.Dialect{Env: env, Names: withCurrent, Cost: maxCost, Time: maxRun, Max: maxResult}
})

// Event is what rules read of an event.
type Event struct {
	Source, Type, ID, Subject, Version string
	At                                 time.Time
	Data                               json.RawMessage

	Current json.RawMessage // in a simulation: what stands in the system now; nil: nobody knows
}

// vars are the values of an event's names.
func (e Event) vars() (map[string]any, error) {
	data, err := plain(e.Data)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"event": map[string]string{"source": e.Source, "type": e.Type, "id": e.ID, "subject": e.Subject, "version": e.Version, "at": e.At.UTC().Format(time.RFC3339Nano)},
		"data":  data,
	}, nil
}

// plain is JSON as expressions have it: a whole number that fits stays one.
func plain(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the event's data isn't JSON: %w", err)
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// scope is an event whose texts are evaluated.
type scope struct {
	set  *Set
	vars map[string]any
}

// text evaluates to a text; "" for none. A number is written as it is.
func (s scope) text(from string) (string, error) {
	if from == "" {
		return "", nil
	}
	v, err := s.value(from)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case int64, bool:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case nil:
		return "", nil
	}
	return "", tenure.Errorf(tenure.Invalid, "%s gives neither a text nor a number", from)
}

func (s scope) value(from string) (any, error) {
	t := s.set.texts[from]
	if t == nil {
		return nil, tenure.Errorf(tenure.Internal, "a text of the rules %s wasn't compiled", s.set.Name)
	}
	v, err := dialect().Eval(t, s.vars)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%w", err)
	}
	return v, nil
}

// is evaluates a condition.
func (s scope) is(from string) (bool, error) {
	v, err := s.value("${" + from + "}")
	if err != nil { // the condition is written without ${…}
		short := source.Clip(from)
		return false, tenure.Errorf(tenure.CodeOf(err), "%s", strings.Replace(err.Error(), "${"+short+"}", short, 1))
	}
	is, ok := v.(bool)
	if !ok {
		return false, tenure.Errorf(tenure.Invalid, "the condition gives neither true nor false")
	}
	return is, nil
}

// tree evaluates a value with all its texts. What gives nothing is left out of a mapping.
func (s scope) tree(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return s.value(v)
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			x, err := s.tree(e)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			x, err := s.tree(e)
			if err != nil {
				return nil, err
			}
			if x != nil {
				out[k] = x
			}
		}
		return out, nil
	}
	return v, nil
}

func (s scope) mapping(m map[string]any) (map[string]any, error) {
	if len(m) == 0 {
		return nil, nil
	}
	v, err := s.tree(m)
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

func (s scope) date(from string) (time.Time, error) {
	text, err := s.text(from)
	if err != nil {
		return time.Time{}, err
	}
	return moment(text)
}
