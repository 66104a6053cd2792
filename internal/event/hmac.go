package event

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const theBody, theTime = "{body}", "{timestamp}"

// template is what is signed, with holes.
func (s Source) template() string {
	switch {
	case s.Signed != "":
		return s.Signed
	case s.TimestampHeader != "":
		return theTime + "." + theBody
	}
	return theBody
}

func (s Source) algorithm() (func() hash.Hash, bool) {
	switch s.Algorithm {
	case "", "sha256":
		return sha256.New, true
	case "sha512":
		return sha512.New, true
	}
	return nil, false
}

func (s Source) encode() (func([]byte) string, bool) {
	switch s.Encoding {
	case "", "hex":
		return hexadecimal, true
	case "base64":
		return base64Text, true
	}
	return nil, false
}

func checkHMAC(s Source) error {
	if err := s.checkSignature(); err != nil {
		return err
	}
	return checkFields(s)
}

// checkSignature refuses (Invalid) signatures that aren't made, or that bind too little.
func (s Source) checkSignature() error {
	refuse := func(format string, args ...any) error {
		return tenure.Errorf(tenure.Invalid, "source %s: %s", s.Name, fmt.Sprintf(format, args...))
	}
	if _, ok := s.algorithm(); !ok {
		return refuse("algorithm is sha256 or sha512")
	}
	if _, ok := s.encode(); !ok {
		return refuse("encoding is hex or base64")
	}
	for _, h := range []string{s.Header, s.TimestampHeader} {
		if !only(h, letters+digits+"-_") {
			return refuse("%.40q isn't the name of a header", h)
		}
	}
	if slices.Contains([]string{"authorization", "content-type", "content-encoding"}, strings.ToLower(s.Header)) {
		return refuse("header %s has no signature", s.Header)
	}
	t := s.template()
	if len(t) > MaxType || strings.Count(t, theBody) != 1 {
		return refuse("what is signed has %s once", theBody)
	}
	timed := 0
	if s.TimestampHeader != "" {
		timed = 1
	}
	if strings.Count(t, theTime) != timed {
		return refuse("what is signed has %s once if there is a timestampHeader, and else not", theTime)
	}
	// Digits could move from one to the other, and the signature would stay right.
	if strings.Contains(t, theTime+theBody) || strings.Contains(t, theBody+theTime) {
		return refuse("what is signed needs a character between %s and %s", theTime, theBody)
	}
	return nil
}

// verifyHMAC follows no one document; it is the shape of "Validating webhook deliveries" (docs.github.com:
// X-Hub-Signature-256, sha256= and hexadecimal over the body) and of "Verifying requests from Slack"
// (docs.slack.dev: X-Slack-Signature, v0= and hexadecimal over v0:{timestamp}:{body}). No other header
// is signed in these, so that nothing that an event says is taken from one.
func (s Source) verifyHMAC(r Request, now time.Time) (content []byte, digest string, err error) {
	given, ok := strings.CutPrefix(r.single(s.Header), s.Prefix)
	switch {
	case r.single(s.Header) == "":
		return nil, "", unauthorized("the request has no header %s, or more than one, with its signature", s.Header)
	case !ok || given == "":
		return nil, "", unauthorized("the header %s doesn't begin with %q and a signature", s.Header, s.Prefix)
	}
	at := ""
	if s.TimestampHeader != "" {
		if at = r.single(s.TimestampHeader); at == "" {
			return nil, "", unauthorized("the request has no header %s, or more than one, with the time that is signed", s.TimestampHeader)
		}
		if err := s.inTime(at, now); err != nil {
			return nil, "", err
		}
	}
	algorithm, _ := s.algorithm()
	encode, _ := s.encode()
	head, tail, _ := strings.Cut(s.template(), theBody)
	before, after := []byte(strings.ReplaceAll(head, theTime, at)), []byte(strings.ReplaceAll(tail, theTime, at))
	content, over, err := signedBody(r, func(body []byte) bool {
		return anyRight(s.keys(), []string{given}, algorithm, encode, before, body, after)
	})
	return content, tenure.Digest(bytes.Join([][]byte{before, over, after}, nil)), err
}

func receiveHMAC(s Source, r Request, now time.Time) ([]Event, error) {
	content, digest, err := s.verifyHMAC(r, now)
	if err != nil {
		return nil, err
	}
	all, err := records(r, content)
	if err != nil {
		return nil, err
	}
	return s.events(all, func(i int, _ record) string {
		if len(all) == 1 {
			return digest
		}
		return fmt.Sprintf("%s#%d", digest, i)
	})
}

// receiveToken takes what comes with a fixed token or a password, which prove the sender and nothing
// of what it says.
func receiveToken(s Source, r Request, _ time.Time) ([]Event, error) {
	prove := s.bearer
	if s.Username != "" {
		prove = s.basic
	}
	if err := prove(r); err != nil {
		return nil, err
	}
	content, err := unpack(r)
	if err != nil {
		return nil, err
	}
	all, err := records(r, content)
	if err != nil {
		return nil, err
	}
	return s.events(all, func(_ int, one record) string { return tenure.Digest(one.data) })
}

// events reads records by Fields; what has no id gets one of digest.
func (s Source) events(all []record, digest func(int, record) string) ([]Event, error) {
	events := make([]Event, len(all))
	for i, one := range all {
		e, err := one.event(s.Fields)
		if err != nil {
			return nil, err
		}
		if e.ID == "" {
			e.ID = digest(i, one)
		}
		events[i] = e
	}
	return events, nil
}
