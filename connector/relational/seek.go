package relational

import "strings"

// Telling says that a tenant's key is unlikely to stand in a column for anything
// else. One that isn't is sought only where a name speaks of a tenant.
func Telling(key string) bool {
	digits := strings.Trim(key, "0123456789") == ""
	return digits && len(key) >= 7 || !digits && len(key) >= 3
}

// Speaks says that a column's name is that of a tenant's key; names are those of
// the tenant column.
func Speaks(column string, names []string) bool {
	plain := plainName(column)
	for _, n := range append(names, "tenant", "customer", "account", "client", "company", "workspace", "org") {
		s := Stem(n)
		if len(s) >= 3 && strings.Contains(plain, s) || Stem(column) == s {
			return true
		}
	}
	return false
}

// Stem is what the name of a tenant column speaks of: school, of school_id,
// SchoolCode and school_ids.
func Stem(name string) string {
	s := strings.TrimSuffix(plainName(name), "s")
	for _, end := range []string{"id", "key", "code", "uuid", "guid", "ref", "no", "number", "slug", "name"} {
		if len(s) > len(end)+1 && strings.HasSuffix(s, end) {
			return strings.TrimSuffix(s, end)
		}
	}
	return s
}

func plainName(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }
