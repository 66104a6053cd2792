package recogniser

import (
	"strings"
	"testing"
	"unicode"
)

func FuzzPropose(f *testing.F) {
	for _, s := range []string{"anna@b.example", "DE89370400440532013000", "4111111111111111", "86095742719", "X2482300W", "+49 30 1234567", "10.1.2.3", "1980-02-03", `{"a":{"b":1}}`, "", "ÄÖÜ", "\xff\xfe", "RCCMNL83S18D969H", "131052-308T"} {
		f.Add("name", "text", s)
	}
	f.Fuzz(func(t *testing.T, name, typ, value string) {
		for _, v := range []string{value, strings.ToUpper(value)} {
			p := Propose(Column{Table: "t", Name: name, Type: typ, Values: []string{v, v, v, v, v, v}})
			if p.Class == "" || p.Reason == "" || p.Confidence < 0 || p.Confidence > 1 {
				t.Fatalf("%+v", p)
			}
			for _, s := range p.Samples {
				if strings.Contains(s, "characters") {
					continue
				}
				for _, c := range s {
					if c != 'x' && unicode.IsLetter(c) || c != '9' && unicode.IsDigit(c) {
						t.Fatalf("a sample tells of the value: %q of %q", s, v)
					}
				}
			}
			for _, n := range nationals {
				n.check(v)
			}
		}
	})
}

func FuzzPaths(f *testing.F) {
	f.Add(`{"a":[{"b":"c"}],"x@y.example":1}`)
	f.Add(`[[[[[[[[[[1]]]]]]]]]]`)
	f.Fuzz(func(t *testing.T, doc string) {
		for path := range Paths([]string{doc, doc}) {
			if strings.ContainsAny(path, "@ ") {
				t.Fatalf("path %q", path)
			}
		}
	})
}
