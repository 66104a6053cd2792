package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// SettleHolds makes those of a tenant's holds effective of which nothing that they
// cover is in flight any more, and records what had gone by then. A hold over several
// tenants waits for all of them.
func SettleHolds(tx *store.Tx, tenant tenure.TenantID, now time.Time) error {
	pending, err := tx.PendingHolds(tenant)
	if err != nil {
		return err
	}
	for _, h := range pending {
		flying, err := inFlight(tx, h)
		if err != nil {
			return err
		}
		if flying {
			continue
		}
		if h.AlreadyGone, err = AlreadyGone(tx, h); err != nil {
			return err
		}
		h.EffectiveAt = now
		if err := tx.SettleHold(h); err != nil {
			return err
		}
		if h.Scope.Part() { // what it stood against until now may go on without that part
			if err := tx.PokeTenant(h.Scope.Tenant, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bind makes a hold that is being placed effective at once if nothing that it
// covers is in flight, and says what was gone before it.
func Bind(tx *store.Tx, h tenure.Hold, now time.Time) (tenure.Hold, error) {
	if err := tx.LockHolds(); err != nil {
		return h, err
	}
	flying, err := inFlight(tx, h)
	if err != nil {
		return h, err
	}
	if !flying {
		h.EffectiveAt = now
	}
	h.AlreadyGone, err = AlreadyGone(tx, h)
	return h, err
}

// inFlight says whether a destructive step is under way that a hold covers.
func inFlight(tx *store.Tx, h tenure.Hold) (bool, error) {
	flying, err := tx.InFlight(h.Scope.Tenant)
	if err != nil {
		return false, err
	}
	for _, f := range flying {
		p, err := planOf(tx, f.Plan)
		if err != nil {
			return false, err
		}
		if p == nil || covers(h, p, stepOf(p, f.Row)) {
			return true, nil
		}
	}
	return false, nil
}

func covers(h tenure.Hold, p *tenure.Plan, s *tenure.Step) bool {
	return len(p.Touching([]tenure.Hold{h}, s)) > 0
}

// planOf reads a plan; nil if it was forgotten with its tenant.
func planOf(tx *store.Tx, digest string) (*tenure.Plan, error) {
	p, err := tx.Plan(digest)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.Completed(), nil
}

// stepOf is the plan's step of a row, or the compensation that it is.
func stepOf(p *tenure.Plan, row store.StepRow) *tenure.Step {
	if row.Seq < len(p.Steps) {
		return &p.Steps[row.Seq]
	}
	return undoStep(p, row, "")
}

// AlreadyGone says what of a hold's scope has gone: whole resources with the date,
// rows by table from the erasures' own tallies, keys and hand-overs. A count that
// isn't exact says "at least".
func AlreadyGone(tx *store.Tx, h tenure.Hold) (string, error) {
	ops, err := tx.Destroyers(h.Scope.Tenant)
	if err != nil {
		return "", err
	}
	tenants := []tenure.TenantID{h.Scope.Tenant}
	if h.Scope.Tenant == "" {
		tenants = nil
	}
	took := make(map[tenure.ResourceID]*Erasure)
	var other []string
	for _, op := range ops {
		if h.Scope.Tenant == "" && !slices.Contains(tenants, op.Tenant) {
			tenants = append(tenants, op.Tenant)
		}
		more, err := takenBy(tx, h, op, took)
		if err != nil {
			return "", err
		}
		other = append(other, more...)
	}
	var gone []string
	for _, id := range tenants {
		rows, err := tx.Resources(id, true)
		if err != nil {
			return "", err
		}
		for _, r := range rows {
			if text := goneOf(h, r, took[r.ID]); text != "" {
				gone = append(gone, text)
			}
		}
	}
	return strings.Join(append(gone, other...), "; "), nil
}

// takenBy adds what an operation's destructive steps in the hold's scope took, by
// resource, and names what they took that is no resource.
func takenBy(tx *store.Tx, h tenure.Hold, op store.OperationRow, took map[tenure.ResourceID]*Erasure) (other []string, err error) {
	p, err := planOf(tx, op.Plan)
	if p == nil || err != nil {
		return nil, err
	}
	rows, err := tx.Steps(op.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		s := stepOf(p, row)
		if !s.Destructive || row.Attempt == 0 || !covers(h, p, s) {
			continue
		}
		switch s.Action {
		case tenure.ActErase, tenure.ActPseudonymise, tenure.ActDelete:
			e, err := ErasureOf(row)
			if err != nil {
				return nil, err
			}
			sum := took[s.Resource]
			if sum == nil {
				sum = &Erasure{}
				took[s.Resource] = sum
			}
			sum.Counts, sum.AtLeast = plus(sum.Counts, e.Counts), sum.AtLeast || e.AtLeast
		case tenure.ActKeyDestroy, tenure.ActDropExport:
			if row.State == tenure.StepDone {
				other = append(other, s.Key+" on "+row.EndedAt.Format("2006-01-02"))
			}
		}
	}
	return other, nil
}

// goneOf says what of one resource has gone; blank if nothing of it has.
func goneOf(h tenure.Hold, r store.ResourceRow, took *Erasure) string {
	unreleased := h
	unreleased.ReleasedAt = time.Time{}
	if !unreleased.Covers(tenure.HoldSubject{Tenant: r.Tenant, Environment: r.Environment, System: r.System, Resource: r.ID, Classes: r.Classes}) {
		return ""
	}
	name := r.Path()
	counts := ""
	if took != nil {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(took.Counts)) {
			parts = append(parts, fmt.Sprintf("%s %d", k, took.Counts[k]))
		}
		if counts = strings.Join(parts, ", "); counts != "" && took.AtLeast {
			counts = "at least " + counts
		}
	}
	switch {
	case r.State == tenure.ResourceGone:
		name += " since " + r.UpdatedAt.Format("2006-01-02")
	case counts != "":
		name += " in part"
	case r.State == tenure.ResourceErasing && took == nil && h.Scope.Class == "":
		return name + " in part"
	default:
		return ""
	}
	if counts != "" {
		name += ": " + counts
	}
	return name
}
