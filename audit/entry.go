package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

const (
	// Format is the version of the entry encoding that Encode writes.
	Format = 1
	// MaxEntry is the largest encoded entry in bytes: a C2SP tlog-tiles entry
	// bundle has 16 bits for the length of one.
	MaxEntry = 1<<16 - 1

	maxInt = 1<<53 - 1 // the integers that every JSON reader keeps (RFC 7493 §2.2)
)

// Entry is one line of the log. Kind and At are required; what is empty is
// left out of the encoding. Everything but the boxes in Sealed is public for
// as long as the log lives, so no other field may hold personal data, nor a
// plain digest of it.
type Entry struct {
	Format    int                // Format
	At        time.Time          // business time in whole microseconds, after 1970 and before 2255
	Kind      string             // what happened: "tenant.transition", "step.result"
	Tenant    tenure.TenantID    // whose, if any
	Operation tenure.OperationID // under which operation, if any
	Subject   string             // the id of what changed
	Data      json.RawMessage    // public facts: nil, or a canonical object as Facts and Object make it
	Sealed    map[string]Sealed  // personal fields by name
}

// Sealed is a field that only the holder of a key can read.
type Sealed struct {
	Key string // the key's id in the keystore
	Box []byte // the AEAD's ciphertext
}

// Encode returns the entry's canonical JSON, which is what the tree hashes:
// keys sorted, no white space, no escapes beyond RFC 8785 §3.2.2.2, times in
// integer microseconds, boxes in standard base64. One entry has one encoding,
// and Decode gives the entry back. An entry without a kind or of another
// format, a time finer than a microsecond, text that isn't UTF-8, data that
// isn't canonical and an encoding over MaxEntry bytes are Invalid.
func (e *Entry) Encode() ([]byte, error) {
	n := 192 + len(e.Kind) + len(e.Tenant) + len(e.Operation) + len(e.Subject) + len(e.Data)
	for field, s := range e.Sealed {
		n += 32 + len(field) + len(s.Key) + base64.StdEncoding.EncodedLen(len(s.Box))
	}
	return e.Append(make([]byte, 0, n))
}

// Append is Encode into the space after dst; on an error dst is returned as it was.
func (e *Entry) Append(dst []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	b := append(dst, `{"at":`...)
	b = strconv.AppendInt(b, e.At.UnixMicro(), 10)
	if len(e.Data) > 0 {
		b = append(append(b, `,"data":`...), e.Data...)
	}
	b = append(b, `,"format":`...)
	b = strconv.AppendInt(b, int64(e.Format), 10)
	b = appendField(b, `,"kind":`, e.Kind)
	b = appendField(b, `,"operation":`, string(e.Operation))
	if len(e.Sealed) > 0 {
		b = e.appendSealed(append(b, `,"sealed":{`...))
	}
	b = appendField(b, `,"subject":`, e.Subject)
	b = appendField(b, `,"tenant":`, string(e.Tenant))
	b = append(b, '}')
	switch size := len(b) - len(dst); {
	case size > MaxEntry:
		return dst, tenure.Errorf(tenure.Invalid, "audit entry %q has %d bytes; the log takes %d", e.Kind, size, MaxEntry).
			WithHint("put large values where they belong and log their digest")
	case !utf8.Valid(b[len(dst):]):
		return dst, tenure.Errorf(tenure.Invalid, "audit entry %q holds text that isn't UTF-8", e.Kind)
	}
	return b, nil
}

func (e *Entry) check() error {
	us := e.At.UnixMicro()
	switch {
	case e.Format != Format:
		return tenure.Errorf(tenure.Invalid, "audit entry of format %d; this program knows format %d", e.Format, Format)
	case e.Kind == "":
		return tenure.Errorf(tenure.Invalid, "audit entry without a kind")
	case us <= 0 || us > maxInt:
		return tenure.Errorf(tenure.Invalid, "audit entry %q: the time %s is out of range", e.Kind, e.At)
	case e.At.Nanosecond()%1000 != 0:
		return tenure.Errorf(tenure.Invalid, "audit entry %q: the time is finer than a microsecond", e.Kind)
	case len(e.Data) > 0 && !canonicalObject(e.Data):
		return tenure.Errorf(tenure.Invalid, "audit entry %q: its data is not a canonical JSON object", e.Kind).
			WithHint("make it with audit.Facts or audit.Object")
	}
	for field, s := range e.Sealed {
		if !plainKey(field) || s.Key == "" || len(s.Box) == 0 {
			return tenure.Errorf(tenure.Invalid, "audit entry %q: the sealed field %q lacks a plain name, a key or a box", e.Kind, field)
		}
	}
	return nil
}

func appendField(b []byte, label, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, label...), value)
}

// appendSealed writes the sealed fields in order and closes their object.
func (e *Entry) appendSealed(b []byte) []byte {
	var few [8]string
	fields := slices.AppendSeq(few[:0], maps.Keys(e.Sealed))
	slices.Sort(fields)
	for i, field := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		s := e.Sealed[field]
		b = append(appendString(b, field), `:{"box":"`...)
		b = base64.StdEncoding.AppendEncode(b, s.Box)
		b = append(appendString(append(b, `","key":`...), s.Key), '}')
	}
	return append(b, '}')
}

// KindOf finds the kind of an entry as Encode wrote it without reading the rest. It is blank
// if there is none where it should be; of other bytes it may be anything.
func KindOf(body []byte) string {
	mark := []byte(`,"kind":"`)
	i := bytes.LastIndex(body, mark) // its data, which stands before it, may have one of its own
	if i < 0 {
		return ""
	}
	kind, _, _ := bytes.Cut(body[i+len(mark):], []byte(`"`))
	return string(kind)
}
