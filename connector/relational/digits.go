package relational

import (
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/transform"
)

// holdsAll says that a column has room for every digit behind the point which another
// one's type declares.
func holdsAll(into, from Column) bool {
	to, bounded := digitsBehind(into)
	of, known := digitsBehind(from)
	return !bounded || !known || to >= of
}

// digitsBehind are the digits behind the point that a column's type declares; known says
// whether it declares any number of them, as floating numbers don't.
func digitsBehind(c Column) (n int, known bool) {
	typ := strings.ToLower(c.Type)
	switch KindOf(typ) {
	case transform.Integer:
		return 0, true
	case transform.Decimal:
	default:
		return 0, false
	}
	if !strings.HasPrefix(typ, "numeric(") && !strings.HasPrefix(typ, "decimal(") {
		return 0, false
	}
	_, in, _ := strings.Cut(typ, "(")
	in, _, _ = strings.Cut(in, ")")
	_, scale, has := strings.Cut(in, ",")
	if !has {
		return 0, true
	}
	n, err := strconv.Atoi(strings.TrimSpace(scale))
	return n, err == nil
}
