package dashboard

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tenurehq/tenure"
)

// Money is an amount in hundredths of a currency's unit.
type Money struct {
	Minor    int64
	Currency string // ISO 4217, "" where the installation names none
}

// String is the amount with its currency: "1,234.50 EUR".
func (m Money) String() string {
	sign, n := "", m.Minor
	if n < 0 {
		sign, n = "−", -n
	}
	return strings.TrimSpace(fmt.Sprintf("%s%s.%02d %s", sign, number(n/100), n%100, m.Currency))
}

func functions(assets map[string]string) template.FuncMap {
	return template.FuncMap{
		"asset":       func(name string) string { return assets[name] },
		"status":      StatusOf,
		"stepstatus":  func(s StepRow) Status { return s.Status() },
		"num":         func(n any) string { return numberOf(n) },
		"dur":         duration,
		"short":       shortDigest,
		"words":       func(s any) string { return spaced(fmt.Sprint(s)) },
		"bytes":       byteSize,
		"join":        strings.Join,
		"iso":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"stamp":       func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04\u00a0UTC") },
		"day":         func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"longday":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"title":       func(s any) string { return upperFirst(spaced(fmt.Sprint(s))) },
		"tenantpath":  func(id tenure.TenantID) string { return TenantPath(id) },
		"oppath":      func(id tenure.OperationID) string { return OperationPath(id) },
		"eventpath":   EventPath,
		"visible":     visible,
		"graph":       newGraph,
		"linechart":   newLineChart,
		"counts":      func(c []Count) bars { return newBars(c) },
		"plural":      plural,
		"add":         func(a, b int) int { return a + b },
		"percent":     percent,
		"inputtype":   inputType,
		"autovalue":   func(s string) string { return orElse(s, "off") },
		"orelse":      orElse,
		"statusclass": func(s Status) string { return "status " + string(s.Tone) },
	}
}

// TenantPath is a tenant's page.
func TenantPath(id tenure.TenantID) string { return "/tenants/" + url.PathEscape(string(id)) }

// OperationPath is an operation's page.
func OperationPath(id tenure.OperationID) string { return "/operations/" + url.PathEscape(string(id)) }

// visible shows by its number what turns a line's direction, has no width or steers a
// terminal, so that who reads a stranger's text, or one to be signed, sees all that stands in it.
func visible(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if strings.IndexFunc(s, hides) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hides(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func hides(r rune) bool {
	switch r {
	case '\n', '\t', 0x200c, 0x200d: // scripts such as Persian, and emoji, need the joiners
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(int64(n)) + " " + many
}

func percent(part, whole int) string {
	if whole <= 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + " %"
}

func numberOf(n any) string {
	switch n := n.(type) {
	case int:
		return number(int64(n))
	case int64:
		return number(n)
	}
	return fmt.Sprint(n)
}

// number groups thousands: 1,234,567.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(s, "-")
	var b strings.Builder
	b.WriteString(s[:len(s)-len(digits)])
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// duration says a span with its two largest units: "3 d 4 h", "850 ms".
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Second:
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour && d%time.Minute < time.Second:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// shortDigest keeps the head and the tail of a digest; the whole one stands in
// the title, and wherever somebody signs it.
func shortDigest(d string) string {
	algo, hash, ok := strings.Cut(d, ":")
	if !ok {
		algo, hash = "", d
	}
	if len(hash) <= 20 {
		return d
	}
	if algo != "" {
		algo += ":"
	}
	return algo + hash[:8] + "…" + hash[len(hash)-6:]
}

func byteSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit && exp < 4; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", float64(n)/float64(div), "KMGTP"[exp])
}

func inputType(k FieldKind) string {
	switch k {
	case FieldNumber, FieldDate, FieldEmail, FieldPassword, FieldSearch:
		return string(k)
	}
	return "text"
}
