package source

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxWhole is the largest whole number that every reader of JSON keeps as it is
// (RFC 8259 §6).
const maxWhole = 1<<53 - 1

// Misnumbered says why a number isn't kept as it is written, "" if it is. It takes
// what a JSON or YAML reader gives for a number; everything else is no number.
func Misnumbered(v any) string {
	beyond := fmt.Sprintf("the number is beyond ±%d, up to which whole numbers are exact; give it as a text", int64(maxWhole))
	switch v := v.(type) {
	case int64:
		if v > maxWhole || v < -maxWhole {
			return beyond
		}
	case uint64:
		if v > maxWhole {
			return beyond
		}
	case int:
		return Misnumbered(int64(v))
	case float64:
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return "infinity and not-a-number aren't allowed"
		case v == math.Trunc(v) && math.Abs(v) > maxWhole:
			return beyond
		}
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return "the number is too large"
		}
		if why := Misnumbered(f); why != "" {
			return why
		}
		if kept := strconv.FormatFloat(f, 'e', -1, 64); decimal(kept) != decimal(string(v)) {
			return "the number has more digits than can be kept (about 15); give it as a text"
		}
	}
	return ""
}

// decimal is a number's one way to be written: its digits without zeros at the ends,
// and the exponent.
func decimal(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign = "-"
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimLeft(s, "+-")), "e")
	e, err := strconv.Atoi("0" + exponent)
	if exponent != "" {
		e, err = strconv.Atoi(exponent)
	}
	if err != nil {
		return s
	}
	whole, part, _ := strings.Cut(mantissa, ".")
	e -= len(part)
	digits := strings.TrimLeft(whole+part, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "0"
	}
	return sign + short + "e" + strconv.Itoa(e+len(digits)-len(short))
}
