package all_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/all"
	"github.com/tenurehq/tenure/connector/connectortest"
)

var update = flag.Bool("update", false, "write docs/connectors anew")

// A blueprint can use only what says how it is deleted, verified and undone.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	for _, info := range all.Catalog() {
		t.Run(info.Name, func(t *testing.T) {
			t.Parallel()
			connectortest.Declarations(t, info)
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, info := range all.Catalog() {
		names = append(names, info.Name)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("the catalog isn't ordered by name, or names one twice: %v", names)
	}
	// Each connector's folder is in the catalog, but for exec, whose connectors are files of an
	// installation.
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		sources, _ := filepath.Glob(filepath.Join("..", e.Name(), "*.go"))
		if !e.IsDir() || len(sources) == 0 || slices.Contains([]string{"all", "connectortest", "exec", "objects", "relational", "rest", "sqltext", "transform", "trial"}, e.Name()) {
			continue
		}
		if !slices.Contains(names, e.Name()) {
			t.Errorf("connector/%s isn't in the catalog", e.Name())
		}
	}
}

// What is SQL is marked as such, and whoever has some can read it: an expression in it
// would be put in as it is otherwise.
func TestSQLIsMarked(t *testing.T) {
	t.Parallel()
	marked := 0
	for _, info := range all.Catalog() {
		for _, typ := range info.Types {
			var schema struct {
				Properties map[string]map[string]any `json:"properties"`
			}
			if err := json.Unmarshal([]byte(typ.Attributes), &schema); err != nil {
				t.Fatalf("%s %s: %v", info.Name, typ.Name, err)
			}
			for name, p := range schema.Properties {
				says, _ := p["description"].(string)
				sql := p[connector.SQLKeyword] == true
				if looks := name == "ddl" || name == "seed" || strings.HasPrefix(says, "SQL"); looks != sql || sql && (p["type"] != "string" || info.SQL == nil) {
					t.Errorf("%s %s: the attribute %s is SQL: %v, and is marked: %v", info.Name, typ.Name, name, looks, sql)
				}
				if sql {
					marked++
				}
			}
		}
		for _, probe := range info.Probes {
			if sql := len(probe.SQL) > 0; sql != (probe.Name == "sql") || sql && info.SQL == nil {
				t.Errorf("%s: probe %s marks %v as SQL", info.Name, probe.Name, probe.SQL)
			}
		}
	}
	if marked == 0 {
		t.Error("nothing is marked as SQL")
	}
}

// The pages that a reader finds must be those of this code. -update writes them.
func TestPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "docs", "connectors")
	want := map[string][]byte{"README.md": all.Index(all.Catalog())}
	for _, info := range all.Catalog() {
		page, err := all.Page(info)
		if err != nil {
			t.Fatal(err)
		}
		want[info.Name+".md"] = page
	}
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, page := range want {
			if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, page := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(string(got), string(page)); diff != "" {
			t.Errorf("docs/connectors/%s isn't the code's: run go test ./connector/all -update (-committed +generated):\n%s", name, diff)
		}
	}
	committed, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		if want[filepath.Base(path)] == nil {
			t.Errorf("docs/connectors/%s is the page of no connector", filepath.Base(path))
		}
	}
}

// A page must show what decides whether a type is used.
func TestPageShowsAll(t *testing.T) {
	t.Parallel()
	page, err := all.Page(connector.Info{
		Name: "sample", Version: "3", Summary: "A sample.",
		Options: []connector.Option{{Name: "dsn", Help: "Where | it is.", Required: true, Secret: true}},
		Types: []tenure.ResourceType{{
			Name: "thing", Layer: tenure.LayerBackup, Deletion: "it is shredded", Verification: "it is weighed", Holds: tenure.HoldsData, Credential: true, Copies: true,
			Recovery: tenure.Recovery{Declared: true, Quarantine: true, Says: "it is glued"},
			Cost:     []tenure.CostTerm{{Metric: "one", Per: 1, Price: "thing"}, {Metric: "bytes", Per: 1024, Price: "kibibyte"}},
			Attributes: `{"type":"object","properties":{"b":{"type":"array","items":{"type":"string"}},"a":{"enum":["x","y"],"default":"x"},
				"c":{"type":"object","additionalProperties":{"type":"integer"}}},"required":["b"]}`,
		}},
		Probes: []connector.ProbeKind{{Name: "alive", Help: "It breathes.", Types: []string{"thing"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `dsn` | required, secret: `env:NAME`, `file:PATH` or `vault:MOUNT/PATH#FIELD` |  | Where \\| it is. |", "**layer**: backup", "it is shredded", "it is weighed", "**quarantine**: yes", "it is glued",
		"data of data classes", "**credential**", "**copies**", "price `thing` for each, and price `kibibyte` for every 1024 of `bytes`",
		"| `a` | `x` or `y` |  | `\"x\"` |  |\n| `b` | list of string | required |", "| `c` | object of integer |", "| `alive` | It breathes. | `thing` |",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

// What can't be right in a transform is found from the file alone, with its place.
func TestTransformsAreChecked(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	rows := func(people object) object {
		return object{"tables": object{"people": "people"}, "transforms": object{"people": people}}
	}
	files := func(events object) object { return object{"transforms": object{"events/": events}} }
	for name, c := range map[string]struct {
		attributes object
		at, says   string // no fault if blank
	}{
		"right":                {rows(object{"columns": object{"born": "year", "id": "keep"}, "identifying": []any{"born"}, "atLeast": 3}), "", ""},
		"an expression":        {rows(object{"columns": object{"n": object{"bucket": "${params.n}"}}}), "", ""},
		"two in one":           {rows(object{"columns": object{"n": object{"bucket": 3, "prefix": 2}}}), "transforms people columns n", "one thing"},
		"a bucket of nothing":  {rows(object{"columns": object{"n": object{"bucket": 0}}}), "transforms people columns n", "bucket"},
		"a group of one":       {rows(object{"columns": object{"n": "keep"}, "identifying": []any{"n"}, "atLeast": 1}), "transforms people", "group of one"},
		"no size of a group":   {rows(object{"columns": object{"n": "keep"}, "identifying": []any{"n"}}), "transforms people", "belong together"},
		"a column that isn't":  {rows(object{"columns": object{"n": "keep"}, "identifying": []any{"m"}, "atLeast": 3}), "transforms people", "isn't among columns"},
		"a table that isn't":   {object{"transforms": object{"people": object{"columns": object{"n": "keep"}}}}, "transforms people", "isn't among tables"},
		"sums of one":          {object{"tables": object{"calls": "c"}, "aggregates": object{"sums": object{"from": "calls", "by": object{"m": object{"column": "at", "as": "month"}}, "count": "n", "atLeast": 1}}}, "aggregates sums", "group of one"},
		"records, right":       {files(object{"format": "csv", "fields": object{"id": "keep"}}), "", ""},
		"records, a word":      {files(object{"format": "csv", "fields": object{"id": "keepp"}}), "transforms events/ fields id", "keepp"},
		"records, a header":    {files(object{"format": "jsonl", "header": true, "fields": object{"id": "keep"}}), "transforms events/", "csv alone"},
		"records, permutation": {files(object{"format": "csv", "fields": object{"id": "permute"}}), "transforms events/", "permute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kinds := []string{"mysql", "postgres", "sqlite"}
			if strings.HasPrefix(name, "records") {
				kinds = []string{"filesystem", "s3"}
			}
			for _, info := range all.Catalog() {
				if !slices.Contains(kinds, info.Name) {
					continue
				}
				faults := info.Check("rows", c.attributes, nil)
				if c.says == "" {
					if len(faults) > 0 {
						t.Errorf("%s: %+v", info.Name, faults)
					}
					continue
				}
				if len(faults) != 1 || strings.Join(faults[0].At, " ") != c.at || !strings.Contains(faults[0].Says, c.says) {
					t.Errorf("%s: %+v, want %q at %s", info.Name, faults, c.says, c.at)
				}
			}
		})
	}
}
