package survey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/survey"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func seen(name string, traces ...connector.Trace) survey.Seen {
	info := connector.Info{Name: "test", Types: []tenure.ResourceType{
		{Name: "schema", Cost: []tenure.CostTerm{{Metric: "bytes", Per: 1 << 30, Price: "gigabyte"}}},
		{Name: "user", Cost: []tenure.CostTerm{{Metric: "one", Price: "seat"}}},
	}}
	for i := range traces {
		if traces[i].ID == "" {
			traces[i].ID = traces[i].Word + ":" + traces[i].Name
		}
	}
	return survey.Seen{Source: survey.Source{Name: name, Info: info, Currency: "EUR", Prices: map[string]int64{"gigabyte": 10, "seat": 500}}, Traces: traces}
}

func record(key, name, domain, status string) connector.Trace {
	return connector.Trace{Kind: connector.TraceRecord, Word: "customer", Name: key, In: "table:customers", Called: []string{name}, Mails: []string{domain}, Labels: map[string]string{"status": status}, Disabled: status == "closed"}
}

func schema(name string, gigabytes int64) connector.Trace {
	return connector.Trace{Kind: connector.TracePlace, Type: "schema", Word: "schema", Name: name, Bytes: gigabytes << 30}
}

func user(name, mail string, reaches ...string) connector.Trace {
	return connector.Trace{Kind: connector.TraceAccount, Type: "user", Word: "user", Name: name, Mails: []string{mail}, Reaches: reaches}
}

// platform is one that was run by hand: a database with a list of customers, schemas named
// after them, and shared tables; a directory; a place for dumps.
func platform() []survey.Seen {
	orders := func(key string, n int64) connector.Trace {
		return connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "rows:" + key, In: "table:orders", Rows: n}
	}
	role := func(name string, reaches ...string) connector.Trace {
		return connector.Trace{Kind: connector.TraceAccount, Word: "role", Name: name, Reaches: reaches}
	}
	dormant := user("kim@birch.example", "kim@birch.example")
	dormant.Used = now.AddDate(0, 0, -100)
	dump := connector.Trace{Kind: connector.TraceCopy, Word: "object", Name: "dumps/elm-2025.sql.gz", Bytes: 5}
	open := connector.Trace{Kind: connector.TracePlace, Word: "bucket", Name: "cedar-files", Open: "everybody may read it"}
	return []survey.Seen{
		seen("main",
			connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "customers", Labels: map[string]string{"tenants": "list"}},
			connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "orders"},
			connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "visits", Labels: map[string]string{"tenants": "none"}},
			record("1", "Acme Ltd", "acme.example", "active"), record("2", "Birch", "birch.example", "active"), record("3", "Cedar", "cedar.example", "active"),
			record("4", "Dogwood", "dogwood.example", "active"), record("5", "Elm", "elm.example", "closed"),
			schema("t_acme", 1), schema("t_birch", 1), schema("t_cedar", 1), schema("t_elm", 3), schema("t_zeta", 2), schema("reporting", 1),
			orders("1", 10), orders("2", 20), orders("3", 30), orders("4", 40), orders("9", 90), orders("", 7),
			role("t_acme_app", "schema:t_acme"), role("t_birch_app", "schema:t_birch", "role:readers"), role("t_cedar_app", "schema:t_cedar"),
			role("exchange", "schema:t_acme", "table:orders"), role("helpdesk", "role:everyone"), role("once", "schema:t_acme"), role("t_elsewhere_app", "schema:t_acme", "schema:t_cedar"),
			connector.Trace{Kind: connector.TraceGroup, Word: "role", Name: "everyone", All: "it is a member of pg_read_all_data"},
			connector.Trace{Kind: connector.TraceGroup, Word: "role", Name: "makers", Reaches: []string{"schema:t_acme", "schema:t_birch"}},
			connector.Trace{Kind: connector.TraceGroup, Word: "role", Name: "readers", Reaches: []string{"schema:t_cedar"}},
		),
		seen("directory", user("ann@acme.example", "ann@acme.example"), dormant, user("lee@cedar.example", "lee@cedar.example"), user("max@elm.example", "max@elm.example"),
			user("op@platform.example", "op@platform.example"), user("who@nowhere.example", "who@nowhere.example"), user("joe@gmail.com", "joe@gmail.com")),
		seen("files", dump, open),
	}
}

func TestMapOfAPlatformRunByHand(t *testing.T) {
	r := survey.Map(platform(), survey.Ask{Now: now, Own: []string{"platform.example"}})

	var tenants []string
	for _, x := range r.Tenants {
		things := make([]string, len(x.Things))
		for i, thing := range x.Things {
			things[i] = thing.System + " " + thing.Word + " " + thing.Name
		}
		tenants = append(tenants, x.Name+": "+strings.Join(things, ", "))
	}
	same(t, "tenants", tenants, []string{
		"9: main rows 9",
		"Acme Ltd: directory user ann@acme.example, main role t_acme_app, main schema t_acme, main customer 1, main rows 1",
		"Birch: directory user kim@birch.example, main role t_birch_app, main schema t_birch, main customer 2, main rows 2",
		"Cedar: directory user lee@cedar.example, files bucket cedar-files, main role t_cedar_app, main schema t_cedar, main customer 3, main rows 3",
		"Dogwood: main customer 4, main rows 4",
		"Elm: directory user max@elm.example, files object dumps/elm-2025.sql.gz, main schema t_elm, main customer 5",
		"zeta: main schema t_zeta",
	})
	var findings []string
	for _, f := range r.Findings {
		findings = append(findings, fmt.Sprintf("%s %s: %s %s %s (%d)", f.Kind, f.Tenant, f.System, f.Word, f.Name, f.Cost))
	}
	same(t, "findings", findings, []string{
		"ghost Elm: directory user max@elm.example (500)",
		"crossing Birch: main role t_birch_app (0)",
		"wide : main role exchange (0)",
		"wide : main role helpdesk (0)",
		"wide : main role t_elsewhere_app (0)",
		"wide : main role makers (0)",
		"open Cedar: files bucket cedar-files (0)",
		"residue Elm: main schema t_elm (30)",
		"outlives Elm: files object dumps/elm-2025.sql.gz (0)",
		"orphan : directory user joe@gmail.com (500)",
		"orphan : directory user who@nowhere.example (500)",
		"orphan 9: main rows 9 (0)",
		"orphan zeta: main schema t_zeta (20)",
		"uncovered : main rows  (0)",
		"uncovered : main table visits (0)",
		"unused Birch: directory tenant Birch (510)",
		"dormant Birch: directory user kim@birch.example (0)",
	})
	if got := r.Waste["EUR"]; got != 1550 {
		t.Errorf("waste is %d, want 1550", got)
	}
	lacks := map[string][]string{}
	for _, x := range r.Tenants {
		if len(x.Lacks) > 0 {
			lacks[x.Name] = x.Lacks
		}
	}
	same(t, "lacks of Dogwood", lacks["Dogwood"], []string{
		"role in main: missing; 3 of 4 tenants have one",
		"schema in main: missing; 3 of 4 tenants have one",
		"user in directory: missing; 3 of 4 tenants have one",
	})
	if len(lacks) != 1 {
		t.Errorf("these lack something: %q", lacks)
	}
}

// TestMapSaysWhatWasntSeen: where a look wasn't whole, what a tenant lacks may only not have
// been seen.
func TestMapSaysWhatWasntSeen(t *testing.T) {
	all := platform()
	all[1].Says = []string{"the server gave 500 entries and no more"}
	for _, x := range survey.Map(all, survey.Ask{Now: now}).Tenants {
		for _, lack := range x.Lacks {
			if strings.HasPrefix(lack, "user in directory") && !strings.Contains(lack, "not seen, but not all of directory was read") {
				t.Errorf("%s: %q", x.Name, lack)
			}
		}
	}
}

// TestMapContested: what two tenants could claim is nobody's.
func TestMapContested(t *testing.T) {
	both := connector.Trace{Kind: connector.TracePlace, Word: "bucket", Name: "acme-birch-exchange"}
	r := survey.Map([]survey.Seen{seen("main", record("1", "Acme", "acme.example", ""), record("2", "Birch", "birch.example", "")), seen("files", both)}, survey.Ask{Now: now})
	if len(r.Findings) != 1 || r.Findings[0].Kind != survey.Contested {
		t.Errorf("found %+v, want the bucket contested", r.Findings)
	}
	if len(r.Shared) != 1 {
		t.Errorf("nobody's are %+v, want the bucket", r.Shared)
	}
}

// TestMapTellsKeysApart: a short number is a key of one list in one system, and no other's.
func TestMapTellsKeysApart(t *testing.T) {
	entry := func(list, key, name string) connector.Trace {
		return connector.Trace{Kind: connector.TraceRecord, Word: "row", Name: key, ID: "row:" + key + "@" + list, In: list, Called: []string{name}}
	}
	rows := func(table, list, key string) connector.Trace {
		one := connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "rows:" + key + "@" + table, In: table, Rows: 1}
		if list != "" {
			one.Owners = []string{"row:" + key + "@" + list}
		}
		return one
	}
	staff := user("ann@acme.example", "ann@acme.example")
	staff.Owners, staff.Labels = []string{"row:9@customers"}, map[string]string{"tenant": "9"}
	birch := entry("customers", "2", "Birch")
	birch.ExternalIDs = []string{"7"}
	acme := entry("customers", "1", "Acme")
	acme.Mails = []string{"acme.example"}
	r := survey.Map([]survey.Seen{
		seen("main", acme, birch, entry("partners", "1", "Nova"), entry("partners", "7", "Terra"),
			rows("orders", "customers", "1"), rows("orders", "customers", "9"), rows("deals", "partners", "1"), rows("deals", "partners", "7"), rows("notes", "", "1"), staff),
		seen("other", entry("customers", "1", "Ash"), rows("orders", "customers", "1"), rows("orders", "customers", "9")),
	}, survey.Ask{Now: now})
	var got []string
	for _, x := range r.Tenants {
		for _, thing := range x.Things {
			if thing.Kind != string(connector.TraceRecord) {
				got = append(got, x.Name+": "+thing.System+" "+thing.Name+" "+thing.Kind)
			}
		}
	}
	slices.Sort(got)
	same(t, "things", got, []string{
		"9: main 9 rows", "9: main ann@acme.example account", "9: other 9 rows",
		"Acme: main 1 rows", "Ash: other 1 rows", "Nova: main 1 rows", "Terra: main 7 rows",
	})
	if len(r.Tenants) != 7 {
		t.Errorf("%d tenants, want the five that are listed and two that aren't", len(r.Tenants))
	}
	if len(r.Shared) != 1 || r.Shared[0].Name != "1" {
		t.Errorf("nobody's are %+v, want the rows of which nothing tells to which list their key belongs", r.Shared)
	}
}

// TestMapOfWhoIsSuspended: a customer that is shut out hasn't left.
func TestMapOfWhoIsSuspended(t *testing.T) {
	one := record("1", "Acme", "acme.example", "suspended")
	one.Disabled = true
	r := survey.Map([]survey.Seen{seen("main", one, schema("acme", 1))}, survey.Ask{Now: now})
	if r.Tenants[0].Left || r.Tenants[0].Status != "suspended" || len(r.Findings) > 0 {
		t.Errorf("%+v, findings %+v", r.Tenants[0], r.Findings)
	}
}

// TestMapWithoutAList: places that are named alike are tenants where nothing lists any.
func TestMapWithoutAList(t *testing.T) {
	r := survey.Map([]survey.Seen{seen("main", schema("tenant_acme", 1), schema("tenant_birch", 1), schema("tenant_cedar", 1), schema("public", 1)),
		seen("files", connector.Trace{Kind: connector.TracePlace, Word: "bucket", Name: "acme"})}, survey.Ask{Now: now})
	var got []string
	for _, x := range r.Tenants {
		got = append(got, fmt.Sprint(x.Name, " ", len(x.Things)))
	}
	same(t, "tenants", got, []string{"acme 2", "birch 1", "cedar 1"})
	for _, f := range r.Findings {
		if f.Kind == survey.Orphan {
			t.Errorf("%+v: nothing lists tenants, so nothing is an orphan", f)
		}
	}
}

// TestMapOfLooseFiles: a file at the top that is named after a customer is the customer's; what
// a platform calls its folders, and a file of no customer's, is nobody's tenant. Objects of a
// customer's own bucket aren't told one by one.
func TestMapOfLooseFiles(t *testing.T) {
	place := func(word, name, in string) connector.Trace {
		return connector.Trace{Kind: connector.TracePlace, Word: word, Name: name, In: in}
	}
	for _, listed := range []bool{true, false} {
		systems := []survey.Seen{
			seen("folder", place("folder", "t_acme", ""), place("folder", "t_birch", ""), place("folder", "t_cedar", ""), place("folder", "t_documents", ""), place("folder", "bucket", ""),
				place("folder", "document", ""), place("folder", "backups", ""), place("file", "export-cedar.zip", ""), place("file", "read-me.md", ""), place("file", "to-do.md", ""), place("file", "to-read.md", "")),
			seen("files", place("bucket", "acme", ""), place("object", "acme/one.txt", "bucket:acme"), place("bucket", "exports", ""), place("object", "exports/acme-customers.csv", "bucket:exports"))}
		if listed {
			systems = append(systems, seen("main", record("1", "Acme", "acme.example", "active"), record("2", "Birch", "birch.example", "active"), record("3", "Cedar", "cedar.example", "active")))
		}
		r := survey.Map(systems, survey.Ask{Now: now})
		var got []string
		for _, x := range r.Tenants {
			for _, thing := range x.Things {
				if thing.System != "main" {
					got = append(got, strings.ToLower(x.Name)+" "+thing.Word+" "+thing.Name)
				}
			}
		}
		slices.Sort(got)
		same(t, fmt.Sprintf("things (with a list: %t)", listed), got, []string{"acme bucket acme", "acme folder t_acme", "acme object exports/acme-customers.csv", "birch folder t_birch", "cedar file export-cedar.zip", "cedar folder t_cedar"})
		if len(r.Tenants) != 3 || len(r.Findings) > 0 {
			t.Errorf("%d tenants, findings %+v", len(r.Tenants), r.Findings)
		}
	}
}

// TestMapTenThousand: a map of 10,000 tenants with ten things each is made in seconds, and
// gives each thing to its own.
func TestMapTenThousand(t *testing.T) {
	const tenants = 10000
	main, far := []connector.Trace{{Kind: connector.TraceTable, Word: "table", Name: "customers"}}, []connector.Trace{}
	name := func(i int) string { return fmt.Sprintf("customer%05d", i) }
	for i := range tenants {
		main = append(main, record(fmt.Sprint(i), name(i), name(i)+".example", "active"))
	}
	for i := range tenants {
		main = append(main, schema("t_"+name(i), 1))
		for n := range 4 {
			main = append(main, connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: fmt.Sprint(i), ID: fmt.Sprintf("rows:%d:%d", n, i), In: fmt.Sprint("table:", n), Rows: 1})
		}
		for n := range 4 {
			far = append(far, user(fmt.Sprintf("u%d-%d", i, n), fmt.Sprintf("u%d@%s.example", n, name(i))))
		}
	}
	start := time.Now()
	r := survey.Map([]survey.Seen{seen("main", main...), seen("directory", far...)}, survey.Ask{Now: now})
	took := time.Since(start)
	for _, x := range r.Tenants {
		if len(x.Things) != 10 {
			t.Fatalf("%s has %d things, want 10", x.Name, len(x.Things))
		}
	}
	if len(r.Tenants) != tenants || len(r.Findings) > 0 {
		t.Errorf("%d tenants and %d findings", len(r.Tenants), len(r.Findings))
	}
	if took > 30*time.Second {
		t.Errorf("the map took %s", took)
	}
	var page strings.Builder
	if err := r.HTML(&page); err != nil || page.Len() > 4<<20 || !strings.Contains(page.String(), "500 of 10000 are shown") {
		t.Errorf("the page takes %d bytes, error %v; want one that a browser bears, and that says what it leaves out", page.Len(), err)
	}
	t.Logf("%d tenants with 10 things each: %s", tenants, took.Round(time.Millisecond))
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// TestMapOfWideAccounts: what reaches several tenants' things and is nobody's is told, with
// what it reaches and through what. The application's own is a fact of low severity, another
// beside it, or one that owns none of the tables, isn't.
func TestMapOfWideAccounts(t *testing.T) {
	t.Parallel()
	role := func(name string, reaches ...string) connector.Trace {
		return connector.Trace{Kind: connector.TraceAccount, Word: "role", Name: name, Reaches: reaches}
	}
	rows := func(key string) connector.Trace {
		return connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "rows:" + key, In: "table:orders", Rows: 3}
	}
	orders := func(labels map[string]string) connector.Trace {
		return connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "orders", Labels: labels}
	}
	owned := map[string]string{"owner": "role:app"}
	guarded := map[string]string{"owner": "role:app", "row security": "true"}
	bypass := role("sync", "table:orders")
	bypass.Labels = map[string]string{"bypassrls": "true"}
	shut := role("old", "table:orders")
	shut.Disabled = true
	boss := role("boss")
	boss.All = "it is a superuser"
	const reach = "it reaches 2 things of 2 tenants (Acme, Birch): it has rights on table orders"
	const lone = "it owns tables and is the only such account here, as the application's own would be"
	for name, c := range map[string]struct {
		traces []connector.Trace
		want   []string
	}{
		"the owner alone":               {[]connector.Trace{orders(owned), role("app", "table:orders"), shut}, []string{"app low: " + reach + "; " + lone}},
		"the owner's member":            {[]connector.Trace{orders(map[string]string{"owner": "role:makers"}), role("app", "role:makers"), {Kind: connector.TraceGroup, Word: "role", Name: "makers", Reaches: []string{"table:orders"}}}, []string{"app low: " + reach + ", and is in role makers; " + lone}},
		"another beside it":             {[]connector.Trace{orders(owned), role("app", "table:orders"), role("sync", "table:orders")}, []string{"app: " + reach, "sync: " + reach}},
		"one that owns nothing":         {[]connector.Trace{orders(owned), role("sync", "table:orders")}, []string{"sync: " + reach}},
		"a superuser beside it":         {[]connector.Trace{orders(owned), role("app", "table:orders"), boss}, []string{"boss: it reaches 2 things of 2 tenants (Acme, Birch): it is a superuser", "app low: " + reach + "; " + lone}},
		"row security, and a bypass":    {[]connector.Trace{orders(guarded), role("app", "table:orders"), bypass}, []string{"app: " + reach + "; row security may hide rows from it", "sync: " + reach + "; it bypasses their row security"}},
		"owners aren't told":            {[]connector.Trace{orders(nil), role("app", "table:orders")}, []string{"app low: " + reach + "; it is the only such account here, as the application's own would be"}},
		"one tenant's things, its name": {[]connector.Trace{orders(owned), schema("acme", 1), role("sync", "schema:acme")}, nil},
	} {
		main := append([]connector.Trace{record("1", "Acme", "acme.example", "active"), record("2", "Birch", "birch.example", "active"), rows("1"), rows("2")}, c.traces...)
		var got []string
		for _, f := range survey.Map([]survey.Seen{seen("main", main...)}, survey.Ask{Now: now}).Findings {
			low := ""
			if f.Low {
				low = " low"
			}
			if f.Kind != survey.Dormant {
				got = append(got, f.Name+low+": "+f.Says)
			}
		}
		same(t, name, got, c.want)
	}
	mine := role("acme_app")
	mine.All = "it is a superuser"
	r := survey.Map([]survey.Seen{seen("main", record("1", "Acme", "acme.example", "active"), record("2", "Birch", "birch.example", "active"), mine)}, survey.Ask{Now: now})
	if len(r.Findings) != 1 || r.Findings[0].Kind != survey.Crossing {
		t.Errorf("%+v; a tenant's superuser crosses", r.Findings)
	}
}

// TestMapOfExpired: a customer that stands as active after its trial or contract ended is
// told; one that left, is shut out, or has time left isn't.
func TestMapOfExpired(t *testing.T) {
	t.Parallel()
	entry := func(key, name, status string, days int) connector.Trace {
		one := record(key, name, name+".example", status)
		one.Disabled = status != "active"
		if days != 0 {
			one.Expires = now.AddDate(0, 0, days)
		}
		return one
	}
	r := survey.Map([]survey.Seen{seen("main", entry("1", "acme", "active", -40), entry("2", "birch", "active", 40), entry("3", "cedar", "closed", -40), entry("4", "dogwood", "suspended", -40), entry("5", "elm", "active", 0))}, survey.Ask{Now: now})
	if len(r.Findings) != 1 || r.Findings[0].Kind != survey.Expired || r.Findings[0].Tenant != "acme" || r.Findings[0].Says != "its trial or contract ended on 2026-10-20, 40 days ago, and its status is active" {
		t.Errorf("%+v", r.Findings)
	}
}

// TestMapOfPlacesNamedByKeys: a key that is the name of a folder or a schema names its tenant
// for sure; a short number does only where those beside it are named so, and what stands in
// such a place is told apart from what belongs to somebody.
func TestMapOfPlacesNamedByKeys(t *testing.T) {
	t.Parallel()
	const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
	folder := func(name, in string) connector.Trace {
		return connector.Trace{Kind: connector.TracePlace, Word: "folder", Name: name, ID: "folder:" + name, In: in}
	}
	owned := connector.Trace{Kind: connector.TracePlace, Word: "bucket", Name: "pictures", Owners: []string{"folder:7"}}
	for _, numbers := range []bool{true, false} {
		far := []connector.Trace{folder(id, ""), folder("t_"+strings.ReplaceAll(id, "-", "_"), ""), folder("ac-1", ""), folder("7", ""), folder("docs", "folder:7"), owned}
		if numbers {
			far = append(far, folder("8", ""), folder("9", ""))
		}
		r := survey.Map([]survey.Seen{
			seen("main", record(id, "Acme", "acme.example", ""), record("ac-1", "Birch", "birch.example", ""), record("7", "Cedar", "cedar.example", ""), record("8", "Dogwood", "dogwood.example", ""), record("9", "Elm", "elm.example", "")),
			seen("files", far...)}, survey.Ask{Now: now})
		var got []string
		for _, x := range r.Tenants {
			for _, thing := range x.Things {
				if thing.System == "files" && (thing.Confidence == tenure.Strong) {
					got = append(got, x.Name+": "+thing.Name+": "+thing.Reason)
				}
			}
		}
		want := []string{"Acme: " + id + ": it is named by the key " + id, "Acme: t_" + strings.ReplaceAll(id, "-", "_") + ": it is named by the key " + id, "Birch: ac-1: it is named by the key ac-1"}
		if numbers {
			want = append(want, "Cedar: 7: it is named by the key 7", "Cedar: docs: it is in folder 7", "Cedar: pictures: it belongs to folder 7", "Dogwood: 8: it is named by the key 8", "Elm: 9: it is named by the key 9")
		}
		same(t, fmt.Sprintf("with numbers beside it: %t", numbers), got, want)
	}
}

// TestMapOfMixedTenancy: where some tenants have a schema of their own and the others' rows
// are in shared tables, each is compared with its like: nobody lacks what only the others
// have. What no thing of a kind has is said once, and is no tenant's lack.
func TestMapOfMixedTenancy(t *testing.T) {
	t.Parallel()
	var main, far []connector.Trace
	role := func(name string, lacks ...string) connector.Trace {
		return connector.Trace{Kind: connector.TraceAccount, Word: "role", Name: name, Lacks: lacks}
	}
	for i, name := range []string{"acme", "birch", "cedar", "dogwood", "elm", "fir", "gorse", "hazel"} {
		key := fmt.Sprint(i + 1)
		main = append(main, record(key, name, name+".example", "active"))
		switch {
		case i < 4:
			main = append(main, schema("t_"+name, 1))
			if lacks := []string{"a password", "a connection limit"}[:1+i%2]; i != 3 {
				main = append(main, role("t_"+name+"_app", lacks...))
			}
		default:
			main = append(main, connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "orders:" + key, In: "table:orders", Rows: 1})
			if i != 4 {
				main = append(main, connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "notes:" + key, In: "table:notes", Rows: 1})
			}
		}
		if i != 5 {
			far = append(far, user("x@"+name+".example", "x@"+name+".example"))
		}
	}
	main = append(main, connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "orders"}, connector.Trace{Kind: connector.TraceTable, Word: "table", Name: "notes"}, record("9", "ivy", "ivy.example", "active"))
	r := survey.Map([]survey.Seen{seen("main", main...), seen("directory", far...)}, survey.Ask{Now: now})
	var got []string
	for _, x := range r.Tenants {
		for _, lack := range x.Lacks {
			got = append(got, x.Name+": "+lack)
		}
	}
	same(t, "lacks", got, []string{
		"birch: role t_birch_app in main has no connection limit",
		"dogwood: role in main: missing; 3 of 4 tenants with a place of their own have one",
		"elm: rows in table notes in main: missing; 3 of 4 tenants in shared tables have one",
		"fir: user in directory: missing; 3 of 4 tenants in shared tables have one",
		"ivy: user in directory: missing; 7 of 9 tenants have one",
	})
	same(t, "without", r.Without, []string{"none of 3 tenants' things of the kind role in main has a password"})
}

// TestMapOfOwnPlaces: who has a schema of its own lacks no rows in shared tables, also where
// the others with a schema have some.
func TestMapOfOwnPlaces(t *testing.T) {
	t.Parallel()
	main := []connector.Trace{{Kind: connector.TraceTable, Word: "table", Name: "orders"}}
	for i, name := range []string{"acme", "birch", "cedar", "dogwood"} {
		key := fmt.Sprint(i + 1)
		main = append(main, record(key, name, name+".example", "active"), schema("t_"+name, 1))
		if i < 3 {
			main = append(main, connector.Trace{Kind: connector.TraceRows, Word: "rows", Name: key, ID: "rows:" + key, In: "table:orders", Rows: 1})
		}
	}
	r := survey.Map([]survey.Seen{seen("main", main...)}, survey.Ask{Now: now})
	for _, x := range r.Tenants {
		if len(x.Lacks) > 0 || len(r.Tenants) != 4 {
			t.Errorf("%s lacks %q", x.Name, x.Lacks)
		}
	}
}
