package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestReadsCode: a target that isn't read off a trigger's function is a copy of
// the tenant's data that stays.
func TestReadsCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"begin insert into platform.history values (to_jsonb(old)); return old; end":                                                      "platform.history",
		"begin INSERT /* x */ INTO\n\"Odd\".\"Name \"\"x\" (a) select 1; end":                                                             `Odd.Name "x`,
		"begin update only log set a = 1; delete from only x.y; return null; end":                                                         "log x.y",
		"begin merge into a.b using c on true when matched then update set x = 1; end":                                                    "a.b",
		"begin perform 1 from a for update; perform 1 from a for no key update of b; end":                                                 "",
		"insert into x values (1) on conflict (id) do update set v = 2":                                                                   "x",
		"begin -- insert into no\n raise notice 'insert into no'; perform $q$delete from no$q$; end":                                      "",
		`begin perform E'it\'s insert into no'; insert into yes values (1); end`:                                                          "yes",
		"begin execute 'insert into x'; end":                                                                                              "! runs SQL that it puts together",
		"begin return query execute q; end":                                                                                               "! runs SQL that it puts together",
		"begin if a then execute format('x'); end if; end":                                                                                "! runs SQL that it puts together",
		"begin truncate table a.b; copy c to '/tmp/x'; end":                                                                               "a.b c",
		"begin create temp table x as select 1; end":                                                                                      "! makes objects",
		"begin if tg_op in ('INSERT', 'UPDATE') or tg_op = 'DELETE' then new.updated := now(); end if; end":                               "",
		"begin perform lo_put(1, 0, ''); end":                                                                                             "! calls lo_put",
		"begin old.k := 'z'; end":                                                                                                         "! changes what it calls old",
		"begin select 'z', 1 into strict x.y, old.k from t; end":                                                                          "! changes what it calls old",
		"begin fetch next from c into old.k; end":                                                                                         "! changes what it calls old",
		"begin foreach old.k in array a loop null; end loop; end":                                                                         "! changes what it calls old",
		"begin for old in select 1 loop null; end loop; end":                                                                              "! changes what it calls old",
		"begin insert into x values (1) returning 'z' into old.k; end":                                                                    "x ! changes what it calls old",
		"begin get diagnostics n = row_count, old.k = pg_context; end":                                                                    "! changes what it calls old",
		"begin get stacked diagnostics old.k := message_text; end":                                                                        "! changes what it calls old",
		"begin old.doc['k'] := 'z'; end":                                                                                                  "! changes what it calls old",
		"begin old.part.k := 'z'; end":                                                                                                    "! changes what it calls old",
		"begin \"old\".k = 'z'; end":                                                                                                      "! changes what it calls old",
		"declare o alias for old; begin o.k := 'z'; end":                                                                                  "! gives old another name",
		"declare old x%rowtype; begin return null; end":                                                                                   "! gives the name old to something else",
		"begin insert into x select old.k from (select 'z' as k) old; end":                                                                "x ! gives the name old to something else",
		"begin insert into x select old.k from cfg as old where true; end":                                                                "x ! gives the name old to something else",
		"begin insert into x select new.k from cfg new; end":                                                                              "x ! gives the name new to something else",
		"begin with old as (select 1) insert into x select k from old; end":                                                               "x ! gives the name old to something else",
		"begin if (old.a = 'a') then v := case a when 1 then old.id else new.id end; end if; insert into x select old.*; return old; end": "x",
		"begin perform f(old, to_jsonb(old)), old.a = 1; select old.k, old into v from x where old.k = x.k; get diagnostics n = row_count; return coalesce(new, old); end": "",
		"with gone as (delete from a returning *) insert into b select * from gone":                                                                                        "a b",
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
	if d := read("begin new.a := 1; select 1, 2 into new.b, new.c; fetch c into new; end"); fmt.Sprint(d.sets) != "[a b c *]" {
		t.Errorf("sets %v", d.sets)
	}
	if d := read("begin perform app.note(new.id), \"Odd\"(1); x := lower(y); end"); fmt.Sprint(d.calls) != "[app.note id Odd lower]" {
		t.Errorf("calls %v", d.calls)
	}
}

// TestReadsBranches: where a statement isn't reached when rows go, what it writes is
// no copy of them; where it is, it must be judged.
func TestReadsBranches(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"begin insert into x values (1); end": "iud",
		"begin if tg_op = 'DELETE' then insert into x values (1); else insert into x values (2); end if; insert into x values (3); end":                                                   "d iu iud",
		"begin if (tg_op = 'INSERT' or tg_op = 'UPDATE') then insert into x values (1); elsif tg_op = 'DELETE' then insert into x values (2); else insert into x values (3); end if; end": "iu d ",
		"begin if tg_op in ('DELETE', 'UPDATE') then if old.v > 1 then insert into x values (case old.v when 1 then 2 else 3 end); else insert into x values (2); end if; end if; end":    "ud ud",
		"begin if tg_op = 'DELETE' and old.v > 1 then insert into x values (1); else insert into x values (2); end if; end":                                                               "iud iud",
		"begin if old.v > 1 then return old; elsif tg_op = 'UPDATE' then insert into x values (1); else insert into x values (2); end if; end":                                            "u id",
		"begin if tg_op = 'DELETE' then insert into x values (1); return old; end if; insert into x values (2); return new; end":                                                          "d iu",
		"begin if tg_op = 'DELETE' then return old; end if; if tg_op = 'UPDATE' then return new; end if; insert into x values (1); end":                                                   "i",
		"begin if tg_op = 'DELETE' then if old.v > 1 then return old; end if; end if; insert into x values (1); end":                                                                      "iud",
		"begin if tg_op = 'DELETE' and old.v > 1 then return old; end if; insert into x values (1); end":                                                                                  "iud",
		"begin if tg_op = 'DELETE' then if old.v > 1 then return old; else return null; end if; end if; insert into x values (1); end":                                                    "iu",
		"begin for i in 1..old.v loop if tg_op = 'DELETE' then return old; end if; end loop; insert into x values (1); end":                                                               "iud",
		"begin begin return old; exception when others then insert into x values (1); end; insert into x values (2); end":                                                                 "iud iud",
		"begin case old.v when 1 then return old; when 2 then insert into x values (1); else insert into x values (2); end case; insert into x values (3); end":                           "iud iud iud",
		"begin if tg_op = 'DELETE' then return next old; end if; insert into x values (1); end":                                                                                           "iud",
		"begin if tg_op = 'DELETE' then return case when f(old.v) then old end; end if; insert into x values (1); end":                                                                    "iu",
		"begin return f(old); insert into x values (1); end":                                                                                                                              "",
		"begin if tg_op <> 'DELETE' then insert into x values (1); end if; end":                                                                                                           "iud",
	} {
		var got []string
		for _, w := range read(text).writes {
			on := ""
			for name, is := range map[string]bool{"i": w.on.insert, "u": w.on.update, "d": w.on.delete} {
				if is {
					on += name
				}
			}
			b := []byte(on)
			slices.SortFunc(b, func(x, y byte) int { return strings.IndexByte("iud", x) - strings.IndexByte("iud", y) })
			got = append(got, string(b))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s\nis reached at %q, want %q", text, strings.Join(got, " "), want)
		}
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
