package connectortest

import (
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// oddNames are names that a driver uses fully or refuses as Invalid.
var oddNames = []string{
	"", " ", " leading", "trailing ", "with space", "UPPER", "ünïcode-名前-🙂", "e\u0301 combining", "עברית",
	"it's", `say "hi"`, "back`tick", `back\slash`, "semi;colon", "x; drop table users; --", "100%", "%s%d%n", "${x}", "$(id)", "#hash", "a:b",
	"select", "user", "table", "public", "information_schema", "pg_catalog", "null", "CON", "-rf", "--", "*", "?",
	".", "..", "../x", "a/../../x", "/etc/x", "a/b", "a//b", "x/", "~", ".hidden", ".tenure", "tenure", "tenure_mark", "tenure_sentinel",
	"nul\x00byte", "new\nline", "tab\tbed", "bell\a", "\xff\xfe", "half\xc3", "\ufeffbom", "right\u202eleft",
}

func longNames() []string {
	var out []string
	for _, n := range []int{62, 63, 64, 128, 255, 256, 5000} {
		out = append(out, strings.Repeat("n", n))
	}
	return append(out, strings.Repeat("é", 32), strings.Repeat("名", 22))
}

func checkNames(a *actor) {
	if a.c.FixedNames {
		a.t.Skip("the names of this type aren't free")
	}
	used := 0
	for i, name := range append(longNames(), oddNames...) {
		if a.system != nil && i%3 != 0 {
			continue // the driver is asked for all of them, and a System passes them on
		}
		d := a.renamed(a.sample(), name)
		a.untouched("a name used and given back, or refused", func() {
			_, _, err := a.ensure(d)
			if err != nil {
				a.refused("ensure of "+quoted(name), err, tenure.Invalid)
				_, err = a.delete(d.Ref)
				if err != nil {
					a.refused("delete of "+quoted(name), err, tenure.Invalid)
				}
				return
			}
			used++
			a.there(d)
			if _, ok := find(a.discover(connector.Scope{}), d.Ref); !ok {
				a.t.Errorf("discover doesn't find name %s", quoted(name))
			}
			_, rec, err := a.ensure(d)
			if err != nil || rec.Changed {
				a.t.Errorf("the second ensure of name %s: changed=%t, error %v", quoted(name), rec.Changed, err)
			}
			_, err = a.delete(d.Ref)
			a.must("delete of "+quoted(name), err)
			a.gone(d.Ref)
		})
	}
	a.t.Logf("%d odd names can be used", used)
}

func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "\ufffd") + `"`
}

// checkTwins uses names that a system may fold into one.
func checkTwins(a *actor) {
	if a.c.FixedNames {
		a.t.Skip("the names of this type aren't free")
	}
	base := a.sample().Name
	for _, pair := range [][2]string{
		{base + "case", base + "CASE"}, {base + "caf\u00e9", base + "cafe\u0301"}, {base + "a_b", base + "axb"}, {base + "p%", base + "pq"},
		{base + strings.Repeat("n", 70) + "1", base + strings.Repeat("n", 70) + "2"},
	} {
		first, second := a.renamed(a.sample(), pair[0]), a.renamed(a.sample(), pair[1])
		if _, _, err := a.ensure(first); err != nil {
			a.refused("ensure of "+quoted(pair[0]), err, tenure.Invalid)
			continue
		}
		if _, _, err := a.ensure(second); err != nil {
			a.refused("ensure of "+quoted(pair[1]), err, tenure.Invalid, tenure.Conflict)
		} else {
			a.there(second)
			_, err = a.delete(second.Ref)
			a.must("delete of "+quoted(pair[1]), err)
		}
		a.there(first)
		_, err := a.delete(first.Ref)
		a.must("delete of "+quoted(pair[0]), err)
	}
}
