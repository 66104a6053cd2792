package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
)

// filterSort says what a query's parameter is: which values are right, which aren't
// written as they should be or name nothing, and which name what isn't there.
type filterSort struct{ good, bad, gone []string }

var (
	isFlag     = filterSort{good: []string{"true", "false"}, bad: []string{"1", "0", "TRUE", "True", "t", "yes", "no-such-thing"}}
	isCount    = filterSort{good: []string{"1", "7", "50"}, bad: []string{"+5", "-5", "007", "1e1", "5.0", " 5", "0x5", "5_0", "no-such-thing"}}
	isIndex    = filterSort{good: []string{"0", "1", "1000000"}, bad: []string{"+5", "-5", "007", "00", "-0", "1e1", "5.0", " 5", "0x5", "no-such-thing"}}
	isMoment   = filterSort{good: []string{"2027-01-31T12:00:00Z", "2027-01-31T12:00:00.5+01:00"}, bad: []string{"2027-01-31", "2027-01-31T1:00:00Z", "2027-01-31T12:00:00,5Z", "2027-01-31T12:00:00", "1800000000", "no-such-thing"}}
	isCursor   = filterSort{bad: []string{"no-such-thing"}}
	isPlace    = filterSort{good: []string{unknownTenant}, bad: []string{"no-such-thing", "+5"}}
	isWord     = filterSort{bad: []string{"no-such-thing", "NOTHING"}} // good is what the document lists
	isKind     = filterSort{good: []string{"tenant.move", "approval", "step.result"}, bad: []string{"no-such-thing", "no.such_thing", "NOTAKIND", "tenant"}}
	isTenant   = filterSort{good: []string{"alder"}, gone: []string{"no-such-thing", unknownTenant}}
	isRun      = filterSort{bad: []string{"no-such-thing", "UNKNOWN"}, gone: []string{"op_01890a5d-ac96-774b-bcce-b302099a8057"}}
	isStanding = filterSort{bad: []string{"no-such-thing", "UNKNOWN"}, gone: []string{"std_01890a5d-ac96-774b-bcce-b302099a8057"}}
	isPerson   = filterSort{good: []string{"bob", "BOB"}, bad: []string{"no-such-thing", "NOBODY", "prn_01890a5d-ac96-774b-bcce-b302099a8057"}}
	isSystem   = filterSort{good: []string{"main"}, bad: []string{"no-such-thing", "MAIN"}}
	isRevision = filterSort{bad: []string{"no-such-thing", "sha256:00", "no-such-thing@1"}}
	isAny      = filterSort{good: []string{"no-such-thing", "Ünknown"}}
	isLabel    = filterSort{good: []string{"no=such", "no="}, bad: []string{"no-such-thing", "=x"}}
)

const unknownTenant = "ten_01890a5d-ac96-774b-bcce-b302099a8057"

// filterSorts has the parameters of queries by their names, and with the route before
// it where the name alone would mislead.
var filterSorts = map[string]filterSort{
	"cursor": isCursor, "limit": isCount, "from": isMoment, "to": isMoment, "tenant": isTenant,
	"state": isWord, "severity": isWord, "finding": isWord, "kind": isWord, "audit.entries kind": isKind, "audit.entries index": isIndex, "audit.entries operation": isRun, "inbound.list operation": isRun, "inbound.list source": {good: []string{"clock"}, bad: []string{"no-such-thing"}},
	"all": isFlag, "closed": isFlag, "ended": isFlag, "open": isFlag, "overdue": isFlag, "published": isFlag, "released": isFlag, "unreviewed": isFlag, "unseen": isFlag, "waiting": isFlag, "waived": isFlag,
	"principal": isPerson, "reviewer": isPerson, "system": isSystem, "blueprint": isRevision, "name": isRevision, "standing": isStanding,
	"rows": isCount, "seconds": {good: []string{"1", "25"}, bad: isCount.bad}, "tables": isAny, "column": isAny, "system.scaffold name": isAny,
	"notice.list target": {bad: []string{"no-such-thing"}}, "inbound.list type": isAny, "inbound.list subject": isAny, "inbound.list reference": isAny,
	"notice.preview language": isAny, "notice.preview to": isAny, "tenant.list unused": isCount, "tenant.list after": isPlace, "tenant.list label": isLabel, "tenant.list tier": isAny, "blueprint.diff to": {gone: []string{"no-such-thing"}},
}

// TestEveryFilter: each parameter of each query takes what is right, written in one
// way. A value that nothing bears is said to be one, and is no empty list.
func TestEveryFilter(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	all := tenure.Scope{All: true}
	bob := signedIn(t, s, remote(t, srv), "bob", tenure.SecurityOfficer, all)
	_ = signedIn(t, s, remote(t, srv), "cleo", tenure.SecurityOfficer, all)
	review, err := client.StartCampaign.Call(t.Context(), bob, client.NewCampaignParams{Body: client.NewCampaign{
		Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewGrant}, Scope: all, Reviewers: []string{"bob", "cleo"}, Silence: tenure.ReviewKeep, DueAt: time.Now().Add(time.Hour),
	}})
	if err != nil {
		t.Fatal(err)
	}
	routes := queryRoutes(t, srv)
	routes = append(routes, queryRoute{documented: documented{ID: "event.watch", path: "/v1/events"}, params: []queryParam{{Name: "tenant", In: "query"}}})
	used := map[string]bool{}
	n := 0
	for _, d := range routes {
		at := strings.Replace(d.at(seen), unknownID("campaign"), string(review.ID), 1)
		for _, p := range d.params {
			name := d.ID + " " + p.Name
			sort, known := filterSorts[name]
			if !known {
				name = p.Name
				sort, known = filterSorts[name]
			}
			if used[name] = true; !known {
				t.Errorf("%s?%s: say in the test what it takes", d.ID, p.Name)
			}
			for _, v := range p.Schema.Enum {
				sort.good = append(slices.Clip(sort.good), fmt.Sprint(v))
			}
			ask := func(value string, want ...int) {
				n++
				code, _, body := do(t, srv.LocalHandler(), "GET", at+"?"+p.Name+"="+url.QueryEscape(value), "", tester)
				if !slices.Contains(want, code) {
					t.Errorf("%s?%s=%s: %d %.200s", d.ID, p.Name, value, code, body)
				}
			}
			missing := 0 // what the path names may not be there
			if strings.Contains(d.path, "{") && !strings.Contains(d.path, "{campaign}") {
				missing = 404
			}
			if !strings.HasSuffix(d.path, "/events") {
				for _, v := range sort.good {
					ask(v, 200, missing)
				}
			}
			for _, v := range append(slices.Clip(sort.bad), "") {
				ask(v, 400, missing)
			}
			for _, v := range sort.gone {
				ask(v, 404, missing)
			}
		}
	}
	for name := range filterSorts {
		if !used[name] {
			t.Errorf("no query has %s", name)
		}
	}
	if n < 500 {
		t.Errorf("only %d values were tried", n)
	}
}

// TestFiltersAreDocumented: docs/api.md has each list that can be narrowed, with what
// narrows it.
func TestFiltersAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string][]string{}
	word := regexp.MustCompile("`([a-z]+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| `GET (/v1/[^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(string(page), -1) {
		for _, name := range word.FindAllStringSubmatch(row[2], -1) {
			has[row[1]] = append(has[row[1]], name[1])
		}
		slices.Sort(has[row[1]])
	}
	want := map[string][]string{"/v1/events": {"tenant"}}
	for _, d := range queryRoutes(t, newServer(t, newService(t))) {
		for _, p := range d.params {
			if p.Name != "cursor" && p.Name != "limit" {
				want[d.path] = append(want[d.path], p.Name)
			}
		}
		slices.Sort(want[d.path])
	}
	delete(want, "/v1/events")
	delete(want, "/v1/blueprints/{blueprint}/diff")
	for path := range maps.Keys(has) {
		if want[path] == nil {
			t.Errorf("docs/api.md has filters of %s, which has none", path)
		}
	}
	for path, names := range want {
		if len(names) > 0 && !slices.Equal(has[path], names) {
			t.Errorf("docs/api.md has %v of %s, not %v", has[path], path, names)
		}
	}
}

// TestPersonsWhoMayBeKnown: who may read access learns that a filter names nobody; to
// others it says no more than an empty list.
func TestPersonsWhoMayBeKnown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	all := tenure.Scope{All: true}
	who := signedIn(t, s, remote(t, srv), "vera", tenure.Viewer, all)
	_ = signedIn(t, s, remote(t, srv), "bob", tenure.Viewer, all)
	for _, name := range []string{"bob", "nobody"} {
		list, err := client.ListElevations.Call(t.Context(), who, client.ElevationFilter{Principal: name})
		if err != nil || len(list.Items) > 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// TestKindsOfEntries: the kinds that a filter of the log knows are those that the
// program writes.
func TestKindsOfEntries(t *testing.T) {
	t.Parallel()
	kinds := audit.Kinds()
	if !slices.IsSorted(kinds) {
		t.Error("they aren't sorted")
	}
	written, texts := map[string]bool{}, map[string]bool{}
	note := func(e ast.Expr, into map[string]bool) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			into[text] = true
		}
	}
	for _, dir := range []string{"governance", "lifecycle", "engine", "store", "installation", "../evidence"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					note(n, texts)
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Entry", "entry", "record", "change", "reviewed", "keyCopy", "refuse"}, f.Sel.Name) {
						for _, arg := range n.Args[:min(len(n.Args), 8)] {
							note(arg, written)
						}
					}
				case *ast.CompositeLit:
					if of, ok := n.Type.(*ast.SelectorExpr); ok && of.Sel.Name == "Entry" {
						for _, e := range n.Elts {
							if kv, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(kv.Key) == "Kind" {
								note(kv.Value, written)
							}
						}
					}
				case *ast.AssignStmt:
					for i, left := range n.Lhs {
						if id, ok := left.(*ast.Ident); ok && id.Name == "kind" && i < len(n.Rhs) {
							note(n.Rhs[i], written)
						}
					}
				}
				return true
			})
		}
	}
	dotted := regexp.MustCompile(`^[a-z]+\.[a-z_.]*[a-z]$`)
	for kind := range written {
		if dotted.MatchString(kind) && !slices.Contains(kinds, kind) {
			t.Errorf("%s is written, and audit.Kinds lacks it", kind)
		}
	}
	for _, kind := range kinds {
		noun, what, _ := strings.Cut(kind, ".")
		if !texts[kind] && (!texts[noun+"."] || !texts[what]) {
			t.Errorf("%s is in audit.Kinds, and nothing writes it", kind)
		}
	}
}
