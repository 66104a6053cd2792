// Package statement gathers what a certificate says of a tenant's departure: from
// the log, the receipts of its steps, and the counts before each point of no return.
package statement

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// Source is what a certificate's statement is gathered from.
type Source struct {
	DB           *store.DB
	Keys         *keystore.Store
	Installation tenure.InstallationID
	Witness      string                                                            // the name of who keeps checkpoints elsewhere, "" if nobody does
	Pseudonym    func(person string) string                                        // what stands for a person
	System       func(ctx context.Context, name string) (*connector.System, error) // for what is still there: copies of backups, remnants
}

// Departure is what the certificate of a step says, with the file of its annex. It
// reads the whole log. A hold that stands is Blocked, unless the certificate is an
// interim one.
func (s Source) Departure(ctx context.Context, t *engine.Task) (*evidence.Departure, []byte, error) {
	l, err := s.ledger(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	d := &evidence.Departure{
		Kind: evidence.Kind(t.Step.To), Issued: t.Now.UTC().Truncate(time.Microsecond), Installation: s.Installation, Operation: t.Operation.ID, Plan: t.Operation.Plan, Witness: s.Witness,
		Tenant:    evidence.Tenant{ID: t.Plan.Tenant, Name: evidence.NameDigest(t.Plan.Tenant, t.Plan.Name)},
		Blueprint: evidence.Blueprint{Name: t.Plan.Blueprint.Name, Revision: t.Plan.Blueprint.Digest},
	}
	for _, f := range []func(context.Context, *engine.Task, *ledger, *evidence.Departure) error{
		s.certifyPeople, s.certifyResources, s.certifyKeys, s.certifyExceptions, s.certifyAdditions, s.certifyRemnants, s.certifyVendors, s.certifyArtifacts, s.certifyEarlier,
	} {
		if err := f(ctx, t, l, d); err != nil {
			return nil, nil, err
		}
	}
	l.list(d)
	annex, err := s.annex(ctx, t, d)
	return d, annex, err
}

// list names the entries that the certificate rests on: the tenant's moves, every
// destruction of this operation, and what its items point to.
func (l *ledger) list(d *evidence.Departure) {
	all := slices.Clone(l.moves)
	for _, m := range l.moves {
		d.Timeline = append(d.Timeline, evidence.Moment{State: tenure.TenantState(m.to), At: m.at})
	}
	for i := range l.plan.Steps {
		switch st := &l.plan.Steps[i]; st.Action {
		case tenure.ActDelete, tenure.ActErase, tenure.ActPseudonymise, tenure.ActKeyDestroy:
			all = append(all, l.ended[st.Key])
		}
	}
	for _, r := range d.Resources {
		all = append(all, logged{digest: r.Entry, at: r.At})
	}
	for _, e := range d.Exceptions {
		all = append(all, l.attested[e.Step])
	}
	for _, a := range d.Additions {
		all = append(all, l.covered[a.Digest])
	}
	for _, r := range d.Remnants {
		all = append(all, logged{digest: r.Entry, at: cmp.Or(r.At, r.Cleaned)})
	}
	for _, v := range d.Vendors {
		all = append(all, logged{digest: v.Entry, at: v.At})
	}
	for _, a := range d.Artifacts {
		all = append(all, logged{digest: a.Entry, at: a.At})
	}
	slices.SortStableFunc(all, func(a, b logged) int { return a.at.Compare(b.at) })
	seen := make(map[string]bool)
	for _, e := range all {
		if e.digest != "" && !seen[e.digest] {
			seen[e.digest] = true
			d.Entries = append(d.Entries, e.digest)
		}
	}
}

func (s Source) certifyPeople(ctx context.Context, t *engine.Task, _ *ledger, d *evidence.Departure) error {
	signed, err := s.DB.Approvals(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	for _, a := range signed {
		d.Approvals = append(d.Approvals, evidence.Approval{Gate: a.Step, By: s.Pseudonym(a.By), At: a.At})
	}
	d.Costs, err = s.Costs(ctx, t)
	return err
}

// certifyResources lists what became of each resource and of each data class in
// it, and the copies that are still to expire. A supplementary certificate is
// about the resources of its own plan alone.
func (s Source) certifyResources(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	rows, err := s.DB.Resources(ctx, t.Plan.Tenant, true)
	if err != nil {
		return err
	}
	stores := make(map[string][]evidence.Portion)
	for _, r := range rows {
		if d.Kind == evidence.Supplementary && t.Planned(r.ID) == nil {
			continue
		}
		if r.Layer == tenure.LayerBackup && d.Kind == evidence.Interim && r.State != tenure.ResourceGone {
			if err := s.certifyCopies(ctx, r, d); err != nil {
				return err
			}
			continue
		}
		item := evidence.Resource{
			ID: r.ID, System: r.System, Type: r.Type, Environment: r.Environment, Name: evidence.NameDigest(t.Plan.Tenant, nameOf(t, r)),
			Method: evidence.LogicallyDeleted, Verdict: tenure.Unknown, At: r.UpdatedAt,
		}
		var taken evidence.Amount
		for _, class := range r.Classes {
			p := l.portion(r, class)
			if p.Method == evidence.Kept && p.Counted.IsZero() {
				s.countKept(ctx, t, r, class, &p)
			}
			taken = taken.Plus(p.Gone)
			stores[class] = append(stores[class], p)
		}
		st, row := l.step(tenure.ActDelete, r.ID, "")
		if st != nil {
			item.Step = st.Key
		}
		if len(r.Classes) == 0 {
			taken = amount(receiptOf(row).Counts)
		}
		if d.Kind == evidence.Interim && l.stays(r) {
			item.Method = evidence.Kept
		}
		if e, ok := l.gone[r.ID]; ok && r.State == tenure.ResourceGone {
			item.Method = evidence.LogicallyDeleted
			if pr := t.Planned(r.ID); pr != nil && pr.Keep {
				item.Method = evidence.LetGo
			} else if st != nil && row != nil && row.Receipt != "" && !receiptOf(row).Changed {
				item.Method = evidence.Validated // no call of ours took it
			}
			item.Verdict, item.At, item.Entry, item.Step = tenure.Verified, e.at, e.digest, e.step
		}
		item.Count = taken.Rows + taken.Objects
		d.Resources = append(d.Resources, item)
	}
	s.certifyClasses(t, d, stores)
	return nil
}

// nameOf is a resource's name in its system; one that was forgotten stands in a
// supplementary plan again.
func nameOf(t *engine.Task, r store.ResourceRow) string {
	if pr := t.Planned(r.ID); pr != nil {
		return pr.Name
	}
	return r.Name
}

// certifyCopies lists a backup's copies that are still there.
func (s Source) certifyCopies(ctx context.Context, r store.ResourceRow, d *evidence.Departure) error {
	sys, err := s.System(ctx, r.System)
	if err != nil {
		return err
	}
	seen, _, err := sys.Observe(ctx, []connector.Ref{connector.RefOf(r.Resource)})
	if err != nil {
		return err
	}
	for _, c := range seen[0].Copies {
		d.Backups = append(d.Backups, evidence.Backup{Where: r.System + ":" + string(r.ID) + ":" + tenure.Digest([]byte(c.Where))[7:19], Expires: c.Expires.UTC().Truncate(time.Microsecond)})
	}
	return nil
}

// telling are the words for what became of data, those first that leave more of it.
var telling = []evidence.Method{evidence.Kept, evidence.Pseudonymised, evidence.Anonymised, evidence.Aggregated, evidence.LogicallyDeleted}

// certifyClasses says of each class what its stores say together.
func (s Source) certifyClasses(t *engine.Task, d *evidence.Departure, stores map[string][]evidence.Portion) {
	for _, class := range t.Plan.Classes {
		parts := stores[class.Name]
		if len(parts) == 0 {
			continue
		}
		last := class
		if stayed(t.Plan, class.Name) {
			last = class.AtEnd()
		}
		clock := tenure.SolveRetention(last, t.Tenant.Anchors, nil, tenure.HoldSubject{Tenant: t.Plan.Tenant}, t.Now)
		c := evidence.DataClass{Class: class.Name, Disposition: class.Disposition, Method: evidence.LogicallyDeleted, Verdict: tenure.Verified, KeptUntil: clock.KeepUntil, Because: clock.Because, Stores: parts}
		c.Method = parts[0].Method
		var sum evidence.Amount
		for _, p := range parts {
			sum = sum.Plus(p.Gone)
			if slices.Index(telling, p.Method) < slices.Index(telling, c.Method) {
				c.Method = p.Method
			}
			if p.At.After(c.At) {
				c.At = p.At
			}
			if !p.Verdict.Settled() {
				c.Verdict = p.Verdict
			}
		}
		c.Rows, c.Objects, c.LargeObjects, c.Bytes = sum.Rows, sum.Objects, sum.LargeObjects, sum.Bytes
		if class.Disposition == tenure.CryptoErase && d.Kind != evidence.Supplementary {
			c.Method, c.Key = evidence.CryptographicErase, string(keystore.PlannedKey(t.Plan.Tenant, "class-"+class.Name).ID())
		}
		d.Classes = append(d.Classes, c)
	}
}

// certifyKeys lists the keys that were destroyed, and those that a step should have
// destroyed and didn't.
func (s Source) certifyKeys(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	if d.Kind == evidence.Supplementary {
		return nil
	}
	keys, err := s.Keys.List(ctx, t.Plan.Tenant)
	if err != nil {
		return err
	}
	steps := make(map[keystore.KeyID]string)
	for i := range t.Plan.Steps {
		if st := &t.Plan.Steps[i]; st.Action == tenure.ActKeyDestroy {
			steps[keystore.PlannedKey(t.Plan.Tenant, st.To).ID()] = st.Key
		}
	}
	for _, k := range keys {
		step := steps[k.Key]
		out := evidence.Key{ID: string(k.Key), Purpose: string(k.Spec.Purpose), Class: k.Spec.Class, Method: evidence.CryptographicErase, Verdict: k.Verdict(), At: k.Destroyed.UTC().Truncate(time.Microsecond), Step: step}
		if k.State == keystore.Active {
			if _, skipped := l.excused[step]; !skipped {
				continue
			}
			out.Verdict = tenure.Unknown
		}
		for _, c := range k.Copies {
			out.Copies = append(out.Copies, evidence.Backup{Where: c.Location, Expires: c.ExpiresAt.UTC()})
		}
		d.Keys = append(d.Keys, out)
	}
	return nil
}

// certifyExceptions lists every step that two persons skipped, and what isn't verified
// because of it. An exception covers only what the skipped step should have taken.
func (s Source) certifyExceptions(_ context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	excuse := func(what, step string) {
		e, ok := l.excused[step]
		if !ok {
			return
		}
		d.Exceptions = append(d.Exceptions, evidence.Exception{
			What: what, Reason: e.Reason, By: s.Pseudonym(e.RequestedBy), Attested: s.Pseudonym(e.AttestedBy), Step: step, Entry: l.attested[step].digest,
		})
	}
	for i := range t.Plan.Steps {
		excuse("step:"+t.Plan.Steps[i].Key, t.Plan.Steps[i].Key)
	}
	for _, r := range d.Resources {
		if !r.Verdict.Settled() {
			excuse("resource:"+string(r.ID), r.Step)
		}
	}
	for _, c := range d.Classes {
		for _, p := range c.Stores {
			if !p.Verdict.Settled() {
				excuse("class:"+c.Class+"@"+string(p.Resource), p.Step)
			}
		}
	}
	for _, k := range d.Keys {
		if !k.Verdict.Settled() || len(k.Copies) > 0 {
			excuse("key:"+k.ID, k.Step)
		}
	}
	return nil
}

// certifyAdditions lists what was covered for this tenant alone.
func (s Source) certifyAdditions(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	all, err := s.DB.Additions(ctx, t.Plan.Tenant)
	if err != nil {
		return err
	}
	for _, c := range all {
		if e, ok := l.covered[c.Digest]; ok && !c.ReviewedAt.IsZero() {
			d.Additions = append(d.Additions, evidence.Addition{Resource: c.Resource, Digest: c.Digest, By: s.Pseudonym(c.AskedBy), Reviewed: s.Pseudonym(c.ReviewedBy), At: e.at, Entry: e.digest})
		}
	}
	return nil
}

// certifyEarlier names the certificate that this one continues.
func (s Source) certifyEarlier(ctx context.Context, t *engine.Task, _ *ledger, d *evidence.Departure) error {
	have, err := s.DB.Certificates(ctx, t.Plan.Tenant)
	if err != nil {
		return err
	}
	for _, c := range have {
		switch {
		case d.Kind == evidence.Closing && c.Kind == string(evidence.Interim):
			d.Interim = c.Digest
		case d.Kind == evidence.Supplementary && c.Kind == string(evidence.Closing):
			d.Closing = c.Digest
		}
	}
	return nil
}
