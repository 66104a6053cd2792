package relational

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func FuzzNote(f *testing.F) {
	f.Add("tenure:1:ins:res:mac", "role", "ac me", "key", "va lue=%+&\n")
	f.Fuzz(func(t *testing.T, mark, typ, name, k, v string) {
		for _, s := range []string{mark, typ, name, k} {
			if strings.ContainsAny(s, "\n") || s == "" || strings.ContainsAny(typ+k, " =\n") || k == "seal" || strings.HasPrefix(k, "seal") {
				return
			}
		}
		n := Note{Mark: mark, Type: typ, Name: name}.With(k, v).With("other"+k, "x")
		m := connector.Marker{Installation: "ins_a", System: "db", Key: []byte("key")}
		got := ParseNote(n.Sealed(m))
		if got.seal != m.Seal(got.String()) {
			t.Errorf("the seal of %q doesn't hold when it is read back", n.Sealed(m))
		}
		if got.Mark != mark || got.Type != typ || got.Name != name || got.Get(k) != v || got.Get("other"+k) != "x" {
			t.Errorf("%q reads back as %+v", n.String(), got)
		}
		if again := got.With(k, "").Get(k); again != "" {
			t.Errorf("a key that was taken away reads %q", again)
		}
	})
}

// TestClaim lets a resource be touched by its own note alone, and by none in which a
// single field isn't what was sealed.
func TestClaim(t *testing.T) {
	t.Parallel()
	m := connector.Marker{Installation: "ins_a", System: "db", Key: []byte("key")}
	r := connector.Ref{Resource: "res_1", Tenant: "ten_1", Type: "role", Name: "acme"}
	own := NewNote(m, r).With("state", "suspended")
	elsewhere := m
	elsewhere.System = "other"
	other := r
	other.Resource = "res_2"
	stranger := m
	stranger.Installation = "ins_b"
	sealed := func(m connector.Marker, r connector.Ref) Note { return ParseNote(NewNote(m, r).Sealed(m)) }
	forged := func(old, new string) Note { return ParseNote(strings.Replace(own.Sealed(m), old, new, 1)) }
	for name, c := range map[string]struct {
		note Note
		ok   bool
	}{
		"own":                     {ParseNote(own.Sealed(m)), true},
		"without its seal":        {ParseNote(own.String()), false},
		"none":                    {Note{}, false},
		"another resource's":      {sealed(m, other), false},
		"another system's":        {sealed(elsewhere, r), false},
		"another installation's":  {sealed(stranger, r), false},
		"another type's":          {sealed(m, connector.Ref{Resource: r.Resource, Type: "schema", Name: r.Name}), false},
		"another name":            {forged("role acme", "role birch"), false},
		"another tenant":          {forged("ten_1", "ten_2"), false},
		"another state":           {forged("state=suspended", "state=revoked"), false},
		"no state":                {forged(" state=suspended", ""), false},
		"another system by name":  {forged("system=db", "system=other"), false},
		"something more":          {forged("system=db", "system=db owner=mallory"), false},
		"the seal of another":     {ParseNote(own.String() + " seal=" + m.Seal(NewNote(m, other).String())), false},
		"copied to another place": {ParseNote(own.Sealed(m)).At("role", "birch"), false},
	} {
		if err := Claim(m, c.note, r); (err == nil) != c.ok || err != nil && tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("%s: error %v, want allowed %t", name, err, c.ok)
		}
	}
}

func TestNormalValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]any{
		json.Number("1.00"): json.Number("1"), json.Number("-0.0"): json.Number("0"), json.Number("1e3"): json.Number("1000"), json.Number("0.50"): json.Number("0.5"),
		json.Number("100"): json.Number("100"), float64(5): json.Number("5"), 7: json.Number("7"), true: true,
		"2027-01-01T01:00:00+01:00": "2027-01-01T00:00:00Z", "2027-01-01": "2027-01-01", "text": "text",
	} {
		if got := Normal(in); got != want {
			t.Errorf("%v becomes %v, want %v", in, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"acme": true, "ünï-名": true, `q"uo'te`: true, strings.Repeat("n", 63): true,
		"": false, " ": false, " x": false, "x\n": false, "a\x00b": false, "\xff": false, strings.Repeat("n", 64): false, strings.Repeat("é", 32): false,
	} {
		if err := CheckName("schema", name, 63); (err == nil) != ok || err != nil && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q: error %v, want accepted %t", name, err, ok)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add(`a"b`, `"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		q := Quote(a, b)
		inner := strings.ReplaceAll(q, `""`, "")
		if strings.Count(inner, `"`)%2 != 0 || len(q) < 5 || strings.ReplaceAll(q[1:len(q)-1], `""`, `"`) != a+`"."`+b {
			t.Errorf("%q and %q are quoted as %s", a, b, q)
		}
	})
}
