package store_test

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// A customer who writes the organization's name in other letters finds it, on each database and in each alphabet.
func TestTenantsCalled(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		row := store.TenantRow{Tenant: tenure.Tenant{ID: newID[tenure.TenantID](), Name: "praxis", Organization: "Ärzte Öst GmbH", Parameters: []byte(`{}`), CreatedAt: start}}
		f.write(func(tx *store.Tx) error { return tx.CreateTenant(row) })
		other := f.tenant("other")
		for name, want := range map[string]tenure.TenantID{
			"ÄRZTE ÖST GMBH": row.ID, "ärzte öst gmbh": row.ID, "Ärzte Öst GmbH": row.ID, "PRAXIS": row.ID, string(row.ID): row.ID, "other": other.ID,
			"arzte ost gmbh": "", "%": "", "": "",
		} {
			got, err := f.TenantsCalled(t.Context(), name, 5)
			f.must(err)
			if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0] != want) {
				t.Errorf("%q is %v, want %q", name, got, want)
			}
		}
	})
}
