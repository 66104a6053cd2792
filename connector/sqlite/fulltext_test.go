package sqlite

import (
	"os"
	"strings"
	"testing"
)

// fullText is a text of each tenant's, indexed in each of FTS5's four forms, with
// triggers and without.
const fullText = `
create table doc (id integer primary key, tenant text, body text);
create virtual table plain using fts5 (body, content = 'doc', content_rowid = 'id');
create virtual table watched using fts5 (body, content=doc, content_rowid=id);
create virtual table own using fts5 (tenant unindexed, body);
create virtual table bare using fts5 (body, content='');
create virtual table light using fts5 (body, content='', contentless_delete=1);
create trigger doc_in after insert on doc begin
	insert into plain (rowid, body) values (new.id, new.body);
	insert into watched (rowid, body) values (new.id, new.body);
	insert into own (rowid, tenant, body) values (new.id, new.tenant, new.body);
	insert into bare (rowid, body) values (new.id, new.body);
	insert into light (rowid, body) values (new.id, new.body);
end;
create trigger doc_out after delete on doc begin
	insert into watched (watched, rowid, body) values ('delete', old.id, old.body);
	insert into bare (bare, rowid, body) values ('delete', old.id, old.body);
	delete from light where rowid = old.id;
end;
`

const fullTextRows = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 200)
insert into doc (tenant, body) select case when i % 2 then 'acme' else 'birch' end, case when i % 2 then 'unicorn' || i || ' common' else 'heron' || i || ' common' end from n;
`

// The words of what is erased stand in indexes too. An index that isn't told of it
// is corrupt for all tenants; one that merely hides them keeps them in the file.
func TestFullText(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, fullText)
	r := d.made(t, pool("tenant", "acme", map[string]any{"doc": "all", "own": "all"}))
	exec(t, w.shared, fullTextRows)
	raw := func() (n int) {
		for _, s := range append([]string{""}, sidecars[:]...) {
			body, _ := os.ReadFile(w.shared + s)
			n += strings.Count(string(body), "unicorn")
		}
		return n
	}
	if raw() == 0 {
		t.Fatal("the words aren't in the file at first")
	}
	d.erased(t, r, "all")
	for _, index := range []string{"plain", "watched", "own", "bare", "light"} {
		for word, want := range map[string]int{"common": 100, "heron2": 1, "unicorn1": 0} {
			if n := number(t, w.shared, "select count(*) from "+index+"('"+word+"')"); n != want {
				t.Errorf("%s finds %q %d times, want %d", index, word, n, want)
			}
		}
		exec(t, w.shared, "insert into "+index+" ("+index+") values ('integrity-check')")
	}
	if n := raw(); n != 0 {
		t.Errorf("words of the erased texts stand in the file %d times", n)
	}
	if n := number(t, w.shared, "select count(*) from doc where tenant = 'birch'"); n != 100 {
		t.Errorf("the neighbour has %d of 100 rows", n)
	}
}
