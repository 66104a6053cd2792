package lifecycle

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/store"
)

// Cover asks for an addition to what a tenant's blueprint covers, for this tenant
// alone. It counts once a second person has reviewed it, by its digest. The system
// is asked first: an addition that can't be is Invalid.
func (s *Service) Cover(ctx context.Context, tenantName, resource string, c tenure.Addition, reason, by string) (store.Addition, error) {
	var out store.Addition
	switch err := person(by); {
	case err != nil:
		return out, err
	case c.Empty():
		return out, tenure.Errorf(tenure.Invalid, "the addition adds nothing").WithHint("name a table and its data class: --table NAME=CLASS")
	}
	reason, err := tenure.NeedLine("the addition's reason, for its reviewer,", reason, tenure.MaxReason)
	if err != nil {
		return out, err
	}
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return out, err
	}
	r, err := s.held(ctx, t.ID, resource)
	if err != nil {
		return out, err
	}
	for _, table := range slices.Sorted(maps.Keys(c.Tables)) {
		if class := c.Tables[table]; !slices.Contains(r.Classes, class) {
			return out, tenure.Errorf(tenure.Invalid, "%s doesn't hold the data class %q, so nothing would ever erase %s", resource, class, table).
				WithHint("its classes are: %s", strings.Join(r.Classes, ", "))
		}
	}
	sys, err := s.system(ctx, r.System)
	if err != nil {
		return out, err
	}
	if !hygiene.Mapped(sys, r.Type) {
		return out, tenure.Errorf(tenure.Invalid, "%s isn't a store whose tables can be mapped", resource)
	}
	ref := connector.RefOf(r.Resource)
	if says := c.Contradicts(ref.Attributes); says != "" {
		return out, tenure.Errorf(tenure.Conflict, "what is in force for %s says otherwise: %s", resource, says).
			WithHint("an addition only adds: publish a revision and upgrade the tenant")
	}
	if class, err := s.passed(ctx, t.ID, c); err != nil {
		return out, err
	} else if class != "" {
		return out, tenure.Errorf(tenure.Conflict, "data class %s is past its point of no return, so nothing would erase what is added to it", class).
			WithHint("choose a class that is still to go")
	}
	ref.Attributes = c.Into(ref.Attributes)
	if _, _, err := sys.DataMap(ctx, connector.Survey{Ref: ref}); err != nil {
		return out, err
	}
	out = store.Addition{Addition: c, Tenant: t.ID, Resource: r.ID, Reason: reason, AskedBy: by, AskedAt: s.Now()}
	body, err := tenure.Canonical(map[string]any{"tenant": string(t.ID), "resource": string(r.ID), "adds": c, "by": by, "at": out.AskedAt.UnixMicro(), "reason": reason})
	if err != nil {
		return out, err
	}
	out.Digest = tenure.Digest(body)
	e, err := s.entry(ctx, "coverage.ask", by, t.ID, "", string(r.ID), map[string]string{"coverage": out.Digest})
	if err != nil {
		return out, err
	}
	return out, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AskAddition(out); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// passed is a data class of the addition whose point of no return is behind the
// departure that is under way; blank if there is none.
func (s *Service) passed(ctx context.Context, tenant tenure.TenantID, c tenure.Addition) (string, error) {
	ops, err := s.o.DB.Operations(ctx, store.OperationFilter{Tenant: tenant, Open: true})
	if err != nil {
		return "", err
	}
	for _, op := range ops {
		p, err := s.o.DB.Plan(ctx, op.Plan)
		if err != nil || op.Kind != tenure.Offboard {
			continue
		}
		rows, err := s.o.DB.Steps(ctx, op.ID)
		if err != nil {
			return "", err
		}
		for i := range p.Steps {
			st := &p.Steps[i]
			if st.Action == tenure.ActNoReturn && rows[i].State == tenure.StepDone && slices.Contains(slices.Collect(maps.Values(c.Tables)), st.Class) {
				return st.Class, nil
			}
		}
	}
	return "", nil
}

// held finds a resource of a tenant's by environment/key or id.
func (s *Service) held(ctx context.Context, tenant tenure.TenantID, name string) (store.ResourceRow, error) {
	rows, err := s.o.DB.Resources(ctx, tenant, false)
	if err != nil {
		return store.ResourceRow{}, err
	}
	for _, r := range rows {
		if string(r.ID) == name || r.Path() == name {
			return r, nil
		}
	}
	return store.ResourceRow{}, tenure.Errorf(tenure.NotFound, "this tenant has no resource %q", name).WithHint("list them: tenure tenant show %s", tenant)
}

// ReviewAddition makes an addition count from now on, also for operations under way:
// a departure that an uncovered place blocks passes once its step is retried. It takes
// another person than the one who asked, else Forbidden.
func (s *Service) ReviewAddition(ctx context.Context, tenantName, digest string, caller tenure.Caller) (store.Addition, error) {
	var out store.Addition
	if err := signer(caller); err != nil {
		return out, err
	}
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return out, err
	}
	e, err := s.entry(ctx, "coverage.review", caller.Name, t.ID, "", digest, map[string]string{"coverage": digest})
	if err != nil {
		return out, err
	}
	return out, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		now := s.Now()
		if out, err = tx.Addition(t.ID, digest); err != nil {
			return err
		}
		one, err := s.oneEyed(tx, out.AskedBy, caller.Name, targetOf(t))
		switch {
		case err != nil:
			return err
		case one:
			return tenure.Errorf(tenure.Forbidden, "%s asked for this addition and can't review it alone", out.AskedBy).WithHint("another person reviews it: --as NAME")
		}
		if err := tx.ReviewAddition(digest, caller.Name, now); err != nil {
			return err
		}
		rows, err := tx.Resources(t.ID, false)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.ID != out.Resource {
				continue
			}
			desired, err := tenure.Canonical(out.Into(connector.RefOf(r.Resource).Attributes))
			if err != nil {
				return err
			}
			if err := tx.SetDesired(r.ID, desired, now); err != nil {
				return err
			}
		}
		out.ReviewedBy, out.ReviewedAt = caller.Name, now
		return tx.Log(e)
	})
}

// Additions lists a tenant's additions.
func (s *Service) Additions(ctx context.Context, tenantName string) ([]store.Addition, error) {
	t, err := s.o.DB.Tenant(ctx, tenantName)
	if err != nil {
		return nil, err
	}
	return s.o.DB.Additions(ctx, t.ID)
}

// additions are a tenant's reviewed additions by resource, in the order of their
// asking.
func (s *Service) additions(ctx context.Context, tenant tenure.TenantID) (map[tenure.ResourceID][]store.Addition, error) {
	all, err := s.o.DB.Additions(ctx, tenant)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	out := make(map[tenure.ResourceID][]store.Addition)
	for _, c := range all {
		if !c.ReviewedAt.IsZero() {
			out[c.Resource] = append(out[c.Resource], c)
		}
	}
	return out, nil
}

// withAdditions puts a tenant's additions into what its blueprint evaluates to.
func (s *Service) withAdditions(ctx context.Context, tenant tenure.TenantID, d *blueprint.Desired) error {
	added, err := s.additions(ctx, tenant)
	if err != nil {
		return err
	}
	for _, env := range d.Environments {
		for i := range env.Resources {
			for _, c := range added[env.Resources[i].ID] {
				env.Resources[i].Attributes = c.Into(env.Resources[i].Attributes)
			}
		}
	}
	return nil
}

// amended is a plan under way with the additions that came since it was made. The
// approved digest stays: two persons have agreed to each addition, and one that is
// taken back leaves as the tenant would.
func (s *Service) amended(ctx context.Context, p *tenure.Plan) (*tenure.Plan, error) {
	added, err := s.additions(ctx, p.Tenant)
	if err != nil || len(added) == 0 {
		return p, err
	}
	out := *p
	out.Resources = slices.Clone(p.Resources)
	for i := range out.Resources {
		for _, c := range added[out.Resources[i].ID] {
			out.Resources[i].Desired = c.Into(plain(out.Resources[i].Desired))
		}
	}
	return &out, nil
}

// plain are attributes as JSON has them.
func plain(attributes map[string]any) (out map[string]any) {
	b, err := json.Marshal(attributes)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return attributes
	}
	return out
}
