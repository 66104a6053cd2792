package relational

import "strconv"

// Plural is a number with what it counts, a regular noun in the singular.
func Plural(n int64, what string) string {
	return strconv.FormatInt(n, 10) + " " + Verb(n, what, what+"s")
}

// Verb is the form of a word that goes with a number.
func Verb(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
