package sqlite

import (
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
)

// numeral is a text that SQLite turns into a number where it meets a column of
// numeric affinity (sqlite.org/datatype3 §3).
var numeral = regexp.MustCompile(`^[ \t\n\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\f\r]*$`)

// isNumber says whether a key is a number in the one form in which SQLite shows it.
func isNumber(key string) bool {
	if n, err := strconv.ParseInt(key, 10, 64); err == nil {
		return strconv.FormatInt(n, 10) == key
	}
	f, err := strconv.ParseFloat(key, 64)
	return err == nil && strings.Contains(key, ".") && strconv.FormatFloat(f, 'f', -1, 64) == key
}

// isKey is the condition that a value, of a column or an expression, is one of the
// keys, in each form that means the same and that SQLite compares as unequal: a text,
// the blob of its bytes, and a number where the key is one. A column of numeric
// affinity would read '07' as 7, another tenant's key: there such a key has no text.
//
// The second half compares byte by byte whatever the column's collation is; the
// first lets an index be used.
func isKey(value, affinity string, keys ...string) string {
	var forms []string
	for _, key := range keys {
		forms = append(forms, "x'"+hex.EncodeToString([]byte(key))+"'")
		if affinity != "numeric" || !numeral.MatchString(key) {
			forms = append(forms, literal(key))
		}
		if isNumber(key) {
			forms = append(forms, key)
		}
	}
	list := " in (" + strings.Join(forms, ", ") + ")"
	return "(" + value + list + " and " + value + " collate binary" + list + ")"
}

// keyOf is the key that a stored value is a form of.
func keyOf(typ, text string) string {
	if f, err := strconv.ParseFloat(text, 64); typ == "real" && err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return text
}

// affinity is a column's, by its declared type (sqlite.org/datatype3 §3.1,
// §5.1): numeric, text, or "" for none.
func affinity(declared string) string {
	d := strings.ToUpper(declared)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(d, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return "numeric"
	case has("CHAR", "CLOB", "TEXT"):
		return "text"
	case has("BLOB"), d == "":
		return ""
	}
	return "numeric"
}

// alike says whether a value that isn't the key could mean the same to somebody:
// it differs in case, in blanks at its ends, or in how its number is written.
func alike(value, key string) bool {
	trimmed := strings.TrimSpace(value)
	if strings.EqualFold(trimmed, strings.TrimSpace(key)) {
		return true
	}
	if !isNumber(key) || !numeral.MatchString(value) || strings.HasPrefix(strings.TrimLeft(trimmed, "-"), "0") && !strings.HasPrefix(strings.TrimLeft(key, "-"), "0") {
		return false
	}
	a, errA := strconv.ParseFloat(trimmed, 64)
	b, errB := strconv.ParseFloat(key, 64)
	return errA == nil && errB == nil && a == b
}
