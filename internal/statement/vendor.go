package statement

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
)

// vendorPerson is what the pseudonym of somebody at a company is made of: no member of staff is called so.
func vendorPerson(company, name string) string { return "vendor\x00" + company + "\x00" + name }

// VendorItem is what a certificate says of a company that was asked at a step; v is nil while it wasn't.
func (s Source) VendorItem(st *tenure.Step, v *tenure.Vendor) evidence.Vendor {
	out := evidence.Vendor{Company: st.Gate.Vendor.Name, Holds: st.Gate.Vendor.Holds, Verdict: tenure.Unknown, Step: st.Key}
	if v == nil || v.Answer == "" {
		return out
	}
	recorded := ""
	if v.RecordedBy != "" {
		recorded = s.Pseudonym(v.RecordedBy)
	}
	out = out.Answers(v.VendorReply, s.Pseudonym(vendorPerson(out.Company, v.Name)), recorded)
	out.At = v.AnsweredAt
	return out
}

// certifyVendors lists what the companies say that held data of the tenant and have no interface. An answer
// that isn't as the log has it is Blocked.
func (s Source) certifyVendors(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	rows, err := s.DB.Vendors(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	asked := make(map[string]*tenure.Vendor, len(rows))
	for i := range rows {
		asked[rows[i].Step] = &rows[i]
	}
	for i := range t.Plan.Steps {
		st := &t.Plan.Steps[i]
		if st.Action != tenure.ActVendor {
			continue
		}
		item := s.VendorItem(st, asked[st.Key])
		if item.Answer != "" {
			e := l.vendors[st.Key]
			said, err := item.Said()
			switch {
			case err != nil:
				return err
			case e.said != said || !e.at.Equal(item.At):
				return tenure.Errorf(tenure.Blocked, "the answer of %s isn't as the log has it", item.Company).WithHint("see tenure audit verify")
			}
			item.Entry = e.digest
		}
		d.Vendors = append(d.Vendors, item)
	}
	return nil
}
