package mysql

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// A draft and a scan rest on what these say: a table or a reference that is left out is
// one that nobody decides on.
func TestCatalogueAndSample(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.exec(t, `create table %[1]s.people (id int auto_increment primary key, tenant varchar(40) not null, email varchar(200), born date, photo blob, mood enum('sad','glad'), extra json, phone bigint, rare text);
create table %[1]s.visits (id int primary key, person int not null, foreign key (person) references %[1]s.people (id) on delete cascade);
insert into %[1]s.people (tenant, email, born, photo, mood, extra, phone) select 'acme', concat('p', seq, '@b.example'), '1980-02-03', 'xx', 'glad', '{"a":{"email":"q@b.example"}}', 4930123456 from %[1]s.seq_1_to_500;
insert into %[1]s.people (tenant, rare) values ('acme', 'here'); insert into %[1]s.people (tenant, email) select 'birch', 'z@b.example' from %[1]s.seq_1_to_300`, quote(w.app))
	d := w.opened(t, nil)
	c, err := d.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(c.Tables, func(i connector.TableInfo) bool { return i.String() == w.app+".people" })
	if at < 0 || !c.Tables[at].Has("born") || c.Tables[at].Closed != "" || !slices.Equal(c.Tables[at].Key, []string{"id"}) {
		t.Fatalf("people isn't as it is: %+v", c.Tables)
	}
	if !slices.ContainsFunc(c.Links, func(l connector.LinkInfo) bool {
		return l.Child == w.app+".visits" && l.Parent == w.app+".people" && l.OnDelete == "cascade"
	}) {
		t.Errorf("the reference isn't there: %+v", c.Links)
	}
	if slices.ContainsFunc(c.Tables, func(i connector.TableInfo) bool { return i.Schema == w.keep }) {
		t.Error("what Tenure keeps is listed")
	}
	got := map[string]connector.ColumnSample{}
	partial, err := d.Sample(t.Context(), connector.Sampling{Tables: []string{w.app + ".people"}, Rows: 100, For: time.Minute}, func(s connector.ColumnSample) error {
		got[s.Column.Name] = s
		return nil
	})
	if err != nil || partial != "" {
		t.Fatal(err, partial)
	}
	for name, want := range map[string]string{"email": "@b.example", "born": "1980-02-03", "extra": `"email"`, "phone": "4930123456", "rare": "here"} {
		if s := got[name]; !s.Read || len(s.Values) == 0 || !strings.Contains(strings.Join(s.Values, " "), want) {
			t.Errorf("%s wasn't read: %+v", name, s)
		}
	}
	if v := got["tenant"].Values; len(v) != 100 || !slices.Contains(v, "acme") || !slices.Contains(v, "birch") {
		t.Errorf("the first and the last rows are to be looked at, and no more than were asked for: %d", len(v))
	}
	for _, name := range []string{"photo", "mood"} {
		if s := got[name]; s.Read || s.Says == "" || len(s.Values) > 0 {
			t.Errorf("%s was read: %+v", name, s)
		}
	}
	if _, err := d.Sample(t.Context(), connector.Sampling{Tables: []string{"nothing"}, Rows: 1}, nil); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a table that isn't there: %v", err)
	}
}
