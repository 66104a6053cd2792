package event_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
)

// told is what a rule sees of an event, without its data.
func told(e event.Event) event.Event {
	e.Data = nil
	return e
}

// What each scheme's message becomes. Digits are kept: 2^60 isn't rounded.
func TestEvents(t *testing.T) {
	t.Parallel()
	minute := now.Add(-time.Minute)
	for name, want := range map[string][]event.Event{
		"stripe":            {{Source: "billing", ID: "evt_1", Type: "customer.subscription.deleted", Subject: "sub_1", At: now}},
		"hubspot":           {{Source: "crm", ID: `["1152921504606846976","62515","12345","123","","","1796040000123"]`, Type: "company.propertyChange", Subject: "123", At: now}},
		"standard":          {{Source: "auth", ID: "msg_1", Type: "user.deleted", Subject: "usr_1", At: minute.Add(500 * time.Millisecond)}},
		"svix":              {{Source: "auth", ID: "msg_1", Type: "user.deleted", Subject: "usr_1", At: minute.Add(500 * time.Millisecond)}},
		"cloudevents":       {{Source: "shop", ID: `["/shop","7"]`, Type: "order.placed", Subject: "ten/1", Version: "0042", At: minute}},
		"cloudevents token": {{Source: "shop", ID: `["/shop","7"]`, Type: "order.placed", Subject: "ten/1", Version: "0042", At: minute}},
		"hmac":              {{Source: "any", ID: "1152921504606846976", Type: "left", Subject: "acme", Version: "7", At: minute}},
		"basic":             {{Source: "form", ID: "1152921504606846976", Type: "left", Subject: "acme", Version: "7", At: minute}},
		"salesforce": {
			{Source: "sales", ID: "04l5e00000Gx7QzAAJ", Type: "Account", Subject: "0015e00000ZkM3hAAF", Version: "2026-11-30T11:58:00.000Z", At: now.Add(-2 * time.Minute)},
			{Source: "sales", ID: "04l5e00000Gx7R0AAJ", Type: "Account", Subject: "0015e00000ZkM3iAAF", At: now},
		},
	} {
		s := find(t, name)
		var got []event.Event
		for _, e := range taken(t, s.source, s.send(s.body, newSecret, now)) {
			got = append(got, told(e))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	data := string(taken(t, find(t, "cloudevents").source, find(t, "cloudevents").send(cloudBody, newSecret, now))[0].Data)
	if data != cloudBody {
		t.Errorf("data %s", data)
	}
}

// cases tries requests that differ from one which is taken.
func cases(t *testing.T, name string, all map[string]struct {
	body   string
	change func(*event.Source, *event.Request)
	want   tenure.Code
}) {
	t.Helper()
	for what, c := range all {
		s := find(t, name)
		if c.body == "" {
			c.body = s.body
		}
		source, r := s.source, s.send(c.body, newSecret, now)
		if c.change != nil {
			c.change(&source, &r)
		}
		if _, err := source.Receive(r, now); tenure.CodeOf(err) != c.want {
			t.Errorf("%s: %v (%s); want %q", what, err, tenure.CodeOf(err), c.want)
		}
	}
}

type wrong = map[string]struct {
	body   string
	change func(*event.Source, *event.Request)
	want   tenure.Code
}

func set(name, value string) func(*event.Source, *event.Request) {
	return func(_ *event.Source, r *event.Request) { r.Header.Set(name, value) }
}

func TestStripe(t *testing.T) {
	t.Parallel()
	sign := func(format string) func(*event.Source, *event.Request) {
		at := fmt.Sprint(now.Unix())
		return set("Stripe-Signature", strings.NewReplacer("T", at, "S", hex.EncodeToString(mac256(newSecret, at+"."+stripeBody))).Replace(format))
	}
	cases(t, "stripe", wrong{
		"as it is":      {"", sign("t=T,v1=S"), ""},
		"order":         {"", sign("v1=S,t=T"), ""},
		"other schemes": {"", sign("t=T,v0=aa,v2=,x,v1=S,=,"), ""},
		"v0 alone":      {"", sign("t=T,v0=S"), tenure.Unauthorized},
		"no time":       {"", sign("v1=S"), tenure.Unauthorized},
		"an empty time": {"", sign("t=,v1=S"), tenure.Unauthorized},
		"two times":     {"", sign("t=T,t=T,v1=S"), tenure.Unauthorized},
		"another time":  {"", sign("t=1,v1=S"), tenure.Unauthorized},
		"upper case": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("Stripe-Signature", strings.ToUpper(r.Header.Get("Stripe-Signature")))
		}, tenure.Unauthorized},
		"empty":             {"", sign("t=T,v1="), tenure.Unauthorized},
		"no id":             {`{"type":"t"}`, nil, tenure.Invalid},
		"no type":           {`{"id":"e"}`, nil, tenure.Invalid},
		"an id that isn't":  {`{"id":{},"type":"t"}`, nil, tenure.Invalid},
		"a time that isn't": {`{"id":"e","type":"t","created":"soon"}`, nil, tenure.Invalid},
		"no subject":        {`{"id":"e","type":"t","data":[]}`, nil, ""},
	})
	thin := find(t, "stripe")
	got := taken(t, thin.source, thin.send(`{"id":"evt_234","type":"v1.billing.meter.error_report_triggered","created":"2022-02-15T00:27:45.330Z","related_object":{"id":"mtr_1"}}`, newSecret, now))
	if got[0].Subject != "mtr_1" || got[0].At.Year() != 2022 {
		t.Errorf("a thin event: %+v", got)
	}
}

func TestHubSpot(t *testing.T) {
	t.Parallel()
	at := fmt.Sprint(now.UnixMilli())
	sign := func(method, uri, query string) func(*event.Source, *event.Request) {
		return func(_ *event.Source, r *event.Request) {
			r.RawQuery = query
			r.Header.Set("X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac256(newSecret, method+uri+string(r.Body)+at)))
		}
	}
	cases(t, "hubspot", wrong{
		"a query":                               {"", sign("POST", address+"?a=b", "a=b"), ""},
		"a query that isn't":                    {"", sign("POST", address, "a=b"), tenure.Unauthorized},
		"another method":                        {"", sign("GET", address, ""), tenure.Unauthorized},
		"another address":                       {"", sign("POST", address+"/", ""), tenure.Unauthorized},
		"another method than it was signed for": {"", func(_ *event.Source, r *event.Request) { r.Method = "GET" }, tenure.Unauthorized},
		"http":                                  {"", sign("POST", "http"+strings.TrimPrefix(address, "https"), ""), tenure.Unauthorized},
		"escapes of the table":                  {"", sign("POST", address+"?a=:/?@!$'()*,;", "a=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"), ""},
		"other escapes stay":                    {"", sign("POST", address+"?a=%20%26%3D%253A", "a=%20%26%3D%253A"), ""},
		"one round of them":                     {"", sign("POST", address+"?a=%2:", "a=%2%3A"), ""},
		"other escapes, decoded":                {"", sign("POST", address+"?a= ", "a=%20"), tenure.Unauthorized},
		"hexadecimal":                           {"", set("X-HubSpot-Signature-v3", hex.EncodeToString(mac256(newSecret, "POST"+address+hubSpotBody+at))), tenure.Unauthorized},
		"of version 2": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Del("X-HubSpot-Signature-v3")
			r.Header.Set("X-HubSpot-Signature", "x")
		}, tenure.Unauthorized},
		"none":              {"[]", nil, ""},
		"an object":         {"{}", nil, tenure.Invalid},
		"no id":             {`[{"objectId":1}]`, nil, tenure.Invalid},
		"a time that isn't": {`[{"eventId":1,"occurredAt":"x"}]`, nil, tenure.Invalid},
	})
	id := func(change ...string) string {
		s := find(t, "hubspot")
		return taken(t, s.source, s.send(strings.NewReplacer(change...).Replace(s.body), newSecret, now))[0].ID
	}
	if id("attemptNumber\":0", "attemptNumber\":3") != id() {
		t.Error("a later attempt is another event")
	}
	for _, part := range []string{"eventId", "subscriptionId", "objectId", "occurredAt", "portalId"} {
		if id(part+`":1`, part+`":3`, part+`":6`, part+`":3`) == id() {
			t.Errorf("an event with another %s is the same", part)
		}
	}
	s := find(t, "hubspot")
	many := func(n int) event.Request {
		return s.send("["+strings.Repeat(`{"eventId":1},`, n-1)+`{"eventId":1}]`, newSecret, now)
	}
	if got := taken(t, s.source, many(event.MaxEvents)); len(got) != event.MaxEvents {
		t.Errorf("%d events", len(got))
	}
	refused(t, s.source, many(event.MaxEvents+1), tenure.Invalid)
}

func TestStandard(t *testing.T) {
	t.Parallel()
	cases(t, "standard", wrong{
		"v1a of it": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("webhook-signature", strings.Replace(r.Header.Get("webhook-signature"), "v1", "v1a", 1))
		}, tenure.Unauthorized},
		"a long header": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("webhook-signature", r.Header.Get("webhook-signature")+strings.Repeat(" ", 10_000))
		}, tenure.Unauthorized},
		"another id": {"", set("webhook-id", "msg_2"), tenure.Unauthorized},
		"headers of both": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("svix-id", "msg_2")
			r.Header.Set("svix-signature", "v1,")
		}, ""},
		"the prefix":        {"", func(s *event.Source, _ *event.Request) { s.Secrets = secrets(strings.TrimPrefix(newSecret, "whsec_")) }, ""},
		"another key":       {"", func(s *event.Source, _ *event.Request) { s.Secrets = secrets(publicKey(newSecret)) }, tenure.Unauthorized},
		"mixed keys":        {"", func(s *event.Source, _ *event.Request) { s.Secrets = secrets(publicKey(oldSecret), newSecret) }, ""},
		"no type":           {`{}`, nil, ""},
		"a time that isn't": {`{"timestamp":"x"}`, nil, tenure.Invalid},
		"an array":          {`[]`, nil, tenure.Invalid},
	})
	cases(t, "standard ed25519", wrong{
		"v1 of it": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("webhook-signature", strings.Replace(r.Header.Get("webhook-signature"), "v1a", "v1", 1))
		}, tenure.Unauthorized},
		"truncated": {"", set("webhook-signature", "v1a,"), tenure.Unauthorized},
		// Who knows the public key can't sign with it as with a shared one.
		"the public key as a shared one": {"", func(_ *event.Source, r *event.Request) {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(publicKey(newSecret), "whpk_"))
			signed := "msg_1." + r.Header.Get("webhook-timestamp") + "." + standardBody
			r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac256(string(key), signed)))
		}, tenure.Unauthorized},
	})
	s := find(t, "standard")
	s.source.Fields = event.Fields{Type: "kind", Subject: "data.user", Version: "data.rev"}
	got := taken(t, s.source, s.send(`{"kind":"k","data":{"user":"u","rev":3}}`, newSecret, now))
	if want := (event.Event{Source: "auth", ID: "msg_1", Type: "k", Subject: "u", Version: "3", At: now}); !cmp.Equal(want, told(got[0])) {
		t.Errorf("%+v; want %+v", got[0], want)
	}
}

func TestCloudEvents(t *testing.T) {
	t.Parallel()
	const minimal = `{"specversion":"1.0","id":"7","source":"/s","type":"t"`
	batch := set("Content-Type", "application/cloudevents-batch+json; charset=UTF-8")
	cases(t, "cloudevents token", wrong{
		"the least":                 {minimal + `}`, nil, ""},
		"unset by null":             {minimal + `,"subject":null,"time":null,"sequence":null,"x":null}`, nil, ""},
		"data_base64":               {minimal + `,"data_base64":"AQI="}`, nil, ""},
		"data_base64 that isn't":    {minimal + `,"data_base64":"!"}`, nil, tenure.Invalid},
		"data_base64, a number":     {minimal + `,"data_base64":1}`, nil, tenure.Invalid},
		"data twice":                {minimal + `,"data":1,"data_base64":"AQI="}`, nil, tenure.Invalid},
		"no id":                     {`{"specversion":"1.0","source":"/s","type":"t"}`, nil, tenure.Invalid},
		"an empty id":               {`{"specversion":"1.0","id":"","source":"/s","type":"t"}`, nil, tenure.Invalid},
		"no source":                 {`{"specversion":"1.0","id":"7","type":"t"}`, nil, tenure.Invalid},
		"no type":                   {`{"specversion":"1.0","id":"7","source":"/s"}`, nil, tenure.Invalid},
		"no version":                {`{"id":"7","source":"/s","type":"t"}`, nil, tenure.Invalid},
		"another version":           {`{"specversion":"0.3","id":"7","source":"/s","type":"t"}`, nil, tenure.Invalid},
		"a control character":       {`{"specversion":"1.0","id":"7","source":"/\n","type":"t"}`, nil, tenure.Invalid},
		"a time that isn't":         {minimal + `,"time":"x"}`, nil, tenure.Invalid},
		"a batch":                   {"[" + minimal + "}," + minimal + "}]", batch, ""},
		"an empty batch":            {"[]", batch, ""},
		"a batch that isn't":        {minimal + "}", batch, tenure.Invalid},
		"a batch with one that no":  {"[" + minimal + "},{}]", batch, tenure.Invalid},
		"another format":            {"", set("Content-Type", "application/cloudevents+avro"), tenure.Invalid},
		"another charset":           {"", set("Content-Type", "application/cloudevents+json; charset=utf-16"), tenure.Invalid},
		"a content type that isn't": {"", set("Content-Type", "/;;"), tenure.Invalid},
		"basic":                     {"", set("Authorization", "Basic "+newSecret), tenure.Unauthorized},
		"no scheme":                 {"", set("Authorization", newSecret), tenure.Unauthorized},
		"lower case":                {"", set("Authorization", "bearer "+newSecret), ""},
		"in the query": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Del("Authorization")
			r.RawQuery = "access_token=" + newSecret
		}, ""},
		"in the query, wrong": {"", func(_ *event.Source, r *event.Request) { r.Header.Del("Authorization"); r.RawQuery = "access_token=x" }, tenure.Unauthorized},
		"in the query, twice": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Del("Authorization")
			r.RawQuery = "access_token=" + newSecret + "&access_token=x"
		}, tenure.Unauthorized},
		"wrong, and in the query": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("Authorization", "Bearer x")
			r.RawQuery = "access_token=" + newSecret
		}, tenure.Unauthorized},
	})
	// A signature of the body says nothing of attributes in headers.
	cases(t, "cloudevents", wrong{
		"binary": {"{}", func(_ *event.Source, r *event.Request) {
			r.Header.Set("Content-Type", "application/json")
			for name, v := range map[string]string{"ce-id": "7", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0"} {
				r.Header.Set(name, v)
			}
		}, tenure.Unauthorized},
		"a token in place of a signature": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Del("X-Signature")
			r.Header.Set("Authorization", "Bearer "+newSecret)
		}, tenure.Unauthorized},
	})
	// No source and id can be written as others.
	s, ids := find(t, "cloudevents token"), map[string]bool{}
	for _, pair := range [][2]string{{"a", "b/c"}, {"a/b", "c"}, {`a","b`, "c"}, {"a", `b","c`}, {"a,b", "c"}} {
		b, _ := json.Marshal(map[string]string{"specversion": "1.0", "source": pair[0], "id": pair[1], "type": "t"})
		ids[taken(t, s.source, s.send(string(b), newSecret, now))[0].ID] = true
	}
	if len(ids) != 5 {
		t.Errorf("%d ids of 5: %v", len(ids), ids)
	}
}

func TestBinaryCloudEvents(t *testing.T) {
	t.Parallel()
	base := func(kind, body string, more ...string) event.Request {
		return post(body, append([]string{"Authorization", "Bearer " + newSecret, "Content-Type", kind, "ce-specversion", "1.0", "ce-id", "7", "ce-source", "/shop", "ce-type", "t"}, more...)...)
	}
	s := find(t, "cloudevents token").source
	for _, c := range []struct {
		r    event.Request
		data string
	}{
		{base("application/json", `{"n":1152921504606846976,"x":"<"}`), `"data":{"n":1152921504606846976,"x":"<"},"datacontenttype":"application/json",`},
		{base("application/vnd.a+json; charset=utf-8", `"I'm just a string"`), `"data":"I'm just a string","datacontenttype":"application/vnd.a+json; charset=utf-8",`},
		{base("application/xml", `<a/>`), `"data":"<a/>","datacontenttype":"application/xml",`},
		{base("application/octet-stream", "\x00\xff"), `"data_base64":"AP8=","datacontenttype":"application/octet-stream",`},
		{base("text/plain", "\xff"), `"data_base64":"/w==","datacontenttype":"text/plain",`},
		{base("text/plain", ""), `"datacontenttype":"text/plain",`},
	} {
		e := taken(t, s, c.r)[0]
		if want := `{` + c.data + `"id":"7","source":"/shop","specversion":"1.0","type":"t"}`; string(e.Data) != want {
			t.Errorf("data %s\nwant %s", e.Data, want)
		}
	}
	// The example of HTTP Protocol Binding §3.1.3.2, and quotes as version 1.0 had them.
	for header, want := range map[string]string{"Euro%20%E2%82%AC%20%F0%9F%98%80": "Euro € 😀", "%41": "A", "a+b": "a+b", `"a \"b\" \\"`: `a "b" \`, "%e2%82%ac": "€"} {
		if e := taken(t, s, base("text/plain", "", "ce-subject", header, "ce-time", "2018-04-05T03%3A56:24Z", "ce-sequence", "9"))[0]; e.Subject != want || e.Version != "9" || e.At.Year() != 2018 {
			t.Errorf("subject of %s: %+v; want %q", header, e, want)
		}
	}
	for _, r := range []event.Request{
		base("text/plain", "", "ce-subject", "%C0%A0"), base("text/plain", "", "ce-subject", "%zz"), base("text/plain", "", "ce-subject", "%"), base("text/plain", "", "ce-subject", "%0A"), base("text/plain", "", "ce-subject", "%00"), base("text/plain", "", "ce-subject", "\xff"),
		base("text/plain", "", "ce-id", "8"), base("text/plain", "", "ce-data", "x"), base("text/plain", "", "ce-datacontenttype", "x"), base("text/plain", "", "ce-a_b", "x"), base("text/plain", "", "ce-", "x"),
		base("application/json", ""+`{"a":1,"a":2}`), base("application/json", "{"), post("{}", "Authorization", "Bearer "+newSecret, "Content-Type", "application/json"),
	} {
		refused(t, s, r, tenure.Invalid)
	}
}

// A sender may ask whether it may send, and is told so if the settings name it.
func TestHandshake(t *testing.T) {
	t.Parallel()
	s := find(t, "cloudevents token").source
	ask := func(origin, rate string) event.Request {
		r := event.Request{Method: "OPTIONS", Header: http.Header{}}
		r.Header.Set("WebHook-Request-Origin", origin)
		if rate != "" {
			r.Header.Set("WebHook-Request-Rate", rate)
		}
		return r
	}
	if h, ok := s.Handshake(ask("a.example", "")); ok {
		t.Errorf("granted to everybody: %v", h)
	}
	s.Origins = []string{"a.example"}
	want := http.Header{}
	want.Set("Allow", "POST")
	want.Set("WebHook-Allowed-Origin", "a.example")
	want.Set("WebHook-Allowed-Rate", "120")
	if h, ok := s.Handshake(ask("a.example", "120")); !ok || !cmp.Equal(want, h) {
		t.Errorf("%v, %v; want %v", h, ok, want)
	}
	for rate, want := range map[string]string{"": "*", "0": "*", "-1": "*", "1\r\nX: y": "*", "99999999999999": "*"} {
		if h, ok := s.Handshake(ask("A.example", rate)); !ok || h.Get("WebHook-Allowed-Rate") != want {
			t.Errorf("rate %q: %v, %v", rate, h, ok)
		}
	}
	s.Origins = []string{"*"}
	if _, ok := s.Handshake(ask("any.example", "")); !ok {
		t.Error("not granted to everybody")
	}
	for _, origin := range []string{"", "a\r\nSet-Cookie: x", "a b", "\u212a.example", strings.Repeat("a", 300)} {
		if h, ok := s.Handshake(ask(origin, "")); ok {
			t.Errorf("granted to %q: %v", origin, h)
		}
	}
	post := ask("any.example", "")
	post.Method = "POST"
	if _, ok := s.Handshake(post); ok {
		t.Error("a delivery is taken for a question")
	}
	if _, ok := find(t, "stripe").source.Handshake(ask("any.example", "")); ok {
		t.Error("another scheme answers")
	}
}

func TestSalesforce(t *testing.T) {
	t.Parallel()
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(outboundBody) }
	query := func(q string) func(*event.Source, *event.Request) {
		return func(_ *event.Source, r *event.Request) { r.RawQuery = q }
	}
	organization := func(id string) func(*event.Source, *event.Request) {
		return func(s *event.Source, _ *event.Request) { s.Organization = id }
	}
	deep := strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50)
	cases(t, "salesforce", wrong{
		"its id of 15 characters":     {"", organization("00D5e000000KQ2e"), ""},
		"another organization":        {"", organization("00D5e000000KQ2fEAG"), tenure.Unauthorized},
		"another letter case":         {"", organization("00D5e000000Kq2e"), tenure.Unauthorized},
		"another organization's":      {replace("<OrganizationId>00D5e000000KQ2eEAG", "<OrganizationId>00D5e000000KQ2fEAG"), nil, tenure.Unauthorized},
		"an empty organization":       {replace("<OrganizationId>00D5e000000KQ2eEAG", "<OrganizationId>"), nil, tenure.Unauthorized},
		"two organizations":           {replace("<ActionId>", "<OrganizationId>00D5e000000KQ2eEAG</OrganizationId><ActionId>"), nil, tenure.Invalid},
		"no token":                    {"", query(""), tenure.Unauthorized},
		"another token":               {"", query("token=x"), tenure.Unauthorized},
		"an empty token":              {"", query("token="), tenure.Unauthorized},
		"two tokens":                  {"", query("token=" + newSecret + "&token=x"), tenure.Unauthorized},
		"a query that can't be read":  {"", query("token=" + newSecret + "&a=%zz"), tenure.Unauthorized},
		"no notification":             {replace("Notification>", "Other>"), nil, tenure.Invalid},
		"no id":                       {replace("<Id>04l5e00000Gx7QzAAJ</Id>", ""), nil, tenure.Invalid},
		"no record's id":              {replace("<sf:Id>0015e00000ZkM3hAAF</sf:Id>", ""), nil, tenure.Invalid},
		"a field twice":               {replace("<sf:Name>", "<sf:Name>x</sf:Name><sf:Name>"), nil, tenure.Invalid},
		"a version that isn't":        {replace("2026-11-30T11:58:00.000Z", "soon"), nil, tenure.Invalid},
		"another envelope":            {replace("http://schemas.xmlsoap.org/soap/envelope/", "urn:x"), nil, tenure.Invalid},
		"another message":             {replace("http://soap.sforce.com/2005/09/outbound", "urn:x"), nil, tenure.Invalid},
		"two bodies":                  {replace("</soapenv:Body>", "</soapenv:Body><soapenv:Body/>"), nil, tenure.Invalid},
		"a DTD":                       {replace("<soapenv:Envelope", "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><soapenv:Envelope"), nil, tenure.Invalid},
		"a DTD's entity":              {replace("&amp;", "&e;"), nil, tenure.Invalid},
		"a DTD within":                {replace("<sf:Name>", "<!ELEMENT a ANY><sf:Name>"), nil, tenure.Invalid},
		"an instruction":              {replace("<soapenv:Envelope", "<?xml-stylesheet href=\"x\"?><soapenv:Envelope"), nil, tenure.Invalid},
		"another charset":             {replace("UTF-8", "ISO-8859-1"), nil, tenure.Invalid},
		"not UTF-8":                   {replace("ü", "\xfc"), nil, tenure.Invalid},
		"depth":                       {replace("<sf:Name>", deep+"<sf:Name>"), nil, tenure.Invalid},
		"cut off":                     {outboundBody[:len(outboundBody)-5], nil, tenure.Invalid},
		"more after it":               {outboundBody + "<a/>", nil, tenure.Invalid},
		"text after it":               {outboundBody + "a", nil, tenure.Invalid},
		"JSON":                        {`{}`, nil, tenure.Invalid},
		"an action that is repeated":  {replace("04k5e000000CaRkAAK", strings.Repeat("x", 1000)), nil, tenure.Invalid},
		"more than are taken":         {replace("<Notification>", strings.Repeat("<Notification><Id>1</Id><sObject><Id>1</Id></sObject></Notification>", event.MaxEvents)+"<Notification>"), nil, tenure.Invalid},
		"a comment in pieces of text": {replace("Müller", strings.Repeat("<!---->x", 100_000)), nil, ""},
	})
	s := find(t, "salesforce")
	data := string(taken(t, s.source, s.send(s.body, newSecret, now))[0].Data)
	want := `{"ActionId":"04k5e000000CaRkAAK","Id":"04l5e00000Gx7QzAAJ","OrganizationId":"00D5e000000KQ2eEAG","sObject":{"Id":"0015e00000ZkM3hAAF","Name":"Müller & Co","Phone":null,"SystemModstamp":"2026-11-30T11:58:00.000Z"},"sObjectType":"Account"}`
	if data != want {
		t.Errorf("data %s\nwant %s", data, want)
	}
	if strings.Contains(data, "session") {
		t.Error("a session of Salesforce is kept")
	}
	status, kind, body := s.source.Answer()
	if status != 200 || !strings.HasPrefix(kind, "text/xml") || !strings.Contains(string(body), `<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>`) {
		t.Errorf("answer %d, %s, %s", status, kind, body)
	}
	for _, other := range signers() {
		if status, kind, body := other.source.Answer(); status/100 != 2 || kind != "" || len(body) > 0 {
			t.Errorf("%s answers %d, %s, %s", other.name, status, kind, body)
		}
	}
}

func TestHMAC(t *testing.T) {
	t.Parallel()
	cases(t, "hmac", wrong{
		"no prefix": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("X-Hub-Signature-256", strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256="))
		}, tenure.Unauthorized},
		"another prefix": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("X-Hub-Signature-256", strings.Replace(r.Header.Get("X-Hub-Signature-256"), "sha256", "sha1", 1))
		}, tenure.Unauthorized},
		"the prefix": {"", set("X-Hub-Signature-256", "sha256="), tenure.Unauthorized},
		"upper case": {"", func(_ *event.Source, r *event.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256="+strings.ToUpper(strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")))
		}, tenure.Unauthorized},
		"base64":         {"", set("X-Hub-Signature-256", "sha256="+base64.StdEncoding.EncodeToString(mac256(newSecret, plainBody))), tenure.Unauthorized},
		"an array":       {`[{"event":{"id":1}},{"event":{"id":2}}]`, nil, ""},
		"no id":          {`{"event":{}}`, nil, tenure.Invalid},
		"a path into no": {`{"event":"x"}`, nil, tenure.Invalid},
		"multipart":      {"", set("Content-Type", "multipart/form-data; boundary=x"), tenure.Invalid},
		"another kind":   {"", set("Content-Type", "application/pdf"), tenure.Invalid},
	})
	s := find(t, "hmac")
	s.source.Fields = event.Fields{Type: "list.1.kind"}
	one := taken(t, s.source, s.send(`{"list":[{},{"kind":"k"}]}`, newSecret, now))[0]
	if one.Type != "k" || one.ID != tenure.Digest([]byte(`{"list":[{},{"kind":"k"}]}`)) {
		t.Errorf("%+v", one)
	}
	all := taken(t, s.source, s.send(`[{},{}]`, newSecret, now))
	if digest := tenure.Digest([]byte(`[{},{}]`)); len(all) != 2 || all[0].ID != digest+"#0" || all[1].ID != digest+"#1" {
		t.Errorf("%+v", all)
	}
	// What was signed has the time, so that the same body at another time is another event.
	s = find(t, "hmac with a time")
	s.source.Fields = event.Fields{}
	if a, b := taken(t, s.source, s.send(`{}`, newSecret, now)), taken(t, s.source, s.send(`{}`, newSecret, now.Add(time.Second))); a[0].ID == b[0].ID || a[0].ID != tenure.Digest([]byte("v0:"+fmt.Sprint(now.Unix())+":{}")) {
		t.Errorf("%s and %s", a[0].ID, b[0].ID)
	}
}

func TestFormsAndTables(t *testing.T) {
	t.Parallel()
	const form, table = "application/x-www-form-urlencoded", "text/csv; charset=utf-8"
	s := find(t, "bearer")
	s.source.Fields = event.Fields{ID: "id", Type: "a.b", Time: "at"}
	with := func(kind, body string) event.Request {
		r := s.send(body, newSecret, now)
		r.Header.Set("Content-Type", kind)
		return r
	}
	got := taken(t, s.source, with(form, "id=1&a.b=left+now&x=1&x=%C3%BC&at=2026-11-30T11:59:00Z"))
	if e := got[0]; e.ID != "1" || e.Type != "left now" || !e.At.Equal(now.Add(-time.Minute)) || string(e.Data) != `{"a.b":"left now","at":"2026-11-30T11:59:00Z","id":"1","x":["1","ü"]}` {
		t.Errorf("%+v %s", e, e.Data)
	}
	got = taken(t, s.source, with(table, "\ufeffid,a.b\r\n1,\"left, now\"\r\n2,\"a\"\"b\"\r\n"))
	if len(got) != 2 || got[0].Type != "left, now" || got[1].ID != "2" || string(got[1].Data) != `{"a.b":"a\"b","id":"2"}` {
		t.Errorf("%+v", got)
	}
	columns := strings.Repeat("c,", 256) + "d"
	for _, r := range []event.Request{
		with(form, ""), with(form, "id=1;x"), with(form, "id=%zz"), with(form, "id=1&id=2"), with(form, "x=1"), with(form, "id=1&x=%00"), with(form, "id=1&x=%ff"), with(form, "id=1&"+strings.Repeat("a=", 300)+strings.Repeat("&b=", 300)+"&"+strings.Repeat("n", 300)+"="),
		with(table, ""), with(table, "id,id\n1,2\n"), with(table, "id,\n1,2\n"), with(table, "id\n1,2\n"), with(table, "id\n\"\n"), with(table, "id\n\xff\n"), with(table, "id\n\x00\n"), with(table, "x\n1\n"), with(table, columns+"\n"), with(table, "id\n"+strings.Repeat("1\n", event.MaxEvents+1)),
		with(table, "id,"+strings.Repeat("x", 200)+"1\n1,2\n"),
		with("multipart/form-data; boundary=x", "--x--"), with("text/html", "<a>"), with("text/csv; charset=latin1", "id\n1\n"),
	} {
		refused(t, s.source, r, tenure.Invalid)
	}
	// Rows that repeat long names are bounded together.
	var wide strings.Builder
	wide.WriteString("id")
	for i := range 255 {
		fmt.Fprintf(&wide, ",%0200d", i)
	}
	refused(t, s.source, with(table, wide.String()+strings.Repeat("\n1"+strings.Repeat(",", 255), 999)), tenure.Invalid)

	s.source.Fields = event.Fields{}
	got = taken(t, s.source, with(table, "b,a\n1,2\n"))
	if got[0].ID != tenure.Digest([]byte(`{"a":"2","b":"1"}`)) {
		t.Errorf("a row without an id: %+v", got)
	}
	if again := taken(t, s.source, with(table, "a,b\n2,1\n")); again[0].ID != got[0].ID {
		t.Error("the same row in another order is another event")
	}
	if got := taken(t, s.source, with(table, "b,a\n")); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	cases(t, "basic", wrong{
		"another name":     {"", set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("me:"+newSecret))), tenure.Unauthorized},
		"another password": {"", set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("erp:x"))), tenure.Unauthorized},
		"no password":      {"", set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("erp"))), tenure.Unauthorized},
		"not base64":       {"", set("Authorization", "Basic erp:"+newSecret), tenure.Unauthorized},
		"bearer":           {"", set("Authorization", "Bearer "+newSecret), tenure.Unauthorized},
	})
	cases(t, "bearer", wrong{
		"basic":        {"", set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("erp:"+newSecret))), tenure.Unauthorized},
		"no token":     {"", set("Authorization", "Bearer "), tenure.Unauthorized},
		"more than it": {"", set("Authorization", "Bearer "+newSecret+" x"), tenure.Unauthorized},
		"less than it": {"", set("Authorization", "Bearer "+newSecret[:10]), tenure.Unauthorized},
		"of basic":     {"", func(s *event.Source, _ *event.Request) { s.Username = "erp" }, tenure.Unauthorized},
	})
}
