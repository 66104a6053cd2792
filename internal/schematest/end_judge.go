package schematest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// changed compares a row that was anonymised or pseudonymised with what its rules say.
func (r *ending) changed(t *Table, id int, was, is map[string]*string, named map[string]string, permuted map[string][2][]string) error {
	given := r.Given[t.Name]
	columns := given["columns"].(map[string]any)
	suppressed := given["short"] == "suppress"
	for _, c := range identifying(given) {
		m, _ := columns[c].(map[string]any)
		suppressed = suppressed && (hollow(is[c]) || m["constant"] != nil)
	}
	for c, rule := range columns {
		old, now := was[c], is[c]
		if slices.Contains(identifying(given), c) && suppressed {
			continue
		}
		e := t.extra(c)
		if word, _ := rule.(string); word == "permute" {
			both := permuted[c]
			if old != nil {
				both[0] = append(both[0], spaced(*old, e))
			}
			if now != nil && !hollow(now) && strings.Trim(*now, "0.-: ") != "" && !strings.HasPrefix(*now, "0001-01-01") { // the least value, where null can't be
				both[1] = append(both[1], spaced(*now, e))
			}
			permuted[c] = both
			continue
		}
		if now == nil && old != nil && r.refers(t, c) {
			continue // what it referred to is gone, or it is cleared
		}
		if word, _ := rule.(string); word == "keep" && old != nil && hollow(now) && repeats(columns, was, c) {
			continue // a kept text that says what another column hides
		}
		if err := obeys(rule, old, now, e); err != nil {
			return fmt.Errorf("%s (%v): was %s, is %s: %w", c, rule, shown(old), shown(now), err)
		}
		if m, is := rule.(map[string]any); is && m["pseudonym"] != nil && old != nil {
			key := fmt.Sprint(m) + kindName(e) + *old
			if other, known := named[key]; known && other != *now {
				return fmt.Errorf("%s: %q became %s and %s", c, *old, other, *now)
			}
			named[key] = *now
		}
	}
	for c, v := range is {
		if v != nil && strings.Contains(*v, Token(id)) {
			return fmt.Errorf("%s still has its token: %s", c, *v)
		}
	}
	return nil
}

// repeats says that a column has a text in it that stands in another one, which changes.
func repeats(columns map[string]any, was map[string]*string, column string) bool {
	for c, rule := range columns {
		if v := was[c]; c != column && rule != "keep" && v != nil && len([]rune(*v)) >= 6 && strings.Contains(strings.ToLower(*was[column]), strings.ToLower(strings.TrimSpace(*v))) {
			return true
		}
	}
	return false
}

// spaced is a document without its blanks, which PostgreSQL's json keeps and JSON doesn't.
func spaced(s string, e *Extra) string {
	if e != nil && (e.Kind == "plain" || e.Kind == "json") {
		return strings.ReplaceAll(s, " ", "")
	}
	return s
}

func kindName(e *Extra) string {
	if e == nil {
		return ""
	}
	return map[bool]string{true: "uuid"}[e.Kind == "uuid"]
}

func (t *Table) extra(name string) *Extra {
	for _, e := range t.Extras {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func identifying(given map[string]any) (out []string) {
	all, _ := given["identifying"].([]any)
	for _, n := range all {
		out = append(out, n.(string))
	}
	return out
}

// hollow says that a cell tells nothing.
func hollow(s *string) bool {
	return s == nil || slices.Contains([]string{"", "{}", "[]", "null", "00"}, strings.TrimSpace(*s))
}

// obeys says whether a value is what a rule makes of another.
func obeys(rule any, old, now *string, e *Extra) error {
	word, _ := rule.(string)
	m, _ := rule.(map[string]any)
	for k := range m {
		if k != "else" && k != "suffix" && k != "reversible" {
			word = k
		}
	}
	differs := fmt.Errorf("it doesn't obey")
	if word == "constant" {
		raw, _ := json.Marshal(m["constant"])
		want := strings.Trim(string(raw), `"`)
		if now == nil || strings.TrimSpace(*now) != want && !sameNumber(*now, want) {
			return differs
		}
		return nil
	}
	if old == nil {
		if now != nil {
			return differs
		}
		return nil
	}
	text := strings.TrimRight(*old, " ")
	got := ""
	if now != nil {
		got = strings.TrimRight(*now, " ")
	}
	want := ""
	switch word {
	case "keep":
		if want = text; got != want && hollow(now) && e != nil && (e.Echo || e.Kind == "plain") {
			return nil
		}
	case "clear":
		if !hollow(now) {
			return differs
		}
		return nil
	case "year", "month":
		if _, err := time.Parse("2006-01-02", text[:min(10, len(text))]); err != nil {
			if !hollow(now) && !strings.HasPrefix(got, "0001-01-01") {
				return differs
			}
			return nil
		}
		want = text[:4] + "-01-01"
		if word == "month" {
			want = text[:7] + "-01"
		}
		if len(text) > 18 {
			want += " 00:00:00" + strings.TrimRight(text[19:], "0123456789.")
			if i := strings.IndexByte(text, '+'); i > 0 {
				want = want[:19] + text[i:]
			}
		}
		if i := strings.IndexByte(got, '.'); i > 0 {
			got = got[:i]
		}
		if want == "1970-01-01 00:00:00" && strings.HasPrefix(got, "1970-01-0") { // which a timestamp can't be
			return nil
		}
	case "network":
		if i := strings.LastIndexByte(text, '.'); i > 0 {
			want = text[:i] + ".0"
		}
	case "prefix":
		n := int(number64(m["prefix"]))
		runes := []rune(text)
		want = strings.TrimRight(string(runes[:min(n, len(runes))]), " ")
	case "bucket":
		n, ok := new(big.Rat).SetString(text)
		width, _ := new(big.Rat).SetString(fmt.Sprint(int64(number64(m["bucket"]))))
		g, is := new(big.Rat).SetString(got)
		if !ok || !is {
			return differs
		}
		q := new(big.Rat).Quo(n, width)
		floor := new(big.Rat).Mul(new(big.Rat).SetInt(new(big.Int).Div(q.Num(), q.Denom())), width)
		if floor.Cmp(g) != 0 {
			return differs
		}
		return nil
	case "pseudonym":
		if got == text || len(got) < 26 {
			return differs
		}
		return nil
	case "members", "each":
		for _, token := range []string{"Hidden", "Tag-", "Item-", "tök-"} {
			if strings.Contains(got, token) {
				return differs
			}
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("want %q", want)
	}
	return nil
}

func number64(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

func sameNumber(a, b string) bool {
	x, is := new(big.Rat).SetString(a)
	y, also := new(big.Rat).SetString(b)
	return is && also && x.Cmp(y) == 0
}

// grouped says that no changed row stands in a group that is too small.
func (r *ending) grouped(t *Table, is map[string]map[string]*string) error {
	given := r.Given[t.Name]
	if given == nil || given["atLeast"] == nil {
		return nil
	}
	sizes := map[string]int{}
	for id, row := range is {
		var n int
		fmt.Sscan(id, &n)
		if !r.gone[n] {
			continue
		}
		key, empty := "", true
		for _, c := range identifying(given) {
			m, _ := given["columns"].(map[string]any)[c].(map[string]any)
			key += shown(row[c]) + "|"
			empty = empty && (hollow(row[c]) || m["constant"] != nil || m["else"] != nil)
		}
		if !empty || given["short"] == nil {
			sizes[key]++
		}
	}
	for key, n := range sizes {
		if n < int(number64(given["atLeast"])) {
			return fmt.Errorf("groups: %d rows of %s have %s, want at least %v", n, t.Name, key, given["atLeast"])
		}
	}
	return nil
}

// summed compares a table of sums with the model's.
func (r *ending) summed(s *Sums, is Texts) error {
	type sum struct {
		n     int
		total *big.Rat
	}
	want := map[string]*sum{}
	add := func(key string, n int, v *big.Rat) {
		if want[key] == nil {
			want[key] = &sum{total: new(big.Rat)}
		}
		want[key].n += n
		want[key].total.Add(want[key].total, v)
	}
	for id, row := range r.before[s.From.Name].cells() {
		var n int
		fmt.Sscan(id, &n)
		if !r.gone[n] {
			continue
		}
		v := new(big.Rat)
		if row[s.Of.Name] != nil {
			v.SetString(*row[s.Of.Name])
		}
		add(grouping(s, row[s.By.Name]), 1, v)
	}
	for key, v := range want {
		if v.n < s.AtLeast && key != "null" {
			if s.Short == "" {
				return fmt.Errorf("sums: a group of %d, %s of %s, was added up", v.n, key, s.From.Name)
			}
			delete(want, key)
			add("null", v.n, v.total)
		}
	}
	got := map[string]bool{}
	for _, row := range is.Rows {
		key := "null"
		if row[0] != nil {
			key = norm(*row[0])
		}
		if s.Short != "" && s.By.NotNull && row[0] != nil && *row[0] == "" {
			key = "null"
		}
		w := want[key]
		total, _ := new(big.Rat).SetString(*row[2])
		if w == nil || got[key] || fmt.Sprint(w.n) != *row[1] || total == nil || total.Cmp(w.total) != 0 && (r.Dialect != SQLite || !near(total, w.total)) {
			return fmt.Errorf("sums: %s has %s, want %+v", s.Name, line(row), w)
		}
		got[key] = true
	}
	if len(got) != len(want) {
		return fmt.Errorf("sums: %s has %d groups, want %d", s.Name, len(got), len(want))
	}
	return nil
}

func near(a, b *big.Rat) bool {
	x, _ := a.Float64()
	y, _ := b.Float64()
	d := x - y
	return d < 1e-3 && d > -1e-3
}

func norm(s string) string {
	if n, ok := new(big.Rat).SetString(s); ok {
		return n.RatString()
	}
	return s
}

func grouping(s *Sums, v *string) string {
	if v == nil {
		return "null"
	}
	switch rule := s.By.Rule.(type) {
	case string:
		switch rule {
		case "year":
			return (*v)[:4] + "-01-01"
		case "month":
			return (*v)[:7] + "-01"
		}
		return norm(*v)
	case map[string]any:
		if rule["year"] != nil {
			return (*v)[:4] + "-01-01"
		}
		n, _ := new(big.Int).SetString(*v, 10)
		w := big.NewInt(int64(number64(rule["bucket"])))
		return norm(new(big.Int).Mul(new(big.Int).Div(n, w), w).String())
	}
	return *v
}
