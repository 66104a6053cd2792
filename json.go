package tenure

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxJSONDepth is how deep arrays and objects that CheckJSON lets through are nested.
const MaxJSONDepth = 32

// CheckJSON says whether everybody who reads b reads the same: one value in UTF-8, no
// name twice in an object, no half of a surrogate pair, and each number exactly what a
// 64-bit integer or float holds (I-JSON, RFC 7493 §2). A NUL is none either: PostgreSQL
// keeps no text that has one. Otherwise it is Invalid.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return Errorf(Invalid, "the JSON isn't UTF-8")
	}
	c := jsonCheck{Decoder: json.NewDecoder(bytes.NewReader(b))}
	c.UseNumber()
	if err := c.value(0); err != nil {
		return err
	}
	if _, err := c.Token(); err != io.EOF {
		return Errorf(Invalid, "the JSON isn't right: there is more after top-level value").WithHint("send one value")
	}
	if loneSurrogate(b) {
		return Errorf(Invalid, `the JSON has half of a surrogate pair: a \u escape that names no letter`)
	}
	return nil
}

// ReadJSON is the value of b, which CheckJSON lets through; numbers are json.Number, as
// they are written.
func ReadJSON(b []byte) (v any, err error) {
	if err := CheckJSON(b); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, Errorf(Invalid, "the JSON isn't right: %w", err)
	}
	return v, nil
}

type jsonCheck struct{ *json.Decoder }

func (c jsonCheck) token() (json.Token, error) {
	t, err := c.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, Errorf(Invalid, "the JSON isn't right at byte %d: %s", c.InputOffset(), strings.TrimPrefix(err.Error(), "json: "))
	}
	return t, nil
}

func (c jsonCheck) value(depth int) error {
	t, err := c.token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case string:
		if strings.IndexByte(t, 0) >= 0 {
			return Errorf(Invalid, `the JSON has a NUL in a text`)
		}
	case json.Number:
		if !exact(string(t)) {
			return Errorf(Invalid, "the number %.40s isn't one that can be kept exactly", string(t)).WithHint("whole numbers have 64 bits at most, others 15 digits; give another as a text")
		}
	case json.Delim:
		if depth == MaxJSONDepth {
			return Errorf(Invalid, "the JSON is nested deeper than %d", MaxJSONDepth)
		}
		return c.inside(t, depth+1)
	}
	return nil
}

// inside reads an array or object to its end.
func (c jsonCheck) inside(open json.Delim, depth int) error {
	names := map[string]bool{}
	for c.More() {
		if open == '{' {
			t, err := c.token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			if strings.IndexByte(name, 0) >= 0 {
				return Errorf(Invalid, "the JSON has a NUL in a name")
			}
			if names[name] {
				return Errorf(Invalid, "the JSON has %.60q twice in one object", name).WithHint("send each name once")
			}
			names[name] = true
		}
		if err := c.value(depth); err != nil {
			return err
		}
	}
	_, err := c.token()
	return err
}

// exact says whether a JSON number is the value of an int64, or of a float64 that is
// written the shortest way.
func exact(s string) bool {
	if !strings.ContainsAny(s, ".eE") {
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return false
	}
	return decimalOf(s) == decimalOf(strconv.FormatFloat(f, 'e', -1, 64))
}

// decimal is a number as digits without zeros around them, and a power of ten.
type decimal struct {
	digits string
	power  int
	minus  bool
}

func decimalOf(s string) decimal {
	s, minus := strings.CutPrefix(s, "-")
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		exponent, _ = strconv.Atoi(s[i+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return decimal{minus: minus}
	}
	short := strings.TrimRight(digits, "0")
	return decimal{short, exponent - len(fraction) + len(digits) - len(short), minus}
}

// loneSurrogate looks through well-formed JSON for an escape of half a pair.
func loneSurrogate(b []byte) bool {
	unit := func() (u uint64, ok bool) { // of the escape at the beginning of b
		if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
		return u, err == nil
	}
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 {
			return false
		}
		b = b[i:]
		u, ok := unit()
		switch {
		case !ok:
			b = b[2:]
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0xD800 && u < 0xDC00:
			b = b[6:]
			if low, ok := unit(); !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			b = b[6:]
		default:
			b = b[6:]
		}
	}
}
