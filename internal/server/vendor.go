package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func vendorRoutes(s *Server) {
	route(s, client.ListVendors, Access{tenure.TenantRead, OfOperation}, func(ctx context.Context, c *Call, p *client.OperationParams) (client.Page[client.Vendor], error) {
		out := client.Page[client.Vendor]{Items: []client.Vendor{}}
		list, err := c.Service.Vendors(ctx, tenure.OperationID(p.Operation))
		for i := range list {
			out.Items = append(out.Items, vendorOf(&list[i], c.Service))
		}
		return out, err
	})
	route(s, client.AskVendor, Access{tenure.OperationSteer, OfOperation}, func(ctx context.Context, c *Call, p *client.VendorAskParams) (client.GateAnswer, error) {
		id, err := c.changing(ctx, p.OperationChange)
		if err == nil {
			err = c.harmlessSteer(ctx, id)
		}
		if err == nil {
			err = c.Service.AskVendor(ctx, id, p.Body.Vendor, p.Body.Email, p.Body.Reason, c.By())
		}
		return client.GateAnswer{Gate: p.Body.Vendor}, err
	})
	route(s, client.RecordVendor, Access{tenure.OperationSteer, OfOperation}, func(ctx context.Context, c *Call, p *client.VendorRecordParams) (client.GateAnswer, error) {
		id, err := c.changing(ctx, p.OperationChange)
		if err == nil {
			err = c.harmlessSteer(ctx, id)
		}
		if err == nil {
			b := &p.Body
			err = c.Service.RecordVendor(ctx, id, b.Vendor, tenure.VendorReply{Answer: b.Answer, Until: b.Until, Reason: b.Reason, Name: b.Name, Role: b.Role, Evidence: b.Evidence, EvidenceSHA256: b.EvidenceSHA256}, c.By())
		}
		return client.GateAnswer{Gate: p.Body.Vendor}, err
	})
}

func vendorOf(q *lifecycle.VendorQuestion, s *lifecycle.Service) client.Vendor {
	out := client.Vendor{
		Step: q.Step, Company: q.Spec.Name, Email: q.Address(), Holds: q.Spec.Holds, RequestedAt: q.AskedAt, RequestedBy: q.AskedBy, DueAt: q.Due, RemindedAt: q.RemindedAt,
		Answer: q.Answer, Until: q.Until, Reason: q.Reason, Name: q.Vendor.Name, Role: q.Role, Evidence: q.Evidence, EvidenceSHA256: q.EvidenceSHA256, AnsweredAt: q.AnsweredAt, RecordedBy: q.RecordedBy, Earlier: q.Earlier,
	}
	if q.RecordedBy != "" {
		out.RecordedAt = q.AnsweredAt
	}
	switch {
	case !q.Asked:
		out.State = "waiting"
	case q.Settles():
		out.State = "answered"
	case q.Answer == tenure.VendorKept:
		out.State = "kept"
	case q.AskedAt.IsZero():
		out.State = "open"
	case !s.Now().Before(q.Due):
		out.State = "overdue"
	default:
		out.State = "asked"
	}
	return out
}
