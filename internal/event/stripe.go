package event

import (
	"crypto/sha256"
	"strings"
	"time"
)

// receiveStripe follows "Receive Stripe events in your webhook endpoint", section "Verify webhook
// signatures manually" (docs.stripe.com/webhooks): Stripe-Signature is t=SECONDS,v1=HEX and more of
// these; the HMAC-SHA256 is of "t.body" under the whole signing secret, whsec_ included. Other schemes
// than v1 are passed over.
func receiveStripe(s Source, r Request, now time.Time) ([]Event, error) {
	at, signatures, ok := stripeHeader(r.single("Stripe-Signature"))
	if !ok {
		return nil, missing()
	}
	if err := s.inTime(at, now); err != nil {
		return nil, err
	}
	content, _, err := signedBody(r, func(body []byte) bool {
		return anyRight(s.keys(), signatures, sha256.New, hexadecimal, []byte(at+"."), body)
	})
	if err != nil {
		return nil, err
	}
	one, err := readObject(content)
	if err != nil {
		return nil, err
	}
	e := Event{Data: one.data}
	if e.ID, err = one.need("id"); err != nil {
		return nil, err
	}
	if e.Type, err = one.need("type"); err != nil {
		return nil, err
	}
	// A thin event (API v2) has related_object, and created by RFC 3339.
	if e.Subject, err = one.either("data.object.id", "related_object.id"); err != nil {
		return nil, err
	}
	e.At, err = one.time("created")
	return []Event{e}, err
}

// stripeHeader takes a header apart. A second time makes it none: which of them was signed?
func stripeHeader(header string) (at string, signatures []string, ok bool) {
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); {
		case name == "t" && at != "":
			return "", nil, false
		case name == "t":
			at = value
		case name == "v1" && len(signatures) < maxSignatures:
			signatures = append(signatures, value)
		}
	}
	return at, signatures, at != "" && len(signatures) > 0
}

// either is the first of some texts that is there.
func (r record) either(places ...string) (string, error) {
	for _, p := range places {
		if v, err := r.text(p); err != nil || v != "" {
			return v, err
		}
	}
	return "", nil
}
