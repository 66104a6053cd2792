package sqltext

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure/connector"
)

// write fills the holes. The names that have several are measured as a whole.
func (d Dialect) write(around []string, places []place, values []any) (string, *connector.Refusal) {
	var b strings.Builder
	names := map[int]int{}
	for i, p := range places {
		b.WriteString(around[i])
		s, err := d.value(p, values[i])
		if err == nil && (p.takes == asName || p.takes == asPart) && d.longest > 0 {
			whole, _ := connector.InText(values[i])
			if names[p.token] += len(whole); names[p.token]+p.rest > d.longest {
				err = fmt.Errorf("makes a name of more than %d bytes, which %s would cut off", d.longest, d.name)
			}
		}
		if err != nil {
			return "", &connector.Refusal{Hole: i, Message: err.Error(), Hint: p.hint}
		}
		b.WriteString(s)
	}
	b.WriteString(around[len(places)])
	return b.String(), nil
}

func (d Dialect) value(p place, v any) (string, error) {
	if own, ok := v.(connector.OwnText); ok {
		if p.why != "" {
			return string(own), nil
		}
		v = string(own)
	}
	if list, ok := v.([]any); ok {
		return d.list(p, list)
	}
	if v == nil && (p.takes == asValue || p.takes == asNumber || p.takes == asList) {
		return "null", nil
	}
	s, err := connector.InText(v)
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(s, hole) {
		return "", fmt.Errorf("gives a NUL, which no SQL text can hold")
	}
	if p.dollars && strings.Contains(s, "$") {
		return "", fmt.Errorf("gives a $, which could end the dollar quotes that it stands in")
	}
	if p.role && p.rest == 0 && (s == "public" || s == "none") {
		return "", fmt.Errorf("gives %q, which is no role's name", s)
	}
	_, text := v.(string)
	if p.number && !text {
		p.takes = asNumber
	}
	switch p.takes {
	case asContent:
		return strings.ReplaceAll(s, "'", "''"), nil
	case asEscaped:
		return strings.NewReplacer("'", "''", `\`, `\\`).Replace(s), nil
	case asName:
		s, err = inName(s, '"', 0)
		return `"` + s + `"`, err
	case asPart:
		return inName(s, p.quote, p.rest)
	case asValue, asList:
		if text {
			return "'" + strings.ReplaceAll(s, "'", "''") + "'", nil
		}
	case asNumber:
		if text {
			return "", fmt.Errorf("gives a text, and nothing tells whether it is a value or a name")
		}
	case asPlain:
		return strings.ReplaceAll(s, "'", "''"), plain(p.takes, s)
	case asNothing:
		return "", fmt.Errorf("stands where nothing can be written safely")
	case asWord, asRemark:
		return s, plain(p.takes, s)
	}
	if strings.HasPrefix(s, "-") && p.signs {
		return "(" + s + ")", nil
	}
	return s, nil
}

// inName is a text as it stands within a name in quotes that has rest bytes beside.
func inName(s string, quote byte, rest int) (string, error) {
	switch {
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("gives a control character, which no name should hold")
	case s == "" && rest == 0:
		return "", fmt.Errorf("gives a name that is blank")
	case quote == '[' && strings.Contains(s, "]"):
		return "", fmt.Errorf("gives a ], which can't stand in a name in brackets")
	case quote == '[':
		return s, nil
	}
	return strings.ReplaceAll(s, string(quote), string(quote)+string(quote)), nil
}

func (d Dialect) list(p place, list []any) (string, error) {
	if p.takes != asList {
		return "", fmt.Errorf("gives a list, which can't be written here")
	}
	if len(list) == 0 {
		return "", fmt.Errorf("gives a list of nothing, which SQL has no form for")
	}
	p.takes = asValue
	out := make([]string, len(list))
	for i, v := range list {
		if _, within := v.([]any); within {
			return "", fmt.Errorf("gives a list of lists, which can't be written here")
		}
		s, err := d.value(p, v)
		if err != nil {
			return "", err
		}
		out[i] = s
	}
	return strings.Join(out, ", "), nil
}

// plain refuses what could be more than a word at a place of which little is known.
func plain(t takes, s string) error {
	allowed := map[takes]string{asWord: "_", asRemark: "_-.,:@#%=+() ", asPlain: "_-.:@+' "}[t]
	bad := strings.IndexFunc(s, func(r rune) bool {
		return !(r < 0x80 && (isLetter(byte(r)) || isDigit(byte(r))) || strings.ContainsRune(allowed, r) || t != asWord && r > unicode.MaxLatin1 && (unicode.IsLetter(r) || unicode.IsDigit(r)))
	})
	if t == asWord && s == "" {
		return fmt.Errorf("gives nothing, at a place that takes letters and digits")
	}
	if bad >= 0 {
		return fmt.Errorf("gives %q, of which a place like this takes letters and digits alone", clip(s))
	}
	return nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
