package postgres

import (
	"bytes"
	"strconv"
)

// oid names an object of the catalog.
type oid uint32

func oidOf(v []byte) oid {
	n, _ := strconv.ParseUint(string(v), 10, 32)
	return oid(n)
}

func number(v []byte) int {
	n, _ := strconv.Atoi(string(v))
	return n
}

// yes reads a truth value.
func yes(v []byte) bool { return string(v) == "t" }

// elements reads an array of numbers, of the server's or of JSON; none if it is null.
func elements[N oid | int](v []byte) (out []N) {
	for part := range bytes.SplitSeq(bytes.Trim(v, "{[]}"), []byte{','}) {
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(part)), 10, 64); err == nil {
			out = append(out, N(n))
		}
	}
	return out
}

// array is a constant of an array of numbers.
func array[N oid | int](list []N) string {
	b := []byte("'{")
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(append(b, "}'"...))
}

// isOneOf ends a condition that an oid, of which there is an index, is one of the
// list. The planner isn't shown how long the list is: it would take longer to weigh
// each of thousands than to look them up, or look through the list for each row.
func isOneOf(list []oid) string { return "= any (array(select unnest(" + array(list) + "::oid[])))" }
