package event

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const defaultTolerance = 5 * time.Minute

func missing() error { return unauthorized("the request isn't signed as its source signs") }
func wrong() error   { return unauthorized("the signature isn't right") }

// keys are the secrets as bytes, as they are.
func (s Source) keys() (all [][]byte) {
	for _, secret := range s.Secrets {
		all = append(all, []byte(secret.Reveal()))
	}
	return all
}

// anyRight says whether one of the given signatures is the text of the parts' MAC under one of the
// keys. Texts are compared, in constant time, not what they decode to: a decoder that passes over
// something would take a signature that nobody wrote.
func anyRight(keys [][]byte, given []string, algorithm func() hash.Hash, encode func([]byte) string, parts ...[]byte) bool {
	found := 0
	for _, key := range keys {
		m := hmac.New(algorithm, key)
		for _, p := range parts {
			m.Write(p)
		}
		want := []byte(encode(m.Sum(nil)))
		for _, g := range given {
			found |= subtle.ConstantTimeCompare([]byte(g), want)
		}
	}
	return found == 1
}

func hexadecimal(b []byte) string { return hex.EncodeToString(b) }
func base64Text(b []byte) string  { return base64.StdEncoding.EncodeToString(b) }

// decodeBase64 takes the one way to write bytes and no other.
func decodeBase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return b, err == nil
}

// knows compares a token with the secrets in constant time, whatever their lengths.
func (s Source) knows(token string) bool {
	given, found := sha256.Sum256([]byte(token)), 0
	for _, secret := range s.Secrets {
		want := sha256.Sum256([]byte(secret.Reveal()))
		found |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return token != "" && found == 1
}

// bearer checks the token of an Authorization header (RFC 6750 §2.1).
func (s Source) bearer(r Request) error {
	scheme, token, _ := strings.Cut(r.single("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthorized("the request has no bearer token")
	}
	return s.token(token)
}

func (s Source) token(token string) error {
	if !s.knows(token) {
		return unauthorized("the token isn't right")
	}
	return nil
}

// queryToken checks the one value of a parameter of the query.
func (s Source) queryToken(r Request, name string) error {
	q, err := url.ParseQuery(r.RawQuery)
	if err != nil || len(q[name]) != 1 {
		return unauthorized("the request has no token in its address")
	}
	return s.token(q[name][0])
}

// basic checks a user name and a password (RFC 7617).
func (s Source) basic(r Request) error {
	scheme, text, _ := strings.Cut(r.single("Authorization"), " ")
	pair, ok := decodeBase64(text)
	name, password, colon := strings.Cut(string(pair), ":")
	if !strings.EqualFold(scheme, "Basic") || !ok || !colon {
		return unauthorized("the request has no user name and password")
	}
	want, given := sha256.Sum256([]byte(s.Username)), sha256.Sum256([]byte(name))
	if named := subtle.ConstantTimeCompare(want[:], given[:]) == 1; !s.knows(password) || !named {
		return unauthorized("the user name or the password isn't right")
	}
	return nil
}

// unixTime reads whole seconds or, from 10^11 on, milliseconds since 1970; digits alone.
func unixTime(text string) (time.Time, bool) {
	if text == "" || len(text) > 14 || !only(text, digits) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if n >= 1e11 {
		return time.UnixMilli(n), err == nil
	}
	return time.Unix(n, 0), err == nil
}

// inTime refuses (Unauthorized) a signature whose time is further from now than the tolerance; at the
// limit it is taken.
func (s Source) inTime(text string, now time.Time) error {
	at, ok := unixTime(text)
	if !ok {
		return missing()
	}
	tolerance := s.Tolerance
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	switch age := now.Sub(at); {
	case age > tolerance:
		return unauthorized("the signature is older than %s", span(tolerance))
	case age < -tolerance:
		return unauthorized("the signature's time is more than %s ahead", span(tolerance))
	}
	return nil
}

// span is a tolerance in words.
func span(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		word string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.of; n > 0 && d%u.of == 0 {
			if n == 1 {
				return "1 " + u.word
			}
			return strconv.FormatInt(int64(n), 10) + " " + u.word + "s"
		}
	}
	return d.String()
}

// signedBody is the body that a signature is of: content, unpacked, and over, as it was signed. Which
// of the two a sender signs that compresses its requests differs (Stream signs before it compresses,
// Inngest what it sends): what was sent is tried first.
func signedBody(r Request, right func(body []byte) bool) (content, over []byte, err error) {
	if right(r.Body) {
		content, err = unpack(r)
		return content, r.Body, err
	}
	if !packed(r) {
		return nil, nil, wrong()
	}
	if content, err = unpack(r); err != nil {
		return nil, nil, err
	}
	if !right(content) {
		return nil, nil, wrong()
	}
	return content, content, nil
}

func encoding(r Request) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")))
}

// packed says whether a body is gzip's (RFC 9110 §8.4.1.3).
func packed(r Request) bool {
	e := encoding(r)
	return e == "gzip" || e == "x-gzip"
}

// unpack is the body without its content coding. A coding that isn't known, what isn't gzip's and what
// is larger than MaxBody are Invalid.
func unpack(r Request) ([]byte, error) {
	if e := encoding(r); e == "" || e == "identity" {
		return r.Body, nil
	} else if !packed(r) {
		return nil, invalid("the content encoding isn't gzip")
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return nil, invalid("the body isn't gzip")
	}
	content, err := io.ReadAll(io.LimitReader(z, MaxBody+1))
	if len(content) > MaxBody {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, invalid("the body isn't gzip")
	}
	return content, nil
}
