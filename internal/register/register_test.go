package register

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
)

const decided = `# ours
kind: DataMap
version: 1
record: {controller: "Shop", purposes: {trade: [to trade]}, transfers: none}
systems:
  # the shop
  main-db:
    # asked legal
    users.email:
      class: contact   # our own word
      personal: true
      decision: confirmed
      note: they said so

    users.gone: {class: phone, decision: proposed}
    users.*: {class: none, decision: dismissed}
  other:
    t.c: {class: iban, personal: true, confidence: 0.5, decision: proposed}
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What people wrote stays as they wrote it: a review whose comments go is done twice.
func TestMergeKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	f := parse(t, decided)
	if got := string(f.YAML()); got != decided {
		t.Fatalf("an untouched file changed:\n%s", cmp.Diff(decided, got))
	}
	c := f.Merge("main-db", []Found{
		{Table: "users", Column: "email", Class: "email", Personal: true, Confidence: 0.9, Reason: "r"},
		{Table: "users", Column: "id", Class: "none", Confidence: 0.8, Reason: "r"},
		{Table: "users", Column: "iban", Class: "iban", Personal: true, Confidence: 0.95, Reason: `says "iban": #1`},
		{Table: "a", Column: "b", Class: "none", Confidence: 0.8, Reason: "r"},
	}, nil)
	want := Change{New: []string{"a.b", "users.iban"}, Open: []string{"a.b", "users.iban"}, Missing: []string{"users.gone"}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	text := string(f.YAML())
	for _, part := range []string{"# ours\n", "  # the shop\n  main-db:\n    a.b:\n", "    # asked legal\n    users.email:\n      class: contact   # our own word\n", "      note: they said so\n", `reason: "says \"iban\": #1"`, "      missing: true\n", "    t.c: {class: iban, personal: true, confidence: 0.5, decision: proposed}\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q isn't there:\n%s", part, text)
		}
	}
	again := parse(t, text)
	if got := string(again.YAML()); got != text {
		t.Errorf("it isn't stable:\n%s", cmp.Diff(text, got))
	}
	if again.Record.Controller != "Shop" || len(again.Record.Transfers) != 1 {
		t.Errorf("the record's details are gone: %+v", again.Record)
	}
	// What comes back isn't missing any more, and what was dismissed and looks otherwise is named.
	c = again.Merge("main-db", []Found{{Table: "users", Column: "gone", Class: "phone", Personal: true, Confidence: 0.9, Reason: "r"}}, []string{"users"})
	if diff := cmp.Diff([]string{"users.email", "users.iban"}, c.Missing); diff != "" {
		t.Error(diff)
	}
	if strings.Count(string(again.YAML()), "missing: true") != 2 {
		t.Errorf("what came back is still missing, or what goes isn't:\n%s", again.YAML())
	}
}

func TestMergeDiffering(t *testing.T) {
	t.Parallel()
	f := parse(t, "systems:\n  s:\n    t.a: {class: phone, decision: dismissed}\n    t.b: {class: none, decision: confirmed}\n    t.doc: {class: none, decision: confirmed}\n    t.doc->x: {class: email, decision: confirmed}\n")
	c := f.Merge("s", []Found{{Table: "t", Column: "a", Class: "email", Confidence: 0.9, Reason: "r"}, {Table: "t", Column: "b", Class: "iban", Confidence: 0.9, Reason: "r"}, {Table: "t", Column: "doc", Class: "none"}}, nil)
	if len(c.Differing) != 2 || len(c.Open) != 0 || len(c.Missing) != 0 {
		t.Errorf("%+v", c)
	}
}

// A file that doesn't stand on lines of its own is written anew with all that it says.
func TestLooseFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"kind":"DataMap","version":1,"record":{"controller":"C","subjects":{"a":["b"]}},"systems":{"s":{"t.a":{"class":"x","personal":true,"decision":"confirmed","note":"n"}}}}`,
		"systems: {s: {t.a: {class: x, personal: true, decision: confirmed, note: n}}}\nrecord: {controller: C, subjects: {a: b}}\n",
		"systems:\n  s: {t.a: {class: x, personal: true, decision: confirmed, note: n}}\nrecord:\n  controller: C\n  subjects:\n    a:\n      - b\n",
	} {
		f := parse(t, text)
		c := f.Merge("s", []Found{{Table: "t", Column: "a", Class: "none"}, {Table: "t", Column: "b", Class: "none"}}, nil)
		if diff := cmp.Diff([]string{"t.b"}, c.New); diff != "" {
			t.Error(diff)
		}
		again := parse(t, string(f.YAML()))
		e := again.Systems[0].Entries[0]
		if e.Name != "t.a" || e.Class != "x" || !e.Personal || e.Decision != Confirmed || e.Note != "n" || again.Record.Controller != "C" || len(again.Record.Subjects["a"]) != 1 {
			t.Errorf("what was said is gone:\n%s", f.YAML())
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	entry := func(s string) string { return "systems:\n  s:\n    t.a: {" + s + "}\n" }
	for text, want := range map[string]string{
		entry("class: x, decision: maybe"):                                                                   `f.yaml:3: the decision of t.a is "maybe", not proposed, confirmed or dismissed`,
		entry("class: x, decision: Confirmed"):                                                               `f.yaml:3: the decision`,
		entry("class: x"):                                                                                    `f.yaml:3: t.a has no decision`,
		entry("decision: confirmed"):                                                                         `f.yaml:3: t.a has no class`,
		entry("class: '', decision: confirmed"):                                                              `f.yaml:3: the class of t.a is blank`,
		entry("class: x, decision: confirmed, personal: maybe"):                                              `f.yaml:3: personal isn't true or false`,
		entry("class: x, decision: confirmed, confidence: 2"):                                                `f.yaml:3: the confidence of t.a isn't a number from 0 to 1`,
		entry("class: x, decision: confirmed, confidence: NaN"):                                              `f.yaml:3: the confidence`,
		entry("class: x, decision: confirmed, what: 1"):                                                      `f.yaml:3: t.a has an unknown key "what"`,
		entry("class: none, decision: confirmed, personal: true"):                                            `f.yaml:3: t.a is of class none and personal`,
		entry("class: [x], decision: confirmed"):                                                             `f.yaml:3: class isn't a text`,
		"systems:\n  s:\n    a: {class: x, decision: confirmed}\n":                                           `f.yaml:3: "a" names no column as table.column`,
		"systems:\n  s:\n    t.a: {class: x, decision: proposed}\n    t.a: {class: x, decision: proposed}\n": `f.yaml:4: t.a is given twice; the first is on line 3`,
		"systems:\n  s: 3\n":                                                                                 `f.yaml:2: system s isn't a mapping`,
		"what: 1\n":                                                                                          `f.yaml:1: "what" is unknown`,
		"kind: Blueprint\n":                                                                                  `f.yaml:1: kind isn't DataMap`,
		"version: 2\n":                                                                                       `f.yaml:1: version isn't 1`,
		"record: {who: x}\n":                                                                                 `f.yaml:1: record has an unknown key "who"`,
		"record: {transfers: [1]}\n":                                                                         `f.yaml:1: transfers holds something that isn't a text`,
		"a: [":                                                                                               `f.yaml isn't YAML`,
		"a: 1\n---\nb: 1\n":                                                                                  `f.yaml holds more than one document`,
		"\xff":                                                                                               `f.yaml is not valid UTF-8`,
		strings.Repeat("[", 1000):                                                                            `f.yaml is nested too deep`,
		"- a\n":                                                                                              `f.yaml:1: the file isn't a mapping`,
	} {
		_, err := Parse([]byte(text), "f.yaml")
		if err == nil || tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, not %q", text, err, want)
		}
	}
	for _, text := range []string{"", "\n# nothing yet\n", "systems:\n", "systems:\n  s:\n", "kind: DataMap\nversion: 1\nsystems: {}\n"} {
		f := parse(t, text)
		f.Merge("s", []Found{{Table: "t", Column: "a", Class: "none"}}, nil)
		again := parse(t, string(f.YAML()))
		if len(again.Systems) != 1 || len(again.Systems[0].Entries) != 1 {
			t.Errorf("%q became\n%s", text, f.YAML())
		}
	}
}

// A platform with five thousand columns is scanned every night.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	var all []Found
	for i := range 5000 {
		all = append(all, Found{Table: fmt.Sprintf("app.table_%03d", i/20), Column: fmt.Sprintf("column_%02d", i%20), Class: "none", Confidence: 0.8, Reason: "neither the name nor the values say anything"})
	}
	f := parse(t, "")
	f.Merge("s", all, nil)
	again := parse(t, string(f.YAML()))
	if c := again.Merge("s", all, nil); len(c.New) != 0 || len(c.Open) != 5000 {
		t.Errorf("%d are new, %d open", len(c.New), len(c.Open))
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	period, err := tenure.ParsePeriod("P30D")
	if err != nil {
		t.Fatal(err)
	}
	b := tenure.Blueprint{Name: "shop", Version: "1.0", Systems: map[string]tenure.SystemNeed{"main-db": {Connector: "postgres"}},
		DataClasses: []tenure.DataClass{
			{Name: "trade", Personal: true, Disposition: tenure.Purge, Retention: []tenure.RetentionRule{{Name: "r", Kind: tenure.KeepUntil, Period: period, From: tenure.FromTermination, Source: "a | law"}, {Name: "s", Kind: tenure.GoneBy, Period: period, From: tenure.FromNotice}}},
			{Name: "stock", Title: "=HYPERLINK(1)", Disposition: tenure.CryptoErase},
		},
		Resources: []tenure.ResourceSpec{{Key: "rows", System: "main-db", Type: "rows", Name: "n", Data: []string{"trade", "stock"}, Attributes: map[string]any{"schema": "public", "tables": map[string]any{"users": "trade", "users.more": "stock", "public.parts": "stock"}}}},
	}
	f := parse(t, `systems:
  main-db:
    public.users.email: {class: email, personal: true, decision: confirmed}
    public.users.phone: {class: phone, personal: true, decision: dismissed}
    public.users.iban: {class: iban, personal: true, decision: proposed}
    public.parts.maker: {class: person-name, personal: true, decision: confirmed}
  elsewhere:
    t.a: {class: x, decision: proposed}
`)
	r := Of(b, f)
	if diff := cmp.Diff([]string{"main-db: public.users.iban"}, r.Undecided); diff != "" {
		t.Error(diff)
	}
	trade, stock := r.Activities[0], r.Activities[1]
	if diff := cmp.Diff([]string{"email"}, trade.Data); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(stock.Personal, "yes, by what people confirmed") || stock.Data[0] != "person-name" || stock.Retention[0] != NotKnown {
		t.Errorf("%+v", stock)
	}
	if trade.Retention[0] != "r: kept until P30D after the end of access (source: a | law)" || trade.Retention[1] != "s: gone by P30D after the notice (source: not known)" {
		t.Errorf("%q", trade.Retention)
	}
	if page := string(r.Markdown()); !strings.Contains(page, `a \| law`) || !strings.Contains(page, "| purposes | not known |") || !strings.Contains(page, "- main-db: public.users.iban") {
		t.Errorf("the page doesn't say it:\n%s", page)
	}
	table, err := r.CSV()
	if err != nil || !strings.Contains(string(table), "'=HYPERLINK(1)") {
		t.Errorf("a cell is a formula: %v\n%s", err, table)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(decided)
	f.Add("systems: {s: {t.a: {class: x, decision: confirmed}}}")
	f.Add("systems:\n  s:\n    ? t.a\n    : {class: x, decision: confirmed}\n")
	f.Fuzz(func(t *testing.T, text string) {
		one, err := Parse([]byte(text), "f.yaml")
		if err != nil {
			return
		}
		one.Merge("s", []Found{{Table: "t", Column: "a", Class: "none", Reason: "r"}, {Table: "t", Column: "b", Class: "none", Reason: "r"}}, nil)
		out := one.YAML()
		again, err := Parse(out, "f.yaml")
		if err != nil {
			t.Fatalf("%q became what can't be read: %v\n%s", text, err, out)
		}
		for _, s := range one.Systems {
			if have := again.system(s.Name); have == nil || len(have.Entries) != len(s.Entries) {
				t.Fatalf("%q lost something of %q:\n%s", text, s.Name, out)
			}
		}
	})
}
