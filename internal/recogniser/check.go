package recogniser

import (
	"strings"
	"time"
)

// digits gives a text's digits if it has nothing besides but spaces and the given
// separators, and "" otherwise.
func digits(s, separators string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b.WriteByte(c)
		case c == ' ' || strings.IndexByte(separators, c) >= 0:
		default:
			return ""
		}
	}
	return b.String()
}

// luhn is the check of ISO/IEC 7812-1, annex B.
func luhn(d string) bool {
	sum := 0
	for i := range len(d) {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// mod is a decimal number's remainder.
func mod(d string, by int) int {
	rest := 0
	for i := range len(d) {
		rest = (rest*10 + int(d[i]-'0')) % by
	}
	return rest
}

// weighted is the sum of digits by weights.
func weighted(d string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(d[i]-'0') * w
	}
	return sum
}

// same says that all digits are one.
func same(d string) bool { return d != "" && strings.Count(d, d[:1]) == len(d) }

// mod11_10 is the check of ISO 7064, MOD 11,10, with the check digit at the end.
func mod11_10(d string) bool {
	p := 10
	for i := range len(d) - 1 {
		s := (p + int(d[i]-'0')) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (11-p)%10 == int(d[len(d)-1]-'0')
}

var (
	dihedral = [10][10]byte{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1}, {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}}
	turns = [8][10]byte{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1}, {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}}
)

// verhoeff is Verhoeff's check, with the check digit at the end.
func verhoeff(d string) bool {
	c := byte(0)
	for i := range len(d) {
		c = dihedral[c][turns[i%8][d[len(d)-1-i]-'0']]
	}
	return c == 0
}

// day says that there is such a day; a year of two digits is one of this century or the last.
func day(year, month, of int) bool {
	if year < 100 {
		year += 2000 // a leap year there is one in 1900 + year, too, but for 1900
	}
	t := time.Date(year, time.Month(month), of, 0, 0, 0, 0, time.UTC)
	return month >= 1 && month <= 12 && of >= 1 && t.Day() == of && t.Month() == time.Month(month)
}

// at reads two digits.
func at(d string, i int) int { return int(d[i]-'0')*10 + int(d[i+1]-'0') }

// iban is ISO 13616-1: two letters for the country, two check digits, and an account of
// the country's length.
func iban(s string) bool {
	s = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if len(s) < 15 || len(s) > 34 || ibanLength[s[:2]] != len(s) {
		return false
	}
	rest := 0
	for i := range len(s) {
		switch c := s[(i+4)%len(s)]; {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}

var ibanLength = map[string]int{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24,
	"DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
	"MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18,
	"SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30}

// card is a payment card's number: the ranges of the large networks, their lengths, and
// the Luhn digit.
func card(s string) bool {
	d := digits(s, "-")
	if len(d) < 13 || len(d) > 19 || same(d) || !luhn(d) {
		return false
	}
	two, four := at(d, 0), at(d, 0)*100+at(d, 2)
	switch {
	case d[0] == '4':
		return len(d) == 13 || len(d) == 16 || len(d) == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return len(d) == 16
	case two == 34, two == 37:
		return len(d) == 15
	case two == 36, two == 38, four >= 3000 && four <= 3059:
		return len(d) == 14 || len(d) == 16
	case four == 6011, two == 65, four >= 3528 && four <= 3589, two == 62, two == 60, two == 81, four >= 2200 && four <= 2204:
		return len(d) >= 16
	case two == 50, two >= 56 && two <= 58, two == 67, two == 63, two == 61:
		return true
	}
	return false
}
