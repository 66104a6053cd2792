package audit_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"pgregory.net/rapid"
)

func sample() *audit.Entry {
	return &audit.Entry{
		Format: audit.Format, At: noon, Kind: "step.result",
		Tenant:    tenure.DeriveID[tenure.TenantID](noon, "acme"),
		Operation: tenure.DeriveID[tenure.OperationID](noon, "offboard"),
		Subject:   "res_018", Data: audit.Facts(map[string]string{"verdict": "verified", "method": "<logically> deleted"}),
		Sealed: map[string]audit.Sealed{"by": {Key: "key_1", Box: []byte{1, 2, 3}}, "also": {Key: "key_2", Box: []byte{255}}},
	}
}

// TestEntryEncoding pins the bytes: another encoding of the same entry would
// have another hash, and every log that exists would no longer verify.
func TestEntryEncoding(t *testing.T) {
	t.Parallel()
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":1772366400123456,"data":{"method":"<logically> deleted","verdict":"verified"},"format":1,` +
		`"kind":"step.result","operation":"` + string(sample().Operation) + `",` +
		`"sealed":{"also":{"box":"/w==","key":"key_2"},"by":{"box":"AQID","key":"key_1"}},` +
		`"subject":"res_018","tenant":"` + string(sample().Tenant) + `"}`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Errorf("encoding (-want +got):\n%s", d)
	}
	got, err := audit.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
}

// TestEntryRoundTrip: whatever text goes in comes out, and any JSON reader
// agrees with what was written.
func TestEntryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Zäß€😀_. ]{1,8}`)
		e := &audit.Entry{
			Format: audit.Format,
			At:     time.UnixMicro(rapid.Int64Range(1, 1<<53-1).Draw(t, "at")).UTC(),
			Kind:   rapid.StringN(1, 20, -1).Draw(t, "kind"), Subject: rapid.String().Draw(t, "subject"),
			Tenant: tenure.TenantID(rapid.String().Draw(t, "tenant")),
			Data:   audit.Facts(rapid.MapOf(name, rapid.String()).Draw(t, "facts")),
		}
		for field, box := range rapid.MapOfN(name, rapid.SliceOfN(rapid.Byte(), 1, 40), 0, 12).Draw(t, "sealed") {
			if e.Sealed == nil {
				e.Sealed = map[string]audit.Sealed{}
			}
			e.Sealed[field] = audit.Sealed{Key: "key", Box: box}
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := audit.Decode(b)
		if err != nil {
			t.Fatalf("decode %s: %v", b, err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Fatalf("decoded (-want +got):\n%s", d)
		}
		var plain struct{ Kind, Subject, Tenant string }
		if err := json.Unmarshal(b, &plain); err != nil || plain.Kind != e.Kind || plain.Subject != e.Subject || plain.Tenant != string(e.Tenant) {
			t.Fatalf("encoding/json reads %+v, %v", plain, err)
		}
	})
}

// TestEntryRefused: what Encode lets through is in the log for ever.
func TestEntryRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*audit.Entry){
		"no kind":           func(e *audit.Entry) { e.Kind = "" },
		"no format":         func(e *audit.Entry) { e.Format = 0 },
		"no time":           func(e *audit.Entry) { e.At = time.Time{} },
		"nanoseconds":       func(e *audit.Entry) { e.At = e.At.Add(1) },
		"far future":        func(e *audit.Entry) { e.At = time.UnixMicro(1 << 53) },
		"not UTF-8":         func(e *audit.Entry) { e.Subject = "\xff" },
		"fact not UTF-8":    func(e *audit.Entry) { e.Data = audit.Facts(map[string]string{"a": "\xff"}) },
		"fact with quote":   func(e *audit.Entry) { e.Data = audit.Facts(map[string]string{`a"`: ""}) },
		"empty object":      func(e *audit.Entry) { e.Data = json.RawMessage(`{}`) },
		"array":             func(e *audit.Entry) { e.Data = json.RawMessage(`["a"]`) },
		"white space":       func(e *audit.Entry) { e.Data = json.RawMessage(`{"a": 1}`) },
		"keys out of order": func(e *audit.Entry) { e.Data = json.RawMessage(`{"b":1,"a":1}`) },
		"key twice":         func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":1,"a":1}`) },
		"escaped key":       func(e *audit.Entry) { e.Data = json.RawMessage(`{"\u0061":1}`) },
		"needless escape":   func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":"\u0041"}`) },
		"slash escape":      func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":"\/"}`) },
		"upper-case escape": func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":"\u001F"}`) },
		"long escape":       func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":"\u000a"}`) },
		"fraction":          func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":1.0}`) },
		"exponent":          func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":1e3}`) },
		"leading zero":      func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":01}`) },
		"minus zero":        func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":-0}`) },
		"large number":      func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":9007199254740992}`) },
		"trailing":          func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":1}x`) },
		"unclosed":          func(e *audit.Entry) { e.Data = json.RawMessage(`{"a":[1,2}`) },
		"deep": func(e *audit.Entry) {
			e.Data = json.RawMessage(`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`)
		},
		"too large":       func(e *audit.Entry) { e.Subject = strings.Repeat("x", audit.MaxEntry) },
		"box without key": func(e *audit.Entry) { e.Sealed["by"] = audit.Sealed{Box: []byte{1}} },
		"empty box":       func(e *audit.Entry) { e.Sealed["by"] = audit.Sealed{Key: "k"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sample()
			change(e)
			before := []byte("before")
			b, err := e.Append(before)
			if tenure.CodeOf(err) != tenure.Invalid || string(b) != "before" {
				t.Errorf("got %q and error %v, want what was there and Invalid", b, err)
			}
		})
	}
}

// TestEntryLargest: the limit is that of the bundle's length, to the byte.
func TestEntryLargest(t *testing.T) {
	t.Parallel()
	e := sample()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e.Subject += strings.Repeat("x", audit.MaxEntry-len(b))
	if b, err = e.Encode(); err != nil || len(b) != audit.MaxEntry {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	e.Subject += "x"
	if _, err = e.Encode(); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("one byte more: %v", err)
	}
}

func TestDecodeRefused(t *testing.T) {
	t.Parallel()
	good, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"nothing":        func(string) string { return "" },
		"trailing space": func(s string) string { return s + " " },
		"trailing value": func(s string) string { return s + s },
		"space within":   func(s string) string { return strings.Replace(s, `"at":`, `"at": `, 1) },
		"unknown field":  func(s string) string { return strings.Replace(s, `"at":`, `"aa":1,"at":`, 1) },
		"field twice":    func(s string) string { return strings.Replace(s, `"format":1`, `"format":1,"format":1`, 1) },
		"other case":     func(s string) string { return strings.Replace(s, `"kind"`, `"Kind"`, 1) },
		"newer format":   func(s string) string { return strings.Replace(s, `"format":1`, `"format":2`, 1) },
		"loose base64":   func(s string) string { return strings.Replace(s, `/w==`, `/x==`, 1) },
		"base64 newline": func(s string) string { return strings.Replace(s, `AQID`, `AQ\nID`, 1) },
		"null data":      func(s string) string { return strings.Replace(s, `,"format"`, `,"data":null,"format"`, 1) },
		"escaped text":   func(s string) string { return strings.Replace(s, `step.`, `step\u002e`, 1) },
		"html escape":    func(s string) string { return strings.Replace(s, `<`, `\u003c`, 1) },
		"time as text":   func(s string) string { return strings.Replace(s, `1772366400123456`, `"1772366400123456"`, 1) },
		"empty tenant":   func(s string) string { return strings.Replace(s, string(sample().Tenant), ``, 1) },
		"different order": func(s string) string {
			return strings.Replace(strings.Replace(s, `"format":1,`, ``, 1), `{"at"`, `{"format":1,"at"`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := change(string(good))
			if bad == string(good) {
				t.Fatal("the case changes nothing")
			}
			if _, err := audit.Decode([]byte(bad)); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("decode %s: %v, want Invalid", bad, err)
			}
		})
	}
}

// TestObject: the helper writes what Encode accepts, or says that it can't.
func TestObject(t *testing.T) {
	t.Parallel()
	got, err := audit.Object(map[string]any{"z": []any{1, "é\u2028", nil, true}, "a": map[string]any{"n": -5, "m": "<&>"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "{\"a\":{\"m\":\"<&>\",\"n\":-5},\"z\":[1,\"é\u2028\",null,true]}"; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e := sample()
	e.Data = got
	if _, err := e.Encode(); err != nil {
		t.Error(err)
	}
	if got, err := audit.Object(struct{}{}); got != nil || err != nil {
		t.Errorf("empty object: %s, %v", got, err)
	}
	for _, bad := range []any{1, []int{1}, map[string]any{"a": 1.5}, map[string]any{"": 1}, map[string]any{"a": math.MaxInt64}, map[string]any{"a": func() {}}} {
		if got, err := audit.Object(bad); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("object of %T: %s, %v", bad, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"at":1,"format":1,"kind":"a"}`))
	f.Add([]byte(`{"at":1,"data":{"a":[{"b":"\u001f\\"}]},"format":1,"kind":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := audit.Decode(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decoded %q, encoded again %q, %v", b, again, err)
		}
		var generic map[string]any
		if err := json.Unmarshal(b, &generic); err != nil || len(generic) > 8 {
			t.Fatalf("encoding/json reads %v with fields %v", err, maps.Keys(generic))
		}
	})
}

// BenchmarkEncode has encoding/json over the same facts as its baseline.
func BenchmarkEncode(b *testing.B) {
	e := sample()
	delete(e.Sealed, "also")
	e.Sealed["by"] = audit.Sealed{Key: "key_0011223344556677_00112233445566778899aabbccddeeff", Box: make([]byte, 48)}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("with facts", func(b *testing.B) {
		b.ReportAllocs()
		facts := map[string]string{"from": "active", "to": "suspended", "by": "schedule"}
		for b.Loop() {
			e.Data = audit.Facts(facts)
			if _, err := e.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestKindOf: an entry's kind is found whatever its other fields say.
func TestKindOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hostile := rapid.SampledFrom([]string{"", `,"kind":"x"`, `","kind":"x","subject":"`, `"kind"`, "kind", `\,"kind":"x"`})
		e := &audit.Entry{
			Format: audit.Format, At: time.UnixMicro(1).UTC(), Kind: rapid.StringMatching(`[a-z]{1,9}(\.[a-z]{1,9})?`).Draw(t, "kind"),
			Subject: hostile.Draw(t, "subject"), Tenant: tenure.TenantID(hostile.Draw(t, "tenant")),
			Data:   audit.Facts(map[string]string{"kind": hostile.Draw(t, "fact"), "a": hostile.Draw(t, "another")}),
			Sealed: map[string]audit.Sealed{"kind": {Key: "key" + hostile.Draw(t, "key"), Box: []byte("x")}},
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := audit.KindOf(b); got != e.Kind {
			t.Fatalf("of %s it finds %q", b, got)
		}
	})
}
