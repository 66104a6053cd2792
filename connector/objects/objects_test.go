package objects

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/transform"
)

// given reads a transform as a blueprint writes it.
func given(t testing.TB, text string) (out Transform) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	if err := out.Check(); err != nil {
		t.Fatal(err)
	}
	return out
}

func named1(_, value string, _ bool) ([]byte, error) {
	return append(bytes.Repeat([]byte{byte(len(value))}, 15), value[0]), nil
}

func rewritten(t Transform, in string) (string, error) {
	var out bytes.Buffer
	err := t.Rewrite(bg, strings.NewReader(in), &out, How{Name: named1})
	return out.String(), err
}

var bg = context.Background()

const people = `{"format": "csv", "fields": {"id": "keep", "name": "clear", "born": "year", "zip": {"prefix": 2}, "note": "clear", "ip": "network", "pay": {"bucket": 1000}}}`

func TestCSV(t *testing.T) {
	t.Parallel()
	made, err := rewritten(given(t, people), "\ufeffid,name,born,zip,note,ip,pay\r\n1,Anna Meier,1980-05-17,10115,\"a \"\"b\"\"\nc\",192.0.2.77,4711\r\n2,,,,,word,x\r\n")
	if want := "\ufeffid,name,born,zip,note,ip,pay\r\n1,,1980-01-01,10,,192.0.2.0,4000\r\n2,,,,,,\r\n"; made != want || err != nil {
		t.Errorf("made %q, %v; want %q", made, err, want)
	}
	bare := given(t, `{"format": "csv", "header": false, "separator": ";", "fields": {"1": "clear", "2": "keep"}}`)
	if made, err := rewritten(bare, "Anna;x\nOtto;y\n"); made != ";x\n;y\n" || err != nil {
		t.Errorf("without a header %q, %v", made, err)
	}
	// A record of one empty field is a record.
	one := given(t, `{"format": "csv", "fields": {"name": "clear"}}`)
	if made, err := rewritten(one, "name\nAnna\nOtto\n"); made != "name\n\"\"\n\"\"\n" || err != nil {
		t.Errorf("of one field %q, %v", made, err)
	}
}

// What is kept stays as it is to the byte, whatever stands in it.
func TestCSVIsKept(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "csv", "fields": {"a": "keep", "b": "keep"}}`)
	for _, text := range []string{
		"a,b\r\n1,\"x\r\ny\nz\"\r\n", "a,b\n1,\"x\r\ny\n\"\n", "a,b\n\" 1\",\"\r\n\r\r\n\"\n", "\ufeffa,b\n1,2\n", "a,b\n",
		"a,b\r\n\"say \"\"no\"\"\r\n\",9007199254740993\r\n", "a,b\n" + strings.Repeat("1,\"\r\n\"\n", 20_000),
	} {
		if made, err := rewritten(rules, text); made != text || err != nil {
			t.Errorf("%.60q became %.60q, %v", text, made, err)
		}
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "jsonl", "fields": {"id": "keep", "user.email": {"pseudonym": "people"}, "user.tags[]": "clear", "items[].price": "keep", "items[].by.name": {"constant": "x"}, "geo": "clear", "n": "keep"}}`)
	made, err := rewritten(rules, `{"id":12345678901234567890,"user":{"email":"anna@example.com","tags":["a",null]},"items":[{"price":1.10},{"by":{"name":"Anna"}}],"geo":{"deep":[1,{"x":2}]},"n":null}`+"\n\n"+`{"user":null,"items":[]}`)
	want := `{"geo":null,"id":12345678901234567890,"items":[{"price":1.10},{"by":{"name":"x"}}],"n":null,"user":{"email":"caibaeaqcaibaeaqcaibaeaqme","tags":[null,null]}}` + "\n" + `{"items":[],"user":null}` + "\n"
	if made != want || err != nil {
		t.Errorf("made %s %v\nwant %s", made, err, want)
	}
}

// What isn't of the format, and a field that nobody has spoken of, is Blocked, and no
// value of it is shown.
func TestBlocked(t *testing.T) {
	t.Parallel()
	lines := `{"format": "jsonl", "fields": {"id": "keep", "user.email": "clear", "list[]": "keep"}}`
	for name, c := range map[string]struct{ rules, in, says string }{
		"a new column":            {people, "id,name,born,zip,note,ip,pay,phone\n1,,,,,,,0301234567\n", "phone"},
		"a first line of data":    {people, "SECRET,Anna\n", "first line"},
		"two of one name":         {people, "id,id\nSECRET,SECRET\n", "one name"},
		"fields too many":         {people, "id,name\n1,SECRET,3\n", "line 2"},
		"a quote":                 {people, "id,name\n1,\"SECRET\n", "line"},
		"a quote inside":          {people, "id,name\n1,SEC\"RET\n", "line 2"},
		"bytes":                   {people, "id,name\n1,SECRET\xff\n", "UTF-8"},
		"CSV for JSON":            {lines, "id,SECRET\n", "line 1"},
		"a list":                  {lines, `["SECRET"]`, "line 1"},
		"two in a line":           {lines, `{"id":1}{"id":"SECRET"}`, "line 1"},
		"a new member":            {lines, `{"id":1}` + "\n" + `{"user":{"email":"a","phone":"SECRET"}}`, "user.phone"},
		"a text for an object":    {lines, `{"user":"SECRET"}`, "user"},
		"a list for an object":    {lines, `{"user":["SECRET"]}`, "user[]"},
		"an object that is kept":  {lines, `{"id":{"SECRET":1}}`, "keep is of single values"},
		"a list in a list":        {lines, `{"list":[["SECRET"]]}`, "single values"},
		"a name with a dot":       {lines, `{"user.email":"SECRET"}`, "user.email"},
		"a name that is a value":  {lines, `{"user":{"anna@SECRET":1}}`, "isn't shown"},
		"an empty object":         {lines, `{"other":{}}`, "other"},
		"gzip that is cut":        {lines, connectortest.Packed(t, strings.Repeat(`{"id":1}`+"\n", 100))[:30], "can't be read"},
		"a name twice":            {lines, `{"id":"SECRET","id":1}`, "two members of one name"},
		"a name twice, deep":      {lines, `{"id":1,"list":[],"user":{"email":"SECRET","email":null}}`, "two members of one name"},
		"a tail of zeros":         {lines, `{"id":1}` + "\n\x00\x00\x00", "line 2"},
		"a CSV's tail of zeros":   {people, "id,name\n1,SECRET\n\x00\x00\x00", "line 3"},
		"UTF-16":                  {people, "\xff\xfei\x00d\x00\n\x00", "UTF-8"},
		"too much to seek":        {`{"format": "jsonl", "fields": {"a[]": {"prefix": 3}, "b": "keep"}}`, `{"a":["` + strings.Repeat("SECRET1\",\"", 200) + `"],"b":"` + strings.Repeat("x", 8<<20) + `"}`, ""},
		"a line that is too long": {lines, `{"id":"` + strings.Repeat("S", maxRecord) + `"}`, "more than"},
		"a quote that is long":    {people, "id,name\n1,\"" + strings.Repeat("S", maxRecord+9), "quote"},
		"a quote at first":        {people, "id,name\nSEC\"RET,x\n", "isn't CSV"},
		"a quote that ends early": {people, "\"id\"b,name\n", "isn't CSV"},
		"too many values":         {lines, `{"list":[` + strings.Repeat("1,", maxValues+1) + `1]}`, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rewritten(given(t, c.rules), c.in)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.says) || strings.Contains(strings.ToUpper(err.Error()), "SECRET") || strings.Contains(err.Error()+fmt.Sprint(tenure.HintsOf(err)), " :") || strings.Contains(fmt.Sprint(tenure.HintsOf(err)), "isn't shown") {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// What a rule takes away stands nowhere else: another field that repeats it is emptied.
func TestRepeated(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "jsonl", "fields": {"name": "clear", "key": {"prefix": 30}, "day": "month", "kept[]": "keep"}}`)
	if made, err := rewritten(rules, `{"name":"Anna Meier","key":"for ANNA MEIER","day":"2024-03-09","kept":["x","by anna meier"]}`); made != `{"day":"2024-03-01","kept":["x",null],"key":null,"name":null}`+"\n" || err != nil {
		t.Errorf("made %s, %v", made, err)
	}
	err := rules.Rewrite(bg, strings.NewReader(`{"name":"Anna Meier"}`), io.Discard, How{Name: Unnamed, Beside: []string{"of/anna meier.jsonl"}})
	if tenure.CodeOf(err) != tenure.Blocked || strings.Contains(err.Error(), "Anna") {
		t.Errorf("the object's name repeats it: %v", err)
	}
}

// What is compressed is read and written so, also of several members.
func TestGzip(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "csv", "fields": {"a": "keep", "b": "clear"}}`)
	made, err := rewritten(rules, connectortest.Packed(t, "a,b\n1,x\n")+connectortest.Packed(t, "2,y\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(strings.NewReader(made))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); string(plain) != "a,b\n1,\n2,\n" || err != nil {
		t.Errorf("it holds %q, %v", plain, err)
	}
}

// A stream ends well only if it makes what was foreseen: a reader that knows the length
// gets too little otherwise.
func TestStream(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "csv", "fields": {"a": "keep"}}`)
	want, err := rules.Foresee(bg, strings.NewReader("a\n1\n"), How{})
	if err != nil {
		t.Fatal(err)
	}
	for in, fits := range map[string]bool{"a\n1\n": true, "a\n2\n": false, "a\n1\n2\n": false, "a\n": false} {
		s := rules.Stream(bg, strings.NewReader(in), How{}, want)
		all, err := io.ReadAll(io.LimitReader(s, want.Size))
		if fits != (int64(len(all)) == want.Size && err == nil) && in != "a\n1\n2\n" {
			t.Errorf("%q: %q, %v", in, all, err)
		}
		_ = s.Close()
	}
}

func TestInspection(t *testing.T) {
	t.Parallel()
	rules := given(t, `{"format": "csv", "fields": {"who": "clear", "zip": {"prefix": 2}}, "identifying": ["zip"], "atLeast": 2, "of": "who"}`)
	all := map[string]Transform{"a/": rules}
	read := func(texts ...string) error {
		s := newInspection(all)
		for _, text := range texts {
			if err := s.Read(bg, "a/", strings.NewReader(text), nil, false); err != nil {
				return err
			}
		}
		return s.Short()
	}
	if err := read("who,zip\n1,10115\n", "who,zip\n2,10999\n"); err != nil {
		t.Errorf("two in a group over two objects: %v", err)
	}
	for _, bad := range []string{"who,zip\n1,10115\n1,10999\n", "who,zip\n,10115\n,10999\n"} {
		if err := read(bad); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), `["10"] has 1`) {
			t.Errorf("one person in two records: %v", err)
		}
	}
	// One that comes late is judged with those that are left, and these aren't judged again.
	late := newInspection(all)
	for text, past := range map[string]bool{"who,zip\n1,10115\n": true, "who,zip\n2,20115\n": true, "who,zip\n3,20999\n": false} {
		if err := late.Read(bg, "a/", strings.NewReader(text), nil, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := late.Short(); err != nil {
		t.Errorf("what was judged before is judged again: %v", err)
	}
	if err := late.Read(bg, "a/", strings.NewReader("who,zip\n4,30115\n"), nil, false); err != nil || late.Short() == nil {
		t.Errorf("one that comes late is in a group of its own: %v", err)
	}
	p := passedList{}
	if err := p.Add(strings.Repeat("a", 32)); err != nil {
		t.Fatal(err)
	}
	seal := func(s string) string { return "seal" + s[:1] }
	text := p.Text(headOf("run", "class", all), seal)
	if !parsePassed(text, headOf("run", "class", all), seal).Has(strings.Repeat("a", 32)) {
		t.Error("the list isn't read back")
	}
	other := map[string]Transform{"a/": given(t, `{"format": "csv", "fields": {"who": "keep"}}`)}
	if len(parsePassed(text, headOf("run", "class", other), seal))+len(parsePassed("x"+text, headOf("run", "class", all), seal)) > 0 {
		t.Error("a list by other rules, or under another seal, counts")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"format": "xml", "fields": {"a": "keep"}}`:                                                   "neither csv nor jsonl",
		`{"format": "csv", "fields": {}}`:                                                              "no field",
		`{"format": "csv", "fields": {"a": "permute"}}`:                                                "permuted",
		`{"format": "csv", "fields": {"a": {"constant": [1]}}}`:                                        "no list",
		`{"format": "jsonl", "header": true, "fields": {"a": "keep"}}`:                                 "of csv alone",
		`{"format": "jsonl", "fields": {"a": "clear", "a.b": "keep"}}`:                                 "all of it",
		`{"format": "jsonl", "fields": {"a[]": "clear", "a[].b": "keep"}}`:                             "all of it",
		`{"format": "jsonl", "fields": {"a..b": "keep"}}`:                                              "empty",
		`{"format": "csv", "fields": {"a": "keep"}, "atLeast": 3}`:                                     "belong together",
		`{"format": "csv", "fields": {"a": "keep"}, "identifying": ["a"], "atLeast": 1}`:               "group of one",
		`{"format": "csv", "fields": {"a": "keep"}, "identifying": ["b"], "atLeast": 3}`:               "isn't among",
		`{"format": "csv", "fields": {"a": "keep"}, "metadata": {"A": "keep"}}`:                        "lower case",
		`{"format": "csv", "fields": {"a": "keep"}, "metadata": {"a": "year"}}`:                        "use keep",
		`{"format": "jsonl", "fields": {"a[].b": "keep"}, "identifying": ["a[].b"], "atLeast": 3}`:     "several values",
		`{"format": "jsonl", "fields": {"a": {"pseudonym": "k"}}, "identifying": ["a"], "atLeast": 3}`: "both",
		`{"format": "jsonl", "fields": {"a": {"members": {"b": "permute"}}}}`:                          "permuted",
		`{"format": "csv", "separator": "x", "fields": {"a": "keep"}}`:                                 "separator",
		`{"format": "csv", "fields": {"a": "keep"}, "metadata": {"a": {"constant": "\u0001"}}}`:        "ASCII",
		`{"format": "jsonl", "fields": {"a[b]": "keep"}}`:                                              "odd part",
	} {
		var tr Transform
		if err := json.Unmarshal([]byte(text), &tr); err != nil {
			t.Fatal(err)
		}
		if err := tr.Check(); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	tr := Transform{Format: "csv", Fields: map[string]transform.Rule{"a": {Word: transform.Name, Key: "k"}}}
	if says, _ := tr.Against(tenure.Anonymise); says == "" {
		t.Error("an anonymisation without a place for results stands")
	}
	tr.To = "x"
	if says, _ := tr.Against(tenure.Anonymise); !strings.Contains(says, "pseudonym") {
		t.Error("an anonymisation makes pseudonyms")
	}
}
