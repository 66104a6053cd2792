package event

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Source is a sender, as the settings name it. What else than a name, a scheme and a secret it needs
// says Schemes.
type Source struct {
	Name, Scheme string
	Secrets      []tenure.Secret // the current one first; any may have signed
	Tolerance    time.Duration   // how far a signature's time may be from the receipt, both ways; 0 is 5 minutes
	URL          string          // the public address of the route, without a query, for schemes that sign it

	Header          string // that has the signature (hmac, cloudevents)
	Algorithm       string // sha256 (if "") or sha512
	Encoding        string // hex in lower case (if "") or base64
	Prefix          string // before the signature, such as sha256=
	TimestampHeader string // that has the time which is signed, in seconds or milliseconds since 1970
	Signed          string // what is signed; if "": {timestamp}.{body} with a TimestampHeader, {body} without one

	Username     string   // of HTTP Basic authentication; the secret is the password
	Organization string   // Salesforce's id of the organization, of 15 or 18 characters
	Origins      []string // who may be granted delivery in the handshake of cloudevents; * is everybody
	Fields       Fields   // where an event says what, for schemes that leave it open
}

// Fields are the places of an event's parts: in JSON names with dots between them (an array's element
// by its number from 0), in a form or a CSV file one name. A part without a place is unknown; what has
// a place for its id must have an id there.
type Fields struct{ ID, Type, Subject, Version, Time string }

// Scheme is a way in which senders prove who they are, with the settings that it must and may have,
// named as in tenure.yaml. Each may have a tolerance and a url beside them.
type Scheme struct {
	Name, Sender string
	Needs, Takes []string
	// What becomes of what is sent.
	ID, Subject, Version, At string
}

// method is a scheme with what it does.
type method struct {
	Scheme
	check   func(Source) error // of what Needs and Takes don't say; may be nil
	receive func(Source, Request, time.Time) ([]Event, error)
}

func methods() []method {
	const receipt = "the receipt"
	signing := []string{"algorithm", "encoding", "prefix", "timestampHeader", "signed"}
	return []method{
		{Scheme{"stripe", "Stripe", []string{"secrets"}, nil,
			"`id`", "`data.object.id`, else `related_object.id`", "none", "`created`"}, nil, receiveStripe},
		{Scheme{"hubspot", "HubSpot, request signature v3", []string{"secrets", "url"}, nil,
			"`eventId`, `portalId`, `subscriptionId`, `objectId` and `occurredAt` together", "`objectId`, else `fromObjectId`", "none", "`occurredAt`"}, checkHubSpot, receiveHubSpot},
		{Scheme{"standard", "Standard Webhooks 1.0.0, and Svix", []string{"secrets"}, []string{"fields"},
			"header `webhook-id`", "`data.id`", "none", "`timestamp`"}, checkStandard, receiveStandard},
		{Scheme{"cloudevents", "CloudEvents 1.0.2 over HTTP", []string{"secrets"}, append([]string{"origins", "header"}, signing...),
			"`source` and `id` together", "`subject`", "`sequence`", "`time`"}, checkCloudEvents, receiveCloudEvents},
		{Scheme{"salesforce", "Salesforce, outbound messages", []string{"secrets", "organization"}, nil,
			"the notification's `Id`", "the record's `Id`", "`SystemModstamp`, else `LastModifiedDate`", "as the version"}, checkSalesforce, receiveSalesforce},
		{Scheme{"hmac", "any that signs the body with a shared secret", []string{"secrets", "header"}, append([]string{"fields"}, signing...),
			"`fields.id`, else the SHA-256 of what was signed", "`fields.subject`", "`fields.version`", "`fields.time`, else " + receipt}, checkHMAC, receiveHMAC},
		{Scheme{"bearer", "any that sends a fixed token", []string{"secrets"}, []string{"username", "fields"},
			"`fields.id`, else the SHA-256 of the object, form or row", "`fields.subject`", "`fields.version`", "`fields.time`, else " + receipt}, checkFields, receiveToken},
		{Scheme{"basic", "any that sends a user name and a password", []string{"secrets", "username"}, []string{"fields"},
			"as with bearer", "`fields.subject`", "`fields.version`", "`fields.time`, else " + receipt}, checkFields, receiveToken},
	}
}

// Schemes lists them with what each needs.
func Schemes() []Scheme {
	var all []Scheme
	for _, m := range methods() {
		all = append(all, m.Scheme)
	}
	return all
}

func (s Source) method() (method, bool) {
	for _, m := range methods() {
		if m.Name == s.Scheme {
			return m, true
		}
	}
	return method{}, false
}

// setting is a setting and whether it is there.
type setting struct {
	name  string
	there bool
}

// settings are those that not every scheme takes.
func (s Source) settings() []setting {
	return []setting{
		{"secrets", len(s.Secrets) > 0}, {"url", s.URL != ""}, {"header", s.Header != ""}, {"algorithm", s.Algorithm != ""}, {"encoding", s.Encoding != ""},
		{"prefix", s.Prefix != ""}, {"timestampHeader", s.TimestampHeader != ""}, {"signed", s.Signed != ""}, {"username", s.Username != ""},
		{"organization", s.Organization != ""}, {"origins", len(s.Origins) > 0}, {"fields", s.Fields != Fields{}},
	}
}

// Check says what the settings lack, have too much of or have wrong (Invalid).
func (s Source) Check() error {
	if s.Name == "" {
		return invalid("a source of events has no name")
	}
	m, ok := s.method()
	if !ok {
		var names []string
		for _, m := range methods() {
			names = append(names, m.Name)
		}
		return tenure.Errorf(tenure.Invalid, "source %s: there is no scheme %.40q", s.Name, s.Scheme).WithHint("schemes: %s", strings.Join(names, ", "))
	}
	for _, f := range s.settings() {
		switch needed := slices.Contains(m.Needs, f.name); {
		case needed && !f.there:
			err := tenure.Errorf(tenure.Invalid, "source %s: scheme %s needs %s", s.Name, s.Scheme, f.name)
			if f.name == "secrets" {
				return err.WithHint(`say where each is kept: secrets: ["env:NAME"]`)
			}
			return err
		case f.there && !needed && f.name != "url" && !slices.Contains(m.Takes, f.name):
			return invalid("source %s: scheme %s takes no %s", s.Name, s.Scheme, f.name)
		}
	}
	if len(s.Secrets) > maxSecrets {
		return invalid("source %s has %d secrets; it may have %d", s.Name, len(s.Secrets), maxSecrets)
	}
	for _, secret := range s.Secrets {
		if secret.IsZero() {
			return tenure.Errorf(tenure.Invalid, "source %s has an empty secret", s.Name).WithHint("look at the place that secrets names")
		}
		if s.bears() && len(secret.Reveal()) < minToken {
			return tenure.Errorf(tenure.Invalid, "source %s has a token of fewer than %d bytes", s.Name, minToken).WithHint("anybody could guess it: take a random one, such as openssl rand -hex 32 makes")
		}
	}
	if s.Tolerance < 0 || s.Tolerance > maxTolerance {
		return invalid("source %s: a tolerance is between 0 and an hour", s.Name)
	}
	if m.check == nil {
		return nil
	}
	return m.check(s)
}

// bears says whether the secret itself is sent, as a token in a header or in the address.
func (s Source) bears() bool {
	return s.Scheme == "bearer" && s.Username == "" || s.Scheme == "salesforce" || s.Scheme == "cloudevents" && s.Header == ""
}

// Receive verifies a request and says what it tells. Its errors are Unauthorized (what proves the
// sender is missing, wrong, too old or from the future) and Invalid (it is proven, but isn't what the
// scheme has). A source that Check refuses receives nothing.
func (s Source) Receive(r Request, now time.Time) ([]Event, error) {
	m, ok := s.method()
	if !ok || s.Check() != nil {
		return nil, unauthorized("source %s isn't set up", s.Name)
	}
	if len(r.Body) > MaxBody {
		return nil, tooLarge()
	}
	events, err := m.receive(s, r, now)
	if err != nil {
		return nil, err
	}
	for i := range events {
		if err := events[i].finish(s.Name, now); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// ErrTooLarge is a request of more than MaxBody, as it was sent or as it unpacks (413, RFC 9110 §15.5.14).
var ErrTooLarge error = tenure.Errorf(tenure.Invalid, "the request has more than %d bytes", MaxBody)

func tooLarge() error { return ErrTooLarge }
func tooMany() error  { return invalid("the request has more than %d events", MaxEvents) }

// Answer is what the scheme wants as the answer to a request that was taken.
func (s Source) Answer() (status int, contentType string, body []byte) {
	switch s.Scheme {
	case "salesforce":
		return http.StatusOK, "text/xml; charset=utf-8", []byte(salesforceAck)
	case "cloudevents": // HTTP 1.1 Web Hooks for Event Delivery 1.0.2 §2.2: accepted, and not processed yet
		return http.StatusAccepted, "", nil
	}
	return http.StatusOK, "", nil
}

// Handshake answers an OPTIONS request by which a sender of CloudEvents asks whether it may deliver
// here (HTTP 1.1 Web Hooks for Event Delivery 1.0.2 §4): the headers of the answer, which has no body.
// It is false if that isn't granted; the answer is 405 then (§4.2). It proves nobody, and lets nothing in.
func (s Source) Handshake(r Request) (http.Header, bool) {
	origin := r.single("WebHook-Request-Origin")
	if s.Scheme != "cloudevents" || r.Method != http.MethodOptions || !dnsName(origin) {
		return nil, false
	}
	if !slices.ContainsFunc(s.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) }) {
		return nil, false
	}
	rate := "*"
	if n, err := strconv.ParseUint(r.single("WebHook-Request-Rate"), 10, 31); err == nil && n > 0 {
		rate = strconv.FormatUint(n, 10)
	}
	return http.Header{"Allow": {"POST"}, "Webhook-Allowed-Origin": {origin}, "Webhook-Allowed-Rate": {rate}}, true
}

// dnsName says whether a text may stand in an answer's header as the name of a sender.
func dnsName(name string) bool {
	return name != "" && len(name) <= 253 && only(name, letters+digits+"-._")
}

// checkURL refuses (Invalid) what can't be the address of a route.
func (s Source) checkURL() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.ContainsAny(s.URL, "?#") {
		return tenure.Errorf(tenure.Invalid, "source %s: its url isn't the address of a route", s.Name).WithHint("write it as the sender calls it, without query: https://tenure.example/api/…")
	}
	return nil
}
