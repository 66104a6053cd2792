package blueprint

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// A number is kept as it was written, or refused: nobody gets other seats than they
// asked for.
func TestNumbersThatDontFit(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"0", "-0", "5", "-1", "1.5", "0.1", "1e3", "1E+2", "100e-2", "9007199254740991", "-9007199254740991", "0.0001", "5e-324", "123456789.123456"} {
		if why := source.Misnumbered(json.Number(n)); why != "" {
			t.Errorf("%s: %s", n, why)
		}
	}
	for _, n := range []string{"9007199254740993", "9007199254740992", "-9007199254740992", "1e30", "1e999", "1.7976931348623157e308", "-1e999", "1e-999", "9223372036854775808", "-9223372036854775808", "0.1000000000000000055511151231257827", "9007199254740993.0", "1e9999999999", "1.00000000000000000001", "4503599627370496.25000001"} {
		if source.Misnumbered(json.Number(n)) == "" {
			t.Errorf("%s is taken", n)
		}
	}
	for _, n := range []any{math.NaN(), math.Inf(1), int64(math.MinInt64), uint64(math.MaxUint64), 1e30, float64(1 << 53)} {
		if source.Misnumbered(n) == "" {
			t.Errorf("%v is taken", n)
		}
	}
}

// Wherever a number comes from: a request, a file, or an expression.
func TestNumbersAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	for _, n := range []any{json.Number("1e30"), json.Number("1e999"), json.Number("9007199254740993"), 1e30, int64(math.MinInt64), json.Number("5.5")} {
		in := input()
		in.Params["seats"] = n
		if _, err := c.Evaluate(in); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "seats") {
			t.Errorf("seats: %v: %v", n, err)
		}
		in.Leaving = true
		if _, err := c.Evaluate(in); err != nil {
			t.Errorf("seats: %v: the tenant can't leave: %v", n, err)
		}
	}
	for _, n := range []string{"9007199254740993", "99999999999999999999", "-9223372036854775808", "0xffffffffffffffff", "1.0000000000000000001", "9007199254740993.0", "1.0e+400", ".inf", "010", "-010", "0x10", "0o17", "0b11"} {
		yaml := edit(t, shop(t), "limit: ${params.seats * 2}", "limit: "+n)
		src, err := Parse([]byte(yaml), "f.yaml")
		if err == nil {
			_, err = Check(src, catalog())
		}
		if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "limit") {
			t.Errorf("limit: %s: %v", n, err)
		}
	}
	c = compiled(t, edit(t, shop(t), "limit: ${params.seats * 2}", "limit: ${params.seats * 4503599627370496}"))
	if _, err := c.Evaluate(input()); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "limit") {
		t.Errorf("an expression beyond what is exact: %v", err)
	}
}
