package schematest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Run tries schemas on fresh targets: 50, or as many as TENURE_RANDOM_SCHEMAS
// says, from the seed TENURE_RANDOM_SEED on.
func Run(t *testing.T, d Dialect, fresh func(t *testing.T) Target) {
	n, first := number(t, "TENURE_RANDOM_SCHEMAS", 50), number(t, "TENURE_RANDOM_SEED", 1)
	erased, open, held := 0, 0, 0
	for seed := first; seed < first+n; seed++ {
		s := Generate(seed, d)
		o := one(t, s, seed, fresh)
		if o.Refused == "" {
			erased++
		}
		if o.Open {
			open++
		}
		if o.Held {
			held++
		}
		if o.Wrong == "" {
			continue
		}
		kind := kindOf(o.Wrong)
		small := s
		if n := number(t, "TENURE_RANDOM_SHRINK", 1); n > 0 {
			small = Shrink(s, func(s *Schema) bool { return kindOf(one(t, s, seed, fresh).Wrong) == kind })
		}
		t.Errorf("TENURE_RANDOM_SEED=%d TENURE_RANDOM_SCHEMAS=1: %s\n\nthe smallest that fails so: %s\n%s", seed, o.Wrong, one(t, small, seed, fresh).Wrong, small.Story())
	}
	t.Logf("%d schemas: %d erased, %d of them with a hold in the middle, %d left open by the rules", n, erased, held, open)
	if n >= 20 && uint64(erased) < n*70/100 {
		t.Errorf("only %d of %d schemas were erased", erased, n)
	}
}

func one(t *testing.T, s *Schema, seed uint64, fresh func(t *testing.T) Target) (o Outcome) {
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		o = Try(t.Context(), s, fresh(t), rand.New(rand.NewPCG(seed, 7)))
	})
	return o
}

// kindOf is what a failure says before it comes to names: the words up to its
// second colon, but no more than the first of them after the first colon.
func kindOf(wrong string) string {
	head, rest, _ := strings.Cut(wrong, ":")
	head, _, _ = strings.Cut(head, "(")
	word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return head + word
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, v)
	}
	return n
}
