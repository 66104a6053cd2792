package mysql

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

func quote(parts ...string) string { return relational.Quote(parts...) }

// literal is a text as SQL has it; in Tenure's sessions a backslash stands for itself.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func literals(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = literal(s)
	}
	return strings.Join(out, ", ")
}

// exact is the collation in which only equal bytes are equal.
const exact = "utf8mb4_nopad_bin"

// exactly is a text's expression compared byte by byte, in whatever character set it is.
func exactly(expression string) string {
	return "convert(" + expression + " using utf8mb4) collate " + exact
}

// maxName is how long the name of a grant or of rows may be.
const maxName = 200

// checkIdentifier accepts what the server takes for a name of its catalog: up to 64
// characters of the basic plane.
func checkIdentifier(what, name string, limit int) error {
	if err := relational.CheckName(what, name, 3*limit); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(name); n > limit {
		return tenure.Errorf(tenure.Invalid, "%s: the name is %d characters long, at most %d are allowed", what, n, limit)
	}
	for _, r := range name {
		if r > 0xFFFF || r == 0xFEFF || r == 0xFFFD || r == utf8.RuneError {
			return tenure.Errorf(tenure.Invalid, "%s: the name holds %U, which the server can't keep in a name", what, r)
		}
	}
	return nil
}

// checkDatabase accepts the name of a database that may be a tenant's.
func checkDatabase(what, name string) error {
	if err := checkIdentifier(what, name, 64); err != nil {
		return err
	}
	if strings.HasPrefix(name, "#") || strings.HasPrefix(name, asidePrefix) || strings.HasPrefix(strings.ToLower(name), "lost+found") || slices.Contains(serverDatabases, strings.ToLower(name)) || strings.HasSuffix(name, ".") {
		return tenure.Errorf(tenure.Invalid, "%s: the name %q is the server's own", what, name)
	}
	return nil
}

// serverDatabases are the server's own.
var serverDatabases = []string{"information_schema", "mysql", "performance_schema", "sys"}

// kept says whether a database is Tenure's own.
func (d *Driver) keptDatabase(name string) bool {
	return strings.EqualFold(name, d.keep) || strings.EqualFold(name, d.sentinel)
}

// inScope says whether a database is one of the platform's.
func (d *Driver) inScope(name string) bool {
	if slices.Contains(serverDatabases, strings.ToLower(name)) || d.keptDatabase(name) || strings.HasPrefix(name, asidePrefix) {
		return false
	}
	return len(d.scope) == 0 || name == d.home || slices.ContainsFunc(d.scope, func(p string) bool {
		prefix, open := strings.CutSuffix(p, "*")
		return p == name || open && strings.HasPrefix(name, prefix)
	})
}

// pattern is a database's name where a grant takes a pattern: an underscore and a
// percent sign would stand for others, and let their tenants in.
func pattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(name)
}

// account is user@host as SQL has it.
func account(user, host string) string { return literal(user) + "@" + literal(host) }
