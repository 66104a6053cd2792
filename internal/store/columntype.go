package store

import (
	"fmt"
	"strings"
)

// columnTypes is the type that the migrations give each column, by "table.column", as a store's driver gives its
// values: "string", "int64" or "[]uint8".
var columnTypes = func() map[string]string {
	types := map[string]string{"text": "string", "bigint": "int64", "smallint": "int64", "bytea": "[]uint8"}
	out := make(map[string]string)
	files, _ := migrations.ReadDir("migrations")
	for _, f := range files {
		raw, _ := migrations.ReadFile("migrations/" + f.Name())
		table := ""
		for line := range strings.Lines(string(raw)) {
			w := strings.Fields(line)
			switch {
			case len(w) > 2 && w[0] == "create" && w[1] == "table":
				table = w[2]
			case len(w) > 6 && w[0] == "alter" && w[4] == "column":
				out[w[2]+"."+w[5]] = types[w[6]]
			case len(w) > 1 && types[w[1]] != "":
				out[table+"."+w[0]] = types[w[1]]
			}
		}
	}
	return out
}()

// foreign is a value's type if it isn't the one that its column has, and blank otherwise. The program writes no such
// value. SQL compares it in its own way: a hold with 0.5, null or a blank text for its release is no longer in force,
// and would read as one that wasn't released.
func foreign(want string, v any) string {
	have := ""
	switch v.(type) {
	case string:
		have = "string"
	case int64:
		have = "int64"
	case []byte:
		have = "[]uint8"
	}
	if have == want && want != "" {
		return ""
	}
	return fmt.Sprintf("%T", v)
}
