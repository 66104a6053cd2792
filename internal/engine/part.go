package engine

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// heldAgain is when a step that waits for a hold on a part looks again by itself; the
// hold's release wakes it.
const heldAgain = 30 * 24 * time.Hour

// parts are what holds keep of a resource and of others in its system: rows of the one
// may need rows of the other.
type parts struct {
	known string // the holds that it was made of
	keep  []connector.Kept
}

// parts reads the holds anew, and asks the system where the others' tables are if
// the holds have changed.
func (t *Task) parts(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource, last *parts) (*parts, error) {
	holds, err := t.engine.DB.Holds(ctx, t.Plan.Tenant, false)
	if err != nil {
		return nil, err
	}
	holds = slices.DeleteFunc(holds, func(h tenure.Hold) bool {
		return !h.Scope.Part() || h.Scope.System != pr.System || h.Scope.Resource != pr.ID && h.Scope.Table == ""
	})
	p := &parts{}
	for _, h := range holds {
		p.known += string(h.ID) + " "
	}
	if last != nil && last.known == p.known {
		return last, nil
	}
	for _, h := range holds {
		k := connector.KeptBy(h)
		if h.Scope.Resource != pr.ID {
			there := false
			if k, there, err = t.elsewhere(ctx, sys, h); err != nil {
				return nil, err
			} else if !there {
				continue
			}
		}
		p.keep = append(p.keep, k)
	}
	return p, nil
}

// elsewhere is what a hold keeps of another resource than the one that is erased.
func (t *Task) elsewhere(ctx context.Context, sys *connector.System, h tenure.Hold) (k connector.Kept, there bool, err error) {
	k = connector.KeptBy(h)
	row, err := t.engine.DB.Resource(ctx, h.Scope.Resource)
	if tenure.CodeOf(err) == tenure.NotFound || err == nil && row.State == tenure.ResourceGone {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	held, err := sys.Held(ctx, connector.RefOf(row.Resource), []connector.Kept{k})
	if err != nil {
		return k, false, unfollowed(h, err)
	}
	k.Resource, k.Type = row.ID, row.Type
	for _, one := range held {
		if one.Named != "" {
			k.Place = one.Place
			return k, true, nil
		}
	}
	return k, false, nil
}

// unfollowed is what a hold that can't be understood any more does: nothing goes.
func unfollowed(h tenure.Hold, err error) error {
	if tenure.CodeOf(err) == tenure.Unavailable {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "hold %s can't be followed, so nothing goes: %w", h.ID, err).WithHint("give the table or the column its name back, or release the hold and place another")
}

// own are those of the kept parts that are of the resource itself.
func (p *parts) own() []connector.Kept {
	return slices.DeleteFunc(slices.Clone(p.keep), func(k connector.Kept) bool { return k.Place != "" })
}

// held is the result of a step that has taken all that it may.
func (t *Task) held(p *Erasure, says string) Result {
	return Result{Again: t.Now.Add(heldAgain), Note: heldNote + says, Progress: p.text()}
}

// heldNote begins the reason of a step that waits for a hold on a part.
const heldNote = "held: "

// waitsHeld says that a step has taken all that it may and waits for a hold on the rest.
func waitsHeld(row store.StepRow) bool {
	return row.State == tenure.StepPending && row.ErrorCode == "" && strings.HasPrefix(row.Error, heldNote)
}

// endOf is when a step's rows had gone: one that waits for a hold comes after all others.
func endOf(row store.StepRow) time.Time {
	if waitsHeld(row) {
		return row.DueAt
	}
	return row.EndedAt
}

// held is what stays of the round under way.
func (p *Erasure) held() (out []connector.Held) {
	for _, class := range slices.Sorted(maps.Keys(p.Parts)) {
		out = append(out, p.Parts[class].Held...)
	}
	return out
}

// keepsBack says what of a resource keeps it from being deleted, blank if nothing does:
// a part of it is held, or rows that are held in another need it.
func (t *Task) keepsBack(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource) (string, error) {
	holds, err := t.engine.DB.Holds(ctx, t.Plan.Tenant, false)
	if err != nil {
		return "", err
	}
	var says []string
	for _, h := range holds {
		if !h.Scope.Part() || h.Scope.System != pr.System {
			continue
		}
		row, err := t.engine.DB.Resource(ctx, h.Scope.Resource)
		if err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return "", err
		}
		switch own := h.Scope.Resource == pr.ID; {
		case err != nil, row.State == tenure.ResourceGone:
		case own && !sys.Can("hold"):
			says = append(says, "hold "+string(h.ID)+" keeps a part of it")
		case own:
			held, err := sys.Held(ctx, Ref(t.Plan.Tenant, pr), []connector.Kept{connector.KeptBy(h)})
			if err != nil {
				return "", unfollowed(h, err)
			}
			if connector.Total(held) > 0 {
				says = append(says, connector.HeldSays(held))
			}
		default:
			why, err := sys.Needed(ctx, Ref(t.Plan.Tenant, pr), connector.RefOf(row.Resource), []connector.Kept{connector.KeptBy(h)})
			if err != nil {
				return "", unfollowed(h, err)
			}
			if why != "" {
				says = append(says, why+" needs it")
			}
		}
	}
	return strings.Join(says, "; "), nil
}

// released wakes the steps that wait for a hold on a part which doesn't stand any more.
func (a *advance) released(c *composed) {
	for i := range a.s.nodes {
		n := &a.s.nodes[i]
		if !waitsHeld(n.row) || !n.row.DueAt.After(c.Now) {
			continue
		}
		if slices.ContainsFunc(a.s.holds, func(h tenure.Hold) bool { return strings.Contains(n.row.Error, string(h.ID)) }) && !a.lacks(n.row.Error) {
			continue
		}
		r := store.StepResult{Seq: n.row.Seq, Token: n.row.Token, From: tenure.StepPending, State: tenure.StepPending, Progress: n.row.Progress, Batched: n.batched()}
		c.Results = append(c.Results, r)
		n.apply(r, c.Now)
	}
}

// lacks says that a hold which a reason names doesn't stand any more.
func (a *advance) lacks(reason string) bool {
	for word := range strings.FieldsFuncSeq(reason, func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
		if _, err := tenure.ParseID[tenure.HoldID](word); err == nil && !slices.ContainsFunc(a.s.holds, func(h tenure.Hold) bool { return string(h.ID) == word }) {
			return true
		}
	}
	return false
}

// binding says whether a hold on a part waits for batches in flight.
func binding(holds []tenure.Hold) bool {
	return slices.ContainsFunc(holds, func(h tenure.Hold) bool { return h.Scope.Part() && h.EffectiveAt.IsZero() })
}
