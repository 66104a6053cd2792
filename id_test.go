package tenure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

// One kind of id is never taken for another.
func TestParseID(t *testing.T) {
	t.Parallel()
	ten, op := tenure.NewID[tenure.TenantID](start), tenure.NewID[tenure.OperationID](start)
	if got, err := tenure.ParseID[tenure.TenantID](string(ten)); err != nil || got != ten {
		t.Errorf("%s is read as %q, %v", ten, got, err)
	}
	_, err := tenure.ParseID[tenure.TenantID](string(op))
	if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "operation") || !strings.Contains(err.Error(), "tenant") {
		t.Errorf("an operation's id as a tenant's: %v", err)
	}
	for _, s := range []string{
		"", "ten", "ten_", "_", "acme", strings.ToUpper(string(ten)), string(ten) + " ", string(ten)[:39], string(ten) + "0", "ten_" + string(ten), "crm_" + string(ten)[4:],
		"ten_01890a5d-ac96-474b-bcce-b302099a8057", "ten_01890a5d-ac96-774b-0cce-b302099a8057", "ten_01890a5dxac96-774b-bcce-b302099a8057",
	} {
		if got, err := tenure.ParseID[tenure.TenantID](s); tenure.CodeOf(err) != tenure.Invalid || got != "" {
			t.Errorf("%q is read as %q, %v", s, got, err)
		}
	}
}

// Ids sort by the moment of their making, and derived ones come out the same.
func TestIDs(t *testing.T) {
	t.Parallel()
	last := tenure.ResourceID("")
	for i := range 100 {
		id := tenure.NewID[tenure.ResourceID](start.Add(time.Duration(i) * time.Millisecond))
		if id <= last {
			t.Fatalf("%s, made later, sorts before %s", id, last)
		}
		last = id
	}
	a := tenure.DeriveID[tenure.ResourceID](start, "ten_1", "prod", "db")
	if b := tenure.DeriveID[tenure.ResourceID](start, "ten_1", "prod", "db"); a != b {
		t.Errorf("derived twice: %s and %s", a, b)
	}
	if b := tenure.DeriveID[tenure.ResourceID](start, "ten_1", "prodd", "b"); a == b {
		t.Error("parts that are cut elsewhere give the same id")
	}
	if _, err := tenure.ParseID[tenure.ResourceID](string(a)); err != nil {
		t.Errorf("a derived id isn't one: %v", err)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(string(tenure.NewID[tenure.TenantID](start)))
	f.Add("op_01890a5d-ac96-774b-bcce-b302099a8057")
	f.Add("ten_")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := tenure.ParseID[tenure.TenantID](s)
		switch {
		case err == nil && (string(id) != s || !strings.HasPrefix(s, "ten_") || len(s) != 40 || strings.ToLower(s) != s):
			t.Fatalf("%q is read as %q", s, id)
		case err != nil && (tenure.CodeOf(err) != tenure.Invalid || id != "" || len(err.Error()) > 600):
			t.Fatalf("%q: %q, %v", s, id, err)
		}
	})
}

func FuzzTenantName(f *testing.F) {
	for _, s := range []string{"acme", "a-1", "-a", "a-", "", "A", "é", "a\x00b", strings.Repeat("a", 41)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := tenure.CheckTenantName(s); err != nil {
			if tenure.CodeOf(err) != tenure.Invalid {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if len(s) == 0 || len(s) > tenure.MaxTenantName || s[0] < 'a' || s[0] > 'z' || strings.HasSuffix(s, "-") || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Fatalf("%q is accepted", s)
		}
	})
}
