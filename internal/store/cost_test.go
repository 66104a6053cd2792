package store_test

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// What ran and is gone is counted beside what lives; what an onboarding that came to
// nothing took back never ran.
func TestResourceCountsWhatRanAndEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		left, never := f.tenant("left"), f.tenant("never")
		f.write(func(tx *store.Tx) error {
			for i, ten := range []store.TenantRow{left, never} {
				for j, state := range []tenure.ResourceState{tenure.ResourceGone, tenure.ResourcePresent} {
					id := newID[tenure.ResourceID]()
					live := 1
					if state == tenure.ResourceGone {
						live = 0
					}
					if _, err := tx.Exec(`insert into resource (id, tenant, environment, key, system, type, name, layer, state, live, verdict, desired, normal, observed, classes, needs, operation, created_at, updated_at, expires_at, version)
						values ($1, $2, 'prod', 'k', 'main', 'thing', $3, 0, $4, $5, '', '', '', '', '', '', '', 0, 0, 0, 1)`, string(id), string(ten.ID), string(ten.ID)+string(rune('a'+i*2+j)), string(state), live); err != nil {
						return err
					}
				}
			}
			_, err := tx.Exec(`update tenant set previous = 'provisioning', state = 'closed' where id = $1`, string(never.ID))
			return err
		})
		counts, err := f.ResourceCounts(t.Context())
		f.must(err)
		got := map[tenure.ResourceState]int64{}
		for _, c := range counts {
			got[c.State] += c.N
		}
		if got[tenure.ResourceGone] != 1 || got[tenure.ResourcePresent] != 2 {
			t.Errorf("it counts %v, want one that is gone and two present", got)
		}
	})
}
