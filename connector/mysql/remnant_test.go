package mysql

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func sees(t *testing.T, d *Driver, kind tenure.RemnantKind, refs ...connector.Ref) (says []string) {
	t.Helper()
	all, err := d.Remnants(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Kind == kind {
			says = append(says, r.Says)
		}
	}
	return says
}

// What an erasure leaves in the files of shared tables is said, and goes by the steps that
// are for it.
func TestRemnants(t *testing.T) {
	w := openWorld(t)
	d := w.opened(t, nil)
	const token = "Remnant Of A Person"
	w.exec(t, "create table %s (id int auto_increment primary key, tenant varchar(40), name varchar(80), key (name))", quote(w.app, "people"))
	r := made(t, d, w.pool("acme", "acme", map[string]string{"people": "all"}))
	for i := range 30 {
		w.exec(t, "insert into %s (tenant, name) values ('acme', '"+token+" "+strings.Repeat("x", i)+"'), ('birch', 'neighbour')", quote(w.app, "people"))
	}
	w.exec(t, "analyze table %s persistent for all", quote(w.app, "people"))
	reader, err := w.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRow("select count(*) from " + quote(w.app, "people")).Scan(&n); err != nil || n != 60 {
		t.Fatal(n, err)
	}
	erased(t, d, r, "all")
	if says := sees(t, d, tenure.RemnantRows, r); len(says) == 0 {
		t.Error("an older transaction keeps old versions, and nothing is said of them")
	}
	if says := sees(t, d, tenure.RemnantStatistics, r); len(says) != 1 {
		t.Errorf("the optimizer's samples: %q", says)
	}
	if says := sees(t, d, tenure.RemnantSpace, r); len(says) == 0 {
		t.Error("nothing is said of free pages")
	}
	_, err = d.Clean(t.Context(), []connector.Ref{r}, tenure.RemnantRows)
	refusedBy(t, "an older transaction", err, tenure.Unavailable, "process ")
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []tenure.RemnantKind{tenure.RemnantRows, tenure.RemnantSpace, tenure.RemnantStatistics} {
		if _, err := d.Clean(t.Context(), []connector.Ref{r}, kind); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	var samples int
	if err := w.db.QueryRow("select count(*) from mysql.column_stats where db_name = '" + w.app + "' and (min_value like '%" + token + "%' or max_value like '%" + token + "%')").Scan(&samples); err != nil || samples != 0 {
		t.Errorf("%d samples have the values, %v", samples, err)
	}
	var dir string
	if err := w.db.QueryRow("select @@datadir").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "flush tables %s for export", quote(w.app, "people"))
	w.exec(t, "unlock tables")
	files, err := filepath.Glob(filepath.Join(dir, "*app", "people.ibd"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if !strings.Contains(f, strings.TrimSuffix(w.token, "_")) {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), token) || !strings.Contains(string(b), "neighbour") {
			t.Errorf("the table's file has the person's bytes %v, the neighbour's %v", strings.Contains(string(b), token), strings.Contains(string(b), "neighbour"))
		}
	}
	if err := w.db.QueryRow("select count(*) from " + quote(w.app, "people") + " where tenant = 'birch'").Scan(&n); err != nil || n != 30 {
		t.Errorf("the neighbour has %d rows, %v", n, err)
	}
	_, err = d.Clean(t.Context(), []connector.Ref{r}, tenure.RemnantQueries)
	refusedBy(t, "a kind that nothing can be done about", err, tenure.Invalid)
	kinds := []tenure.RemnantKind{}
	all, err := d.Remnants(t.Context(), []connector.Ref{r})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		kinds = append(kinds, r.Kind)
		if _, known := Info().Remnant(r.Kind); !known || r.Says == "" {
			t.Errorf("%+v isn't of a kind that the page lists, or says nothing", r)
		}
	}
	for _, want := range []tenure.RemnantKind{tenure.RemnantLog, tenure.RemnantQueries, tenure.RemnantSnapshots} {
		if !slices.Contains(kinds, want) {
			t.Errorf("nothing is said of %s: %v", want, kinds)
		}
	}
}
