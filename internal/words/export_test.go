package words

import (
	"maps"
	"slices"
)

// KeysOf lists a table's keys.
func KeysOf(l Language) []Key { return slices.Sorted(maps.Keys(tables[l])) }

// Raw is a text with its places.
func Raw(l Language, k Key) (string, bool) { text, is := tables[l][k]; return text, is }
