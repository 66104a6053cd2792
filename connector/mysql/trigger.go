package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// trigger is a trigger, or an event of the scheduler's, with what its text says that it does.
type trigger struct {
	schema, name string
	table        relational.TableName // blank of an event
	event        string               // insert, update, delete; "" of an event
	before       bool
	writes       []write
	names        []string // every name and word that stands in it, in lower case
	signals      bool     // it can refuse
	odd          string   // what can't be read in it, "" if all can
}

// write is one statement of a trigger's that changes rows.
type write struct {
	verb    string // insert, update, delete, replace
	table   relational.TableName
	columns []string          // of an insert
	values  map[string]string // of an insert of one row: the column of the row that changed, by its own
	simple  bool              // an insert of one row, and nothing besides
}

// harmless says that a trigger does no more than to look, to refuse, and to set columns
// of the row itself.
func (g trigger) harmless() bool { return g.odd == "" && len(g.writes) == 0 }

func readTriggers(ctx context.Context, q relational.Querier, where string) (out []trigger, err error) {
	var g trigger
	var timing, body, mode string
	err = each(ctx, q, "select trigger_schema, trigger_name, event_object_schema, event_object_table, lower(event_manipulation), action_timing, action_statement, sql_mode from information_schema.triggers where "+where+
		" order by binary trigger_schema, binary trigger_name", func() error {
		one := trigger{schema: g.schema, name: g.name, table: g.table, event: g.event, before: timing == "BEFORE"}
		one.read(body, mode)
		out = append(out, one)
		return nil
	}, &g.schema, &g.name, &g.table.Schema, &g.table.Name, &g.event, &timing, &body, &mode)
	return out, err
}

func triggersOf(ctx context.Context, q relational.Querier, t relational.TableName) ([]trigger, error) {
	all, err := readTriggers(ctx, q, "event_object_schema = "+literal(t.Schema)+" and event_object_table = "+literal(t.Name))
	return slices.DeleteFunc(all, func(g trigger) bool { return g.table != t }), err
}

// eventsOn is the condition for events that run.
const eventsOn = "status = 'ENABLED'"

func readEvents(ctx context.Context, q relational.Querier, schemas []string, which string) (out []trigger, err error) {
	if len(schemas) == 0 {
		return nil, nil
	}
	var schema, name, body, mode string
	err = each(ctx, q, "select event_schema, event_name, event_definition, sql_mode from information_schema.events where "+which+" and event_schema in ("+literals(schemas)+") order by binary event_schema, binary event_name", func() error {
		one := trigger{schema: schema, name: name}
		one.read(body, mode)
		out = append(out, one)
		return nil
	}, &schema, &name, &body, &mode)
	return out, err
}

// lexeme is a piece of a trigger's text.
type lexeme struct {
	kind byte // w word, n name in quotes, l literal, d number, s sign
	text string
}

func (l lexeme) is(any ...string) bool {
	return (l.kind == 'w' || l.kind == 's') && slices.Contains(any, l.text)
}

func (l lexeme) names() bool { return l.kind == 'w' || l.kind == 'n' }

// lexemes cuts a text as the server does in a session of the mode. Code in a comment,
// which some versions run and others don't, is odd.
func lexemes(text, mode string) (out []lexeme, odd bool) {
	ansi, plain := strings.Contains(mode, "ANSI"), strings.Contains(mode, "NO_BACKSLASH_ESCAPES")
	word := func(c byte) bool {
		return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	for i := 0; i < len(text); {
		c := text[i]
		rest := text[i:]
		switch {
		case c <= ' ':
			i++
		case c == '#', strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' '):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				i += n
			} else {
				i = len(text)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 || strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!") {
				return out, true
			}
			i += n + 4
		case c == '\'' || c == '"' || c == '`':
			var b strings.Builder
			j := i + 1
			for ; j < len(text); j++ {
				if text[j] == '\\' && c != '`' && !plain && !(c == '"' && ansi) && j+1 < len(text) {
					j++
				} else if text[j] == c {
					if j+1 >= len(text) || text[j+1] != c {
						break
					}
					j++
				}
				b.WriteByte(text[j])
			}
			kind := byte('l')
			if c == '`' || c == '"' && ansi {
				kind = 'n'
			}
			out, i = append(out, lexeme{kind, b.String()}), j+1
		case '0' <= c && c <= '9':
			j := i
			for j < len(text) && (word(text[j]) || text[j] == '.') {
				j++
			}
			out, i = append(out, lexeme{'d', text[i:j]}), j
		case word(c):
			j := i
			for j < len(text) && word(text[j]) {
				j++
			}
			out, i = append(out, lexeme{'w', text[i:j]}), j
		default:
			out, i = append(out, lexeme{'s', text[i : i+1]}), i+1
		}
	}
	for i := range out {
		if out[i].kind == 'w' {
			out[i].text = strings.ToLower(out[i].text)
		}
	}
	return out, false
}

// known are functions of the server's own that change nothing, and words that a bracket
// may follow.
var known = strings.Fields(`abs ascii avg ceil ceiling char char_length coalesce concat concat_ws conv convert cast count crc32 curdate current_date current_time current_timestamp current_user curtime
 date date_add date_format date_sub datediff day dayofmonth dayofweek dayofyear elt exists extract field find_in_set floor format from_unixtime greatest hex hour if ifnull in inet_aton inet_ntoa insert instr interval
 isnull json_array json_compact json_contains json_extract json_insert json_keys json_length json_merge_patch json_object json_quote json_remove json_replace json_search json_set json_type json_unquote json_valid json_value
 lcase least left length localtime localtimestamp locate lower lpad ltrim max md5 microsecond mid min minute mod month not now nullif octet_length or and ord position pow power quarter rand regexp_replace regexp_substr
 repeat replace reverse right round rpad rtrim second sha sha1 sha2 sign space strcmp substr substring substring_index sum sysdate time time_format timediff timestamp timestampadd timestampdiff to_base64 from_base64
 to_days trim truncate ucase unhex unix_timestamp upper user utc_date utc_time utc_timestamp uuid uuid_short values value week weekday year select when then else while until set return
 varchar decimal numeric int bigint tinyint smallint binary varbinary bit datetime float double enum using by limit between like as on where case is xor div message_text mysql_errno row_count last_insert_id`)

// statements are words that begin what isn't read here.
var statements = strings.Fields(`call load truncate execute prepare handler lock unlock create alter drop rename grant revoke kill flush reset optimize analyze import install uninstall outfile dumpfile get diagnostics`)

// read works out what a text does.
func (g *trigger) read(text, mode string) {
	all, odd := lexemes(text, mode)
	if odd {
		g.odd = "code in a comment"
		return
	}
	at := func(i int) lexeme {
		if i < 0 || i >= len(all) {
			return lexeme{}
		}
		return all[i]
	}
	for i, l := range all {
		if l.names() {
			g.names = append(g.names, strings.ToLower(l.text))
		}
		if l.kind == 'n' && at(i+1).is("(") && !at(i-1).is("into", "table") && !at(i-1).is(".") {
			if !g.target(all, i) {
				g.odd = "a call of " + l.text
			}
			continue
		}
		if l.kind != 'w' || at(i-1).is(".") && !at(i-2).is("new", "old") {
			continue
		}
		dotted := at(i-1).is(".") || at(i+1).is(".")
		switch {
		case dotted && !at(i+1).is("("):
		case l.is("signal", "resignal"):
			g.signals = true
		case l.is("insert", "replace") && !at(i+1).is("("):
			g.insert(all, i)
		case l.is("delete"):
			g.plain("delete", all, i, "from")
		case l.is("update") && !at(i-1).is("key", "for"):
			g.plain("update", all, i)
		case l.is(statements...) && !at(i+1).is("("):
			g.odd = "a statement that begins with " + l.text
		case at(i+1).is("(") && !l.is(known...) && !g.target(all, i):
			g.odd = "a call of " + l.text
		}
	}
}

// target says that the name at i, before a bracket, is of the table that an insert names.
func (g *trigger) target(all []lexeme, i int) bool {
	for i--; i >= 0 && (all[i].is(".") || all[i].kind == 'n' || all[i].kind == 'w' && !all[i].is("into", "insert", "replace", "ignore")); i-- {
		if !all[i].is(".") && !(i+1 < len(all) && all[i+1].is(".")) {
			return false
		}
	}
	return i >= 0 && all[i].is("into", "insert", "replace", "ignore")
}

// tableAt reads a table's name at i, and gives what follows it.
func (g *trigger) tableAt(all []lexeme, i int) (n relational.TableName, next int) {
	if i >= len(all) || !all[i].names() {
		return n, i
	}
	n = relational.TableName{Schema: g.schema, Name: all[i].text}
	if i+2 < len(all) && all[i+1].is(".") && all[i+2].names() {
		return relational.TableName{Schema: all[i].text, Name: all[i+2].text}, i + 3
	}
	return n, i + 1
}

func skip(all []lexeme, i int, words ...string) int {
	for i < len(all) && all[i].is(words...) {
		i++
	}
	return i
}

// plain reads a delete or an update; one of several tables is odd.
func (g *trigger) plain(verb string, all []lexeme, i int, then ...string) {
	i = skip(all, i+1, append(then, "low_priority", "quick", "ignore")...)
	n, next := g.tableAt(all, i)
	if n.Name == "" || next < len(all) && (all[next].is(",", "join") || verb == "delete" && all[next].is("from", "using")) {
		g.odd = "a " + verb + " of several tables"
		return
	}
	g.writes = append(g.writes, write{verb: verb, table: n})
}

// insert reads an insert or a replace.
func (g *trigger) insert(all []lexeme, i int) {
	w := write{verb: all[i].text, values: map[string]string{}}
	i = skip(all, i+1, "low_priority", "delayed", "high_priority", "ignore", "into")
	w.table, i = g.tableAt(all, i)
	if w.table.Name == "" {
		g.odd = "an insert that can't be read"
		return
	}
	if i < len(all) && all[i].is("(") {
		for i++; i < len(all) && !all[i].is(")"); i++ {
			if all[i].names() {
				w.columns = append(w.columns, all[i].text)
			}
		}
		i++
	}
	if i < len(all) && all[i].is("values", "value") && i+1 < len(all) && all[i+1].is("(") {
		i = w.row(all, i+1)
		w.simple = w.verb == "insert" && (i >= len(all) || all[i].is(";", "end"))
	}
	g.writes = append(g.writes, w)
}

// row reads the one row that is inserted, from its bracket on.
func (w *write) row(all []lexeme, i int) int {
	depth, from, k := 0, i+1, 0
	for ; i < len(all); i++ {
		switch {
		case all[i].is("("):
			depth++
		case all[i].is(")"):
			depth--
		}
		if depth == 1 && all[i].is(",") || depth == 0 {
			if part := all[from:i]; len(part) == 3 && part[0].is("old", "new") && part[1].is(".") && part[2].names() && k < len(w.columns) {
				w.values[strings.ToLower(w.columns[k])] = part[2].text
			} else if k < len(w.columns) {
				w.document(part, strings.ToLower(w.columns[k]))
			}
			k, from = k+1, i+1
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// document notes which columns of the row that changed stand where in a JSON object, as
// column->>path.
func (w *write) document(part []lexeme, at string) {
	if len(part) < 4 || !part[0].is("json_object") || !part[1].is("(") || !part[len(part)-1].is(")") {
		return
	}
	depth, from := 0, 2
	var args [][]lexeme
	for i := 1; i < len(part); i++ {
		switch {
		case part[i].is("("):
			depth++
		case part[i].is(")"):
			depth--
		}
		if depth == 1 && part[i].is(",") || depth == 0 {
			args, from = append(args, part[from:i]), i+1
		}
		if depth == 0 && i < len(part)-1 {
			return // it is a part of some other expression
		}
	}
	for i := 0; i+1 < len(args); i += 2 {
		key, v := args[i], args[i+1]
		if len(key) != 1 || key[0].kind != 'l' {
			continue
		}
		place := at + "->>" + key[0].text
		if _, twice := w.values[place]; twice { // and which of them is read isn't told
			w.values[place] = ""
			continue
		}
		w.values[place] = ""
		if len(v) == 3 && v[0].is("old", "new") && v[1].is(".") && v[2].names() {
			w.values[place] = v[2].text
		} else {
			w.document(v, place)
		}
	}
}
