package postgres

import (
	"testing"
)

// TestRipples erases rows that neighbours' rows refer to, where the columns that
// become null are themselves referred to. A second row would change, or lose its
// tenant's key, and nobody was told.
func TestRipples(t *testing.T) {
	t.Parallel()
	const tpl = "create table tpl (id int primary key, tenant_key text, v text); "
	const fill = "insert into tpl values (1, 'acme', ''), (2, 'birch', ''); insert into page values (1, 'birch', 1), (2, 'birch', 2); insert into ref values (1, 'birch', 2); "
	one := func(more ...any) map[string]any {
		out := map[string]any{"tables": map[string]any{"tpl": "data", "page": "data", "ref": "data"}}
		for i := 0; i+1 < len(more); i += 2 {
			out[more[i].(string)] = more[i+1]
		}
		return out
	}
	for name, c := range map[string]struct{ page, ref string }{
		"on update cascade":     {"tpl int unique references tpl on delete set null", "tpl int references page (tpl) on update cascade"},
		"on update set null":    {"tpl int unique references tpl on delete set null", "tpl int references page (tpl) on update set null"},
		"on update set default": {"tpl int unique references tpl on delete set null", "tpl int default 2 references page (tpl) on update set default"},
		"on update no action":   {"tpl int unique references tpl on delete set null", "tpl int references page (tpl)"},
		"the tenant column too": {"tpl int references tpl on delete set null, unique (tenant_key, tpl)", "tpl int, foreign key (tenant_key, tpl) references page (tenant_key, tpl) on update set null"},
		"a default":             {"tpl int unique default 9 references tpl on delete set default", "tpl int references page (tpl) on update cascade"},
		"detached":              {"tpl int unique references tpl", "tpl int references page (tpl) on update cascade"},
	} {
		ddl := tpl + "create table page (id int primary key, tenant_key text, " + c.page + "); create table ref (id int primary key, tenant_key text, " + c.ref + ")"
		with := one()
		if name == "detached" {
			with = one("links", map[string]any{"page.tpl": "detach"})
		}
		fill := fill
		left := []string{"page: (1,birch,)", "page: (2,birch,2)", "ref: (1,birch,2)", "tpl: (2,birch,\"\")"}
		if name == "a default" {
			fill += "insert into tpl values (9, 'birch', ''); "
			left = []string{"page: (1,birch,9)", "page: (2,birch,2)", "ref: (1,birch,2)", "tpl: (2,birch,\"\")", "tpl: (9,birch,\"\")"}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reach{ddl: ddl, with: with, fill: fill + "insert into ref values (2, 'birch', 1)", blocks: "would change with them"}.run(t)
		})
		t.Run(name+", of no row", func(t *testing.T) {
			t.Parallel()
			reach{ddl: ddl, with: with, fill: fill, refers: map[string]int64{"s.page.tpl": 1}, left: left}.run(t)
		})
	}
	t.Run("rows of a later class", func(t *testing.T) {
		t.Parallel()
		reach{
			ddl:  tpl + "create table page (id int primary key, tenant_key text, tpl int references tpl on delete set null, unique (tenant_key, tpl)); create table ref (id int primary key, tenant_key text, tpl int, foreign key (tenant_key, tpl) references page (tenant_key, tpl) on update set null)",
			with: map[string]any{"tables": map[string]any{"tpl": "aa", "page": "bb", "ref": "bb"}}, order: []string{"aa", "bb"},
			blocks: "rows of s.ref refer to columns of s.page that change", planned: true,
		}.run(t)
	})
	t.Run("a cycle", func(t *testing.T) {
		t.Parallel()
		reach{
			ddl:    "create table a (id int primary key, tenant_key text, b int unique); create table b (id int primary key, tenant_key text, a int not null references a); alter table a add foreign key (b) references b; create table k (id int primary key, tenant_key text, b int references a (b) on update cascade on delete set null)",
			with:   map[string]any{"tables": map[string]any{"a": "data", "b": "data", "k": "data"}},
			blocks: "since s.k.b refers to it", planned: true,
		}.run(t)
	})
	t.Run("a reference to its own table", func(t *testing.T) {
		t.Parallel()
		reach{
			ddl:    tpl + "create table page (id int primary key, tenant_key text, tpl int unique references tpl on delete set null, like_page int references page (tpl) on update cascade)",
			with:   map[string]any{"tables": map[string]any{"tpl": "data", "page": "data"}},
			fill:   "insert into tpl values (1, 'acme', ''), (2, 'birch', ''); insert into page values (1, 'birch', 1, null), (2, 'birch', 2, 1)",
			blocks: "would change with them",
		}.run(t)
	})
}
