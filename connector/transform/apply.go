package transform

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Apply is what the rule makes of a value. It is applied twice with the same result as
// once, but for pseudonyms. What isn't such a value as the rule is made for becomes its
// else, or null where that can be, so that nobody stops it by what they wrote. Permute
// gives the value back: what it becomes lies with other rows.
func (r Rule) Apply(v any, f Field, names Namer) (any, error) {
	if r.Word == Constant {
		return r.Value, nil
	}
	if v == nil {
		return nil, nil
	}
	switch r.Word {
	case Keep, Permute:
		return v, nil
	case Clear:
		return r.Emptied(f), nil
	case Year, Month:
		return r.orElse(r.period(v), f), nil
	case Network:
		return r.orElse(network(v), f), nil
	case Prefix:
		if out := r.prefix(v); out != nil {
			return out, nil
		}
		return r.Emptied(f), nil // such as a blob in a column for text
	case Bucket:
		return r.orElse(r.bucket(v), f), nil
	case Name:
		return r.name(v, f, names)
	case Each:
		return r.each(v, f, names)
	case Members:
		return r.members(v, f, names)
	}
	return nil, tenure.Errorf(tenure.Internal, "no transform %q", string(r.Word))
}

// Emptied is what stands for no value in a field: null, or what is empty or least where
// null can't be.
func (r Rule) Emptied(f Field) any {
	if !f.Required {
		return nil
	}
	if v := r.empty(f.Kind); v != nil {
		return v
	}
	return least[f.Kind]
}

// least is what a value becomes that isn't one of its kind, where null can't be.
var least = map[Kind]any{
	Date: "0001-01-01", Moment: "0001-01-01 00:00:00", Address: "0.0.0.0", Integer: json.Number("0"), Decimal: json.Number("0"), UUID: "00000000-0000-0000-0000-000000000000", Bool: false,
}

func (r Rule) orElse(v any, f Field) any {
	switch {
	case v != nil:
		return v
	case r.HasElse:
		return r.Else
	case f.Required && f.Kind != Text && f.Kind != Any: // such as infinity in a date
		return least[f.Kind]
	}
	return nil
}

// isoDate is a date as every store writes it, with what comes after.
var isoDate = regexp.MustCompile(`^(\d{4,6})-(\d{2})-(\d{2})(?:([ T])\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(Z|[+-]\d{2}(?::?\d{2}){0,2})?)?( BC)?$`)

// period is the first moment of the year or the month, in the form of the value.
func (r Rule) period(v any) any {
	s, _ := v.(string)
	m := isoDate.FindStringSubmatch(s)
	if m == nil || !isDay(m[1], m[2], m[3], m[6] != "") {
		return nil
	}
	month := "01"
	if r.Word == Month {
		month = m[2]
	}
	out := m[1] + "-" + month + "-01"
	if m[4] != "" {
		out += m[4] + "00:00:00" + m[5]
	}
	return out + m[6]
}

// isDay says whether there is such a day in the Gregorian calendar.
func isDay(year, month, day string, bc bool) bool {
	y, _ := strconv.Atoi(year)
	if bc {
		y = 1 - y
	}
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	at := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return int(at.Month()) == m && at.Day() == d
}

func network(v any) any {
	s, _ := v.(string)
	text, _, _ := strings.Cut(strings.TrimSpace(s), "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return nil
	}
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return nil
	}
	return p.Addr().String()
}

func (r Rule) prefix(v any) any {
	s, ok := v.(string)
	if !ok {
		n, isNumber := v.(json.Number)
		if !isNumber {
			return nil
		}
		s = string(n)
	}
	runes := []rune(s)
	return string(runes[:min(r.Length, len(runes))])
}

func (r Rule) bucket(v any) any {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = string(v)
	case string:
		text = v
	}
	n, ok := Number(text)
	if !ok {
		return nil
	}
	q := new(big.Rat).Quo(n, r.Width)
	floor := new(big.Int).Div(q.Num(), q.Denom()) // Euclidean, and the denominator is positive: towards minus infinity
	out := new(big.Rat).Mul(new(big.Rat).SetInt(floor), r.Width)
	return json.Number(Exact(out))
}

// maxDigits bounds a number's digits: PostgreSQL's numeric has 131,072 before the point and
// 16,383 after it at the most. maxExponent is beyond that of every floating number, and
// short of 9.0e+999, as which SQLite writes infinity in JSON.
const (
	maxDigits   = 150_000
	maxExponent = 330
)

// Number reads a decimal number exactly, with an exponent or without.
func Number(text string) (*big.Rat, bool) {
	if digits, exponent, has := strings.Cut(strings.ToLower(text), "e"); has {
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent || strings.HasPrefix(strings.TrimLeft(digits, "+-"), "0x") {
			return nil, false
		}
	}
	if len(text) > maxDigits || strings.ContainsAny(text, "/_xXpPbBoO") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// Exact is a decimal number with all of its digits.
func Exact(n *big.Rat) string {
	if n.IsInt() {
		return n.Num().String()
	}
	digits, exact := n.FloatPrec()
	if !exact {
		digits = 40
	}
	return n.FloatString(digits)
}

func (r Rule) name(v any, f Field, names Namer) (any, error) {
	text, err := plainText(v)
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, tenure.Errorf(tenure.Internal, "no key makes pseudonyms here")
	}
	b, err := names(r.Key, text, r.Reversible)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Reversible:
		return base64.RawURLEncoding.EncodeToString(b) + r.Suffix, nil
	case f.Kind == UUID: // RFC 9562 section 5.8: version 8, variant 10
		u := [16]byte(b[:16])
		u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
		if u[8] == 0x80 { // MariaDB takes none of version 8 or above with this byte, to which it gives a meaning of its own
			u[8] |= 1
		}
		h := hex.EncodeToString(u[:])
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:16])) + r.Suffix, nil
}

// plainText is a value as it stands in other places too, which get the same pseudonym.
func plainText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return string(v), nil
	}
	raw, err := tenure.Canonical(v)
	return string(raw), err
}

func (r Rule) each(v any, f Field, names Namer) (any, error) {
	doc, text := document(v)
	list, ok := doc.([]any)
	if !ok {
		return r.Emptied(f), nil
	}
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = r.Element.Apply(e, Field{Kind: Any}, names); err != nil {
			return nil, err
		}
	}
	if text {
		raw, err := tenure.Canonical(out)
		return string(raw), err
	}
	return out, nil
}
