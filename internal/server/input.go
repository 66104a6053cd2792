package server

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenurehq/tenure"
)

// An input is what a route takes of a request, as the tags of its type say: parameters of path, query and
// headers, and a body. Huma describes its parts and checks their values. What would read them,
// huma.Register, is compiled anew for each type, which made 4 MB of 120 routes.
type input struct {
	schemas huma.Registry
	params  []param
	body    []int // the field that takes the body; nil: the route takes none
	schema  *huma.Schema
	needed  bool // the body
}

// A param is a parameter, and the field that takes its value.
type param struct {
	*huma.Param
	field     []int
	spelling  spelling
	otherwise string // its value where none is given
}

// inputOf describes a type, a struct, for the document as well.
func inputOf(op *huma.Operation, schemas huma.Registry, t reflect.Type) *input {
	in := &input{schemas: schemas}
	for _, f := range reflect.VisibleFields(t) {
		switch {
		case f.Anonymous:
		case f.Name == "Body":
			in.body = f.Index
			in.describeBody(op, t, f)
		default:
			in.describe(op, f)
		}
	}
	return in
}

func (in *input) describe(op *huma.Operation, f reflect.StructField) {
	for _, where := range []string{"path", "query", "header"} {
		name := f.Tag.Get(where)
		if name == "" {
			continue
		}
		_, _ = set(reflect.New(f.Type).Elem(), "") // of another kind than a request can tell, the server doesn't start
		schema := huma.SchemaFromField(in.schemas, f, "")
		p := &huma.Param{Name: name, In: where, Description: schema.Description, Required: where == "path" || f.Tag.Get("required") == "true", Schema: schema}
		if where == "query" {
			p.Explode = new(bool)
		}
		in.params = append(in.params, param{Param: p, field: f.Index, spelling: spellingOf(f), otherwise: f.Tag.Get("default")})
		op.Parameters = append(op.Parameters, p)
	}
}

func (in *input) describeBody(op *huma.Operation, t reflect.Type, f reflect.StructField) {
	if op.RequestBody == nil {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {}}}
	}
	name := op.OperationID + "Request"
	if t.Name() != "" {
		name = t.Name() + f.Name
	}
	in.schema = huma.SchemaFromField(in.schemas, f, name)
	in.schema.PrecomputeMessages()
	in.needed = f.Type.Kind() != reflect.Pointer
	op.RequestBody.Required = in.needed
	op.RequestBody.Content["application/json"].Schema = in.schema
}

// spelt refuses a parameter that isn't written as it should be, and an empty one: it
// would be a filter that says nothing. The value isn't repeated: it may be a secret.
func (in *input) spelt(r *http.Request, query url.Values) error {
	for _, p := range in.params {
		switch given, said := query[p.Name]; {
		case p.In == "path" && !p.spelling.allows(r.PathValue(p.Name)):
			return tenure.Errorf(tenure.Invalid, "path.%s must be %s", p.Name, p.spelling.means)
		case p.In != "query" || !said:
		case given[0] == "":
			return tenure.Errorf(tenure.Invalid, "query.%s is empty", p.Name).WithHint("leave it out, or give it a value")
		case !p.spelling.allows(given[0]):
			return tenure.Errorf(tenure.Invalid, "query.%s must be %s", p.Name, p.spelling.means)
		}
	}
	return nil
}

// read fills a value of the type with what a request has. What isn't right of it is Invalid, five faults of it at most.
func (in *input) read(v reflect.Value, r *http.Request, query url.Values, body []byte) error {
	var wrong huma.ValidateResult
	for name := range query {
		if !slices.ContainsFunc(in.params, func(p param) bool { return p.In == "query" && p.Name == name }) {
			wrong.Add(at("query", name), "", "unknown query parameter")
		}
	}
	if len(wrong.Errors) > 0 {
		return refusal(wrong.Errors)
	}
	for _, p := range in.params {
		given := r.PathValue(p.Name)
		switch p.In {
		case "query":
			given = query.Get(p.Name)
		case "header":
			given = r.Header.Get(p.Name)
		}
		where := at(p.In, p.Name)
		if given = cmp.Or(given, p.otherwise); given == "" {
			if p.Required {
				wrong.Add(where, "", "required "+p.In+" parameter is missing")
			}
			continue
		}
		said, err := set(v.FieldByIndex(p.field), given)
		if err != nil {
			wrong.Add(where, given, err.Error())
			continue
		}
		huma.Validate(in.schemas, p.Schema, where, huma.ModeWriteToServer, said, &wrong)
	}
	in.readBody(v, body, &wrong)
	if len(wrong.Errors) > 0 {
		return refusal(wrong.Errors)
	}
	return nil
}

// readBody checks the body as any JSON, and then fills the field. Of a route that takes none, an empty object
// and null say nothing.
func (in *input) readBody(v reflect.Value, body []byte, wrong *huma.ValidateResult) {
	where := at("body")
	switch {
	case len(body) == 0 && in.needed:
		wrong.Add(at(), "", "request body is required")
		return
	case len(body) == 0:
		return
	case in.body == nil:
		if text := bytes.TrimSpace(body); string(text) != "null" && (text[0] != '{' || len(bytes.TrimSpace(text[1:])) > 1) {
			wrong.Add(at(), "", "the request takes no body")
		}
		return
	}
	var loose any
	if err := unmarshal(body, &loose); err != nil {
		wrong.Add(where, "", err.Error())
		return
	}
	faults := len(wrong.Errors)
	huma.Validate(in.schemas, in.schema, where, huma.ModeWriteToServer, loose, wrong)
	if len(wrong.Errors) > faults {
		return
	}
	var kind *json.UnmarshalTypeError
	switch err := unmarshal(body, v.FieldByIndex(in.body).Addr().Interface()); {
	case errors.As(err, &kind) && strings.HasPrefix(kind.Value, "number"): // a whole one, such as 1.0 or 1e2
		wrong.Add(where, "", "the number "+strings.TrimPrefix(kind.Value, "number ")+" must be "+spellings["int"].means)
	case err != nil:
		wrong.Add(where, "", err.Error())
	}
}

func at(path ...string) *huma.PathBuffer {
	b := huma.NewPathBuffer(nil, 0)
	for _, name := range path {
		b.Push(name)
	}
	return b
}

// set reads a parameter's text into a field, and gives what a schema checks.
func set(f reflect.Value, text string) (any, error) {
	if as, ok := f.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return text, as.UnmarshalText([]byte(text))
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
		return text, nil
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("invalid integer")
		}
		f.SetInt(n)
		return n, nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("invalid boolean")
		}
		f.SetBool(b)
		return b, nil
	case reflect.Slice:
		list := strings.Split(text, ",")
		f.Set(reflect.ValueOf(list))
		return list, nil
	}
	panic("a parameter can't be " + f.Type().String())
}

// refusal is what huma found wrong with a request, in plain words.
func refusal(wrong []error) error {
	var says []string
	for i, e := range wrong {
		if i == 5 {
			says = append(says, fmt.Sprintf("and %d more", len(wrong)-i))
			break
		}
		detail, ok := e.(*huma.ErrorDetail)
		if !ok {
			detail = &huma.ErrorDetail{Message: e.Error()}
		}
		says = append(says, plainly(detail))
	}
	return tenure.Errorf(tenure.Invalid, "the request isn't right: %s", strings.Join(says, "; "))
}
