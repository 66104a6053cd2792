package relational

import "testing"

// TestAlike keeps a leaver's rows from staying unseen under another spelling of its
// key, and a neighbour's from being called the leaver's.
func TestAlike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"acme", "ACME", true}, {"acme", "\nac\u200bme\t\u00a0", true}, {"acme", "acme\x00", true}, {"acme", "acme2", false},
		{"caf\u00e9", "CAFE\u0301", true}, {"caf\u00e9", "cafe", false},
		{"1", "01", true}, {"1", "+1.0", true}, {"1", "1e0", true}, {"1", "10", false}, {"1", "-1", false}, {"1", "1e999999999", false}, {"a1", "a01", false},
		{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", true},
		{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "urn:uuid:a0eebc999c0b4ef8bb6d6bb9bd380a11", true},
		{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false},
		{"a-b", "ab", false},
	} {
		if got := Alike(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
