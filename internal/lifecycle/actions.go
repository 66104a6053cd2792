package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// runMove changes the tenant's state. One that is there already is done: the
// step may be repeated.
func (s *Service) runMove(ctx context.Context, t *engine.Task) engine.Result {
	to := tenure.TenantState(t.Step.To)
	facts := map[string]string{"to": string(to)}
	if to == tenure.TenantClosed && t.Plan.Kind == tenure.Offboard {
		if err := s.certified(ctx, t); err != nil {
			return engine.Result{Verdict: tenure.Failed, Err: err}
		}
	}
	if to == tenure.TenantErasing { // what the inventory has lost would be left behind
		if err := s.o.DB.VouchedInventory(ctx, t.Plan.Tenant); err != nil {
			return engine.Result{Err: err}
		}
	}
	rule, err := s.leaseRule(ctx, t.Plan, to == tenure.TenantActive && t.Plan.Kind == tenure.Onboard)
	if err != nil {
		return engine.Result{Err: err}
	}
	return engine.Result{Verdict: tenure.Verified, Facts: facts, Extra: func(tx *store.Tx) error {
		row, err := tx.Tenant(string(t.Plan.Tenant))
		if err != nil || row.State == to {
			return err
		}
		if err := s.anchor(tx, t, to); err != nil {
			return err
		}
		if err := tx.MoveTenant(row.ID, row.State, to, t.Now); err != nil {
			return err
		}
		if err := tx.AddNotice(s.stageNotice(row, t, to)); err != nil {
			return err
		}
		if err := s.startLease(tx, t.Plan, rule, t.Now); err != nil {
			return err
		}
		if leaving(to) || to == tenure.TenantTransition {
			if err := dropLease(tx, row.ID, "the tenant leaves", t.Now); err != nil {
				return err
			}
		}
		if to == tenure.TenantTerminating || to == tenure.TenantClosed {
			if err := s.cutAgreements(ctx, tx, row.ID, t.Operation.ID); err != nil {
				return err
			}
		}
		if to == tenure.TenantClosed {
			if err := s.resolveClosed(tx, t); err != nil {
				return err
			}
			if err := tx.FreeNames(row.ID); err != nil {
				return err
			}
		}
		if to == tenure.TenantErasing {
			if err := tx.NoteAccess(store.AccessEvent{At: t.Now, Kind: tenure.EventErase, Principal: t.Operation.RequestedBy, Tenant: string(row.ID)}); err != nil {
				return err
			}
		}
		return tx.Log(audit.Entry{
			Format: audit.Format, At: t.Now.UTC().Truncate(time.Microsecond), Kind: "tenant.move", Tenant: row.ID, Operation: t.Operation.ID, Subject: string(row.ID),
			Data: audit.Facts(map[string]string{"from": string(row.State), "to": string(to)}),
		})
	}}
}

// resolveClosed resolves the findings of a tenant that closes: nothing of it is left to be
// otherwise than desired or to be looked at, and what was left when it was looked for
// isn't any more, where the last look has seen that. What somebody's use of access was
// (tenure.FindingAnomaly) stays, and what is found later is another finding.
func (s *Service) resolveClosed(tx *store.Tx, t *engine.Task) error {
	kinds := append(slices.Clone(driftKinds), tenure.FindingIsolation, tenure.FindingCredential, tenure.FindingUnseenStart, tenure.FindingUnanswered)
	if err := tx.ResolveTenant(kinds, t.Plan.Tenant, t.Now, t.Now); err != nil {
		return err
	}
	rows, err := tx.Steps(t.Operation.ID)
	if err != nil {
		return err
	}
	var looked time.Time
	for i := range t.Plan.Steps {
		if st := &t.Plan.Steps[i]; st.Action != tenure.ActSweep || st.To == "" {
			continue
		}
		if rows[i].State != tenure.StepDone {
			return nil
		}
		if at := rows[i].EndedAt; at.After(looked) {
			looked = at
		}
	}
	if looked.IsZero() {
		return nil
	}
	return tx.ResolveTenant(sweepKinds, t.Plan.Tenant, looked, t.Now)
}

// certified is Blocked if a certificate of the departure was skipped: the tenant stays
// open then.
func (s *Service) certified(ctx context.Context, t *engine.Task) error {
	rows, err := s.o.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	for i := range t.Plan.Steps {
		if st := &t.Plan.Steps[i]; st.Action == tenure.ActCertify && rows[i].State != tenure.StepDone {
			return tenure.Errorf(tenure.Blocked, "%s was skipped, and a tenant doesn't close without it", st.Key).WithHint("see what it lacks: tenure explain %s", t.Tenant.Name)
		}
	}
	return nil
}

// anchor records the moments that retention counts from.
func (s *Service) anchor(tx *store.Tx, t *engine.Task, to tenure.TenantState) error {
	switch to {
	case tenure.TenantTransition:
		return tx.SetAnchor(t.Plan.Tenant, tenure.FromNotice, t.Now, true)
	case tenure.TenantTerminating:
		if err := tx.SetAnchor(t.Plan.Tenant, tenure.FromNotice, t.Now, false); err != nil {
			return err
		}
		return tx.SetAnchor(t.Plan.Tenant, tenure.FromTermination, t.Now, true)
	case tenure.TenantActive:
		return tx.ClearAnchors(t.Plan.Tenant)
	}
	return nil
}

func (s *Service) runBind(ctx context.Context, t *engine.Task) engine.Result {
	had, has, err := s.leaseChange(ctx, t.Plan)
	if err != nil {
		return engine.Result{Err: err}
	}
	return engine.Result{Verdict: tenure.Verified, Facts: map[string]string{"revision": t.Plan.Blueprint.Digest}, Extra: func(tx *store.Tx) error {
		params, err := tenure.Canonical(t.Plan.Parameters)
		if err != nil {
			return err
		}
		if had && !has {
			if err := dropLease(tx, t.Plan.Tenant, "its tier has no lease", t.Now); err != nil {
				return err
			}
		}
		return tx.Bind(t.Plan.Tenant, t.Plan.Blueprint, t.Plan.Tier, params, t.Plan.Features, t.Now)
	}}
}

func (s *Service) runKeyCreate(ctx context.Context, t *engine.Task) engine.Result {
	id, err := s.o.Keys.Create(ctx, keystore.PlannedKey(t.Plan.Tenant, t.Step.To))
	if err != nil {
		return engine.Result{Err: err}
	}
	if strings.HasPrefix(t.Step.To, tenure.PseudonymKey) { // seen, not said
		_, err = s.o.Keys.Pseudonyms(ctx, id)
	} else {
		_, err = s.o.Keys.AEAD(ctx, id)
	}
	if err != nil {
		return engine.Result{Err: err}
	}
	return engine.Result{Verdict: tenure.Verified, Facts: map[string]string{"key": string(id)}, Receipt: map[string]string{"key": string(id)}}
}

// runKeyDestroy destroys a key, and waits until its last copy is seen to be gone.
func (s *Service) runKeyDestroy(ctx context.Context, t *engine.Task) engine.Result {
	id := keystore.PlannedKey(t.Plan.Tenant, t.Step.To).ID()
	if _, err := s.o.Keys.Status(ctx, id); tenure.CodeOf(err) == tenure.NotFound {
		return engine.Result{Verdict: tenure.Verified, Receipt: map[string]string{"key": string(id), "state": "never made"}}
	}
	d, err := s.o.Keys.Destroy(ctx, id)
	if err != nil {
		return engine.Result{Err: err}
	}
	if left := d.Status.Copies; len(left) > 0 {
		at := d.Status.Until
		if at.IsZero() || !at.After(t.Now) {
			at = t.Now.Add(24 * time.Hour)
		}
		return engine.Result{Again: at, Note: fmt.Sprintf("key %s is destroyed here; %d copies elsewhere remain, to be seen gone: tenure key gone", id, len(left))}
	}
	return engine.Result{Verdict: d.Status.Verdict(), Facts: map[string]string{"key": string(id), "key_state": string(d.Status.State)}, Receipt: map[string]string{"key": string(id), "state": string(d.Status.State)}}
}

// runSweep reconciles every system for the tenant. The first look only reports;
// later ones let nothing pass that is left, save what another person has let be, and
// count every place that the certificate speaks of. What may be the tenant's by a mail
// address or a name asks a person, and stops nothing.
func (s *Service) runSweep(ctx context.Context, t *engine.Task) engine.Result {
	found, sums, err := s.sweep(ctx, t.Plan.Tenant)
	if err != nil {
		return engine.Result{Err: err}
	}
	left, excepted, asked, err := s.weigh(ctx, t, found)
	if err != nil {
		return engine.Result{Err: err}
	}
	rec := map[string]any{"findings": len(found), "systems": sums, "excepted": excepted, "asked": asked}
	facts := map[string]string{"findings": strconv.Itoa(len(found))}
	if len(excepted) > 0 {
		facts["excepted"] = strings.Join(excepted, " ")
	}
	if len(asked) > 0 {
		facts["asked"] = strings.Join(asked, " ")
	}
	var untrusted []string
	for _, sum := range sums {
		if !sum.Trusted {
			untrusted = append(untrusted, sum.System+" ("+sum.Why+")")
		}
	}
	switch {
	case t.Step.To != "" && len(left) > 0:
		var names []string
		for _, f := range left {
			if !slices.Contains(names, f.Detail) {
				names = append(names, f.Detail)
			}
		}
		return engine.Result{Verdict: tenure.Failed, Receipt: rec, Facts: facts, Err: tenure.Errorf(tenure.Blocked, "%s left: %s", plural(len(left), "thing is", "things are"), strings.Join(names, "; ")).
			WithHint("see what to do about each: tenure finding list --tenant %s", t.Tenant.Name)}
	case len(untrusted) > 0:
		return engine.Result{Verdict: tenure.Unknown, Receipt: rec, Facts: facts, Err: tenure.Errorf(tenure.Unavailable, "whether anything is left can't be told in %s", strings.Join(untrusted, ", ")).Retryable()}
	case t.Step.To == "":
		return engine.Result{Verdict: tenure.Verified, Receipt: rec, Facts: facts, Extra: s.askAbout(t, asked)}
	}
	late, places, err := s.remains(ctx, t)
	rec["places"] = places
	if err != nil {
		return engine.Result{Verdict: tenure.Unknown, Receipt: rec, Facts: facts, Err: err}
	}
	return engine.Result{Verdict: tenure.Verified, Receipt: rec, Facts: facts, Reopen: late, Extra: s.askAbout(t, asked)}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// stageNotice tells those who follow a tenant's life where it is now. That it has closed is told
// without its name, so that it can be told once the tenant is forgotten.
func (s *Service) stageNotice(row store.TenantRow, t *engine.Task, to tenure.TenantState) store.Notice {
	n := store.Notice{ID: string(t.Operation.ID) + "/" + t.Step.Key + "/stage", Kind: tenure.NoticeOf(to), Tenant: row.ID, Operation: t.Operation.ID, Recipient: tenure.Timeline, CreatedAt: t.Now}
	name := row.Name
	if to == tenure.TenantClosed {
		n.Tenant, n.About, name = "", row.ID, string(row.ID)
	}
	return written(n, s.Language(), words.Of("told."+words.Key(to), name))
}

// runReclaim adds up what the deletions of this operation have stopped costing.
func (s *Service) runReclaim(ctx context.Context, t *engine.Task) engine.Result {
	costs, err := s.statement().Costs(ctx, t)
	if err != nil {
		return engine.Result{Err: err}
	}
	sums := make(map[string]int64)
	for _, c := range costs {
		sums[c.Currency] += c.Minor
	}
	facts := make(map[string]string)
	for _, cur := range slices.Sorted(maps.Keys(sums)) {
		facts["stopped_"+strings.ToLower(cur)] = strconv.FormatInt(sums[cur], 10)
	}
	return engine.Result{Verdict: tenure.Verified, Receipt: map[string]any{"stopped": costs}, Facts: facts}
}

func (s *Service) runNotify(_ context.Context, t *engine.Task) engine.Result {
	on, _, _ := strings.Cut(strings.TrimPrefix(t.Step.Key, "notify/"), "/")
	if on == "resumed" {
		on = string(tenure.TenantActive)
	}
	n := store.Notice{
		ID: string(t.Operation.ID) + "/" + t.Step.Key, Kind: tenure.NoticeOf(tenure.TenantState(on)), Tenant: t.Plan.Tenant, Operation: t.Operation.ID,
		Recipient: t.Step.To, Body: t.Step.Note, CreatedAt: t.Now,
	}
	return engine.Result{Verdict: tenure.Verified, Extra: func(tx *store.Tx) error { return tx.AddNotice(n) }}
}

// runOutputs keeps the outputs at hand: the plan holds them, and secrets are
// claimed once by the requester.
func (s *Service) runOutputs(_ context.Context, t *engine.Task) engine.Result {
	n := 0
	for _, env := range t.Plan.Outputs {
		n += len(env)
	}
	return engine.Result{Verdict: tenure.Verified, Receipt: map[string]int{"outputs": n}}
}

// runTeardown compiles the offboarding of what was made, and has the plan prove that
// it would delete every single resource, in the right order. When the contract ends nobody
// knows yet: it counts from now.
func (s *Service) runTeardown(ctx context.Context, t *engine.Task) engine.Result {
	in, err := s.input(ctx, Intent{Kind: tenure.Offboard, Tenant: string(t.Plan.Tenant), ContractEnd: s.Now()})
	if err != nil {
		return engine.Result{Err: err}
	}
	in.Tenant.State = tenure.TenantActive
	p, err := planner.Make(*in)
	if err != nil {
		return engine.Result{Err: err}
	}
	if err := tenure.ProveTeardown(p); err != nil {
		return engine.Result{Verdict: tenure.Failed, Err: err}
	}
	planned := make(map[tenure.ResourceID]bool, len(p.Resources))
	for i := range p.Resources {
		planned[p.Resources[i].ID] = true
	}
	for _, r := range in.Inventory {
		if !planned[r.ID] {
			return engine.Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "the teardown plan leaves out %s/%s", r.Environment, r.Key)}
		}
	}
	if _, err := s.covered(ctx, in, p); err != nil {
		return engine.Result{Verdict: tenure.Failed, Err: err}
	}
	return engine.Result{Verdict: tenure.Verified, Receipt: map[string]int{"resources": len(planned), "steps": len(p.Steps)}}
}
