package relational

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Judge compares a query's answer with what a probe sql expected of it: rows, no-rows,
// refused, or one row whose first column is the value. Another expectation is Invalid.
func Judge(expect, value string, rows int, first string, refused bool) (connector.Outcome, error) {
	passed := func(says string) (connector.Outcome, error) {
		return connector.Outcome{Passed: true, Detail: says}, nil
	}
	failed := func(says string) (connector.Outcome, error) { return connector.Outcome{Detail: says}, nil }
	switch {
	case expect != "refused" && expect != "rows" && expect != "no-rows" && expect != "value":
		return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "probe sql: parameter expect is %q, not rows, no-rows, refused or value", expect)
	case expect == "refused" && refused:
		return passed("the query is refused")
	case expect == "refused":
		return failed("the query isn't refused")
	case refused:
		return failed("the query is refused")
	case expect == "rows" && rows == 0:
		return failed("the query gives no row")
	case expect == "no-rows" && rows > 0:
		return failed("the query gives rows")
	case expect == "value" && (rows != 1 || first != value):
		return failed("the query doesn't give the value that is expected")
	}
	return passed("the query answers as expected")
}
