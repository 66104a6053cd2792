package statement

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
)

// certifyRemnants says what each system physically keeps of what was deleted there, as it
// is seen now, with what the plan has done about it. A supplementary certificate is about
// the systems of its own plan.
func (s Source) certifyRemnants(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	var names []string
	for i := range t.Plan.Resources {
		if name := t.Plan.Resources[i].System; !slices.Contains(names, name) && len(engine.Erased(t.Plan, name)) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	signed, err := s.DB.Approvals(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	for _, name := range names {
		sys, err := s.System(ctx, name)
		if err != nil {
			return err
		}
		seen, err := sys.Remnants(ctx, engine.Erased(t.Plan, name))
		if err != nil {
			return err
		}
		var all []evidence.Remnant
		for _, r := range seen {
			all = append(all, evidence.Remnant{System: name, Kind: r.Kind, Says: r.Says, Bytes: r.Bytes})
		}
		for i := range t.Plan.Steps {
			st := &t.Plan.Steps[i]
			if st.System != name {
				continue
			}
			for _, kind := range st.Remnants() {
				if !slices.ContainsFunc(all, func(r evidence.Remnant) bool { return r.Kind == kind }) {
					all = append(all, evidence.Remnant{System: name, Kind: kind})
				}
				for j := range all {
					if all[j].Kind == kind {
						s.remnantDone(l, t, st, signed, &all[j])
					}
				}
			}
		}
		slices.SortStableFunc(all, func(a, b evidence.Remnant) int { return cmp.Compare(a.Kind, b.Kind) })
		d.Remnants = append(d.Remnants, all...)
	}
	return nil
}

// remnantDone writes down what a step of the plan has done about a remnant, or waits for.
func (s Source) remnantDone(l *ledger, t *engine.Task, st *tenure.Step, signed []tenure.Approval, r *evidence.Remnant) {
	ended := l.ended[st.Key]
	r.Source = cmp.Or(st.Note, r.Source)
	switch st.Action {
	case tenure.ActClean:
		if ended.proven {
			r.Cleaned, r.Step, r.Entry = ended.at, st.Key, ended.digest
		}
	case tenure.ActDate:
		from := t.Now
		for i := range l.plan.Steps {
			if l.plan.Steps[i].Key == st.Gate.After && !l.rows[i].EndedAt.IsZero() {
				from = l.rows[i].EndedAt
			}
		}
		r.Until, r.Step, r.Entry = st.Gate.Period.After(from).UTC().Truncate(time.Microsecond), st.Key, ended.digest
	case tenure.ActTask:
		for _, a := range signed {
			if e, ok := l.tasks[st.Key]; ok && a.Step == st.Key {
				r.Attested, r.Task, r.At, r.Step, r.Entry = s.Pseudonym(a.By), st.Summary, e.at, st.Key, e.digest
			}
		}
	}
}
