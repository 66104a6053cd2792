package postgres

import (
	"fmt"
	"strings"
	"testing"
)

// TestReadsCode: a target that isn't read off a trigger's function is a copy of
// the tenant's data that stays.
func TestReadsCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"begin insert into platform.history values (to_jsonb(old)); return old; end":                        "platform.history",
		"begin INSERT /* x */ INTO\n\"Odd\".\"Name \"\"x\" (a) select 1; end":                               `Odd.Name "x`,
		"begin update only log set a = 1; delete from only x.y; return null; end":                           "log x.y",
		"begin merge into a.b using c on true when matched then update set x = 1; end":                      "a.b",
		"begin perform 1 from a for update; perform 1 from a for no key update of b; end":                   "",
		"insert into x values (1) on conflict (id) do update set v = 2":                                     "x",
		"begin -- insert into no\n raise notice 'insert into no'; perform $q$delete from no$q$; end":        "",
		`begin perform E'it\'s insert into no'; insert into yes values (1); end`:                            "yes",
		"begin execute 'insert into x'; end":                                                                "! runs SQL that it puts together",
		"begin return query execute q; end":                                                                 "! runs SQL that it puts together",
		"begin if a then execute format('x'); end if; end":                                                  "! runs SQL that it puts together",
		"begin truncate table a.b; copy c to '/tmp/x'; end":                                                 "a.b c",
		"begin create temp table x as select 1; end":                                                        "! makes objects",
		"begin if tg_op in ('INSERT', 'UPDATE') or tg_op = 'DELETE' then new.updated := now(); end if; end": "",
		"begin perform lo_put(1, 0, ''); end":                                                               "! calls lo_put",
		"with gone as (delete from a returning *) insert into b select * from gone":                         "a b",
	} {
		d := read(text)
		var got []string
		for _, n := range d.writes {
			got = append(got, n.name.String())
		}
		if d.hidden != "" {
			got = append(got, "! "+d.hidden)
		}
		if fmt.Sprint(strings.Join(got, " ")) != want {
			t.Errorf("%s\nreads as %q, want %q", text, strings.Join(got, " "), want)
		}
	}
	if d := read("begin perform app.note(new.id), \"Odd\"(1); x := lower(y); end"); fmt.Sprint(d.calls) != "[app.note id Odd lower]" {
		t.Errorf("calls %v", d.calls)
	}
}

func FuzzReadsCode(f *testing.F) {
	f.Add("begin insert into x values ('a', $q$b$q$, \"c\") /* d */ ; end")
	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range read(text).writes {
			if n.schema == "" && n.name.name == "" && !strings.Contains(text, `""`) && !strings.HasSuffix(text, `"`) {
				t.Errorf("%q writes to nothing", text)
			}
		}
	})
}
