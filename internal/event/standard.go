package event

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"time"
)

// standardKeys are the secrets of Standard Webhooks 1.0.0, section "Signature scheme": whsec_ and the
// base64 of an HMAC key (the prefix may be missing), whpk_ and that of an Ed25519 public key.
func standardKeys(s Source) (symmetric [][]byte, public []ed25519.PublicKey, ok bool) {
	for _, secret := range s.Secrets {
		text, isPublic := strings.CutPrefix(secret.Reveal(), "whpk_")
		key, ok := decodeBase64(strings.TrimPrefix(text, "whsec_"))
		switch {
		case !ok || len(key) == 0 || isPublic && len(key) != ed25519.PublicKeySize:
			return nil, nil, false
		case isPublic:
			public = append(public, key)
		default:
			symmetric = append(symmetric, key)
		}
	}
	return symmetric, public, true
}

func checkStandard(s Source) error {
	if _, _, ok := standardKeys(s); !ok {
		return invalid("source %s: a secret of Standard Webhooks is whsec_ or whpk_ and base64", s.Name)
	}
	return checkFields(s)
}

// receiveStandard follows Standard Webhooks 1.0.0, sections "Signature scheme" and "Webhook headers":
// webhook-signature is a list, with spaces between, of v1,BASE64 (HMAC-SHA256) and v1a,BASE64 (Ed25519)
// over "id.timestamp.body". Svix sends the same headers with svix- instead (docs.svix.com, "Verifying
// Webhooks Manually").
//
// It isn't the specification's own library (v0.0.1), which reads the machine's clock or no time at all,
// has a fixed tolerance, no Ed25519 and no bound on signatures.
//
// An id with a dot in it can't be moved into the time or the body: the time is digits, and the body
// has to be a JSON object.
func receiveStandard(s Source, r Request, now time.Time) ([]Event, error) {
	family := "webhook-"
	if len(r.Header.Values(family+"signature")) == 0 {
		family = "svix-"
	}
	id, at, header := r.single(family+"id"), r.single(family+"timestamp"), r.single(family+"signature")
	if id == "" || header == "" {
		return nil, missing()
	}
	if err := s.inTime(at, now); err != nil {
		return nil, err
	}
	shared, signed := standardSignatures(header)
	symmetric, public, _ := standardKeys(s)
	before := []byte(id + "." + at + ".")
	content, _, err := signedBody(r, func(body []byte) bool {
		return anyRight(symmetric, shared, sha256.New, base64Text, before, body) || anySigned(public, signed, before, body)
	})
	if err != nil {
		return nil, err
	}
	one, err := readObject(content)
	if err != nil {
		return nil, err
	}
	fields := Fields{Type: "type", Subject: "data.id", Time: "timestamp"}
	for _, f := range []struct{ to, set *string }{
		{&fields.Type, &s.Fields.Type}, {&fields.Subject, &s.Fields.Subject}, {&fields.Version, &s.Fields.Version}, {&fields.Time, &s.Fields.Time},
	} {
		if *f.set != "" {
			*f.to = *f.set
		}
	}
	e, err := one.event(fields)
	e.ID = id
	return []Event{e}, err
}

// standardSignatures are those of v1 and of v1a, as many as are looked at.
func standardSignatures(header string) (shared []string, signed [][]byte) {
	n := 0
	for part := range strings.SplitSeq(header, " ") {
		if n == maxSignatures {
			return shared, signed
		}
		switch version, text, _ := strings.Cut(part, ","); version {
		case "v1":
			shared, n = append(shared, text), n+1
		case "v1a":
			n++
			if b, ok := decodeBase64(text); ok && len(b) == ed25519.SignatureSize {
				signed = append(signed, b)
			}
		}
	}
	return shared, signed
}

func anySigned(keys []ed25519.PublicKey, signatures [][]byte, before, body []byte) bool {
	if len(keys) == 0 || len(signatures) == 0 {
		return false
	}
	message := append(append([]byte(nil), before...), body...)
	for _, key := range keys {
		for _, signature := range signatures {
			if ed25519.Verify(key, message, signature) {
				return true
			}
		}
	}
	return false
}
