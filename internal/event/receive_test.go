package event_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
)

// A secret is renewed without an event lost: what is signed with the current one and with the one
// before it is taken, and nothing else.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, s := range senders() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{newSecret, oldSecret} {
				for _, e := range taken(t, s.source, s.send(s.body, secret, now)) {
					if e.Source != s.source.Name || e.ID == "" || !json.Valid(e.Data) {
						t.Errorf("%+v", e)
					}
				}
			}
			refused(t, s.source, s.send(s.body, "whsec_YW5vdGhlciBzZWNyZXQgdGhhdCBub2JvZHkga25vd3M=", now), tenure.Unauthorized)
			current := s.source
			current.Secrets = current.Secrets[:1]
			refused(t, current, s.send(s.body, oldSecret, now), tenure.Unauthorized)
		})
	}
}

// A request is taken for five minutes, or as long as the settings say, both ways and to the limit.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, s := range signers() {
		if !s.timed {
			continue
		}
		for _, tolerance := range []time.Duration{0, time.Minute} {
			source, limit := s.source, 5*time.Minute
			if source.Tolerance = tolerance; tolerance != 0 {
				limit = tolerance
			}
			for _, off := range []time.Duration{-limit, 0, limit} {
				if _, err := source.Receive(s.send(s.body, newSecret, now.Add(off)), now); err != nil {
					t.Errorf("%s at %s: %v", s.name, off, err)
				}
			}
			for _, off := range []time.Duration{-limit - time.Second, limit + time.Second, -50 * 365 * 24 * time.Hour, 200 * 365 * 24 * time.Hour} {
				refused(t, source, s.send(s.body, newSecret, now.Add(off)), tenure.Unauthorized)
			}
		}
	}
}

// What isn't signed is refused, however it is written, and fast.
func TestHeaders(t *testing.T) {
	t.Parallel()
	commas, spaces := strings.Repeat(",", 10_000), strings.Repeat("v1, ", 10_000)
	for _, s := range senders() {
		for _, name := range s.signed {
			for what, change := range map[string]func(http.Header){
				"missing":    func(h http.Header) { h.Del(name) },
				"twice":      func(h http.Header) { h.Add(name, h.Get(name)) },
				"empty":      func(h http.Header) { h.Set(name, "") },
				"none":       func(h http.Header) { h[http.CanonicalHeaderKey(name)] = nil },
				"commas":     func(h http.Header) { h.Set(name, commas) },
				"few commas": func(h http.Header) { h.Set(name, commas[:8000]) },
				"spaces":     func(h http.Header) { h.Set(name, spaces[:8000]) },
				"a line":     func(h http.Header) { h.Set(name, h.Get(name)+"\r\n") },
				"a line in":  func(h http.Header) { h.Set(name, h.Get(name)[:4]+"\n"+h.Get(name)[4:]) },
				"not ASCII":  func(h http.Header) { h.Set(name, "é\xff"+h.Get(name)) },
				"a zero":     func(h http.Header) { h.Set(name, "0"+h.Get(name)) },
				"a plus":     func(h http.Header) { h.Set(name, "+"+h.Get(name)) },
				"a cut":      func(h http.Header) { h.Set(name, h.Get(name)[:len(h.Get(name))-1]) },
				"a space":    func(h http.Header) { h.Set(name, h.Get(name)+" ") },
			} {
				if what == "a space" && strings.HasSuffix(name, "-signature") {
					continue // in Standard Webhooks, the list's end
				}
				r := s.send(s.body, newSecret, now)
				change(r.Header)
				if _, err := s.source.Receive(r, now); tenure.CodeOf(err) != tenure.Unauthorized {
					t.Errorf("%s, %s %s: %v", s.name, name, what, err)
				}
			}
		}
		refused(t, s.source, event.Request{}, tenure.Unauthorized)
		refused(t, s.source, post(s.body), tenure.Unauthorized)
	}
}

// One signature that is right is enough among others, and only the first sixteen are looked at.
func TestSeveralSignatures(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stripe", "standard", "standard ed25519"} {
		s := find(t, name)
		header, sep := "Stripe-Signature", ","
		if name != "stripe" {
			header, sep = "webhook-signature", " "
		}
		with := func(n int) event.Request {
			r := s.send(s.body, oldSecret, now)
			right := r.Header.Get(header)
			before, signature := "", right
			if name == "stripe" {
				before, signature, _ = strings.Cut(right, ",")
				before += ","
			}
			other := strings.Replace(s.send("{}", newSecret, now).Header.Get(header), before, "", 1)
			r.Header.Set(header, before+strings.Repeat(other+sep, n)+signature+sep+"v0"+signature[strings.IndexAny(signature, ",="):])
			return r
		}
		taken(t, s.source, with(1))
		taken(t, s.source, with(15))
		refused(t, s.source, with(16), tenure.Unauthorized)
	}
}

// The same of each bit of the headers that prove the sender.
func TestEachBitOfHeaders(t *testing.T) {
	t.Parallel()
	for _, s := range senders() {
		for _, name := range s.signed {
			value := s.send(s.body, newSecret, now).Header.Get(name)
			for bit := range len(value) * 8 {
				r, changed := s.send(s.body, newSecret, now), []byte(value)
				changed[bit/8] ^= 1 << (bit % 8)
				r.Header.Set(name, string(changed))
				_, err := s.source.Receive(r, now)
				// The name of an authentication scheme is read in either case (RFC 9110 §11.1).
				if tenure.CodeOf(err) != tenure.Unauthorized && (name != "Authorization" || !strings.EqualFold(value, string(changed)) || bit/8 > 6) {
					t.Errorf("%s, %s %q: %v", s.name, name, changed, err)
				}
			}
		}
	}
}

// Nothing that is signed can be changed by a bit: not the body, not the time, not the signature.
func TestAnyBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(signers()).Draw(t, "sender")
		r := s.send(s.body, rapid.SampledFrom([]string{newSecret, oldSecret}).Draw(t, "secret"), now)
		flip := func(b []byte) []byte {
			bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
			b[bit/8] ^= 1 << (bit % 8)
			return b
		}
		if part := rapid.SampledFrom(append([]string{"body"}, s.signed...)).Draw(t, "part"); part == "body" {
			r.Body = flip(r.Body)
		} else {
			r.Header.Set(part, string(flip([]byte(r.Header.Get(part)))))
		}
		if _, err := s.source.Receive(r, now); tenure.CodeOf(err) != tenure.Unauthorized {
			t.Fatalf("%v", err)
		}
	})
}

// A body may be compressed, before it is signed or after.
func TestGzip(t *testing.T) {
	t.Parallel()
	for _, s := range senders() {
		want := taken(t, s.source, s.send(s.body, newSecret, now))
		small := zipped(t, s.body)
		after := s.send(s.body, newSecret, now)
		after.Body = []byte(small)
		before := s.send(small, newSecret, now)
		for what, r := range map[string]event.Request{"compressed after it was signed": after, "compressed before": before} {
			r.Header.Set("Content-Encoding", "gzip")
			got, err := s.source.Receive(r, now)
			if err != nil || len(got) != len(want) || string(got[0].Data) != string(want[0].Data) || got[0].Type != want[0].Type {
				t.Errorf("%s, %s: %+v, %v; want %+v", s.name, what, got, err, want)
			}
		}
		r := s.send(small, newSecret, now)
		for _, encoding := range []string{"br", "gzip, gzip", "GZIP;q=1", "\xff"} {
			r.Header.Set("Content-Encoding", encoding)
			refused(t, s.source, r, tenure.Invalid)
		}
		for _, broken := range []string{"", "no", small[:len(small)-1], small + "more"} {
			r := s.send(broken, newSecret, now)
			r.Header.Set("Content-Encoding", "gzip")
			refused(t, s.source, r, tenure.Invalid)
		}
		forged := s.send(s.body, newSecret, now)
		forged.Body = []byte(zipped(t, strings.Replace(s.body, "1", "2", 1)))
		forged.Header.Set("Content-Encoding", "gzip")
		if len(s.signed) > 0 && s.signed[0] != "Authorization" {
			refused(t, s.source, forged, tenure.Unauthorized)
		}
		// A megabyte of spaces is a kilobyte.
		large := s.body + strings.Repeat(" ", event.MaxBody)
		for _, bomb := range []event.Request{s.send(large, newSecret, now), s.send(zipped(t, large), newSecret, now)} {
			if len(bomb.Body) > event.MaxBody {
				refused(t, s.source, bomb, tenure.Invalid)
				bomb.Body = []byte(zipped(t, string(bomb.Body)))
			}
			bomb.Header.Set("Content-Encoding", "gzip")
			refused(t, s.source, bomb, tenure.Invalid)
		}
	}
}

// What is proven and isn't what the scheme has is Invalid: the sender has to change it, and no retry
// helps.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, s := range senders() {
		if s.name == "salesforce" {
			continue
		}
		many := "[" + strings.Repeat("{},", event.MaxEvents) + "{}]"
		for _, body := range []string{"", "null", "[", `"text"`, "1", "{", "{}{}", "\xff", `{"id":"a","id":"b"}`, "[[]]", "[null]", many, strings.Repeat("[", 100), strings.Replace(s.body, `"`, "\x00", 1)} {
			if events, err := s.source.Receive(s.send(body, newSecret, now), now); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%s takes %.40q: %+v, %v", s.name, body, events, err)
			}
		}
		twice := strings.Replace(s.body, "{", `{"specversion":"1.0","specversion":"1.0",`, 1)
		refused(t, s.source, s.send(twice, newSecret, now), tenure.Invalid)
	}
}

// An event's parts are bounded and can be shown and kept.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := find(t, "hmac")
	at := map[string]string{"id": `1152921504606846976`, "kind": `"left"`, "who": `"acme"`, "rev": `"7"`}
	for name, most := range map[string]int{"id": event.MaxID, "kind": event.MaxType, "who": event.MaxID, "rev": event.MaxType} {
		with := func(v string) event.Request {
			old := fmt.Sprintf("%q:%s", name, at[name])
			if !strings.Contains(s.body, old) {
				t.Fatalf("no %s in the body", old)
			}
			return s.send(strings.Replace(s.body, old, fmt.Sprintf("%q:%s", name, v), 1), newSecret, now)
		}
		taken(t, s.source, with(`"`+strings.Repeat("x", most)+`"`))
		for _, v := range []string{`"` + strings.Repeat("x", most+1) + `"`, `"a\nb"`, `"a\u0000b"`, `"a\u009fb"`, `"\ud800"`, `{}`, `[1]`, `true`} {
			refused(t, s.source, with(v), tenure.Invalid)
		}
	}
	refused(t, s.source, s.send(strings.Replace(s.body, `"id":1152921504606846976`, `"id":null`, 1), newSecret, now), tenure.Invalid)
	refused(t, s.source, s.send(strings.Replace(s.body, `2026-11-30T11:59:00Z`, `yesterday`, 1), newSecret, now), tenure.Invalid)
}

// The time is the source's, unless it says none or one that is yet to come.
func TestTimes(t *testing.T) {
	t.Parallel()
	s := find(t, "hmac")
	for text, want := range map[string]time.Time{
		`"2026-11-30T11:59:00Z"`:              now.Add(-time.Minute),
		`"2026-11-30T12:59:00.1234567+01:00"`: now.Add(-time.Minute + 123456*time.Microsecond),
		`1796039940`:                          now.Add(-time.Minute),
		`"1796039940.000005"`:                 now.Add(-time.Minute + 5*time.Microsecond),
		`1796039940123`:                       now.Add(-time.Minute + 123*time.Millisecond),
		`null`:                                now,
		`"2026-11-30T12:00:01Z"`:              now,
		`"9999-11-30T12:00:01Z"`:              now,
	} {
		got := taken(t, s.source, s.send(strings.Replace(s.body, `"2026-11-30T11:59:00Z"`, text, 1), newSecret, now))
		if !got[0].At.Equal(want) || got[0].At.Location() != time.UTC {
			t.Errorf("%s is %s; want %s", text, got[0].At, want)
		}
	}
}

// What was asked of whom is told by a version, and an older one mustn't win.
func TestNewer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b              string
		newer, comparable bool
	}{
		{"10", "9", true, true}, {"9", "10", false, true}, {"7", "7", false, true}, {"0042", "42", false, true}, {"-1", "-2", true, true},
		{"1152921504606846977", "1152921504606846976", true, true}, {"100000000000000000000000001", "99999999999999999999999999", true, true},
		{"2026-11-30T12:00:00Z", "2026-11-30T12:30:00+01:00", true, true}, {"2026-11-30T11:00:00.000Z", "2026-11-30T12:00:00+01:00", false, true},
		{"b", "a", true, true}, {"a", "b", false, true}, {"1.10", "1.9", false, true},
		{"", "1", false, false}, {"1", "", false, false}, {"", "", false, false}, {"10", "9a", false, false}, {"2026-11-30T12:00:00Z", "1", false, false},
		{"2026-11-30T12:00:00Z", "2026-11-30", false, false}, {strings.Repeat("9", 1000), "1", false, false},
	} {
		if newer, comparable := event.Newer(c.a, c.b); newer != c.newer || comparable != c.comparable {
			t.Errorf("Newer(%.40q, %q) is %v, %v", c.a, c.b, newer, comparable)
		}
	}
}

// Settings with which nothing would be proven are refused, and a source with them takes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, s := range senders() {
		if err := s.source.Check(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		for what, change := range map[string]func(*event.Source){
			"no secret":        func(s *event.Source) { s.Secrets = nil },
			"an empty secret":  func(s *event.Source) { s.Secrets = append(s.Secrets, tenure.NewSecret("")) },
			"no value":         func(s *event.Source) { s.Secrets = []tenure.Secret{{}} },
			"too many secrets": func(s *event.Source) { s.Secrets = slices.Repeat(s.Secrets, 5) },
			"no scheme":        func(s *event.Source) { s.Scheme = "" },
			"no such scheme":   func(s *event.Source) { s.Scheme = "none" },
			"no name":          func(s *event.Source) { s.Name = "" },
			"a tolerance":      func(s *event.Source) { s.Tolerance = -1 },
		} {
			source := s.source
			source.Secrets = slices.Clone(source.Secrets)
			change(&source)
			if err := source.Check(); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%s with %s: %v", s.name, what, err)
			}
			if _, err := source.Receive(s.send(s.body, newSecret, now), now); tenure.CodeOf(err) != tenure.Unauthorized {
				t.Errorf("%s with %s receives: %v", s.name, what, err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*event.Source)
	}{
		{"stripe", func(s *event.Source) { s.Header = "X-Signature" }},
		{"stripe", func(s *event.Source) { s.Username = "me" }},
		{"hubspot", func(s *event.Source) { s.URL = "" }},
		{"hubspot", func(s *event.Source) { s.URL = "/events/crm" }},
		{"hubspot", func(s *event.Source) { s.URL = address + "?a=b" }},
		{"standard", func(s *event.Source) { s.Secrets = secrets("whsec_not base64") }},
		{"standard", func(s *event.Source) { s.Secrets = secrets("whsec_") }},
		{"standard", func(s *event.Source) { s.Secrets = secrets("whpk_c2hvcnQ=") }},
		{"standard", func(s *event.Source) { s.Secrets = secrets("whsk_" + strings.TrimPrefix(oldSecret, "whsec_")) }},
		{"salesforce", func(s *event.Source) { s.Organization = "" }},
		{"salesforce", func(s *event.Source) { s.Organization = "00D" }},
		{"salesforce", func(s *event.Source) { s.Organization = "0015e000000KQ2eEAG" }},
		{"hmac", func(s *event.Source) { s.Header = "" }},
		{"hmac", func(s *event.Source) { s.Header = "a b" }},
		{"hmac", func(s *event.Source) { s.Header = "Authorization" }},
		{"hmac", func(s *event.Source) { s.Algorithm = "sha1" }},
		{"hmac", func(s *event.Source) { s.Algorithm = "md5" }},
		{"hmac", func(s *event.Source) { s.Encoding = "base32" }},
		{"hmac", func(s *event.Source) { s.Signed = "nothing" }},
		{"hmac", func(s *event.Source) { s.Signed = "{timestamp}.{body}" }},
		{"hmac with a time", func(s *event.Source) { s.Signed = "{body}" }},
		{"hmac with a time", func(s *event.Source) { s.Signed = "{timestamp}{body}" }},
		{"hmac with a time", func(s *event.Source) { s.Signed = "{body}{timestamp}" }},
		{"hmac", func(s *event.Source) { s.Fields.ID = "a..b" }},
		{"hmac", func(s *event.Source) { s.Fields.ID = strings.Repeat("a", 201) }},
		{"cloudevents token", func(s *event.Source) { s.Prefix = "sha256=" }},
		{"cloudevents", func(s *event.Source) { s.Algorithm = "sha1" }},
		{"cloudevents", func(s *event.Source) { s.Origins = []string{"a\r\nb"} }},
		{"basic", func(s *event.Source) { s.Username = "" }},
		{"bearer", func(s *event.Source) { s.Fields.Type = "." }},
	} {
		source := find(t, c.name).source
		c.change(&source)
		if err := source.Check(); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s, %+v: %v", c.name, source, err)
		}
	}
}

// Each scheme is described, for the pages and for who writes settings.
func TestSchemes(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range event.Schemes() {
		names = append(names, s.Name)
		if s.Sender == "" || s.ID == "" || s.Subject == "" || s.Version == "" || s.At == "" || !slices.Contains(s.Needs, "secrets") {
			t.Errorf("%+v", s)
		}
	}
	want := []string{"stripe", "hubspot", "standard", "cloudevents", "salesforce", "hmac", "bearer", "basic"}
	if !slices.Equal(names, want) {
		t.Errorf("schemes %q; want %q", names, want)
	}
}

// FuzzReceive fails if a request makes it panic, or is refused by another code than the two.
func FuzzReceive(f *testing.F) {
	for i, s := range senders() {
		r := s.send(s.body, newSecret, now)
		f.Add(uint(i), s.body, r.Header.Get("Content-Type"), "", r.RawQuery, true)
		f.Add(uint(i), s.body, "text/csv", "gzip", "access_token=x", true)
		f.Add(uint(i), zipped(f, s.body), r.Header.Get("Content-Type"), "gzip", r.RawQuery, true)
		for _, name := range s.signed {
			f.Add(uint(i), s.body, "", r.Header.Get(name), "token=x", false)
		}
	}
	f.Fuzz(func(t *testing.T, n uint, body, kind, header, query string, signed bool) {
		all := senders()
		s := all[n%uint(len(all))]
		r := s.send(body, newSecret, now)
		r.Header.Set("Content-Type", kind)
		if r.RawQuery == "" {
			r.RawQuery = query
		}
		r.Header.Set("Ce-Id", header)
		r.Header.Set("Ce-Source", query)
		r.Header.Set("Ce-Type", "t")
		r.Header.Set("Ce-Specversion", "1.0")
		if signed {
			r.Header.Set("Content-Encoding", header)
		} else {
			for _, name := range s.signed {
				r.Header.Set(name, header)
			}
		}
		events, err := s.source.Receive(r, now)
		if code := tenure.CodeOf(err); err != nil && code != tenure.Unauthorized && code != tenure.Invalid {
			t.Fatalf("%v (%s)", err, code)
		}
		for _, e := range events {
			if e.ID == "" || len(e.ID) > event.MaxID || len(e.Type) > event.MaxType || e.At.After(now) || tenure.CheckJSON(e.Data) != nil {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// What is wrong with a body is said so that its sender can mend it.
func TestReasons(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-test-of-reasons"
	s := event.Source{Name: "erp", Scheme: "bearer", Secrets: []tenure.Secret{tenure.NewSecret(token)}, Fields: event.Fields{Time: "at"}}
	for _, c := range []struct{ kind, body, want string }{
		{"text/csv", "a;b;c\n1;2;3\n", "one column"},
		{"text/csv", "a,b,c\n1,2,3\n1,2\n", "row 2 of the CSV has 2 of 3 columns"},
		{"text/csv; charset=iso-8859-1", "a\n1\n", "charset"},
		{"application/x-www-form-urlencoded", "name=%FC", "the form isn't UTF-8"},
		{"application/json", `{"at":"yesterday"}`, "at isn't a time"},
	} {
		r := event.Request{Method: "POST", Header: http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {c.kind}}, Body: []byte(c.body)}
		if _, err := s.Receive(r, time.Now()); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %s", c.kind, c.body, err, c.want)
		}
	}
	s = event.Source{Name: "code", Scheme: "hmac", Header: "X-Signature", Secrets: s.Secrets}
	if _, err := s.Receive(event.Request{Method: "POST", Header: http.Header{}}, time.Now()); err == nil || !strings.Contains(err.Error(), "X-Signature") {
		t.Errorf("without its header: %v", err)
	}
}

// Settings that let too much in are refused.
func TestWeakSources(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]event.Source{
		"fewer than 16 bytes":   {Name: "a", Scheme: "bearer", Secrets: []tenure.Secret{tenure.NewSecret("short")}},
		"between 0 and an hour": {Name: "a", Scheme: "stripe", Secrets: []tenure.Secret{tenure.NewSecret("whsec_of_the_test")}, Tolerance: 2 * time.Hour},
	} {
		if err := s.Check(); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
