package event_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
)

// now is the receipt, a whole second.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const (
	oldSecret = "whsec_b2xkIHNlY3JldCBvZiB0aGUgc291cmNl" // base64 after the prefix, for Standard Webhooks
	newSecret = "whsec_bmV3IHNlY3JldCBvZiB0aGUgc291cmNl"
	address   = "https://tenure.example/events/crm"
)

// sender makes requests as the documents say, with code of its own.
type sender struct {
	name   string
	source event.Source
	body   string
	// send signs body at a time with a secret.
	send func(body, secret string, at time.Time) event.Request
	// signed are the headers that prove the sender; timed says that a time is among what is signed.
	signed []string
	timed  bool
}

func post(body string, header ...string) event.Request {
	r := event.Request{Method: "POST", Path: "/events/crm", Header: http.Header{}, Body: []byte(body)}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func mac256(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

func base64Key(secret string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	return string(key)
}

func secrets(all ...string) (out []tenure.Secret) {
	for _, s := range all {
		out = append(out, tenure.NewSecret(s))
	}
	return out
}

// privateKey is an Ed25519 key made of a secret.
func privateKey(secret string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(secret))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKey(secret string) string {
	return "whpk_" + base64.StdEncoding.EncodeToString(privateKey(secret).Public().(ed25519.PublicKey))
}

const (
	stripeBody   = `{"id":"evt_1","type":"customer.subscription.deleted","created":1796040000,"data":{"object":{"id":"sub_1"}}}`
	hubSpotBody  = `[{"eventId":1152921504606846976,"subscriptionId":12345,"portalId":62515,"occurredAt":1796040000123,"subscriptionType":"company.propertyChange","attemptNumber":0,"objectId":123,"propertyName":"plan","propertyValue":"gold"}]`
	standardBody = `{"type":"user.deleted","timestamp":"2026-11-30T11:59:00.5Z","data":{"id":"usr_1"}}`
	cloudBody    = `{"specversion":"1.0","id":"7","source":"/shop","type":"order.placed","subject":"ten/1","time":"2026-11-30T11:59:00Z","sequence":"0042","data":{"n":1152921504606846976}}`
	plainBody    = `{"event":{"id":1152921504606846976,"kind":"left","who":"acme","rev":"7","at":"2026-11-30T11:59:00Z"}}`
	outboundBody = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>00D5e000000KQ2eEAG</OrganizationId>
   <ActionId>04k5e000000CaRkAAK</ActionId>
   <SessionId>00D5e000000KQ2e!a-session</SessionId>
   <EnterpriseUrl>https://na1.example/services/Soap/c/62.0</EnterpriseUrl>
   <PartnerUrl>https://na1.example/services/Soap/u/62.0</PartnerUrl>
   <Notification>
    <Id>04l5e00000Gx7QzAAJ</Id>
    <sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
     <sf:Id>0015e00000ZkM3hAAF</sf:Id>
     <sf:Name>Müller &amp; Co</sf:Name>
     <sf:Phone xsi:nil="true"/>
     <sf:SystemModstamp>2026-11-30T11:58:00.000Z</sf:SystemModstamp>
    </sObject>
   </Notification>
   <Notification>
    <Id>04l5e00000Gx7R0AAJ</Id>
    <sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
     <sf:Id>0015e00000ZkM3iAAF</sf:Id>
    </sObject>
   </Notification>
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>`
)

var fields = event.Fields{ID: "event.id", Type: "event.kind", Subject: "event.who", Version: "event.rev", Time: "event.at"}

// signers sign the body.
func signers() []sender {
	both := secrets(newSecret, oldSecret)
	return []sender{
		{"stripe", event.Source{Name: "billing", Scheme: "stripe", Secrets: both}, stripeBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.Unix())
			return post(body, "Stripe-Signature", "t="+t+",v1="+hex.EncodeToString(mac256(secret, t+"."+body)))
		}, []string{"Stripe-Signature"}, true},
		{"hubspot", event.Source{Name: "crm", Scheme: "hubspot", Secrets: both, URL: address}, hubSpotBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.UnixMilli())
			return post(body, "X-HubSpot-Request-Timestamp", t, "X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac256(secret, "POST"+address+body+t)))
		}, []string{"X-HubSpot-Request-Timestamp", "X-HubSpot-Signature-v3"}, true},
		{"standard", event.Source{Name: "auth", Scheme: "standard", Secrets: both}, standardBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.Unix())
			return post(body, "webhook-id", "msg_1", "webhook-timestamp", t, "webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac256(base64Key(secret), "msg_1."+t+"."+body)))
		}, []string{"webhook-id", "webhook-timestamp", "webhook-signature"}, true},
		{"svix", event.Source{Name: "auth", Scheme: "standard", Secrets: both}, standardBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.Unix())
			return post(body, "svix-id", "msg_1", "svix-timestamp", t, "svix-signature", "v1,"+base64.StdEncoding.EncodeToString(mac256(base64Key(secret), "msg_1."+t+"."+body)))
		}, []string{"svix-id", "svix-timestamp", "svix-signature"}, true},
		{"standard ed25519", event.Source{Name: "auth", Scheme: "standard", Secrets: secrets(publicKey(newSecret), publicKey(oldSecret))}, standardBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.Unix())
			return post(body, "webhook-id", "msg_1", "webhook-timestamp", t, "webhook-signature", "v1a,"+base64.StdEncoding.EncodeToString(ed25519.Sign(privateKey(secret), []byte("msg_1."+t+"."+body))))
		}, []string{"webhook-id", "webhook-timestamp", "webhook-signature"}, true},
		{"cloudevents", event.Source{Name: "shop", Scheme: "cloudevents", Secrets: both, Header: "X-Signature"}, cloudBody, func(body, secret string, _ time.Time) event.Request {
			return post(body, "Content-Type", "application/cloudevents+json; charset=utf-8", "X-Signature", hex.EncodeToString(mac256(secret, body)))
		}, []string{"X-Signature"}, false},
		{"hmac", event.Source{Name: "any", Scheme: "hmac", Secrets: both, Header: "X-Hub-Signature-256", Prefix: "sha256=", Fields: fields}, plainBody, func(body, secret string, _ time.Time) event.Request {
			return post(body, "Content-Type", "application/json", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac256(secret, body)))
		}, []string{"X-Hub-Signature-256"}, false},
		{"hmac with a time", event.Source{Name: "any", Scheme: "hmac", Secrets: both, Header: "X-Slack-Signature", Prefix: "v0=", TimestampHeader: "X-Slack-Request-Timestamp", Signed: "v0:{timestamp}:{body}", Fields: fields}, plainBody, func(body, secret string, at time.Time) event.Request {
			t := fmt.Sprint(at.Unix())
			return post(body, "X-Slack-Request-Timestamp", t, "X-Slack-Signature", "v0="+hex.EncodeToString(mac256(secret, "v0:"+t+":"+body)))
		}, []string{"X-Slack-Request-Timestamp", "X-Slack-Signature"}, true},
		{"hmac sha512", event.Source{Name: "any", Scheme: "hmac", Secrets: both, Header: "X-Signature", Algorithm: "sha512", Encoding: "base64", TimestampHeader: "X-Time", Fields: fields}, plainBody, func(body, secret string, at time.Time) event.Request {
			t, m := fmt.Sprint(at.Unix()), hmac.New(sha512.New, []byte(secret))
			fmt.Fprintf(m, "%s.%s", t, body)
			return post(body, "X-Time", t, "X-Signature", base64.StdEncoding.EncodeToString(m.Sum(nil)))
		}, []string{"X-Time", "X-Signature"}, true},
	}
}

// tokens send a secret.
func tokens() []sender {
	both := secrets(newSecret, oldSecret)
	return []sender{
		{"cloudevents token", event.Source{Name: "shop", Scheme: "cloudevents", Secrets: both}, cloudBody, func(body, secret string, _ time.Time) event.Request {
			return post(body, "Content-Type", "application/cloudevents+json", "Authorization", "Bearer "+secret)
		}, []string{"Authorization"}, false},
		{"salesforce", event.Source{Name: "sales", Scheme: "salesforce", Secrets: both, Organization: "00D5e000000KQ2eEAG"}, outboundBody, func(body, secret string, _ time.Time) event.Request {
			r := post(body, "Content-Type", "text/xml; charset=utf-8")
			r.RawQuery = "token=" + secret
			return r
		}, nil, false},
		{"bearer", event.Source{Name: "form", Scheme: "bearer", Secrets: both, Fields: fields}, plainBody, func(body, secret string, _ time.Time) event.Request {
			return post(body, "Authorization", "Bearer "+secret)
		}, []string{"Authorization"}, false},
		{"basic", event.Source{Name: "form", Scheme: "basic", Username: "erp", Secrets: both, Fields: fields}, plainBody, func(body, secret string, _ time.Time) event.Request {
			return post(body, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("erp:"+secret)))
		}, []string{"Authorization"}, false},
	}
}

func senders() []sender { return append(signers(), tokens()...) }

func find(t testing.TB, name string) sender {
	t.Helper()
	for _, s := range senders() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no sender %q", name)
	return sender{}
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// refused fails unless a request is refused with a code, and tells nothing of a secret.
func refused(t testing.TB, s event.Source, r event.Request, code tenure.Code) {
	t.Helper()
	events, err := s.Receive(r, now)
	if tenure.CodeOf(err) != code || len(events) != 0 {
		t.Errorf("%d events, %v (%s); want %s", len(events), err, tenure.CodeOf(err), code)
	}
	for _, secret := range s.Secrets {
		if err != nil && strings.Contains(err.Error(), secret.Reveal()[:8]) {
			t.Errorf("the error has a part of a secret: %v", err)
		}
	}
}

func taken(t testing.TB, s event.Source, r event.Request) []event.Event {
	t.Helper()
	events, err := s.Receive(r, now)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return events
}
