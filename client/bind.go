package client

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// bound is a call's parameters as they travel.
type bound struct {
	path   string
	query  url.Values
	header http.Header
	body   []byte // nil: none
}

// bind puts parameters where their tags say. A blank path parameter is Invalid:
// the path would be another's.
func bind(name, path string, p any) (*bound, error) {
	b := &bound{path: path, query: url.Values{}, header: http.Header{}}
	if err := b.fields(name, reflect.ValueOf(p)); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bound) fields(name string, v reflect.Value) error {
	t := v.Type()
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f, value := t.Field(i), v.Field(i)
		switch {
		case f.Anonymous:
			if err := b.fields(name, value); err != nil {
				return err
			}
		case f.Name == "Body" && value.Kind() == reflect.Pointer && value.IsNil():
		case f.Name == "Body":
			if of, changed := full(value); changed {
				value = of
			}
			body, err := json.Marshal(value.Interface())
			if err != nil {
				return tenure.Errorf(tenure.Invalid, "call %s: %w", name, err)
			}
			b.body = body
		case f.Tag.Get("path") != "":
			text := textOf(value)
			if blank(text) {
				return tenure.Errorf(tenure.Invalid, "call %s: no %s is named", name, f.Tag.Get("path"))
			}
			if text == "." || text == ".." { // a server would take them for a step in the path
				return tenure.Errorf(tenure.NotFound, "there is no %s %q", f.Tag.Get("path"), text)
			}
			b.path = strings.ReplaceAll(b.path, "{"+f.Tag.Get("path")+"}", url.PathEscape(text))
		case value.IsZero():
		case f.Tag.Get("query") != "":
			b.query.Set(strings.Split(f.Tag.Get("query"), ",")[0], textOf(value))
		case f.Tag.Get("header") != "":
			b.header.Set(f.Tag.Get("header"), textOf(value))
		}
	}
	return nil
}

func textOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case []string:
		return strings.Join(x, ",")
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}
