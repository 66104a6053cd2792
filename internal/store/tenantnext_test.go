package store_test

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// What stands open of a page of tenants is read in bulk: findings that are open and
// not waived, operations that haven't ended, and their gates.
func TestAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme, beta := f.tenant("acme"), f.tenant("beta")
		finding := func(ten tenure.TenantID, s tenure.Severity, name string) tenure.Finding {
			return tenure.Finding{ID: newID[tenure.FindingID](), Kind: tenure.FindingDrift, Severity: s, Tenant: ten, System: "main", Name: name, Detail: "d", SeenAt: start}
		}
		waived := finding(acme.ID, tenure.High, "waived")
		f.write(func(tx *store.Tx) error {
			for _, one := range []tenure.Finding{finding(acme.ID, tenure.High, "a"), finding(acme.ID, tenure.High, "b"), finding(acme.ID, tenure.Low, "c"), waived} {
				if err := tx.SaveFinding(one); err != nil {
					return err
				}
			}
			_, err := tx.Exec(`update finding set waived_until = $1, waived_by = waived_by where id = $2`, start.Add(time.Hour).UnixMicro(), string(waived.ID))
			return err
		})
		gate := f.waitingGate(beta, start, tenure.Gate{Approvals: 2, Expires: period("P4D")})
		f.write(func(tx *store.Tx) error {
			return tx.Approve(tenure.Approval{Operation: gate.Operation, Step: gate.Step, Digest: "sha256:x", By: "ada", At: start})
		})
		ahead, err := f.Ahead(t.Context(), []store.TenantRow{acme, beta}, start)
		f.must(err)
		if a := ahead[acme.ID]; a.Findings[tenure.High] != 2 || a.Findings[tenure.Low] != 1 || len(a.Operations) != 0 {
			t.Errorf("of acme it says %+v", a)
		}
		b := ahead[beta.ID]
		if len(b.Findings) != 0 || len(b.Operations) != 1 || len(b.Waits[gate.Operation]) != 1 || b.Waits[gate.Operation][0].Gate.Approvals != 2 || len(b.Signed[gate.Operation]) != 1 || b.Operations[0].Plan == "" {
			t.Errorf("of beta it says %+v", b)
		}
		later, err := f.Ahead(t.Context(), []store.TenantRow{acme}, start.Add(2*time.Hour))
		f.must(err)
		if n := later[acme.ID].Findings[tenure.High]; n != 3 {
			t.Errorf("when the waiver has ended it counts %d", n)
		}
	})
}
