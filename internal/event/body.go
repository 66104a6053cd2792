package event

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

const (
	maxColumns   = 256 // of a CSV file, and names of a form
	maxName      = 200 // bytes of such a name
	maxFieldPath = 200 // bytes of a place in Fields
)

// record is one thing that a body says.
type record struct {
	value any // an object; numbers are json.Number
	data  json.RawMessage
	flat  bool // of texts alone: its names are names, not paths
}

// at is the value in a place: names, or numbers of an array's elements, with dots between them.
func (r record) at(place string) any {
	if r.flat {
		object, _ := r.value.(map[string]any)
		return object[place]
	}
	v := r.value
	for name := range strings.SplitSeq(place, ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(t) {
				return nil
			}
			v = t[i]
		default:
			return nil
		}
	}
	return v
}

// text is a text or a number, as it is written, in a place: "" if there is none. Anything else is
// Invalid.
func (r record) text(place string) (string, error) {
	if place == "" {
		return "", nil
	}
	switch t := r.at(place).(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	case json.Number:
		return t.String(), nil
	}
	return "", invalid("%.60s is neither a text nor a number", place)
}

// need is a text that has to be there.
func (r record) need(place string) (string, error) {
	v, err := r.text(place)
	if err == nil && v == "" {
		err = invalid("an event has no %.60s", place)
	}
	return v, err
}

// time is a time in a place: zero if there is none. It is written by RFC 3339 or as seconds or
// milliseconds since 1970; anything else is Invalid.
func (r record) time(place string) (time.Time, error) {
	text, err := r.text(place)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	return moment(place, text)
}

func moment(place, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	t, ok := unixTime(whole)
	if !ok || len(fraction) > 9 || !only(fraction, digits) {
		return time.Time{}, tenure.Errorf(tenure.Invalid, "%.60s isn't a time", place).WithHint("RFC 3339 is read, such as 2026-03-01T09:00:00Z, and seconds or milliseconds since 1970")
	}
	if n, err := strconv.Atoi((fraction + "000000000")[:9]); err == nil && len(whole) <= 11 {
		t = t.Add(time.Duration(n))
	}
	return t, nil
}

// event reads what Fields name.
func (r record) event(f Fields) (e Event, err error) {
	e.Data = r.data
	if f.ID != "" {
		if e.ID, err = r.need(f.ID); err != nil {
			return e, err
		}
	}
	for _, part := range []struct {
		to    *string
		place string
	}{{&e.Type, f.Type}, {&e.Subject, f.Subject}, {&e.Version, f.Version}} {
		if *part.to, err = r.text(part.place); err != nil {
			return e, err
		}
	}
	e.At, err = r.time(f.Time)
	return e, err
}

// checkFields refuses (Invalid) places that name nothing.
func checkFields(s Source) error {
	f := s.Fields
	for _, place := range []string{f.ID, f.Type, f.Subject, f.Version, f.Time} {
		if place == "" {
			continue
		}
		if len(place) > maxFieldPath || slices.Contains(strings.Split(place, "."), "") {
			return tenure.Errorf(tenure.Invalid, "source %s: %.60q in fields names nothing", s.Name, place).WithHint("write names with dots between them, such as data.object.id")
		}
	}
	return nil
}

// readObject reads a body that is a JSON object; anything else is Invalid.
func readObject(content []byte) (record, error) {
	v, err := tenure.ReadJSON(content)
	if err != nil {
		return record{}, err
	}
	if _, ok := v.(map[string]any); !ok {
		return record{}, invalid("the body isn't a JSON object")
	}
	return record{value: v, data: bytes.Clone(bytes.TrimSpace(content))}, nil
}

// readObjects reads a body that is a JSON array of objects; anything else is Invalid.
func readObjects(content []byte) ([]record, error) {
	v, err := tenure.ReadJSON(content)
	if err != nil {
		return nil, err
	}
	values, ok := v.([]any)
	var data []json.RawMessage
	if !ok || json.Unmarshal(content, &data) != nil || len(data) != len(values) {
		return nil, invalid("the body isn't a JSON array")
	}
	if len(values) > MaxEvents {
		return nil, tooMany()
	}
	all := make([]record, len(values))
	for i, v := range values {
		if _, ok := v.(map[string]any); !ok {
			return nil, invalid("the body's array has something that isn't an object")
		}
		all[i] = record{value: v, data: data[i]}
	}
	return all, nil
}

// records reads what a body says by its media type: a JSON object or an array of them, a form, or CSV
// with a header row. Without a media type it is JSON. Anything else is Invalid.
func records(r Request, content []byte) ([]record, error) {
	kind, err := mediaType(r)
	switch {
	case err != nil:
		return nil, err
	case kind == "" || isJSON(kind) || kind == "text/plain":
		if bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
			return readObjects(content)
		}
		one, err := readObject(content)
		return []record{one}, err
	case kind == "application/x-www-form-urlencoded":
		one, err := readForm(content)
		return []record{one}, err
	case kind == "text/csv":
		return readCSV(content)
	}
	return nil, tenure.Errorf(tenure.Invalid, "the body isn't of a kind that is read").WithHint("send application/json, application/x-www-form-urlencoded or text/csv")
}

// mediaType is that of the body, in lower case and without parameters; "" if the request says none.
func mediaType(r Request) (string, error) {
	v := r.Header.Values("Content-Type")
	if len(v) == 0 {
		return "", nil
	}
	kind, parameters, err := mime.ParseMediaType(v[0])
	if err != nil || len(v) > 1 || len(v[0]) > maxHeader {
		return "", invalid("the content type isn't one")
	}
	if c := parameters["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
		return "", invalid("the content type declares the charset %.40q, and only UTF-8 is read", c)
	}
	return kind, nil
}

// isJSON follows JSON Event Format for CloudEvents 1.0.2 §3.1.1: */json and */*+json.
func isJSON(kind string) bool {
	return strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// plain says whether a text can be kept: UTF-8 without NUL.
func plain(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// flat makes a record of names and texts.
func flat(object map[string]any) (record, error) {
	data, err := tenure.Canonical(object)
	if err != nil {
		return record{}, invalid("the body can't be read")
	}
	return record{value: object, data: data, flat: true}, nil
}

// readForm reads a form (URL Standard §5): a name that stands there more than once has an array.
func readForm(content []byte) (record, error) {
	form, err := url.ParseQuery(string(content))
	if err == nil && !formPlain(form) {
		return record{}, invalid("the form isn't UTF-8, or has a NUL")
	}
	if err != nil || len(form) == 0 || len(form) > maxColumns {
		return record{}, invalid("the body isn't a form")
	}
	object := make(map[string]any, len(form))
	for name, values := range form {
		if len(name) > maxName {
			return record{}, invalid("the form has a name of more than %d bytes", maxName)
		}
		object[name] = values[0]
		if len(values) > 1 {
			object[name] = anys(values)
		}
	}
	return flat(object)
}

func formPlain(form url.Values) bool {
	for name, values := range form {
		if !plain(name) || !plain(strings.Join(values, "")) {
			return false
		}
	}
	return true
}

func anys(values []string) (out []any) {
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// readCSV reads RFC 4180 with a header row; each further row is a record.
func readCSV(content []byte) ([]record, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if !plain(string(content)) {
		return nil, invalid("the CSV isn't UTF-8, or has a NUL")
	}
	rows := csv.NewReader(bytes.NewReader(content))
	header, err := rows.Read()
	if err != nil || len(header) > maxColumns {
		return nil, invalid("the CSV has no header row that can be read")
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		return nil, tenure.Errorf(tenure.Invalid, "the CSV's header row has one column").WithHint("the separator is a comma (RFC 4180)")
	}
	seen := make(map[string]bool)
	for _, name := range header {
		if name == "" || len(name) > maxName || seen[name] {
			return nil, invalid("the CSV's header row has a name that is empty, too long or there twice")
		}
		seen[name] = true
	}
	var all []record
	size := 0
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return all, nil
		}
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, invalid("row %d of the CSV has %d of %d columns", len(all)+1, len(row), len(header))
		}
		if err != nil {
			return nil, invalid("row %d of the CSV has a quote that isn't closed, or one in the middle of a value", len(all)+1)
		}
		if len(all) == MaxEvents {
			return nil, tooMany()
		}
		object := make(map[string]any, len(row))
		for i, v := range row {
			object[header[i]] = v
		}
		one, err := flat(object)
		if err != nil {
			return nil, err
		}
		if size += len(one.data); size > maxData {
			return nil, tooLarge()
		}
		all = append(all, one)
	}
}

// joined makes one id of texts: a JSON array, in which no text can pass for two. It refuses (Invalid)
// what no id may have.
func joined(parts ...string) (string, error) {
	for _, p := range parts {
		if err := clean("id", p, MaxID); err != nil {
			return "", err
		}
	}
	b, err := tenure.Canonical(parts)
	return string(b), err
}
