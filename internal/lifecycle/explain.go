package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// TenantView is a tenant with all that stands around it.
type TenantView struct {
	store.TenantRow
	Resources  []store.ResourceRow  `json:"resources"`
	Operations []store.OperationRow `json:"operations"`
	Holds      []tenure.Hold        `json:"holds,omitempty"`
	Clocks     []tenure.Clock       `json:"clocks,omitempty"`
	Findings   []tenure.Finding     `json:"findings,omitempty"`
	Agreements []tenure.Agreement   `json:"agreements,omitempty"` // that haven't ended
}

// Tenants lists tenants.
func (s *Service) Tenants(ctx context.Context, f store.TenantFilter) ([]store.TenantRow, error) {
	return s.o.DB.Tenants(ctx, f)
}

// Tenant shows one tenant whole.
func (s *Service) Tenant(ctx context.Context, idOrName string) (*TenantView, error) {
	t, err := s.o.DB.Tenant(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	v := &TenantView{TenantRow: t}
	if v.Resources, err = s.o.DB.Resources(ctx, t.ID, true); err != nil {
		return nil, err
	}
	if v.Operations, err = s.o.DB.Operations(ctx, store.OperationFilter{Tenant: t.ID}); err != nil {
		return nil, err
	}
	if v.Holds, err = s.o.DB.Holds(ctx, t.ID, false); err != nil {
		return nil, err
	}
	v.Held = len(v.Holds) > 0
	if v.Findings, err = s.Findings(ctx, string(t.ID), false); err != nil {
		return nil, err
	}
	if v.Agreements, err = s.o.DB.Agreements(ctx, store.AgreementFilter{Tenant: t.ID, Limit: 1000, Visible: store.All}); err != nil {
		return nil, err
	}
	return v, s.clocks(ctx, v)
}

// clocks says where each data class stands, as the tenant's holds have it.
func (s *Service) clocks(ctx context.Context, v *TenantView) error {
	v.Clocks = nil
	if c, err := s.compiled(ctx, v.Blueprint.Digest, false); err == nil && len(v.Anchors) > 0 {
		p, _, err := s.leaving(ctx, v)
		if err != nil {
			return err
		}
		for _, class := range c.Blueprint.DataClasses {
			v.Clocks = append(v.Clocks, v.clock(p, class, s.Now()))
		}
	}
	return nil
}

// leaving is the plan of the departure that is under way, nil if none is, and its
// operation.
func (s *Service) leaving(ctx context.Context, v *TenantView) (*tenure.Plan, store.OperationRow, error) {
	for _, op := range v.Operations {
		if op.Kind == tenure.Offboard && !op.State.Ended() {
			p, err := s.o.DB.Plan(ctx, op.Plan)
			if err != nil && !tenure.CanRetry(err) { // the operation says so
				return nil, op, nil
			}
			return p, op, err
		}
	}
	return nil, store.OperationRow{}, nil
}

// clock is a data class's as the departure's own gate sees it, or would see it if it
// were under way: a hold on a part of the class keeps that part alone.
func (v *TenantView) clock(p *tenure.Plan, class tenure.DataClass, now time.Time) tenure.Clock {
	gates := []*tenure.Step{{Action: tenure.ActRetention, Class: class.Name}}
	if p == nil {
		p = &tenure.Plan{Tenant: v.ID, Classes: []tenure.DataClass{class}}
		for _, r := range v.Resources {
			p.Resources = append(p.Resources, tenure.PlannedResource{ID: r.ID, System: r.System, Environment: r.Environment, Classes: r.Classes})
		}
	} else if own := p.ClocksOf(class.Name); len(own) > 0 {
		gates = own
	}
	var c tenure.Clock
	for _, gate := range gates { // what stays has a second one, at its end
		of, ok := p.Retention(gate)
		if !ok {
			of = class
		}
		if c = tenure.SolveRetention(of, v.Anchors, p.Keeping(v.Holds, gate), p.Destroys(gate)[0], now); c.State != tenure.ClockErase {
			break
		}
	}
	return c
}

// TenantRow gives a tenant's row alone.
func (s *Service) TenantRow(ctx context.Context, id tenure.TenantID) (store.TenantRow, error) {
	return s.o.DB.Tenant(ctx, string(id))
}

// OperationView is an operation with its plan, steps and signatures.
type OperationView struct {
	store.OperationRow
	Body       *tenure.Plan      `json:"body,omitempty"` // nil once it is forgotten, and where it can't be read
	Steps      []store.StepRow   `json:"steps"`
	Approvals  []tenure.Approval `json:"approvals,omitempty"`
	Exceptions []store.Exception `json:"exceptions,omitempty"`
}

// Operation shows one operation whole.
func (s *Service) Operation(ctx context.Context, id tenure.OperationID) (*OperationView, error) {
	op, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &OperationView{OperationRow: op}
	if v.Body, err = s.o.DB.Plan(ctx, op.Plan); err != nil && tenure.CanRetry(err) {
		return nil, err
	}
	if v.Steps, err = s.o.DB.Steps(ctx, id); err != nil {
		return nil, err
	}
	if v.Approvals, err = s.o.DB.Approvals(ctx, id); err != nil {
		return nil, err
	}
	v.Exceptions, err = s.o.DB.Exceptions(ctx, id)
	return v, err
}

// Operations lists operations.
func (s *Service) Operations(ctx context.Context, tenant string, open bool, limit int) ([]store.OperationRow, error) {
	f := store.OperationFilter{Open: open, Limit: limit}
	if tenant != "" {
		t, err := s.o.DB.Tenant(ctx, tenant)
		if err != nil {
			return nil, err
		}
		f.Tenant = t.ID
	}
	return s.o.DB.Operations(ctx, f)
}

// Reason is one answer to "why does this still exist, and when will it be gone?".
type Reason struct {
	Environment   string               `json:"environment,omitempty"`
	Resource      string               `json:"resource"`
	System        string               `json:"system"`
	State         tenure.ResourceState `json:"state"`
	Reason        string               `json:"reason"`
	GoneAt        time.Time            `json:"goneAt,omitzero"` // projected; zero: nobody knows
	UndoExpiresAt time.Time            `json:"undoExpiresAt,omitzero"`
}

// Explain says for each thing of a tenant why it is still there, and when it will
// be gone.
func (s *Service) Explain(ctx context.Context, idOrName string) ([]Reason, error) {
	v, err := s.Tenant(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	leaving, op, err := s.leaving(ctx, v)
	if err != nil {
		return nil, err
	}
	dates, err := s.forecast(ctx, v, leaving, op)
	if err != nil {
		return nil, err
	}
	waits := fmt.Sprintf("operation %s is %s", op.ID, op.State)
	if op.Reason != "" {
		waits += ": " + op.Reason
	}
	var out []Reason
	for _, r := range v.Resources {
		if r.State == tenure.ResourceGone {
			continue
		}
		a := Reason{Environment: r.Environment, Resource: r.Key, System: r.System, State: r.State}
		s.reason(&a, v, r, dates, waits)
		out = append(out, a)
	}
	if out, err = s.cleaning(ctx, out, leaving, op, true); err != nil {
		return nil, err
	}
	out = append(out, back(v)...)
	return append(out, agreementReasons(v.Agreements)...), nil
}

// ExplainToCustomer is Explain for who leaves: no hold's matter, person or scope, and
// no word of an operation's own. A hold that the customer may know of is a legal
// reason; one that they may not know of changes nothing of what is said.
func (s *Service) ExplainToCustomer(ctx context.Context, idOrName string) ([]Reason, error) {
	v, err := s.Tenant(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	told := toldOf(v.Holds)
	v.Holds = nil
	if err := s.clocks(ctx, v); err != nil {
		return nil, err
	}
	v.Holds = told // what waits behind one has no date
	leaving, op, err := s.leaving(ctx, v)
	if err != nil {
		return nil, err
	}
	dates, err := s.forecast(ctx, v, leaving, op)
	if err != nil {
		return nil, err
	}
	var out []Reason
	for _, r := range v.Resources {
		if r.State == tenure.ResourceGone {
			continue
		}
		a := Reason{Environment: r.Environment, Resource: r.Key, System: r.System, State: r.State}
		if len(tenure.Covering(told, tenure.HoldSubject{Tenant: v.ID, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID})) > 0 {
			a.Reason = tenure.KeptForLegalReason
		} else {
			s.reason(&a, v, r, dates, "it goes in its turn")
		}
		out = append(out, a)
	}
	if out, err = s.cleaning(ctx, out, leaving, op, false); err != nil {
		return nil, err
	}
	return append(out, agreementReasons(v.Agreements)...), nil
}

// back says of a closed tenant what came back at its places, and what takes it away.
func back(v *TenantView) (out []Reason) {
	takes, why := "", ""
	for _, op := range v.Operations {
		if op.Kind == tenure.Supplement && !op.State.Ended() {
			takes, why = fmt.Sprintf("; operation %s takes it away and is %s", op.ID, op.State), op.Reason
		}
	}
	for _, f := range v.Findings {
		if v.State != tenure.TenantClosed || f.Kind != tenure.FindingResidue {
			continue
		}
		a := Reason{Resource: f.Type, System: f.System, State: tenure.ResourcePresent, Reason: f.Detail + takes}
		if why != "" && !strings.Contains(why, f.Detail) { // the operation may say what was found, too
			a.Reason += ": " + why
		}
		if i := slices.IndexFunc(v.Resources, func(r store.ResourceRow) bool { return r.ID == f.Resource }); i >= 0 {
			a.Environment, a.Resource = v.Resources[i].Environment, v.Resources[i].Key
		}
		out = append(out, a)
	}
	return out
}

// forecast gives the dates of the departure that is under way as things stand; nil if none is.
func (s *Service) forecast(ctx context.Context, v *TenantView, leaving *tenure.Plan, op store.OperationRow) ([]tenure.Projection, error) {
	if leaving == nil {
		return nil, nil
	}
	rows, err := s.o.DB.Steps(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	out := leaving.Forecast(s.Now(), endedSteps(leaving, rows), v.Anchors, v.Holds)
	if out == nil {
		out = []tenure.Projection{}
	}
	return out, nil
}

// toldOf are the holds that who leaves may know of.
func toldOf(holds []tenure.Hold) []tenure.Hold {
	return slices.DeleteFunc(slices.Clone(holds), func(h tenure.Hold) bool { return h.Untold })
}

// DepartureDates gives the dates of the departure that is under way, as who leaves may know them: a hold that
// they may not know of changes nothing of them. Past are those whose step has ended.
func (s *Service) DepartureDates(ctx context.Context, idOrName string) (dates []tenure.Projection, past map[string]bool, err error) {
	v, err := s.Tenant(ctx, idOrName)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(v.Operations, func(o store.OperationRow) bool {
		return o.Kind == tenure.Offboard && o.State != tenure.OperationCancelled && o.State != tenure.OperationFailed
	})
	if i < 0 {
		return nil, nil, nil
	}
	op := v.Operations[i]
	p, err := s.o.DB.Plan(ctx, op.Plan)
	if err != nil && !tenure.CanRetry(err) { // the operation says so
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	v.Holds = toldOf(v.Holds)
	if dates, err = s.forecast(ctx, v, p, op); err != nil {
		return nil, nil, err
	}
	rows, err := s.o.DB.Steps(ctx, op.ID)
	past = make(map[string]bool, len(rows))
	for _, r := range rows {
		past[r.Key] = r.State == tenure.StepDone
	}
	return dates, past, err
}

// endedSteps says when the steps of a plan ended, by key.
func endedSteps(p *tenure.Plan, rows []store.StepRow) map[string]time.Time {
	ended := make(map[string]time.Time, len(rows))
	for i := range min(len(rows), len(p.Steps)) {
		if r := rows[i]; r.State == tenure.StepDone || r.State == tenure.StepSkipped {
			ended[p.Steps[i].Key] = r.EndedAt
		}
	}
	return ended
}

func (s *Service) reason(a *Reason, v *TenantView, r store.ResourceRow, dates []tenure.Projection, waits string) {
	for _, h := range v.Holds {
		if h.Covers(tenure.HoldSubject{Tenant: v.ID, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID}) {
			a.Reason = fmt.Sprintf("hold %s (%s) stands; a hold has no expiry", h.ID, h.Matter)
			return
		}
	}
	if dates == nil {
		switch v.State {
		case tenure.TenantClosed:
			a.Reason = "its tenant is closed, and it isn't gone: look at the operation that closed it"
		default:
			a.Reason = fmt.Sprintf("its tenant is %s; no offboarding is under way", v.State)
		}
		return
	}
	for _, d := range dates {
		if d.Step == path(r.Environment, r.Key)+"/delete" {
			a.GoneAt = d.At
			if slices.Contains(tenure.OperationKinds[tenure.Reinstate], v.State) { // after the first point of no return nothing is undone
				a.UndoExpiresAt = d.Undo
			}
		}
	}
	a.Reason = waits
	for _, c := range v.Clocks {
		for _, class := range r.Classes {
			if c.Class == class && c.State == tenure.ClockKeep {
				a.Reason = "retention of " + class + ": " + c.Because
				if c.KeepUntil.After(a.GoneAt) {
					a.GoneAt = c.KeepUntil
				}
			}
		}
	}
}

func path(env, key string) string {
	if env == "" {
		return key
	}
	return env + "/" + key
}
