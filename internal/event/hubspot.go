package event

import (
	"crypto/sha256"
	"strings"
	"time"
)

func checkHubSpot(s Source) error { return s.checkURL() }

// hubSpotEscapes are the escapes that are decoded in the URI before it is signed: "Validating
// requests", section "Validate the v3 request signature" (developers.hubspot.com). All others stay.
var hubSpotEscapes = strings.NewReplacer(
	"%3A", ":", "%3a", ":", "%2F", "/", "%2f", "/", "%3F", "?", "%3f", "?", "%40", "@", "%21", "!", "%24", "$",
	"%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2a", "*", "%2C", ",", "%2c", ",", "%3B", ";", "%3b", ";")

// receiveHubSpot follows the same section: X-HubSpot-Signature-v3 is the base64 of the HMAC-SHA256 of
// method, URI, body and X-HubSpot-Request-Timestamp (milliseconds) under the app's client secret. The
// URI is the one that HubSpot called, which behind a proxy isn't the one that arrives: Source.URL.
//
// What stands in the body is told in "Webhooks API guide", section "Webhook payloads": an array of up
// to 100. Its eventId "isn't guaranteed to be unique" there, so that the ID has more, all that a later
// attempt repeats (attemptNumber doesn't).
func receiveHubSpot(s Source, r Request, now time.Time) ([]Event, error) {
	signature, at := r.single("X-HubSpot-Signature-v3"), r.single("X-HubSpot-Request-Timestamp")
	if signature == "" {
		return nil, missing()
	}
	if err := s.inTime(at, now); err != nil {
		return nil, err
	}
	uri := s.URL
	if r.RawQuery != "" {
		uri += "?" + r.RawQuery
	}
	before, after := []byte(r.Method+hubSpotEscapes.Replace(uri)), []byte(at)
	content, _, err := signedBody(r, func(body []byte) bool {
		return anyRight(s.keys(), []string{signature}, sha256.New, base64Text, before, body, after)
	})
	if err != nil {
		return nil, err
	}
	all, err := readObjects(content)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(all))
	for i, one := range all {
		if events[i], err = hubSpotEvent(one); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func hubSpotEvent(one record) (e Event, err error) {
	e.Data = one.data
	if _, err = one.need("eventId"); err != nil {
		return e, err
	}
	var parts []string
	for _, name := range []string{"eventId", "portalId", "subscriptionId", "objectId", "fromObjectId", "toObjectId", "occurredAt"} {
		v, err := one.text(name)
		if err != nil {
			return e, err
		}
		parts = append(parts, v)
	}
	if e.ID, err = joined(parts...); err != nil {
		return e, err
	}
	if e.Type, err = one.either("subscriptionType", "eventType"); err != nil {
		return e, err
	}
	if e.Subject, err = one.either("objectId", "fromObjectId"); err != nil {
		return e, err
	}
	e.At, err = one.time("occurredAt")
	return e, err
}
