package engine

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// isVendor says whether a step waits for a company's word.
func isVendor(a tenure.Action) bool { return a == tenure.ActVendor }

// vendor says whether a company has said that it holds nothing of the tenant any more. No time opens this
// gate. While a hold stands against any of the tenant's data, who hasn't been asked isn't told to erase.
func (s *snapshot) vendor(n *node, now time.Time) wait {
	v := s.vendors[n.step.Key]
	name := "a company"
	if n.step.Gate != nil && n.step.Gate.Vendor != nil {
		name = n.step.Gate.Vendor.Name
	}
	switch {
	case v.Settles():
		return wait{open: true}
	case v.Keeps(now):
		return wait{why: fmt.Sprintf("%s keeps what it holds until %s, and is asked again then (%s)", name, v.Until.Format(time.DateOnly), n.step.Key)}
	case v.AskedAt.IsZero():
		if h := s.plan.Touching(s.holds, n.step); len(h) > 0 {
			return wait{why: fmt.Sprintf("hold %s stands, so that %s isn't told to erase (%s)", h[0].ID, name, n.step.Key), company: true}
		}
		return wait{why: fmt.Sprintf("%s hasn't been asked yet (%s)", name, n.step.Key), company: true}
	}
	return wait{why: fmt.Sprintf("%s was asked on %s to erase what it holds, and hasn't answered (%s)", name, v.AskedAt.Format(time.DateOnly), n.step.Key), company: true}
}

// asksVendors has the companies asked whose steps wait for them now: a row for each, which is due at once.
func (a *advance) asksVendors(c *composed) {
	for _, i := range c.d.vendors {
		key := a.s.nodes[i].step.Key
		if _, known := a.s.vendors[key]; known || c.d.ended || c.d.undo {
			continue
		}
		v := tenure.Vendor{Operation: a.id, Step: key, Tenant: a.s.op.Tenant, OpenedAt: c.Now}
		a.s.vendors[key] = v
		c.extras = append(c.extras, func(tx *store.Tx) error { return tx.OpenVendor(v) })
		c.stale = true
	}
}

// withdrawn puts the steps back to pending whose answer staff has withdrawn.
func (a *advance) withdrawn(c *composed) {
	for i := range a.s.plan.Steps {
		n := &a.s.nodes[i]
		if !isVendor(n.step.Action) || n.row.State != tenure.StepDone {
			continue
		}
		if v := a.s.vendors[n.step.Key]; !v.Settles() && a.undone(c, i, "") {
			a.reopened(c, string(a.id), []string{strconv.Itoa(n.row.Seq)}, map[string]string{"why": "the answer at " + n.step.Key + " was withdrawn"})
		}
	}
}
