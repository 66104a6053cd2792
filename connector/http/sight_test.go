package http_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
)

// papers lie nowhere, and lines in papers; each type has a sentinel.
const papersOf = deskOf + `
  paper:
    summary: A paper.
    layer: configuration
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    attributes: {properties: {color: {type: string}}}
    sentinel: {name: sentinel}
    item: {id: /id, name: /name}
    list: {path: /papers, items: /items}
    create: {method: POST, path: /papers, body: {name: "${own}"}}
    delete: {method: DELETE, path: "/papers/${id}"}
  line:
    in: paper
    summary: A line.
    layer: configuration
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    attributes: {properties: {color: {type: string}}}
    item: {id: /id, name: /name}
    sentinel: {name: sentinel/sentinel}
    list: {path: /lines, items: /items, where: "${item.up == parent.id}"}
    create: {method: POST, path: /lines, body: {name: "${own}", up: "${parent.id}"}}
    delete: {method: DELETE, path: "/lines/${id}"}
`

// The sentinel of one type proves nothing of another: a type whose list shows none, as many
// systems do where a right is missing, isn't taken for empty.
func TestSightByType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ typ, list, name string }{{"paper", "papers", "deed"}, {"line", "lines", "deed/first"}} {
		t.Run(c.typ, func(t *testing.T) {
			t.Parallel()
			k, sys, r := papersWith(t, func(text string) string { return text })
			if c.typ == "paper" {
				r = thing(1).Ref
			}
			r.Type, r.Name = c.typ, c.name
			see := func(blind string) {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.blind = blind
			}
			see(c.list)
			if _, absent, err := sys.Observe(t.Context(), []connector.Ref{r}); err != nil || absent != tenure.Unknown {
				t.Errorf("what isn't shown is absent: %s, %v", absent, err)
			}
			if _, v, err := sys.Delete(t.Context(), r); err == nil || v == tenure.Verified || !strings.Contains(err.Error(), "the sentinel isn't among what is listed of type "+c.typ) {
				t.Errorf("what isn't shown is deleted: %s, %v", v, err)
			}
			again := r
			again.Resource, again.Name = thing(3).Resource, c.name+" again"
			if _, _, _, err := sys.Ensure(t.Context(), connector.Desired{Ref: again}); err == nil {
				t.Error("a thing is made where one of its name may be unseen")
			}
			trusted, err := sys.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
			if err != nil || trusted == nil || !strings.Contains(trusted.Error(), "of type "+c.typ) {
				t.Errorf("a discovery is trusted: %v, %v", trusted, err)
			}
			if len(k.rows[c.list]) != 2 {
				t.Errorf("there are %v", k.rows[c.list])
			}
			see("")
			if _, v, err := sys.Delete(t.Context(), r); err != nil || v != tenure.Verified {
				t.Errorf("what is shown again is deleted: %s, %v", v, err)
			}
		})
	}
}

// A description says of each type how a missing right would show.
func TestSightIsDescribed(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{"    sentinel: {name: sentinel}\n", ""}:                                                 "say how a missing right to read things of type paper would show",
		{"sentinel: {name: sentinel/sentinel}", "sentinel: {name: sentinel}"}:                    "NAME, or PARENT/NAME",
		{"sentinel: {name: sentinel/sentinel}", "sentinel: {name: other/sentinel}"}:              `"other" is none`,
		{"    list: {path: /things", "    sentinel: {name: two}\n    list: {path: /things"}:      "of this type already",
		{"sentinel: {name: sentinel}\n", "sentinel: {name: sentinel, attributes: {color: 7}}\n"}: "color",
	} {
		_, err := http.Parse([]byte(strings.Replace(papersOf, change[0], change[1], 1)), "papers.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q it is %v", change[1], err)
		}
	}
	for _, says := range []string{"list: {refuses: true, ", `list: {complete: "${body.all}", `} {
		if _, err := http.Parse([]byte(strings.NewReplacer("    sentinel: {name: sentinel}\n", "", "    sentinel: {name: sentinel/sentinel}\n", "", "list: {path: /papers", says+"path: /papers", "list: {path: /lines", says+"path: /lines").Replace(papersOf)), "papers.yaml"); err != nil {
			t.Errorf("with %s it is %v", says, err)
		}
	}
}

// A thing whose parent somebody removed isn't taken for gone, unless the description says
// that it goes with it. Who looks after it leaves the step out.
func TestParentThatWent(t *testing.T) {
	t.Parallel()
	for _, cascades := range []bool{false, true} {
		k, sys, line := papersWith(t, func(text string) string {
			if cascades {
				return strings.Replace(text, "    in: paper\n", "    in: paper\n    cascades: true\n", 1)
			}
			return text
		})
		k.mu.Lock()
		for id, row := range k.rows["papers"] {
			if row["name"] == "deed" {
				delete(k.rows["papers"], id)
			}
		}
		k.mu.Unlock()
		_, v, err := sys.Delete(t.Context(), line)
		if cascades && (err != nil || v != tenure.Verified) || !cascades && (tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "lay in it")) {
			t.Errorf("cascades %t: %s, %v", cascades, v, err)
		}
	}
}

// What quick ways don't show is looked for in whole lists: something renamed, something below
// what was renamed, something whose making wasn't answered.
func TestFindIsNoProof(t *testing.T) {
	t.Parallel()
	k, sys, line := papersWith(t, func(text string) string {
		return strings.NewReplacer("id: /id, name", "id: /id, unique: true, name", "    list: {path: /lines", "    find: {path: /quick, items: /items, marked: true}\n    list: {path: /lines").Replace(text)
	})
	k.mu.Lock()
	k.rows["quick"] = map[string]map[string]any{} // never shows anything
	for _, row := range k.rows["papers"] {
		if row["name"] == "deed" {
			row["name"] = "renamed"
		}
	}
	k.mu.Unlock()
	if _, v, err := sys.Delete(t.Context(), line); err != nil || v != tenure.Verified || len(k.rows["lines"]) != 1 {
		t.Errorf("below what was renamed: %s, %v; %v", v, err, k.rows["lines"])
	}
	again := line
	again.Name = "renamed/second"
	k.mu.Lock()
	k.lost = "lines"
	k.mu.Unlock()
	if _, _, _, err := sys.Ensure(t.Context(), connector.Desired{Ref: again}); tenure.CodeOf(err) != tenure.Unavailable {
		t.Fatal(err)
	}
	if _, _, v, err := sys.Ensure(t.Context(), connector.Desired{Ref: again}); err != nil || v != tenure.Verified || len(k.rows["lines"]) != 2 {
		t.Errorf("what wasn't answered: %s, %v; %v", v, err, k.rows["lines"])
	}
}

// One thing of a stranger's with an id that no request can name stops nobody else.
func TestOddParent(t *testing.T) {
	t.Parallel()
	k, sys, line := papersWith(t, func(text string) string {
		return strings.Replace(text, "path: /lines, items", `path: "/lines?of=${parent.id}", items`, 1)
	})
	for _, id := range []string{"..", ".", "a/b", ""} {
		k.mu.Lock()
		k.rows["papers"]["odd"] = map[string]any{"id": id, "name": "stranger"}
		if id == "" {
			delete(k.rows["papers"], "odd")
		}
		k.mu.Unlock()
		if trusted, err := sys.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil }); err != nil || trusted != nil {
			t.Errorf("%q: %v, %v", id, trusted, err)
		}
	}
	if _, v, err := sys.Delete(t.Context(), line); err != nil || v != tenure.Verified {
		t.Errorf("%s, %v", v, err)
	}
}

// papersWith is a system of papers in which a paper with a line was made.
func papersWith(t *testing.T, change func(string) string) (*desk, *connector.System, connector.Ref) {
	t.Helper()
	k := &desk{rows: map[string]map[string]map[string]any{"things": {}, "papers": {}, "lines": {}, "notes": {}}}
	srv := httptest.NewServer(k)
	t.Cleanup(srv.Close)
	sys := opened(t, change(papersOf), map[string]string{"base": srv.URL}, nil)
	r := thing(1).Ref
	for i, name := range []string{"deed", "deed/first"} {
		r = thing(i + 1).Ref
		r.Type, r.Name = []string{"paper", "line"}[i], name
		if _, _, v, err := sys.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil || v != tenure.Verified {
			t.Fatalf("%s, %v", v, err)
		}
	}
	return k, sys, r
}
