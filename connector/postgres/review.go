package postgres

import (
	"fmt"
	"strings"
)

// review is described at connector.Info.
func review(typ string, attributes map[string]any) []string {
	var reasons []string
	refuse := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	text := func(key string) string {
		s, _ := attributes[key].(string)
		return strings.ToLower(strings.TrimSpace(s))
	}
	for _, key := range []string{"role", "owner"} {
		switch r := text(key); {
		case r == "public":
			refuse("%s public is every role of the server", key)
		case r == "postgres", strings.HasPrefix(r, "pg_"), r == "current_user", r == "session_user":
			refuse("%s %s is not a tenant's role", key, r)
		}
	}
	for _, key := range []string{"superuser", "createdb", "createrole", "bypassrls", "replication"} {
		if v, is := attributes[key]; is && v != false && v != nil {
			refuse("a tenant's role must not have %s", key)
		}
	}
	for _, m := range list(attributes["memberOf"]) {
		if m == "postgres" || strings.HasPrefix(m, "pg_") {
			refuse("membership of %s reaches beyond the tenant", m)
		}
	}
	for _, p := range list(attributes["privileges"]) {
		if strings.HasPrefix(p, "all") {
			refuse("privileges %q isn't a list of what the tenant needs", p)
		}
	}
	for _, kind := range []string{"tables", "sequences", "functions"} {
		for _, t := range list(attributes[kind]) {
			if strings.Contains(t, "*") || t == "all" {
				refuse("%s %q isn't a list of names", kind, t)
			}
		}
	}
	if s := text("schema"); typ == "grant" && (s == "pg_catalog" || s == "information_schema" || keptSchema(s)) {
		refuse("schema %s is not a tenant's", s)
	}
	if key := text("key"); (typ == "policy" || typ == "rows") && (key == "*" || key == "%") {
		refuse("key %q doesn't name one tenant", key)
	}
	return reasons
}

// list reads a list of texts, or one text, in lower case.
func list(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, strings.ToLower(strings.TrimSpace(v)))
	case []string:
		for _, s := range v {
			out = append(out, strings.ToLower(strings.TrimSpace(s)))
		}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, strings.ToLower(strings.TrimSpace(s)))
			}
		}
	}
	return out
}
