package schematest

import "testing"

// Most schemas can be erased, by the model, or the property shows too little.
func TestMostSchemasCanBeErased(t *testing.T) {
	t.Parallel()
	for _, d := range []Dialect{Postgres, SQLite, MariaDB} {
		kinds, refused, open := map[string]int{}, 0, 0
		const n = 2000
		for seed := range uint64(n) {
			v := Judge(Generate(seed, d))
			for _, r := range v.Refusals {
				kinds[r.Kind]++
			}
			if len(v.Refusals) > 0 {
				refused++
			} else if len(v.Either) > 0 {
				open++
				for _, r := range v.Either {
					kinds["open: "+r.Kind]++
				}
			}
		}
		t.Logf("%s: of %d schemas %d are refused, %d left open: %v", d, n, refused, open, kinds)
		if refused+open > n*30/100 {
			t.Errorf("%s: only %d of %d schemas must be erased", d, n-refused-open, n)
		}
	}
}
