package sqltext

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// Whatever a text is and whatever the value, a text that takes the value has the same
// tokens as with a word in its place: a value is never more than a value.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		"insert into t values ('a', '{}'); -- it's", "select E'\\n{}'", `create table "t_{}" (a int)`, "select 5-{} from {}", "do $$ begin perform '{}'; end $$", "select $a$ {} $b$ $a$",
		"/* /* {} */ ' */ select '{}'", "select U&'{}', x'{}', b'{}', n'{}'", "[t_{}] `{}`", "a.{}.b", "{}'a'", "in ({}, {})", "-- {}\nselect '{}'", "array[{}]", "'{\"a\": \"{}\"}'::json", "select 'a'\n'{}'", "$1{} $x${}$x$", "select - {} - {}", "do 'x {}'", "select 1 # {}\n", "select 1--{}", "/*!50000 select '{}' */", "select 1 -- {}\n",
	} {
		for _, v := range []string{"'", `\'`, "--", "*/", "$$", "$a$", `"`, "x\ny", "]", "`", "e", "u&", "", "-1", "a b", "''", "\\", "\u2019", "/*"} {
			f.Add(text, v, int64(-3))
		}
	}
	f.Fuzz(func(t *testing.T, text, value string, n int64) {
		if strings.ContainsRune(text, hole) || len(text) > 2000 {
			return
		}
		around := strings.Split(text, "{}")
		for _, d := range []Dialect{PostgreSQL(), SQLite(), MariaDB()} {
			for _, v := range []any{value, n} {
				kinds, values, words := make([]connector.ValueKind, len(around)-1), make([]any, len(around)-1), make([]any, len(around)-1)
				for i := range values {
					kinds[i], values[i], words[i] = connector.Text, v, any("w")
					if _, number := v.(int64); number {
						kinds[i], words[i] = connector.Number, int64(7)
						if n < 0 {
							words[i] = int64(-7)
						}
					}
				}
				write, refused := d.Read(around, kinds)
				got, bad := write(values)
				plain, worse := write(words)
				if bad != nil || worse != nil {
					continue
				}
				if a, b := d.shape(got, len(refused) > 0), d.shape(plain, len(refused) > 0); a != b {
					t.Fatalf("%s: %q with %#v becomes %q, which is read as\n%s\nand with a word as\n%s", d.name, text, v, got, a, b)
				}
			}
		}
	})
}

// shape is how a text is read: its tokens, without what values may change. Where the
// text is refused a word may be the number that a word stands beside.
func (d Dialect) shape(text string, loose bool) string {
	var b strings.Builder
	for _, t := range d.cut(text, 0).tokens {
		switch t.sort {
		case comment, literal, escaped, coded, name:
			b.WriteString([]string{comment: "comment", literal: "literal", escaped: "escaped", coded: "coded", name: "name"}[t.sort])
		case dollar:
			b.WriteString("dollar " + t.text + d.shape(text[t.from:t.to], loose))
		case word, number:
			if loose {
				continue
			}
			b.WriteString("word")
		case sign, open:
			if loose && t.text == "." {
				continue
			}
			b.WriteString(t.text)
		}
		b.WriteByte(' ')
	}
	return b.String()
}
