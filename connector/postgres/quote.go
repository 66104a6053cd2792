package postgres

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// maxName is NAMEDATALEN - 1; the server cuts longer names off.
const maxName = 63

var quote = relational.Quote

// literal is s as a string constant that holds whatever the setting
// standard_conforming_strings is.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// literals is a list of constants.
func literals(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = literal(s)
	}
	return strings.Join(out, ", ")
}

// anyOf is an array constant of names.
func anyOf(list []string) string { return "any (array[" + literals(list) + "]::name[])" }

// quarantined is the reserved name under which a resource is set aside.
func quarantined(id tenure.ResourceID) string { return quarantinePrefix + uuid(id) }

// unfinished is the reserved name under which a database is made.
func unfinished(id tenure.ResourceID) string { return unfinishedPrefix + uuid(id) }

const (
	quarantinePrefix = "tenure_quarantine_"
	unfinishedPrefix = "tenure_new_"
	scratchPrefix    = "tenure_scratch_"
)

func uuid(id tenure.ResourceID) string { return strings.TrimPrefix(string(id), "res_") }

// checkName accepts a name that a tenant's database, schema or role may have.
func checkName(r connector.Ref) error {
	if err := relational.CheckName(r.Type, r.Name, maxName); err != nil {
		return err
	}
	reserved := []string{"public", "none", "current_user", "session_user", "current_role", "information_schema", "postgres", "template0", "template1", "tenure"}
	if strings.HasPrefix(r.Name, "pg_") || strings.HasPrefix(r.Name, "tenure_") || slices.Contains(reserved, r.Name) {
		return tenure.Errorf(tenure.Invalid, "%s name %q is reserved", r.Type, r.Name)
	}
	return nil
}

// checkRole accepts the name of a role that something is given to.
func checkRole(r connector.Ref, role string) error {
	if err := relational.CheckName("the role of "+r.Type, role, maxName); err != nil {
		return err
	}
	if strings.HasPrefix(role, "pg_") || isGroup(role) || role == "public" || role == "none" {
		return tenure.Errorf(tenure.Invalid, "%s %q: role %q is not a tenant's", r.Type, r.Name, role)
	}
	return nil
}

// checkNames accepts a list of names of tables or columns.
func checkNames(what string, names ...string) error {
	for _, n := range names {
		if err := relational.CheckName(what, n, maxName); err != nil {
			return err
		}
	}
	return nil
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// object builds a canonical JSON object from members that come in the order of
// their names.
type object struct{ buf []byte }

func (o *object) key(k string) {
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	} else {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, k...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) text(k, v string) {
	if v != "" {
		o.key(k)
		o.buf = appendText(o.buf, v)
	}
}

func (o *object) flag(k string, v bool) {
	o.key(k)
	if v {
		o.buf = append(o.buf, "true"...)
	} else {
		o.buf = append(o.buf, "false"...)
	}
}

func (o *object) raw(k, v string) {
	if v != "" {
		o.key(k)
		o.buf = append(o.buf, v...)
	}
}

func (o *object) list(k string, v []string) {
	if len(v) == 0 {
		return
	}
	o.key(k)
	o.buf = append(o.buf, '[')
	for i, s := range v {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendText(o.buf, s)
	}
	o.buf = append(o.buf, ']')
}

func (o *object) done() json.RawMessage {
	if len(o.buf) == 0 {
		return json.RawMessage("{}")
	}
	return append(o.buf, '}')
}

// appendText writes a JSON string as encoding/json does without HTML escapes.
func appendText(b []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	raw, err := tenure.Canonical(s)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, raw...)
}
