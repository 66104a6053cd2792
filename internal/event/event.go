// Package event says what other systems tell over HTTP: how each proves who it is (Schemes), and
// what its message says. It is pure: it keeps nothing, reaches nothing and reads no clock.
//
// A request goes through Source.Receive, which looks at who sent it before it looks at what it says.
package event

import (
	"encoding/json"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

const (
	// MaxBody is how many bytes a request may have, as it is sent and as it unpacks.
	MaxBody = 1 << 20
	// MaxEvents is how many events a request may tell of.
	MaxEvents = 1000
	// MaxType is how many bytes Type and Version may have, MaxID how many ID and Subject.
	MaxType, MaxID = 200, 500

	minToken     = 16        // bytes of a token that is sent as it is
	maxTolerance = time.Hour // of a signature's time

	maxHeader     = 8 << 10 // bytes of a header that is read at all
	maxSignatures = 16      // signatures of a request that are looked at
	maxSecrets    = 8       // secrets of a source
	maxData       = 8 << 20 // bytes of a CSV file's events together, in which rows repeat their columns' names
)

// Event is one thing that a source says has happened.
type Event struct {
	Source string // its name in the settings
	// ID is the source's own id of the event, unique within the source. Where a scheme has none
	// it is the SHA-256 of what was signed (hmac) or sent (bearer, basic).
	ID      string
	Type    string          // such as customer.subscription.deleted; "" if the source has none
	Subject string          // what it is about, by the source's own id; "" if unknown
	Version string          // the subject's own version, compared by Newer; "" if it has none
	At      time.Time       // when it happened, as the source says, in UTC and whole microseconds; the receipt's time if it says none or one after the receipt
	Data    json.RawMessage // what the source sent of this event, as JSON
}

// Request is a request as it came in: Body is the bytes that were sent, before any decoding.
type Request struct {
	Method, Path, RawQuery string
	Header                 http.Header
	Body                   []byte
}

// single is the one value of a header. A header that isn't there, that stands there twice or that is
// too long is "": who reads the first value and who reads the last would read different things.
func (r Request) single(name string) string {
	v := r.Header.Values(name)
	if len(v) != 1 || len(v[0]) > maxHeader {
		return ""
	}
	return v[0]
}

// wholeNumber is a number as a version may be written; leading zeros are taken.
var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// Newer says whether version a of a subject came after version b: whole numbers by value, RFC 3339
// times by time, others as texts. It is false, false if they can't be compared: one is missing or too
// long, or they aren't of one kind.
func Newer(a, b string) (newer, comparable bool) {
	if a == "" || b == "" || len(a) > MaxType || len(b) > MaxType {
		return false, false
	}
	numberA, numberB := wholeNumber.MatchString(a), wholeNumber.MatchString(b)
	timeA, errA := time.Parse(time.RFC3339, a)
	timeB, errB := time.Parse(time.RFC3339, b)
	switch {
	case numberA != numberB || (errA == nil) != (errB == nil):
		return false, false
	case numberA:
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		return x.Cmp(y) > 0, true
	case errA == nil:
		return timeA.After(timeB), true
	}
	return a > b, true
}

// finish fills in what all events have, and refuses (Invalid) what can't be kept.
func (e *Event) finish(source string, now time.Time) error {
	e.Source = source
	if e.At.IsZero() || e.At.After(now) {
		e.At = now
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if e.ID == "" {
		return invalid("an event has no id")
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"id", e.ID, MaxID}, {"type", e.Type, MaxType}, {"subject", e.Subject, MaxID}, {"version", e.Version, MaxType}} {
		if err := clean(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	return nil
}

// clean refuses (Invalid) a text that is too long, that isn't UTF-8 or that has a control character.
func clean(name, value string, most int) error {
	switch {
	case len(value) > most:
		return invalid("an event's %s has %d bytes; it may have %d", name, len(value), most)
	case !utf8.ValidString(value):
		return invalid("an event's %s isn't UTF-8", name)
	case strings.ContainsFunc(value, unicode.IsControl):
		return invalid("an event's %s has a control character", name)
	}
	return nil
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// only says whether a text has no other characters than these; it may be empty.
func only(text, characters string) bool { return strings.Trim(text, characters) == "" }

func invalid(format string, args ...any) error {
	return tenure.Errorf(tenure.Invalid, format, args...)
}

func unauthorized(format string, args ...any) error {
	return tenure.Errorf(tenure.Unauthorized, format, args...)
}
