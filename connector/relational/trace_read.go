package relational

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
)

// Bounds of a look at tables that nobody told of.
const (
	TraceRowsMost = 200_000          // rows of a table, or values of its tenant column
	TraceCounted  = 10_000_000       // estimated rows above which a table isn't read for counting
	traceTime     = 20 * time.Second // of one query
)

// TraceReader is how a driver's tables are looked at.
type TraceReader struct {
	Name   func(TableName) string
	ID     func(TableName) string // of the table, as connector.Trace has IDs
	In     func(TableName) string // the ID of what it stands in
	Closed func(Table) string     // why its rows aren't read, "" if they are
	Facts  func(TableName) TableFacts

	// Text is as Reader's, save that it also gives words of the schema (enumerations).
	Text func(t Table, c Column) (expr, says string)

	// Texts says that a column may have several values of one text: rows are then counted by the text.
	Texts bool

	// Latest gives the greatest of a column's moments as a text, under the alias t; "" if
	// its values aren't moments.
	Latest func(t Table, c Column) string

	// Frequent gives the most frequent values of a column by the server's own statistics,
	// with estimates of their rows, and whether these are all. Nil where there are none.
	Frequent func(ctx context.Context, t Table, column string, value func(text string, rows int64) error) (whole bool, err error)

	// Run is as Reader's; an error of row's ends the query.
	Run func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string) error) (done bool, err error)

	Yield     func(connector.Trace) error
	Says      func(string)
	Catalogue *connector.Catalogue // is filled with the tables and their references; nil: it isn't asked for
	Now       func() time.Time
}

// TableFacts is what a database tells of a table without its being read.
type TableFacts struct {
	Rows, Bytes int64  // estimates; -1 where it doesn't tell
	Open        string // in words, how everybody may reach it
	Made, Used  time.Time
	Labels      map[string]string
}

// Tables yields the tables themselves.
func (r TraceReader) Tables(p TracePlan) error {
	if r.Catalogue != nil && p.graph != nil {
		*r.Catalogue = p.graph.Catalogue(r.Closed)
	}
	for _, t := range p.Tables {
		f := r.Facts(t.TableName)
		one := connector.Trace{Kind: connector.TraceTable, Word: "table", Name: t.Name, ID: r.ID(t.TableName), In: r.In(t.TableName), Rows: f.Rows, Bytes: f.Bytes, Open: f.Open, Made: f.Made, Used: f.Used, Labels: map[string]string{}}
		maps.Copy(one.Labels, f.Labels)
		switch {
		case t.List:
			one.Labels["tenants"] = "list"
		case t.Tenant != "":
			one.Labels["tenants"], one.Labels["column"] = "rows", t.Tenant
		case t.Linked:
			one.Labels["tenants"] = "linked"
		default:
			one.Labels["tenants"] = "none"
		}
		if err := r.Yield(one); err != nil {
			return err
		}
	}
	return nil
}

// Rows yields what in the tables tells whose their rows are: the rows of lists of tenants,
// the values of tenant columns with their counts, and people's accounts with tenants.
func (r TraceReader) Rows(ctx context.Context, p TracePlan) error {
	for _, t := range p.Tables {
		if !t.List && t.Tenant == "" {
			continue
		}
		name := t.String()
		if says := r.Closed(t.Table); says != "" {
			r.Says("the rows of " + name + " weren't read: " + says)
			continue
		}
		var err error
		if t.List {
			err = r.rows(ctx, t, connector.TraceRecord)
		} else {
			err = r.counts(ctx, t)
		}
		switch {
		case err != nil:
		case t.Users, t.Calls:
			err = r.rows(ctx, t, connector.TraceAccount)
		case t.Jobs:
			err = r.rows(ctx, t, connector.TraceJob)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// counts yields a tenant's rows of a shared table, one for each value of the tenant column.
func (r TraceReader) counts(ctx context.Context, t TracedTable) error {
	column, _ := t.Column(t.Tenant)
	name := t.String()
	trace := func(key *string, rows int64, used string) error {
		one := connector.Trace{Kind: connector.TraceRows, Type: "rows", Word: "rows", In: r.ID(t.TableName), Rows: rows, Bytes: -1}
		if one.Used, _ = TraceTime(used); key == nil {
			one.ID, one.Labels = "nobody:"+one.In, map[string]string{"tenants": "none"}
			return r.Yield(one)
		}
		one.Name, one.ID, one.Owners = *key, "rows:"+*key+"@"+one.In, r.owners(t, *key)
		one.Attributes = map[string]any{"column": t.Tenant, "key": *key}
		if t.Schema != "" {
			one.Attributes["schema"] = t.Schema
		}
		return r.Yield(one)
	}
	if r.Facts(t.TableName).Rows > TraceCounted && r.Frequent != nil {
		whole, err := r.Frequent(ctx, t.Table, t.Tenant, func(text string, rows int64) error { return trace(&text, rows, "") })
		switch {
		case err != nil:
			return err
		case whole:
			r.Says("the rows of " + name + " weren't counted, for there are too many: the numbers are estimates of the server's statistics")
		default:
			r.Says("the rows of " + name + " weren't counted, for there are too many: the server's statistics name only the most frequent values of " + t.Tenant)
		}
		return nil
	}
	expr, says := r.Text(t.Table, column)
	if says != "" {
		r.Says("the column " + t.Tenant + " of " + name + " wasn't read: " + says)
		return nil
	}
	latest := "null"
	if c, ok := t.Column(t.Touched); ok {
		if l := r.Latest(t.Table, c); l != "" {
			latest = l
		}
	}
	by := Quote(alias, t.Tenant)
	if r.Texts {
		by = "1"
	}
	n := 0
	query := fmt.Sprintf("select %s, count(*), %s from %s as %s group by %s limit %d", expr, latest, r.Name(t.TableName), Quote(alias), by, TraceRowsMost+1)
	done, err := r.Run(ctx, traceTime, query, 3, func(v []*string) error {
		if n++; n > TraceRowsMost {
			return nil
		}
		rows, _ := strconv.ParseInt(valueOf(v[1]), 10, 64)
		return trace(v[0], rows, valueOf(v[2]))
	})
	r.cut(name, n, done, err)
	return err
}

// cut says which of a table's rows weren't seen.
func (r TraceReader) cut(name string, n int, done bool, err error) {
	switch {
	case err != nil:
	case !done:
		r.Says("the rows of " + name + " weren't all read: they couldn't be, or not in time")
	case n > TraceRowsMost:
		r.Says(fmt.Sprintf("of %s only the first %d rows or values were read", name, TraceRowsMost))
	}
}

// owners are the IDs of the entry in a list of tenants that has the key.
func (r TraceReader) owners(t TracedTable, key string) []string {
	if t.Of == nil {
		return nil
	}
	return []string{rowID(key, r.ID(t.Of.TableName))}
}

func rowID(key, table string) string { return "row:" + key + "@" + table }

func valueOf(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// rows yields a list of tenants, or people's accounts with tenants.
func (r TraceReader) rows(ctx context.Context, t TracedTable, kind connector.TraceKind) error {
	var columns, exprs []string
	ask := func(names ...string) {
		for _, n := range names {
			c, ok := t.Column(n)
			if !ok || slices.Contains(columns, n) {
				continue
			}
			if expr, says := r.Text(t.Table, c); says == "" {
				columns, exprs = append(columns, n), append(exprs, expr)
			}
		}
	}
	key := ""
	if len(t.Key) == 1 {
		key = t.Key[0]
	}
	ask(key, t.Tenant)
	ask(slices.Concat(t.Called, t.Mails, t.External, t.Status, []string{t.Made, t.Used})...)
	if kind == connector.TraceRecord && !slices.Contains(columns, key) {
		r.Says("the rows of " + t.String() + " weren't read: its key can't be")
		return nil
	}
	order := ""
	if key != "" {
		order = " order by " + Quote(alias, key)
	}
	n, now := 0, r.Now()
	query := fmt.Sprintf("select %s from %s as %s%s limit %d", strings.Join(exprs, ", "), r.Name(t.TableName), Quote(alias), order, TraceRowsMost+1)
	done, err := r.Run(ctx, traceTime, query, len(exprs), func(v []*string) error {
		if n++; n > TraceRowsMost {
			return nil
		}
		row := make(map[string]string, len(columns))
		for i, c := range columns {
			if v[i] != nil {
				row[c] = *v[i]
			}
		}
		one := t.record(row, now)
		one.Kind, one.In, one.Word = kind, r.ID(t.TableName), "row"
		one.Name = row[key]
		if key == "" {
			one.Name = strconv.Itoa(n)
		}
		one.ID = rowID(one.Name, one.In)                                                                    // by its key
		if known := slices.Concat(one.Mails, one.Called); kind != connector.TraceRecord && len(known) > 0 { // what a person knows it by
			one.Name = known[0]
		}
		if tenant, ok := row[t.Tenant]; ok && kind != connector.TraceRecord {
			one.Labels["tenant"], one.Owners = tenant, r.owners(t, tenant)
		}
		return r.Yield(one)
	})
	r.cut(t.String(), n, done, err)
	return err
}

// record is what a row says of itself.
func (t TracedTable) record(row map[string]string, now time.Time) connector.Trace {
	one := connector.Trace{Rows: -1, Bytes: -1, Labels: map[string]string{}}
	add := func(to *[]string, names []string) {
		for _, n := range names {
			if v := strings.TrimSpace(row[n]); v != "" && !slices.Contains(*to, v) {
				*to = append(*to, v)
			}
		}
	}
	add(&one.Called, t.Called)
	add(&one.Mails, t.Mails)
	add(&one.ExternalIDs, t.External)
	one.Made, _ = TraceTime(row[t.Made])
	one.Used, _ = TraceTime(row[t.Used])
	late := ""
	for _, c := range t.Status {
		v := strings.TrimSpace(row[c])
		word := strings.TrimPrefix(strings.ToLower(snake.ReplaceAllString(c, "${1}_${2}")), "is_")
		stem := strings.TrimSuffix(strings.TrimSuffix(word, "_at"), "_on")
		at, moment := TraceTime(v)
		switch {
		case v == "" || strings.HasPrefix(v, "0000-00-00"):
		case strings.HasSuffix(word, "status") || strings.HasSuffix(word, "state"):
			one.Labels["status"] = v
			one.Disabled = one.Disabled || slices.Contains(endedWords, strings.ToLower(v))
		case stem != word && (v == "0" || v == "f" || strings.EqualFold(v, "false")): // where programs write no null
		case stem != word: // deleted_at
			if stem == "expires" || stem == "trial_ends" || moment && at.After(now) {
				if one.Expires.IsZero() || at.Before(one.Expires) {
					one.Expires = at
				}
				continue
			}
			ended(&one, stem)
			late = stem
			if moment {
				late += " on " + at.Format(time.DateOnly)
			}
		case truth(v) == (word != "active" && word != "enabled"): // is_active false, suspended true
			if word == "active" || word == "enabled" {
				word = "not " + word
			}
			ended(&one, word)
		}
	}
	if one.Disabled && late != "" && !slices.Contains(endedWords, strings.ToLower(one.Labels["status"])) {
		one.Labels["status"] = late // "active", it says beside
	}
	return one
}

// ended says that a row's tenant or person is no longer served. The word of a column of its
// own for that counts before the name of another.
func ended(one *connector.Trace, word string) {
	one.Disabled = true
	if one.Labels["status"] == "" {
		one.Labels["status"] = word
	}
}

var endedWords = []string{"closed", "deleted", "cancelled", "canceled", "churned", "inactive", "disabled", "suspended", "archived", "terminated", "deactivated", "locked", "blocked", "expired", "offboarded"}

func truth(v string) bool {
	return slices.Contains([]string{"t", "true", "1", "y", "yes", "on"}, strings.ToLower(v))
}

// TraceTime reads a moment as databases write it: with a zone, or in UTC; also whole seconds,
// milliseconds or microseconds since 1970.
func TraceTime(v string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), true
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil || n < 100_000_000:
		return time.Time{}, false
	case n < 100_000_000_000:
		return time.Unix(n, 0).UTC(), true
	case n < 100_000_000_000_000:
		return time.UnixMilli(n).UTC(), true
	}
	return time.UnixMicro(n).UTC(), true
}

// TraceID names a thing for connector.Trace: parts that hold what parts them, or a quote, are
// quoted.
func TraceID(word string, parts ...string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		if out[i] = p; strings.ContainsAny(p, `."`) {
			out[i] = Quote(p)
		}
	}
	return word + ":" + strings.Join(out, ".")
}

// Some names at most five of a list.
func Some(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
}

// TraceSteps makes a look step by step. A step that spends the last call ends with the given
// error; the rest is passed over, save what makes no calls, and says tells of it.
func TraceSteps(ctx context.Context, spent error, says func(string), steps ...TraceStep) (whole bool, err error) {
	whole = true
	for i, step := range steps {
		if !whole && step.Name != "" {
			continue
		}
		err := step.Do(ctx)
		if errors.Is(err, spent) {
			var left []string
			for _, later := range steps[i:] {
				if later.Name != "" {
					left = append(left, later.Name)
				}
			}
			says("the calls allowed were spent, so that these weren't looked at, or not wholly: " + strings.Join(left, "; "))
			whole = false
			continue
		}
		if err != nil {
			return false, err
		}
	}
	return whole, nil
}

// TraceStep is one part of a look.
type TraceStep struct {
	Name string // in words; "" makes no calls
	Do   func(context.Context) error
}
