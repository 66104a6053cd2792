package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// observed runs a step and tells who observes.
func (e *Engine) observed(ctx context.Context, t *Task) Result {
	if e.Observe == nil {
		return e.run(ctx, t)
	}
	ctx, end := e.Observe(ctx, t)
	r := e.run(ctx, t)
	end(r)
	return r
}

// Yielded says whether the step stopped between two batches, which is no failure.
func (r Result) Yielded() bool { return r.yield }

// run does one claimed step. A panic in a runner or a driver is that step's
// failure, not the process's.
func (e *Engine) run(ctx context.Context, t *Task) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = Result{Verdict: tenure.Unknown, Err: tenure.Errorf(tenure.Internal, "step %s: panic: %v", t.Step.Key, p)}
		}
		if r.Err != nil && ctx.Err() != nil && !r.yield {
			after := "after " + e.timeout().String()
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				after = "as its lease was lost, or as the server stopped"
			}
			r.Err = tenure.Errorf(tenure.Unavailable, "step %s was cut off %s: %w", t.Step.Key, after, r.Err).Retryable()
		}
	}()
	ctx = context.WithValue(ctx, operationKey{}, t.Operation.ID)
	if t.Step.Destructive {
		if err := e.DB.Vouched(ctx, t.Operation.ID, t.Plan.Tenant, nil); err != nil {
			return Result{Err: err}
		}
	}
	if own, ok := e.Own[t.Step.Action]; ok {
		if t.drains { // what it did is read back when it may go on
			return Result{yield: true, Progress: t.Row.Progress}
		}
		return own(ctx, t)
	}
	f, ok := resourceActions[t.Step.Action]
	if !ok {
		return Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Internal, "this build has no action %q", t.Step.Action)}
	}
	sys, err := e.system(t)
	if err != nil {
		return Result{Err: err}
	}
	pr := t.Planned(t.Step.Resource)
	if pr == nil && t.Step.Action != tenure.ActProbe && t.Step.Action != tenure.ActClean && t.Step.Action != tenure.ActRemnants {
		return Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Internal, "resource %s isn't in the plan", t.Step.Resource)}
	}
	if t.drains {
		return drain(ctx, t, sys, pr)
	}
	return f(ctx, e, t, sys, pr)
}

// resourceActions are the actions on resources and on systems.
var resourceActions = map[tenure.Action]func(context.Context, *Engine, *Task, *connector.System, *tenure.PlannedResource) Result{
	tenure.ActEnsure:       ensure,
	tenure.ActAdopt:        adopt,
	tenure.ActObserve:      observe,
	tenure.ActCount:        count,
	tenure.ActSuspend:      transit((*connector.System).Suspend, tenure.ResourceSuspended),
	tenure.ActResume:       transit((*connector.System).Resume, tenure.ResourcePresent),
	tenure.ActRevoke:       transit((*connector.System).Revoke, tenure.ResourceRevoked),
	tenure.ActQuarantine:   transit((*connector.System).Quarantine, tenure.ResourceQuarantined),
	tenure.ActUnquarantine: transit((*connector.System).Unquarantine, tenure.ResourceRevoked),
	tenure.ActDelete:       remove,
	tenure.ActErase:        erase,
	tenure.ActPseudonymise: erase,
	tenure.ActExport:       export,
	tenure.ActExpire:       expire,
	tenure.ActProbe:        probe,
	tenure.ActWrite:        write,
	tenure.ActClean:        clean,
	tenure.ActRemnants:     remnants,
}

// system opens the step's system and refuses one that isn't the one that the
// plan was made with.
func (e *Engine) system(t *Task) (*connector.System, error) {
	sys, err := e.System(t.Step.System)
	if err != nil {
		return nil, err
	}
	if want := t.Plan.Systems[t.Step.System]; want != "" && want != sys.Fingerprint {
		return nil, tenure.Errorf(tenure.Blocked, "system %s isn't the one that the plan was made with (%s, now %s)", sys.Name, want, sys.Fingerprint).
			WithHint("restore the settings, or plan again")
	}
	if was, is := major(t.Plan.Connectors[sys.Info.Name]), major(sys.Info.Version); was != "" && was != is {
		return nil, tenure.Errorf(tenure.Blocked, "the plan was made with connector %s %s, and this is %s", sys.Info.Name, t.Plan.Connectors[sys.Info.Name], sys.Info.Version).
			WithHint("cancel the operation and plan again")
	}
	return sys, nil
}

// major is the first number of a version: what another one means may differ.
func major(version string) string {
	m, _, _ := strings.Cut(version, ".")
	return m
}

// Planned returns the plan's record of a resource; nil if it has none.
func (t *Task) Planned(id tenure.ResourceID) *tenure.PlannedResource {
	if t.on != nil && t.on.ID == id {
		return t.on
	}
	for i := range t.Plan.Resources {
		if t.Plan.Resources[i].ID == id {
			return &t.Plan.Resources[i]
		}
	}
	return nil
}

// Ref is a planned resource as its connector knows it.
func Ref(tenant tenure.TenantID, pr *tenure.PlannedResource) connector.Ref {
	return connector.Ref{Resource: pr.ID, Tenant: tenant, Environment: pr.Environment, Type: pr.Type, Name: pr.Name, Attributes: pr.Desired, Classes: pr.Classes}
}

// foreseen is Blocked if making the resource would change for others what nobody let
// the plan change: shared things may have become otherwise since it was made.
func foreseen(ctx context.Context, t *Task, sys *connector.System, d connector.Desired) error {
	if typ, _ := sys.Info.Type(d.Type); !typ.Shared {
		return nil
	}
	changes, err := sys.Foresee(ctx, []connector.Desired{d})
	if err != nil {
		return err
	}
	for _, c := range changes {
		if !strings.Contains(letPass(t.Plan), c.Says) {
			return tenure.Errorf(tenure.Blocked, "%s %s: since the plan was made, shared things have changed, so that nobody has let this pass: %s", d.Type, d.Name, c.Says).
				WithHint("put back what changed there and retry, or cancel the operation and plan again")
		}
	}
	return nil
}

// letPass is what a person let the plan change for others, as its gate says it.
func letPass(p *tenure.Plan) string {
	for _, s := range p.Steps {
		if s.Key == tenure.SharedKey {
			return s.Summary
		}
	}
	return ""
}

func ensure(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	d := connector.Desired{Ref: Ref(t.Plan.Tenant, pr), Encryption: t.Plan.Encryption, Take: pr.Keep}
	switch typ, _ := sys.Info.Type(pr.Type); {
	case typ.Issued && t.Step.Reissue:
		d.Reissue = t.Operation.CreatedAt
	case typ.Credential && !typ.Issued:
		secret, err := e.Credential(ctx, t, pr.ID, t.Step.Reissue)
		if err != nil {
			return Result{Err: err}
		}
		d.Credential = secret
	}
	if err := foreseen(ctx, t, sys, d); err != nil {
		return Result{Err: err}
	}
	if typ, _ := sys.Info.Type(d.Type); typ.Shared {
		pass := letPass(t.Plan)
		d.Foreseen = &pass
	}
	seen, rec, v, err := sys.Ensure(ctx, d)
	if err != nil {
		return Result{Err: err}
	}
	w := store.ResourceWrite{ID: pr.ID, State: tenure.ResourcePresent, Verdict: v, Observed: seen.Attributes}
	if seen.State != "" { // what is suspended stays so through a repair
		w.State = seen.State
	}
	if v == tenure.Verified {
		w.Normal = seen.Attributes
	} else {
		w.State = tenure.ResourceUnknown
		err = tenure.Errorf(tenure.Blocked, "%s %s was made, and reads back otherwise: %s", pr.Type, pr.Name, strings.TrimSpace(seen.Detail+" "+clip(string(seen.Attributes))))
	}
	if mends := len(t.Step.Takes) > 0 || !t.Step.Reissue; t.Plan.Kind == tenure.Repair && mends && e.Declared != nil && sys.Can("confine") { // whatever else stays: rights don't wait for it
		more, failed := confine(ctx, e, sys, d.Ref, t.Step.Takes, rec)
		if rec = more; failed != nil && err == nil {
			return Result{Receipt: rec, Err: failed}
		}
	}
	if err != nil {
		return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}, Err: err}
	}
	return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}}
}

// confine takes back those rights at a resource that nothing declares and that the plan
// lists, and adds that to its receipt.
func confine(ctx context.Context, e *Engine, sys *connector.System, r connector.Ref, rights []tenure.Right, rec connector.Receipt) (connector.Receipt, error) {
	all, err := e.Declared(ctx, sys)
	if err != nil {
		return rec, err
	}
	more, err := sys.Confine(ctx, r, all, rights)
	if more.Changed {
		rec.Changed, rec.Counts = true, more.Counts
	}
	return rec, err
}

// observe reads the resource: present is verified. Its metrics are the receipt.
func observe(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	if t.Plan.Format < 2 && t.Step.Stage == tenure.StageErasure && t.Step.To == "" {
		return count(ctx, e, t, sys, pr)
	}
	seen, absent, err := sys.Observe(ctx, []connector.Ref{Ref(t.Plan.Tenant, pr)})
	if err != nil {
		return Result{Err: err}
	}
	if t.Step.To == "absent" {
		if seen[0].Found && !(pr.Keep && seen[0].Owner == connector.Unmarked) {
			return Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "%s %s is there again", pr.Type, pr.Name)}
		}
		return Result{Verdict: absent}
	}
	rec := countOf(seen[0])
	if !seen[0].Found {
		return Result{Verdict: absent, Receipt: rec}
	}
	if seen[0].Owner != connector.Ours {
		return Result{Verdict: tenure.Failed, Receipt: rec, Err: strange(pr, seen[0])}
	}
	return Result{Verdict: tenure.Verified, Receipt: rec}
}

func strange(pr *tenure.PlannedResource, o connector.Observed) error {
	return tenure.Errorf(tenure.Conflict, "%s %s bears another mark (%s)", pr.Type, pr.Name, o.Owner)
}

// transit makes the runner of a state change that the connector carries out.
func transit(f func(*connector.System, context.Context, connector.Ref) (connector.Receipt, tenure.Verdict, error), to tenure.ResourceState) func(context.Context, *Engine, *Task, *connector.System, *tenure.PlannedResource) Result {
	return func(ctx context.Context, _ *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
		rec, v, err := f(sys, ctx, Ref(t.Plan.Tenant, pr))
		if err != nil {
			return Result{Err: err}
		}
		w := store.ResourceWrite{ID: pr.ID, State: to, Verdict: v}
		if v != tenure.Verified {
			w.State = tenure.ResourceUnknown
		}
		return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}}
	}
}

// neverOurs says that what stands under a name is another's, so that taking back
// finds nothing of ours there.
func neverOurs(o connector.Observed, id tenure.ResourceID) bool {
	return o.Owner == connector.Unmarked || o.Owner == connector.Others || o.Owner == connector.Ours && o.Resource != id
}

func countFacts(counts map[string]int64) map[string]string {
	if len(counts) == 0 {
		return nil
	}
	var sum int64
	for _, n := range counts {
		sum += n
	}
	return map[string]string{"count": strconv.FormatInt(sum, 10)}
}

// export writes the resource's data to the hand-over folder.
func export(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	if e.ExportTo == nil {
		return Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Internal, "no place for exports is set")}
	}
	sink, err := e.ExportTo(ctx, t)
	if err != nil {
		return Result{Err: err}
	}
	rec, err := sys.Export(ctx, Ref(t.Plan.Tenant, pr), sink)
	if err != nil {
		sink.Abort()
		return Result{Err: err}
	}
	facts, err := sink.Close()
	if err != nil {
		return Result{Err: tenure.Errorf(tenure.Unavailable, "export of %s: %w", pr.Name, err).Retryable()}
	}
	if rec.Facts == nil {
		rec.Facts = make(map[string]string)
	}
	maps.Copy(rec.Facts, facts)
	return Result{Verdict: tenure.Verified, Receipt: rec, Facts: map[string]string{"sha256": facts["sha256"]}}
}

// expire removes the copies that are due. While some remain the step waits for
// the next one's date.
func expire(ctx context.Context, _ *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	left, err := sys.Expire(ctx, Ref(t.Plan.Tenant, pr), t.Now)
	if err != nil {
		return Result{Err: err}
	}
	if len(left) == 0 {
		return Result{Verdict: tenure.Verified, Receipt: map[string]any{"remaining": 0}}
	}
	slices.SortFunc(left, func(a, b connector.Copy) int { return a.Expires.Compare(b.Expires) })
	next, last := left[0].Expires, left[len(left)-1].Expires
	return Result{Again: next, Receipt: map[string]any{"remaining": len(left), "next": next, "last": last},
		Note: fmt.Sprintf("%d copies of %s remain, the last until %s", len(left), pr.Name, last.Format("2006-01-02 15:04 MST"))}
}

// probe tries what must work or must be refused.
func probe(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	c := connector.Check{Kind: t.Step.Probe.Kind, Params: t.Step.Probe.Params, Encryption: t.Plan.Encryption}
	var err error
	if pr != nil {
		c.Ref = Ref(t.Plan.Tenant, pr)
		if c.Credential, err = e.held(ctx, t, pr.ID); err != nil {
			return Result{Err: err}
		}
	}
	if t.Step.Probe.Replaced {
		c.Credential, err = e.Replaced(ctx, t, t.Step.Resource)
		switch {
		case err != nil:
			return Result{Err: err}
		case c.Credential.IsZero():
			return Result{Verdict: tenure.Verified, Receipt: map[string]any{"probe": t.Step.Probe.Name, "detail": "there was no credential before"}}
		}
	}
	if id := t.Step.Probe.Credential; id != "" {
		if c.Credential, err = e.held(ctx, t, id); err != nil {
			return Result{Err: err}
		}
	}
	if t.Step.Probe.Target != "" {
		if other := t.Planned(t.Step.Probe.Target); other != nil {
			ref := Ref(t.Plan.Tenant, other)
			c.Other = &ref
		}
	}
	out, err := sys.Probe(ctx, c)
	if err != nil {
		return Result{Err: err}
	}
	if t.Step.Probe.Replaced && out.Passed {
		c.Credential = tenure.NewSecret(rand.Text())
		if made, err := sys.Probe(ctx, c); err == nil && made.Passed {
			return Result{Verdict: tenure.Claimed, Receipt: map[string]any{"probe": t.Step.Probe.Name, "detail": "the probe passes with a credential that nobody issued: it can't tell whether the old one is refused"}}
		}
	}
	if t.Step.Probe.Refused {
		return refused(ctx, t, sys, pr, out)
	}
	rec := map[string]any{"probe": t.Step.Probe.Name, "passed": out.Passed, "detail": out.Detail}
	if !out.Passed {
		return Result{Verdict: tenure.Failed, Receipt: rec, Err: tenure.Errorf(tenure.Blocked, "probe %s failed: %s", t.Step.Probe.Name, out.Detail)}
	}
	return Result{Verdict: tenure.Verified, Receipt: rec}
}

// refused is the verdict on a probe that must not pass any more. That it didn't
// counts only if the system itself is well: a dead one refuses everybody.
func refused(ctx context.Context, t *Task, sys *connector.System, pr *tenure.PlannedResource, out connector.Outcome) Result {
	rec := map[string]any{"probe": t.Step.Probe.Name, "refused": !out.Passed, "detail": out.Detail}
	if out.Passed {
		if t.Step.Probe.Replaced {
			return Result{Verdict: tenure.Failed, Receipt: rec, Err: tenure.Errorf(tenure.Blocked, "the credential that was replaced still works: %s", out.Detail).
				WithHint("take it off in %s, or wait until it ends there; then: tenure operation retry %s", sys.Name, t.Operation.ID)}
		}
		return Result{Verdict: tenure.Failed, Receipt: rec, Err: tenure.Errorf(tenure.Blocked, "access still works after the cut: %s", out.Detail)}
	}
	var refs []connector.Ref
	if pr != nil && pr.System == sys.Name {
		refs = []connector.Ref{Ref(t.Plan.Tenant, pr)}
	}
	_, sure, err := sys.Observe(ctx, refs)
	if err != nil {
		return Result{Err: err}
	}
	return Result{Verdict: sure, Receipt: rec}
}

// held is a resource's credential if it has one.
func (e *Engine) held(ctx context.Context, t *Task, id tenure.ResourceID) (tenure.Secret, error) {
	other := t.Planned(id)
	if other == nil {
		return tenure.Secret{}, nil
	}
	sys, err := e.System(other.System)
	if err != nil {
		return tenure.Secret{}, err
	}
	switch typ, _ := sys.Info.Type(other.Type); {
	case typ.Issued:
		return e.Issued(ctx, id)
	case typ.Credential:
		return e.Credential(ctx, t, id, false)
	}
	return tenure.Secret{}, nil
}
