package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// virtual is a virtual table as its statement made it.
type virtual struct {
	name, module string
	args         []string // as they are written, without space around them
	unreadable   string   // why its rows can't be read here, in SQLite's words; "" if they can
}

// virtuals reads the virtual tables. One whose module isn't there, or refuses its
// arguments, can't be read.
func virtuals(ctx context.Context, q relational.Querier) ([]virtual, error) {
	var out []virtual
	var name, text string
	err := each(ctx, q, `select name, sql from sqlite_schema where type = 'table' and sql like 'create virtual%' order by name`, func() error {
		out = append(out, parseVirtual(name, text))
		return nil
	}, &name, &text)
	for i := range out {
		if err != nil {
			return nil, err
		}
		if wrong := each(ctx, q, "select 1 from "+quote(out[i].name)+" limit 0", func() error { return nil }); result(wrong) != 0 {
			out[i].unreadable = plain(wrong)
		} else {
			err = wrong
		}
	}
	return out, err
}

// shadowed are the ends of the names of tables in which virtual ones of a module keep
// what they hold (sqlite.org/vtab, xShadowName).
var shadowed = map[string][]string{
	"fts3": {"content", "docsize", "segdir", "segments", "stat"}, "fts4": {"content", "docsize", "segdir", "segments", "stat"},
	"fts5":  {"config", "content", "data", "docsize", "idx"},
	"rtree": {"node", "parent", "rowid"}, "rtree_i32": {"node", "parent", "rowid"}, "geopoly": {"node", "parent", "rowid"},
}

// shadows are the tables in which virtual ones keep what they hold.
func shadows(ctx context.Context, q relational.Querier, all []virtual) ([]string, error) {
	var out []string
	var name string
	err := each(ctx, q, `select name from sqlite_schema where type = 'table' and name like '%\_%' escape '\'`, func() error {
		if isShadow(name, all) {
			out = append(out, name)
		}
		return nil
	}, &name)
	return out, err
}

func isShadow(name string, all []virtual) bool {
	at := strings.LastIndexByte(name, '_')
	return at > 0 && slices.ContainsFunc(all, func(v virtual) bool {
		return strings.EqualFold(v.name, name[:at]) && foldedIn(shadowed[v.module], name[at+1:])
	})
}

func parseVirtual(name, text string) virtual {
	v := virtual{name: name}
	all := words(text)
	using := slices.IndexFunc(all, func(w word) bool { return w.is("using") })
	if using < 0 || using+1 >= len(all) {
		return v
	}
	v.module = strings.ToLower(all[using+1].text)
	if open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')'); open >= 0 && end > open {
		v.args = arguments(text[open+1 : end])
	}
	return v
}

// arguments splits a module's arguments at the commas that stand in no bracket
// and no quotes.
func arguments(text string) []string {
	var out []string
	depth, from := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case strings.IndexByte("'\"`[", c) >= 0:
			_, n := unquote(text[i:])
			i += n - 1
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(text[from:]))
}

// option is the value of an argument key=value.
func (v virtual) option(key string) (value string, given bool) {
	for _, a := range v.args {
		k, text, ok := strings.Cut(a, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(k), key) {
			continue
		}
		text = strings.TrimSpace(text)
		if text != "" && strings.IndexByte("'\"`[", text[0]) >= 0 {
			text, _ = unquote(text)
		}
		return text, true
	}
	return "", false
}
